"""Panels of the update report."""

from __future__ import annotations

from typing import Literal

import pandas as pd
import streamlit as st

from muscle_core.comparison import Comparison, Judgement, NoiseFloor
from muscle_core.comparison.verdict import NO_FLOOR, NO_UPDATE, REGRESSION, TOO_FEW, WITHIN_NOISE
from muscle_core.figures import quadrant_matrix, rates_chart, score_change_histogram
from muscle_core.interchange.exports import csv_text
from muscle_core.metrics.text import percent_range
from muscle_core.store import Workspace
from muscle_core.ui.chart import chart
from muscle_core.ui.frame import go, plain, wrapping_columns
from muscle_core.ui.numbers import SCORE_NAMES, counts, percent, points
from muscle_core.ui.picks import Picks
from muscle_core.ui.samples.link import open_samples
from muscle_core.ui.update_report import words

_CLICKED = "_report_clicked"  # filters of Samples that a mark stands for
_OF_RATES = {"nfr": {"quadrant": "Q4"}, "pfr": {"quadrant": "Q2"}}


def open_what_was_clicked() -> None:
    """Open the samples of a mark that was clicked; a callback cannot open another page itself."""
    filters = st.session_state.pop(_CLICKED, None)
    if filters is not None:
        open_samples(filters)


def join_warnings(comparison: Comparison) -> None:
    """Say which samples are not in the figures, if any."""
    left_out = comparison.join.reasons(comparison.old_name, comparison.new_name)
    lines = [f"{count:,} {what}" for count, what in left_out if count]
    if lines:
        st.warning(words.not_in_figures(plain("; ".join(lines))), icon=":material/warning:")


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
            st.warning(words.graded_differently(noise.graded_differently), icon=":material/warning:")
        with st.expander(words.NOISE_RUNS):
            st.dataframe(_noise_rows(noise), hide_index=True, height="content", key="report_noise", alt=words.NOISE_ALT)
            st.caption(words.floor_basis(noise.pairs, noise.n))


_WORD_STYLE: dict[str, tuple[Literal["blue", "red", "green", "orange", "gray"], str]] = {
    NO_UPDATE: ("blue", ":material/sync:"),
    REGRESSION: ("red", ":material/trending_down:"),
    WITHIN_NOISE: ("green", ":material/graphic_eq:"),
    TOO_FEW: ("orange", ":material/hourglass_empty:"),
    NO_FLOOR: ("gray", ":material/help:"),
}


def _noise_rows(noise: NoiseFloor) -> pd.DataFrame:
    if noise.score is not None:
        name = words.mean_loss(SCORE_NAMES.get(noise.score, noise.score))
        return pd.DataFrame(
            {
                words.FIRST_RUN: one.first,
                words.SECOND_RUN: one.second,
                name: f"{one.rate.value:.4f}",
                words.INTERVAL: f"{one.rate.low:.4f}–{one.rate.high:.4f}",
            }
            for one in noise.by_pair
        )
    return pd.DataFrame(
        {
            words.FIRST_RUN: one.first,
            words.SECOND_RUN: one.second,
            words.RIGHT_THEN_WRONG: f"{round(one.rate.value * noise.n):,} of {noise.n:,}",
            words.SHARE: percent(one.rate.value, 2),
            words.INTERVAL: percent_range(one.rate.low, one.rate.high, 2),
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
        (words.ACCURACY_OLD, words.ACCURACY_NEW, words.NFR, words.PFR),
        (old, new, comparison.nfr, comparison.pfr),
        (words.ACCURACY_OLD_HELP, words.ACCURACY_NEW_HELP, words.NFR_HELP, words.PFR_HELP),
        (None, change, None, None),
        strict=True,
    ):
        _figure(column, label, percent(rate.value), counts(rate), help_text, delta)


def quadrants(comparison: Comparison, name: str) -> None:
    """The quadrant matrix and all rates; a click opens the samples.

    Args:
        comparison: has a right and wrong.
        name: of the files that are downloaded.
    """
    counts_of = comparison.counts
    assert counts_of is not None
    st.subheader(words.QUADRANTS_TITLE, anchor=False)
    left, right = wrapping_columns([3, 2], least=300, key="report_quadrants")
    values = {"Q1": counts_of.q1, "Q2": counts_of.q2, "Q3": counts_of.q3, "Q4": counts_of.q4}
    with left:
        chart(
            quadrant_matrix(comparison),
            key="report_matrix",
            says=words.MATRIX_SAYS,
            alt=words.MATRIX_ALT,
            numbers=lambda: pd.DataFrame(
                {"quadrant": key, "what": what, "samples": values[key], "of": counts_of.n}
                for key, what, _ in words.QUADRANTS
            ),
            name=f"{name}-quadrants",
            on_click=lambda clicked: _remember({"quadrant": clicked[0]}),
        )
    with right:
        for key, what, meaning in words.QUADRANTS:
            if st.button(
                words.quadrant_button(key, values[key], what),
                key=f"report_open_{key}",
                help=meaning,
                width="stretch",
                type="primary" if key == "Q4" else "secondary",
            ):
                open_samples({"quadrant": key})
        st.caption(words.both_wrong(counts_of.q3_changed, counts_of.q3_same))
    with st.expander(words.ALL_RATES):
        chart(
            rates_chart(comparison),
            key="report_rates",
            says=words.RATES_SAYS,
            alt=words.RATES_ALT,
            numbers=lambda: pd.DataFrame(
                {
                    "rate": key,
                    "value": one.value,
                    "low": one.low,
                    "high": one.high,
                    "count": one.numerator,
                    "of": one.denominator,
                }
                for key, one in comparison.rates.items()
            ),
            name=f"{name}-rates",
            on_click=lambda clicked: _remember(_of_rate(clicked[0], comparison)),
        )
        st.markdown(_further_rates(comparison))


def _remember(filters: dict[str, str]) -> None:
    st.session_state[_CLICKED] = filters


def _of_rate(rate: str, comparison: Comparison) -> dict[str, str]:
    """Filters of Samples that leave what a rate counts."""
    if rate == "nfr_mc":
        return {"wrong": comparison.new_name, "answers": "different"}
    if rate.startswith("accuracy"):
        return {"right": comparison.old_name if rate == "accuracy_old" else comparison.new_name}
    return _OF_RATES[rate]


def _further_rates(comparison: Comparison) -> str:
    lines = [f"| {' | '.join(words.RATE_COLUMNS)} |", "|---|---|---|---|"]
    for name, key, meaning in words.RATES:
        rate = comparison.rates.get(key)
        if rate:
            lines.append(f"| {plain(name)} | {percent(rate.value)} | {counts(rate)} | {meaning} |")
    if comparison.relative_nfr is not None:
        lines.append(f"| {words.RELATIVE_NFR} | {comparison.relative_nfr:.2f} | – | {words.RELATIVE_NFR_MEANING} |")
    if comparison.mcnemar_p is not None:
        lines.append(
            f"| {words.MCNEMAR} | {comparison.mcnemar_p:.2g} | {words.MCNEMAR_COUNTS} | {words.MCNEMAR_MEANING} |"
        )
    return "\n".join(lines)


def score_figures(comparison: Comparison, score: str, name: str) -> None:
    """Gain and regression of one continuous score; a click on a bar opens its samples.

    Args:
        comparison: holds the score.
        score: which.
        name: of the files that are downloaded.
    """
    change = comparison.continuous[score]
    label = SCORE_NAMES.get(score, score)
    shown = plain(label)
    st.subheader(shown, anchor=False)
    columns = wrapping_columns(4, least=190, key=f"report_score_{score}")
    moved = change.mean_change
    _figure(
        columns[0],
        words.OLD_VERSION,
        f"{change.mean_old:.4f}",
        words.mean_of(change.n),
        words.mean_score_help(shown, "old"),
    )
    _figure(
        columns[1],
        words.NEW_VERSION,
        f"{change.mean_new:.4f}",
        words.mean_with_change(change.n, moved.low, moved.high),
        words.mean_score_help(shown, "new"),
        f"{moved.value:+.4f}",
    )
    worse, better = change.regression_rate, change.gain_rate
    _figure(
        columns[2],
        words.REGRESSION,
        f"{change.regression.value:.4f}",
        words.became_worse(percent(worse.value), counts(worse)),
        words.REGRESSION_HELP,
    )
    _figure(
        columns[3],
        words.GAIN,
        f"{change.gain.value:.4f}",
        words.became_better(percent(better.value), counts(better)),
        words.GAIN_HELP,
    )
    with st.expander(words.score_title(shown), expanded=score == "rouge1"):
        chart(
            score_change_histogram(comparison, score),
            key=f"report_change_{score}",
            says=words.score_says(shown),
            alt=words.score_alt(label),
            numbers=lambda: comparison.samples[["sample_id", f"old_{score}", f"new_{score}", f"delta_{score}"]],
            name=f"{name}-{score}",
            on_click=lambda clicked: _remember({"change": clicked[0]}),
        )


def next_steps() -> None:
    """Where to go from the report."""
    columns = wrapping_columns(3, least=230, key="report_next")
    if columns[0].button(words.READ_SAMPLES, icon=":material/table_rows:", width="stretch"):
        go("samples")
    if columns[1].button(words.REVIEW_FLIPS, icon=":material/rate_review:", width="stretch"):
        go("review")
    if columns[2].button(words.TRAIN, icon=":material/model_training:", width="stretch"):
        go("training")


def report_page(workspace: Workspace, chosen: Picks) -> str:
    """The report of the chosen update as one HTML page."""
    from muscle_core.actions.updates.report import report_html

    return report_html(workspace, chosen.old.name, chosen.new.name, chosen.dataset.name, split=chosen.split)


def samples_csv(comparison: Comparison) -> str:
    """All samples as CSV; texts that a spreadsheet would run as a formula get a leading apostrophe."""
    return csv_text(comparison.samples)
