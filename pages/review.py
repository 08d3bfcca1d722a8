"""Review: people read the samples that an update broke, say why, and how bad it is."""

from muscle_core.ui.frame import enter

enter("review")

import streamlit as st

from muscle_core.ui import picks
from muscle_core.ui.empty import offer_demo
from muscle_core.ui.frame import errors_shown, workspace
from muscle_core.ui.review import queue

with errors_shown():
    home = workspace()
    chosen = picks.choose(home)
    if chosen is None:
        offer_demo(home)
        st.stop()
    queue.show(home, chosen)
