"""Links out of the page, without the parameters that only this page reads."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from muscle_core.ui.samples.link import open_samples

OWN = (
    "flips_tab",
    "measure",
    "pairs",
    "pair_search",
    "minimum",
    "conditions",
    "topics",
    "versions",
    "order",
    "tau",
    "score",
)


def to_samples(filters: Mapping[str, str], picks: Mapping[str, str] | None = None) -> None:
    """Open the Samples page with exactly these filters; the next visit here starts as this one was left."""
    for key in OWN:
        if key in st.query_params:
            del st.query_params[key]
    open_samples(filters, picks)
