"""Samples: the quadrant tables, filtered and paged, and one sample side by side."""

from muscle_core.ui.frame import enter

enter("samples")

import streamlit as st

from muscle_core.ui import data, picks, sample_table, sample_view
from muscle_core.ui.empty import offer_demo
from muscle_core.ui.frame import errors_shown, workspace

with errors_shown():
    home = workspace()
    chosen = picks.choose(home, with_compat=True)
    if chosen is None:
        offer_demo(home)
        st.stop()
    comparison = data.comparison(home, chosen.old, chosen.new, chosen.dataset, chosen.split)
    frame = sample_table.build(home, chosen)
    sample_table.show(chosen, comparison, frame)
    sample_view.show(home, chosen, comparison)
