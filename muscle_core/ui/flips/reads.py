"""What the page reads, cached by the ids of the runs. Cached objects are never changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, NamedTuple, TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
import streamlit as st

from muscle_core.actions.compare import require_run
from muscle_core.actions.explain import sample_table, slice_columns, sliceable_samples, with_topics
from muscle_core.comparison import Comparison, History, history
from muscle_core.comparison.pair_map import PairMap, pair_map
from muscle_core.comparison.slices import find_slices, slice_table
from muscle_core.store import Dataset, EvaluationRun, ModelVersion, Workspace, read_prediction_table
from muscle_core.tasks.classification import Classification
from muscle_core.ui import data
from muscle_core.ui.flips import words
from muscle_core.ui.picks import Picks

T = TypeVar("T")


class Judged(NamedTuple, Generic[T]):
    """Something about the versions that have a right or wrong, and the names of those without."""

    found: T | None
    unjudged: tuple[str, ...]


class Sliceable(NamedTuple):
    """The samples of a comparison with all that they can be sliced by, and the columns to slice by."""

    frame: pd.DataFrame
    columns: tuple[str, ...]


def _tables(
    workspace: Workspace, runs: Sequence[EvaluationRun], names: Sequence[str], columns: list[str]
) -> tuple[dict[str, pa.Table], tuple[str, ...]]:
    """Prediction tables of the versions with a right or wrong, and the names of the others."""
    tables = {
        name: read_prediction_table(workspace.local(run.path), ["sample_id", "correct", "gold", *columns])
        for name, run in zip(names, runs, strict=True)
    }
    judged = {name: table for name, table in tables.items() if _has_flags(table)}
    return judged, tuple(name for name in tables if name not in judged)


def _has_flags(table: pa.Table) -> bool:
    return "correct" in table.column_names and table["correct"].null_count < len(table)


@st.cache_resource(max_entries=8, show_spinner=words.READING_VERSIONS)
def _history(
    home: str, run_ids: tuple[str, ...], names: tuple[str, ...], _workspace: Workspace, _runs: list[EvaluationRun]
) -> Judged[History]:
    tables, unjudged = _tables(_workspace, _runs, names, [])
    return Judged(history(tables) if len(tables) >= 2 else None, unjudged)


@st.cache_resource(max_entries=24, show_spinner=words.READING_VERSIONS)
def _pair_map(
    home: str, run_ids: tuple[str, ...], names: tuple[str, ...], _workspace: Workspace, _runs: list[EvaluationRun]
) -> Judged[PairMap]:
    tables, unjudged = _tables(_workspace, _runs, names, ["prediction"])
    return Judged(pair_map(tables) if tables else None, unjudged)


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
    if "old_margin" not in _comparison.samples:
        output = read_prediction_table(_workspace.local(_old.path), ["sample_id", "output"])
    samples = sample_table(_workspace, _dataset, _old.split)
    frame = sliceable_samples(_comparison, samples, output, with_target=_dataset.task_kind == Classification.kind)
    if topics:
        frame = with_topics(frame)
    return Sliceable(frame.drop(columns="input"), tuple(slice_columns(frame, _dataset.task_kind)))


@st.cache_resource(max_entries=16, show_spinner=words.READING_SLICES)
def _slices(
    home: str, runs: tuple[str, str], topics: bool, minimum: int, conditions: int, top: int, _samples: Sliceable
) -> pd.DataFrame:
    if conditions == 1:
        table = slice_table(_samples.frame, _samples.columns, minimum=minimum)
        order = np.argsort(table["p_adjusted"], kind="stable")
        attrs = {**table.attrs, "conditions": [table.attrs["conditions"][row] for row in order]}
        table = table.iloc[order].reset_index(drop=True)
        table.attrs = attrs
        return table
    return find_slices(_samples.frame, _samples.columns, depth=conditions, minimum=minimum, top=top)


def history_of(workspace: Workspace, versions: Sequence[ModelVersion], dataset: Dataset, split: str) -> Judged[History]:
    """History of versions in this order; found is None where fewer than two have a right or wrong.

    Raises:
        StoreError: one was not evaluated there.
        DataError: no sample can be used.
    """
    runs = [require_run(workspace, version, dataset, split) for version in versions]
    names = tuple(version.name for version in versions)
    return _history(str(workspace.home), tuple(run.id for run in runs), names, workspace, runs)


def pair_map_of(
    workspace: Workspace, versions: Sequence[ModelVersion], dataset: Dataset, split: str
) -> Judged[PairMap]:
    """All pairs of some versions; found is None where none has a right or wrong.

    Raises:
        StoreError: one was not evaluated there.
        DataError: no sample can be used.
    """
    runs = [require_run(workspace, version, dataset, split) for version in versions]
    names = tuple(version.name for version in versions)
    return _pair_map(str(workspace.home), tuple(run.id for run in runs), names, workspace, runs)


def slices_of(
    workspace: Workspace, chosen: Picks, *, minimum: int, conditions: int, topics: bool, top: int
) -> pd.DataFrame:
    """Slices of a comparison, the worst first, with `attrs` as of `muscle_core.comparison.slices`.

    Raises:
        StoreError, DataError, ConfigError: as `slice_table`.
    """
    comparison = data.comparison(workspace, chosen.old, chosen.new, chosen.dataset, chosen.split)
    old, new = (require_run(workspace, one, chosen.dataset, chosen.split) for one in (chosen.old, chosen.new))
    key = (old.id, new.id)
    home = str(workspace.home)
    samples = _sliceable(home, key, topics, workspace, chosen.dataset, old, comparison)
    return _slices(home, key, topics, minimum, conditions, top, samples)
