"""Training: start a compatibility adapter in the background, watch it, and see what was trained."""

from muscle_core.ui.frame import enter

enter("training")

import streamlit as st

from muscle_core.ui import picks
from muscle_core.ui.empty import show_next_step
from muscle_core.ui.frame import errors_shown, workspace
from muscle_core.ui.training import before, differences, form, jobs
from muscle_core.ui.url import stop

with errors_shown():
    home = workspace()
    chosen = picks.choose(home)
    if chosen is None:
        show_next_step(home)
        stop()
    # What changes in the form must not move the live panel.
    top, work, comparison = st.container(), st.container(), st.container()
    with top:
        request = form.show(home, chosen)
        if request is not None:
            before.show(home, request)
            before.show_elsewhere(request)
    with work:
        jobs.show(home)
    with comparison:
        differences.show(home, chosen)
