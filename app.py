"""The workbench's router. Run as: streamlit run app.py."""

from pathlib import Path

import streamlit as st

import muscle_core.ui
from muscle_core.ui.frame import route
from muscle_core.ui.imported import leave_out_of_collections

icon = Path(muscle_core.ui.__file__).with_name("icon.png")  # a file: a named icon would be fetched from a font server
st.set_page_config(page_title="MUSCLE workbench", page_icon=str(icon), layout="wide")
leave_out_of_collections()
route()
