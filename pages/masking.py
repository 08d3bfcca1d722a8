"""Masking: the compatibility adapters trained so far for this update, side by side with the plain new version."""

from muscle_core.ui.frame import enter

enter("masking")

import streamlit as st

from muscle_core.actions.compare import evaluated_ensemble, trained_variants
from muscle_core.ui import picks, token_strip
from muscle_core.ui.empty import offer_demo
from muscle_core.ui.frame import errors_shown, go, plain, workspace
from muscle_core.ui.masking import ablation, strategies

with errors_shown():
    home = workspace()
    chosen = picks.choose(home)
    if chosen is None:
        offer_demo(home)
        st.stop()
    pair = (home, chosen.old, chosen.new, chosen.dataset, chosen.split)
    variants, ensemble = trained_variants(*pair), evaluated_ensemble(*pair)

table, tokens, panel = (st.container() for _ in range(3))  # what appears in the table must not move the live panel
with table:
    st.markdown(
        f"What each masking strategy makes of the update {plain(chosen.old.name)} → {plain(chosen.new.name)} on "
        f"{plain(chosen.dataset.name)} ({plain(chosen.split)})."
    )
    strategies.explain()
    if not variants:
        st.info(
            "No compatibility adapter has been trained for this pair on this dataset yet. Train one; it takes about "
            "two minutes on the demo.",
            icon=":material/info:",
        )
        if st.button("Train a compatibility adapter", type="primary", icon=":material/model_training:"):
            go("training")
    if variants or ensemble:
        with errors_shown():
            strategies.show(home, chosen, variants)
with tokens, errors_shown():
    token_strip.show_all_strategies(home, chosen)
with panel:
    ablation.show(home, chosen)
