"""Flips: what this update broke and fixed, over datasets and versions, where it broke more, and how scores moved."""

from muscle_core.ui.frame import enter

enter("flips")


from muscle_core.tasks import task_of
from muscle_core.ui import picks
from muscle_core.ui.empty import show_next_step
from muscle_core.ui.flips import pairs, scores, slices, tabs, update, versions
from muscle_core.ui.frame import errors_shown, workspace
from muscle_core.ui.url import stop

with errors_shown():
    home = workspace()
    chosen = picks.choose(home)
    if chosen is None:
        show_next_step(home)
        stop()
    with tabs.opened("update" if task_of(chosen.dataset.task_kind).right_or_wrong else "scores") as tab:
        panels = {"update": update, "pairs": pairs, "slices": slices, "versions": versions, "scores": scores}
        panels[tab].show(home, chosen)
