"""Panels of the update report."""

from __future__ import annotations

from typing import Literal

import pandas as pd
import streamlit as st

from muscle_core.comparison import Comparison, Judgement, NoiseFloor
from muscle_core.comparison.verdict import NO_FLOOR, NO_UPDATE, REGRESSION, TOO_FEW, WITHIN_NOISE, exact_range
from muscle_core.figures import quadrant_matrix, rates_chart, score_change_histogram
from muscle_core.interchange.exports import csv_text
from muscle_core.store import Workspace
from muscle_core.ui.frame import go, plain, wrapping_columns
from muscle_core.ui.numbers import SCORE_NAMES, counts, percent, points
from muscle_core.ui.picks import Picks

_QUADRANTS = (
    ("Q1", "both right", "consistent and right"),
    ("Q2", "positive flips", "wrong before, right now: the gain of the update"),
    ("Q3", "both wrong", "an unchanged wrong answer is easier on users than a new one"),
    ("Q4", "negative flips", "right before, wrong now: what the update broke"),
)


def join_warnings(comparison: Comparison) -> None:
    """Say which samples are not in the figures, if any."""
    left_out = comparison.join.reasons(comparison.old_name, comparison.new_name)
    lines = [f"{count:,} {what}" for count, what in left_out if count]
    if lines:
        st.warning(f"Not in the figures: {plain('; '.join(lines))}.", icon=":material/warning:")


def judgement(judged: Judgement, noise: NoiseFloor | None) -> None:
    """What the update is called, why, and the noise floor that this rests on."""
    color, icon = _WORD_STYLE[judged.word]
    with st.container(border=True, key="report_judgement"):
        st.badge(judged.word, icon=icon, color=color)
        reasons = [plain(reason[:1].upper() + reason[1:]).replace(" %", "\u00a0%") + "." for reason in judged.reasons]
        st.markdown(reasons[0] if len(reasons) == 1 else "\n".join(f"- {reason}" for reason in reasons))
        if noise is None:
            return
        if noise.graded_differently:
            st.warning(
                f"{noise.graded_differently:,} samples have the same answer in two runs, right in one and wrong in the "
                "other: the runs were not graded by the same rule, and the floor holds that too.",
                icon=":material/warning:",
            )
        with st.expander("The noise floor, run by run"):
            st.dataframe(
                _noise_rows(noise),
                hide_index=True,
                height="content",
                key="report_noise",
                alt="One row for each ordered pair of runs of one version, with its flips and interval",
            )
            st.caption(
                f"The floor is the mean of these {noise.pairs:,} ordered pairs on the {noise.n:,} samples that all "
                "runs answered; its interval counts every sample once, since the pairs share their samples."
            )


_WORD_STYLE: dict[str, tuple[Literal["blue", "red", "green", "orange", "gray"], str]] = {
    NO_UPDATE: ("blue", ":material/sync:"),
    REGRESSION: ("red", ":material/trending_down:"),
    WITHIN_NOISE: ("green", ":material/graphic_eq:"),
    TOO_FEW: ("orange", ":material/hourglass_empty:"),
    NO_FLOOR: ("gray", ":material/help:"),
}


def _noise_rows(noise: NoiseFloor) -> pd.DataFrame:
    if noise.score is not None:
        name = f"mean loss of {SCORE_NAMES.get(noise.score, noise.score)}"
        return pd.DataFrame(
            {
                "first run": one.first,
                "second run": one.second,
                name: f"{one.rate.value:.4f}",
                "95 % interval": f"{one.rate.low:.4f}–{one.rate.high:.4f}",
            }
            for one in noise.by_pair
        )
    return pd.DataFrame(
        {
            "first run": one.first,
            "second run": one.second,
            "right, then wrong": f"{round(one.rate.value * noise.n):,} of {noise.n:,}",
            "share": percent(one.rate.value, 2),
            "95 % interval": exact_range(one.rate.low, one.rate.high),
        }
        for one in noise.by_pair
    )


def _figure(
    column: st.delta_generator.DeltaGenerator,
    label: str,
    value: str,
    below: str,
    help_text: str,
    delta: str | None = None,
) -> None:
    with column.container(border=True, height="stretch"):
        st.metric(label, value, delta=delta, help=help_text)
        st.caption(below)


def flip_figures(comparison: Comparison) -> None:
    """Key figures of a task with right and wrong answers, the quadrant matrix and the rates."""
    assert comparison.counts is not None
    assert comparison.accuracy_old is not None
    assert comparison.accuracy_new is not None
    assert comparison.nfr is not None
    assert comparison.pfr is not None
    old, new = comparison.accuracy_old, comparison.accuracy_new
    change = points(new.value - old.value)
    for column, label, rate, help_text, delta in zip(
        wrapping_columns(4, least=190, key="report_figures"),
        ("Accuracy, old version", "Accuracy, new version", "Negative flip rate (NFR)", "Positive flip rate (PFR)"),
        (old, new, comparison.nfr, comparison.pfr),
        (
            "Share of samples that the old version gets right.",
            "Share of samples that the new version gets right, and its change, which is PFR minus NFR.",
            "Right before and wrong now, as a share of all samples (not only of those that were right).",
            "Wrong before and right now, as a share of all samples.",
        ),
        (None, change, None, None),
        strict=True,
    ):
        _figure(column, label, percent(rate.value), counts(rate), help_text, delta)
    st.subheader("Quadrants", anchor=False)
    left, right = wrapping_columns([3, 2], least=300, key="report_quadrants")
    with left:
        picked = st.plotly_chart(
            quadrant_matrix(comparison),
            key="report_matrix",
            on_select="rerun",
            selection_mode="points",
            config={"displayModeBar": False},
            alt="Matrix of the four quadrants with counts: "
            + ", ".join(f"{key} {what}" for key, what, _ in _QUADRANTS),
        )
        points_picked = picked["selection"]["points"] if picked else []
        if points_picked:
            open_quadrant(_key_of(points_picked[0]))
        st.caption("Click a quadrant to read its samples, or use the buttons.")
    with right:
        values = {
            "Q1": comparison.counts.q1,
            "Q2": comparison.counts.q2,
            "Q3": comparison.counts.q3,
            "Q4": comparison.counts.q4,
        }
        for key, what, meaning in _QUADRANTS:
            if st.button(
                f"{key} · {values[key]:,} {what}",
                key=f"report_open_{key}",
                help=meaning,
                width="stretch",
                type="primary" if key == "Q4" else "secondary",
            ):
                open_quadrant(key)
        st.caption(
            f"Of the both-wrong, {comparison.counts.q3_changed:,} changed their answer and "
            f"{comparison.counts.q3_same:,} kept it."
        )
    with st.expander("All rates with intervals"):
        st.plotly_chart(
            rates_chart(comparison),
            key="report_rates",
            config={"displayModeBar": False},
            alt="Accuracy of both versions and flip rates with 95 % intervals",
        )
        st.markdown(_further_rates(comparison))


def open_quadrant(quadrant: str) -> None:
    """Open all samples of a quadrant, without the filters of an earlier visit."""
    go("samples", {"quadrant": quadrant}, afresh=("search", "page", "sample", "sort"))


def _key_of(point: dict) -> str:
    data = point.get("customdata")
    return str(data[0] if isinstance(data, list | tuple) else data)


def _further_rates(comparison: Comparison) -> str:
    rows = [
        ("NFR_mc", comparison.nfr_mc, "wrong now with another answer than before, of all samples"),
        ("BTC", comparison.btc, "still right, of those that were right before"),
        ("BEC", comparison.bec, "wrong before too, of those that are wrong now"),
        ("Inconsistency", comparison.inconsistency, "another wrong answer than before, of those wrong in both"),
    ]
    lines = ["| rate | value | counts | meaning |", "|---|---|---|---|"]
    lines += [
        f"| {plain(name)} | {percent(rate.value)} | {counts(rate)} | {meaning} |"
        for name, rate, meaning in rows
        if rate
    ]
    if comparison.relative_nfr is not None:
        lines.append(
            f"| Relative NFR | {comparison.relative_nfr:.2f} | – | 1 means as many flips as two unrelated models of "
            "these accuracies |"
        )
    if comparison.mcnemar_p is not None:
        lines.append(f"| McNemar p | {comparison.mcnemar_p:.2g} | exact, two-sided | test of equal accuracy |")
    return "\n".join(lines)


def score_figures(comparison: Comparison, score: str) -> None:
    """Gain and regression of one continuous score."""
    change = comparison.continuous[score]
    name = SCORE_NAMES.get(score, score)
    st.subheader(plain(name), anchor=False)
    columns = wrapping_columns(4, least=190, key=f"report_score_{score}")
    interval = f"95 % interval of the change {change.mean_change.low:+.4f} to {change.mean_change.high:+.4f}"
    _figure(
        columns[0], "Old version", f"{change.mean_old:.4f}", f"mean of {change.n:,}", f"Mean {name} F1, old version."
    )
    _figure(
        columns[1],
        "New version",
        f"{change.mean_new:.4f}",
        f"mean of {change.n:,}; {interval}",
        f"Mean {name} F1, new version.",
        f"{change.mean_change.value:+.4f}",
    )
    _figure(
        columns[2],
        "Regression",
        f"{change.regression.value:.4f}",
        f"{percent(change.regression_rate.value)} became worse: {counts(change.regression_rate)}",
        "Mean over all samples of how much a sample became worse (0 where it did not).",
    )
    _figure(
        columns[3],
        "Gain",
        f"{change.gain.value:.4f}",
        f"{percent(change.gain_rate.value)} became better: {counts(change.gain_rate)}",
        "Mean over all samples of how much a sample became better (0 where it did not).",
    )
    with st.expander(f"Change of {name} sample by sample", expanded=score == "rouge1"):
        st.plotly_chart(
            score_change_histogram(comparison, score),
            key=f"report_change_{score}",
            config={"displayModeBar": False},
            alt=f"Histogram of the change of {name} from old to new version",
        )


def next_steps(comparison: Comparison) -> None:
    """Where to go from the report."""
    columns = wrapping_columns(3, least=230, key="report_next")
    if columns[0].button("Read the samples", icon=":material/table_rows:", width="stretch"):
        go("samples")
    if columns[1].button("Train a compatibility adapter", icon=":material/model_training:", width="stretch"):
        go("training")
    if columns[2].button("Compare trained adapters", icon=":material/tune:", width="stretch"):
        go("masking")


def report_page(workspace: Workspace, chosen: Picks) -> str:
    """The report of the chosen update as one HTML page."""
    from muscle_core.actions.report import report_html

    return report_html(workspace, chosen.old.name, chosen.new.name, chosen.dataset.name, split=chosen.split)


def samples_csv(comparison: Comparison) -> str:
    """All samples as CSV; texts that a spreadsheet would run as a formula get a leading apostrophe."""
    return csv_text(comparison.samples)
