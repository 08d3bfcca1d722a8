"""What the page reads, cached by the ids of the runs. Cached objects are never changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, NamedTuple, TypeVar

import pyarrow as pa
import streamlit as st

from muscle_core.actions.updates.compare import require_run
from muscle_core.comparison import History, history
from muscle_core.comparison.pair_map import PairMap, pair_map
from muscle_core.store import Dataset, EvaluationRun, ModelVersion, Workspace, read_prediction_table
from muscle_core.ui.flips import words

T = TypeVar("T")


class Judged(NamedTuple, Generic[T]):
    """Something about the versions that have a right or wrong, and the names of those without."""

    found: T | None
    unjudged: tuple[str, ...]


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
