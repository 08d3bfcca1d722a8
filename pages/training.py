"""Training: start a compatibility adapter in the background, watch it, and see what was trained."""

from muscle_core.ui.frame import enter

enter("training")

import streamlit as st

from muscle_core.ui import picks
from muscle_core.ui.empty import show_next_step
from muscle_core.ui.frame import errors_shown, workspace
from muscle_core.ui.training import differences, finished, jobs, reads, start
from muscle_core.ui.url import stop

with errors_shown():
    home = workspace()
    chosen = picks.choose(home)
    if chosen is None:
        show_next_step(home)
        stop()
    trainings = reads.finished(home, chosen)
    # What changes in the form must not move the live panel.
    top, work, listing, comparison = (st.container() for _ in range(4))
    with top:
        start.show(home, chosen)
    with work:
        jobs.show(home, len(trainings))
    with listing:
        finished.show(home, chosen, trainings)
    with comparison:
        differences.show(home, chosen)
