"""Tab "This update": the rates of the chosen pair, why it broke samples, and how they moved."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from muscle_core.comparison import Comparison
from muscle_core.figures import rates_chart
from muscle_core.figures.text import range_text, rate_text
from muscle_core.metrics import Rate
from muscle_core.store import Workspace
from muscle_core.ui import data
from muscle_core.ui.chart import chart
from muscle_core.ui.flips import words
from muscle_core.ui.frame import plain
from muscle_core.ui.picks import Picks


def show(home: Workspace, chosen: Picks) -> None:
    """Draw the tab."""
    comparison = data.comparison(home, chosen.old, chosen.new, chosen.dataset, chosen.split)
    if comparison.counts is None:
        st.info(words.NO_RIGHT_OR_WRONG, icon=":material/info:")
        return
    st.subheader(words.RATES, anchor=False)
    assert comparison.nfr is not None
    assert comparison.pfr is not None
    chart(
        rates_chart(comparison),
        key="flips_rates",
        says=words.rates_says(
            plain(comparison.old_name),
            plain(comparison.new_name),
            with_interval(comparison.nfr),
            with_interval(comparison.pfr),
        ),
        alt=words.RATES_ALT,
        numbers=lambda: rates_table(comparison),
        name="flip-rates",
    )


def with_interval(rate: Rate) -> str:
    """A rate with counts and interval, as a sentence holds it."""
    return plain(f"{rate_text(rate)[:-1]}; 95 % interval {range_text(rate.low, rate.high)})")


def rates_table(comparison: Comparison) -> pd.DataFrame:
    """The rates behind the chart, one a row."""
    return pd.DataFrame([{"rate": name, **rate.as_dict()} for name, rate in comparison.rates.items()])
