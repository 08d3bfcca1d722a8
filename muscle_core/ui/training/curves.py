"""How two trainings went: loss, tokens aligned to old and token accuracy, each in one chart."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import pandas as pd
import streamlit as st

from muscle_core.figures import compared_curves, mean_window, running_means
from muscle_core.store import TrainingRun, Workspace
from muscle_core.ui.chart import chart
from muscle_core.ui.frame import plain, wrapping_columns
from muscle_core.ui.numbers import percent
from muscle_core.ui.training import reads
from muscle_core.ui.training import trainings_words as words

_LOSS = "loss"


def show(workspace: Workspace, pair: Sequence[TrainingRun], names: tuple[str, str]) -> None:
    """Draw the charts.

    Args:
        workspace: where the trainings are.
        pair: two trainings.
        names: of both.

    Raises:
        StoreError: the step records of one are damaged.
    """
    first, second = (reads.metrics(workspace, run.id) for run in pair)
    bare = [name for name, metrics in zip(names, (first, second), strict=True) if metrics.empty]
    if bare:
        st.caption(words.without_curves([plain(name) for name in bare]))
    if len(bare) == 2:
        return
    first, second = (one if len(one) else pd.DataFrame(columns=["step"]) for one in (first, second))
    shown = [
        column
        for column in words.CURVE_NAMES
        if any(column in one and one[column].notna().any() for one in (first, second))
    ]
    window = mean_window(first, second)
    if len({(run.kind, run.strategy) for run in pair}) > 1:
        st.caption(words.OTHER_LOSSES)
    for place, column in zip(wrapping_columns(len(shown), least=300, key="compared_curves"), shown, strict=True):
        ends = [_end(one, column, window) for one in (first, second)]
        with place:
            chart(
                compared_curves(first, second, names, column),
                key=f"compared_{column}",
                says=words.curve_says(column, window, *ends),
                alt=words.curve_alt(column),
                numbers=partial(_numbers, first, second, names, column, window),
                name=f"trainings-{column.replace('_', '-')}",
            )


def _end(metrics: pd.DataFrame, column: str, window: int) -> str | None:
    """Where a training's running mean ends; None where it has none."""
    if column not in metrics or not metrics[column].notna().any():
        return None
    value = float(running_means(metrics, column, window).iloc[-1])
    return f"{value:.4f}" if column == _LOSS else percent(value)


def _numbers(
    first: pd.DataFrame, second: pd.DataFrame, names: tuple[str, str], column: str, window: int
) -> pd.DataFrame:
    parts = []
    for name, metrics in zip(names, (first, second), strict=True):
        if column not in metrics or not metrics[column].notna().any():
            continue
        mean = running_means(metrics, column, window)
        part = metrics[["step", column]].dropna().sort_values("step", kind="stable")
        parts.append(
            part.assign(training=name, running_mean=mean.to_numpy())[["training", "step", column, "running_mean"]]
        )
    return pd.concat(parts, ignore_index=True)
