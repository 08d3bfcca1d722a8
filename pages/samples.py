"""Samples: the quadrant tables, filtered and paged, and one sample side by side."""

from muscle_core.ui.frame import enter

enter("samples")


from muscle_core.ui import data, picks
from muscle_core.ui.empty import show_next_step
from muscle_core.ui.frame import errors_shown, workspace
from muscle_core.ui.samples import detail, filters, table
from muscle_core.ui.url import stop

filters.follow_url()
with errors_shown():
    home = workspace()
    chosen = picks.choose(home, with_compat=True)
    if chosen is None:
        show_next_step(home)
        stop()
    samples = data.compared_samples(home, chosen.old, chosen.new, chosen.dataset, chosen.split, chosen.compat)
    view = table.show(home, chosen, samples)
    detail.show(home, chosen, samples.comparison, view)
