"""Library: what is in the workspace, and the evaluation of what is not evaluated yet."""

from muscle_core.ui.frame import enter

enter("library")

import streamlit as st

from muscle_core.ui.empty import offer_demo
from muscle_core.ui.frame import errors_shown, plain, workspace
from muscle_core.ui.library import contents

with errors_shown():
    home = workspace()
    st.caption(f"Workspace {plain(str(home.home))}")
    if contents.is_empty(home):
        offer_demo(home)
        st.stop()
    contents.show(home)
