"""Review: people read the samples that an update broke, say why, and how bad it is."""

from muscle_core.ui.frame import enter

enter("review")


from muscle_core.ui import picks
from muscle_core.ui.empty import show_next_step
from muscle_core.ui.frame import errors_shown, workspace
from muscle_core.ui.review import queue
from muscle_core.ui.url import stop

with errors_shown():
    home = workspace()
    chosen = picks.choose(home)
    if chosen is None:
        show_next_step(home)
        stop()
    queue.show(home, chosen)
