"""Tab "Scores": gain and loss of a continuous score, and which samples moved by more than tau."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import streamlit as st

from muscle_core.comparison import Comparison
from muscle_core.figures import drawn_points, score_change_histogram, score_scatter
from muscle_core.figures.text import SCORE_NAMES
from muscle_core.metrics import Rate, rate
from muscle_core.metrics.text import percent
from muscle_core.store import Workspace
from muscle_core.ui import data
from muscle_core.ui.chart import chart
from muscle_core.ui.flips import words
from muscle_core.ui.flips.link import to_samples
from muscle_core.ui.frame import plain, wrapping_columns
from muscle_core.ui.numbers import counts, with_interval
from muscle_core.ui.picks import Picks
from muscle_core.ui.url import linked_select, publish, restore


def show(home: Workspace, chosen: Picks) -> None:
    """Draw the tab."""
    comparison = data.comparison(home, chosen.old, chosen.new, chosen.dataset, chosen.split)
    if not comparison.continuous:
        st.info(words.NO_SCORES, icon=":material/info:")
        return
    left, right = wrapping_columns([1, 2], least=260, key="flips_score_options", align="top")
    with left:
        names = list(comparison.continuous)
        score = linked_select(
            words.SCORE,
            names,
            "score",
            default=comparison.score,
            format_func=lambda name: SCORE_NAMES.get(name, name),
        )
    old, new = comparison.rows.scores[score]
    change = new - old
    with right:
        tau = _tau(float(np.abs(change).max()))
    name = SCORE_NAMES.get(score, score)
    better, worse = (rate(int(np.count_nonzero(flags)), len(change)) for flags in (change > tau, change < -tau))
    _figures(comparison, score, better, worse)
    left, right = wrapping_columns(2, least=440, key="flips_score_charts")
    with left:
        st.subheader(words.HISTOGRAM, anchor=False)
        chart(
            score_change_histogram(comparison, score, tau),
            key="flips_histogram",
            says=words.histogram_says(plain(name), with_interval(worse), with_interval(better), plain(f"{tau:g}")),
            alt=words.HISTOGRAM_ALT,
            numbers=lambda: _changes(comparison, score, tau),
            name=f"change-of-{score}",
            on_click=lambda key: to_samples({"change": key[0]}),
        )
    with right:
        st.subheader(words.SCATTER, anchor=False)
        drawn = len(drawn_points(change))
        chart(
            score_scatter(
                old,
                new,
                comparison.rows.ids.to_numpy(zero_copy_only=False),
                tau=tau,
                score=name,
                old_name=comparison.old_name,
                new_name=comparison.new_name,
            ),
            key="flips_scatter",
            says=words.scatter_says(f"{len(change):,}", f"{drawn:,}"),
            alt=words.SCATTER_ALT,
            numbers=lambda: _changes(comparison, score, tau),
            name=f"old-against-new-{score}",
            on_click=lambda key: to_samples({"sample": key[0]}),
        )


def _tau(largest: float) -> float:
    """The slider: 100 round steps up to about half of the largest change."""
    step = _round_step(largest / 200)
    most = round(step * 100, 10)
    restore("tau", 0.0, lambda value: isinstance(value, float) and 0 <= value <= most, float)
    decimals = max(0, -math.floor(math.log10(step)))
    tau = float(st.slider(words.TAU, 0.0, most, key="tau", step=step, format=f"%.{decimals}f", help=words.TAU_HELP))
    tau = round(tau, decimals)
    publish("tau", f"{tau:g}")
    return tau


def _round_step(wanted: float) -> float:
    """The next larger of 1, 2 and 5 times a power of ten."""
    if wanted <= 0:
        return 0.001
    power = 10.0 ** math.floor(math.log10(wanted))
    factor = next(factor for factor in (1, 2, 5, 10) if factor * power >= wanted * (1 - 1e-9))
    return round(factor * power, 12)


def _figures(comparison: Comparison, score: str, better: Rate, worse: Rate) -> None:
    found = comparison.continuous[score]
    columns = wrapping_columns(5, least=170, key="flips_score_figures")
    means = {"change": found.mean_change, "gain": found.gain, "regression": found.regression}
    for column, (key, mean) in zip(columns, means.items(), strict=False):
        label, help_text = words.SCORE_FIGURES[key]
        sign = "+" if key == "change" else ""
        with column.container(border=True, height="stretch"):
            st.metric(label, f"{mean.value:{sign}.4f}", help=help_text)
            st.caption(words.mean_of(f"{found.n:,}", f"{mean.low:{sign}.4f}", f"{mean.high:{sign}.4f}"))
    for column, key, one in zip(columns[3:], ("better", "worse"), (better, worse), strict=True):
        label, help_text = words.SCORE_FIGURES[key]
        with column.container(border=True, height="stretch"):
            st.metric(label, percent(one.value), help=help_text)
            st.caption(counts(one))


def _changes(comparison: Comparison, score: str, tau: float) -> pd.DataFrame:
    old, new = comparison.rows.scores[score]
    change = new - old
    group = np.where(change > tau, "better", np.where(change < -tau, "worse", "unchanged"))
    ids = comparison.rows.ids.to_numpy(zero_copy_only=False)
    return pd.DataFrame({"sample_id": ids, "old": old, "new": new, "change": change, "group": group})
