"""Tab "This update": the rates of the chosen pair, why it broke samples, and how they moved."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from muscle_core.comparison import Comparison
from muscle_core.figures import cause_bars, flow_chart, rates_chart
from muscle_core.metrics import rate
from muscle_core.metrics.text import rate_text
from muscle_core.store import Workspace
from muscle_core.ui import data
from muscle_core.ui.chart import chart
from muscle_core.ui.flips import words
from muscle_core.ui.flips.link import to_samples
from muscle_core.ui.flips.theme import dark_theme
from muscle_core.ui.frame import plain, wrapping_columns
from muscle_core.ui.numbers import with_interval
from muscle_core.ui.picks import Picks

# Beyond so many flips the rules are applied only on request: they read both outputs of every flip.
_FLIPS_AT_ONCE = 20_000
_QUADRANTS = {
    ("right", "right"): "Q1",
    ("wrong", "right"): "Q2",
    ("wrong", "wrong"): "Q3",
    ("right", "wrong"): "Q4",
}


def show(home: Workspace, chosen: Picks) -> None:
    """Draw the tab."""
    comparison = data.comparison(home, chosen.old, chosen.new, chosen.dataset, chosen.split)
    if comparison.counts is None:
        st.info(words.NO_RIGHT_OR_WRONG, icon=":material/info:")
        return
    assert comparison.nfr is not None
    assert comparison.pfr is not None
    st.subheader(words.RATES, anchor=False)
    old, new = plain(comparison.old_name), plain(comparison.new_name)
    chart(
        rates_chart(comparison),
        key="flips_rates",
        says=words.rates_says(old, new, with_interval(comparison.nfr), with_interval(comparison.pfr)),
        alt=words.RATES_ALT,
        numbers=lambda: pd.DataFrame([{"rate": name, **one.as_dict()} for name, one in comparison.rates.items()]),
        name="flip-rates",
    )
    left, right = wrapping_columns(2, least=420, key="flips_update_charts")
    with left:
        _flow(comparison)
    with right:
        _causes(home, chosen, comparison)


def transitions_of(comparison: Comparison) -> pd.DataFrame:
    """The quadrants of a comparison as streams, in the form of `History.transitions`."""
    counts = comparison.counts
    assert counts is not None
    return pd.DataFrame(
        [
            (comparison.old_name, comparison.new_name, before, after, count)
            for (before, after), quadrant in _QUADRANTS.items()
            if (count := getattr(counts, quadrant.lower()))
        ],
        columns=["old", "new", "old_state", "new_state", "samples"],
    )


def _flow(comparison: Comparison) -> None:
    counts = comparison.counts
    assert counts is not None
    st.subheader(words.FLOW, anchor=False)
    streams = transitions_of(comparison)

    def texts(count: int) -> str:
        return plain(rate_text(rate(count, counts.n)))

    chart(
        flow_chart([comparison.old_name, comparison.new_name], streams, dark=dark_theme()),
        key="flips_flow",
        says=words.flow_says(texts(counts.q1), texts(counts.q4), texts(counts.q2), texts(counts.q3), f"{counts.n:,}"),
        alt=words.FLOW_ALT,
        numbers=lambda: streams,
        name="flips-old-to-new",
        on_click=lambda key: to_samples({"quadrant": _QUADRANTS[key[2], key[3]]}),
    )


def _causes(home: Workspace, chosen: Picks, comparison: Comparison) -> None:
    st.subheader(words.CAUSES, anchor=False)
    counts = comparison.counts
    assert counts is not None
    if counts.q4 == 0:
        st.info(words.NO_FLIPS, icon=":material/info:")
        return
    if counts.q4 > _FLIPS_AT_ONCE:
        st.caption(words.causes_many(f"{counts.q4:,}"))
        if not st.toggle(words.FIND_CAUSES, key="flips_causes_wanted"):
            return
    table = data.causes(home, chosen.old, chosen.new, chosen.dataset, chosen.split).reset_index()
    first = table.iloc[0]
    chart(
        cause_bars(table),
        key="flips_causes",
        says=words.causes_says(plain(str(first["cause"])), with_interval(rate(int(first["flips"]), int(first["of"])))),
        alt=words.CAUSES_ALT,
        numbers=lambda: table,
        name="flip-causes",
        on_click=lambda key: to_samples({"quadrant": "Q4", "cause": key[0]}),
    )
