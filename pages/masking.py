"""Masking: the compatibility adapters trained so far for this update, side by side with the plain new version."""

from muscle_core.ui.frame import enter

enter("masking")

import streamlit as st

from muscle_core.actions.updates.compare import evaluated_ensemble, trained_variants
from muscle_core.ui import picks, token_strip
from muscle_core.ui.empty import show_next_step
from muscle_core.ui.frame import errors_shown, go, plain, workspace
from muscle_core.ui.masking import ablation, published, references, strategies, words
from muscle_core.ui.url import stop

with errors_shown():
    home = workspace()
    chosen = picks.choose(home)
    if chosen is None:
        show_next_step(home)
        stop()
    pair = (home, chosen.old, chosen.new, chosen.dataset, chosen.split)
    variants, ensemble = trained_variants(*pair), evaluated_ensemble(*pair)

# What appears in the table must not move the live panels.
table, tokens, live, mixing, paper = (st.container() for _ in range(5))
with table:
    st.markdown(
        words.intro(plain(chosen.old.name), plain(chosen.new.name), plain(chosen.dataset.name), plain(chosen.split))
    )
    strategies.explain()
    if not variants:
        st.info(words.NOTHING_TRAINED, icon=":material/info:")
        if st.button(words.TRAIN, type="primary", icon=":material/model_training:"):
            go("training")
    if variants or ensemble:
        with errors_shown():
            strategies.show(home, chosen, variants, ensemble)
with tokens, errors_shown():
    token_strip.show_all_strategies(home, chosen)
with live:
    ablation.show(home, chosen)
with mixing:
    references.show(home, chosen, variants)
with paper:
    published.show()
