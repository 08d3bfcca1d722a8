"""The workbench's router. Run as: streamlit run app.py."""

import streamlit as st

from muscle_core.ui.frame import route

st.set_page_config(page_title="MUSCLE workbench", page_icon=":material/difference:", layout="wide")
route()
