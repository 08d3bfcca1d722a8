"""Slices of a comparison, cached: Flips, Update report and the tour read the same ones."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
import streamlit as st

from muscle_core.actions.updates.compare import require_run
from muscle_core.actions.updates.explain import sample_table, slice_columns, sliceable_samples, with_topics
from muscle_core.comparison import Comparison
from muscle_core.comparison.slices import find_slices, slice_table
from muscle_core.store import Dataset, EvaluationRun, ModelVersion, Workspace, read_prediction_table
from muscle_core.tasks.classification import Classification
from muscle_core.ui import data, words


class Sliceable(NamedTuple):
    """The samples of a comparison with all that they can be sliced by.

    Attributes:
        frame: one row a sample.
        columns: to slice by.
        score: whose loss is counted; None where negative flips are.
    """

    frame: pd.DataFrame
    columns: tuple[str, ...]
    score: str | None


@st.cache_resource(max_entries=2, show_spinner=words.READING_SLICES)
def _sliceable(
    home: str,
    runs: tuple[str, str],
    topics: bool,
    _workspace: Workspace,
    _dataset: Dataset,
    _old: EvaluationRun,
    _comparison: Comparison,
) -> Sliceable:
    output = None
    if _comparison.rows.margin[0] is None:
        output = read_prediction_table(_workspace.local(_old.path), ["sample_id", "output"])
    samples = sample_table(_workspace, _dataset, _old.split, ("sample_id", "input", "metadata", "target"))
    frame = sliceable_samples(_comparison, samples, output, with_target=_dataset.task_kind == Classification.kind)
    if topics:
        frame = with_topics(frame)
    score = _comparison.score if _comparison.counts is None else None
    return Sliceable(frame.drop(columns="input"), tuple(slice_columns(frame, _dataset.task_kind)), score)


@st.cache_resource(max_entries=16, show_spinner=words.READING_SLICES)
def _slices(
    home: str, runs: tuple[str, str], topics: bool, minimum: int, conditions: int, top: int, _samples: Sliceable
) -> pd.DataFrame:
    if conditions == 1:
        table = slice_table(_samples.frame, _samples.columns, minimum=minimum, score=_samples.score)
        order = np.argsort(table["p_adjusted"], kind="stable")
        attrs = {**table.attrs, "conditions": [table.attrs["conditions"][row] for row in order]}
        table = table.iloc[order].reset_index(drop=True)
        table.attrs = attrs
        return table
    return find_slices(
        _samples.frame, _samples.columns, depth=conditions, minimum=minimum, top=top, score=_samples.score
    )


def slices_of(
    workspace: Workspace,
    old: ModelVersion,
    new: ModelVersion,
    dataset: Dataset,
    split: str,
    *,
    minimum: int = 30,
    conditions: int = 1,
    topics: bool = False,
    top: int = 20,
) -> pd.DataFrame:
    """Slices of the newest runs of two versions, the worst first, with `attrs` as of `muscle_core.comparison.slices`.

    Args:
        workspace: where the runs are.
        old: version.
        new: version.
        dataset: dataset.
        split: split of the runs.
        minimum: smallest number of samples of a slice.
        conditions: every slice by one, or the worst by up to so many.
        topics: also slice by groups of inputs with like words.
        top: most slices where they are searched.

    Raises:
        StoreError, DataError, ConfigError: as `slice_table`.
    """
    comparison = data.comparison(workspace, old, new, dataset, split)
    runs = [require_run(workspace, one, dataset, split) for one in (old, new)]
    key = (runs[0].id, runs[1].id)
    home = str(workspace.home)
    samples = _sliceable(home, key, topics, workspace, dataset, runs[0], comparison)
    return _slices(home, key, topics, minimum, conditions, top, samples)
