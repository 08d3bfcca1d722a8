"""Training: start a compatibility adapter in the background, watch it, and see what was trained."""

from muscle_core.ui.frame import enter

enter("training")

import streamlit as st

from muscle_core.ui import picks
from muscle_core.ui.empty import offer_demo
from muscle_core.ui.frame import errors_shown, workspace
from muscle_core.ui.training import form, jobs

with errors_shown():
    home = workspace()
    chosen = picks.choose(home)
    if chosen is None:
        offer_demo(home)
        st.stop()
    top, work = st.container(), st.container()  # what changes in the form must not move the live panel
    with top:
        form.show(home, chosen)
    with work:
        jobs.show(home)
