"""What pages read, cached at the edge: comparisons and the table of samples. Cached objects are never changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import streamlit as st

from muscle_core.actions.library.datasets import load_samples
from muscle_core.actions.updates.compare import compared_columns_of, require_run
from muscle_core.actions.updates.explain import answer_text as text_of_answer
from muscle_core.actions.updates.noise import FloorRuns, JudgedUpdate, floor_of_runs, floor_runs
from muscle_core.actions.updates.sample_columns import ComparedSamples, SplitIds
from muscle_core.comparison import Comparison, compare, judge
from muscle_core.comparison.repair import Repair, repair_by
from muscle_core.comparison.sample_filter import SampleFilter, view_of
from muscle_core.comparison.view import ViewOfSamples, row_of, rows_of
from muscle_core.datasets.samples import read_sample_ids, read_sample_rows, sample_of
from muscle_core.errors import DataError
from muscle_core.store import (
    Dataset,
    EvaluationRun,
    ModelVersion,
    Workspace,
    holds_outputs,
    read_prediction_rows,
    read_prediction_table,
)
from muscle_core.tasks import Sample
from muscle_core.ui import words

PREVIEW_CHARACTERS = 160


@st.cache_resource(max_entries=16, show_spinner=words.COMPARING)
def _comparison(
    home: str,
    runs: tuple[str, str],
    names: tuple[str, str],
    kind: str,
    _workspace: Workspace,
    _runs: tuple[EvaluationRun, EvaluationRun],
) -> Comparison:
    old, new = (compared_columns_of(_workspace, run) for run in _runs)
    return compare(old, new, task_kind=kind, old_name=names[0], new_name=names[1])


@st.cache_resource(max_entries=16, show_spinner=words.MEASURING_NOISE)
def _judged(
    home: str,
    runs: tuple[str, str],
    floor_ids: tuple[tuple[str, ...], ...],
    same_version: bool,
    names: tuple[str, str],
    _workspace: Workspace,
    _floor_runs: FloorRuns,
    _comparison: Comparison,
) -> JudgedUpdate:
    noise = floor_of_runs(_workspace, _floor_runs)
    return JudgedUpdate(_comparison, noise, judge(_comparison, noise))


@st.cache_resource(max_entries=8, show_spinner=words.READING_SAMPLES)
def _samples(home: str, dataset_id: str, split: str, _workspace: Workspace, _dataset: Dataset) -> dict[str, Sample]:
    return {sample.id: sample for sample in load_samples(_workspace, _dataset, split)}


@st.cache_resource(max_entries=16, show_spinner=words.LOOKING_FOR_CAUSES)
def _cause_table(home: str, runs: tuple[str, ...], _compared: ComparedSamples) -> pd.DataFrame:
    return _compared.cause_table()


@st.cache_resource(max_entries=16, show_spinner=words.READING_ADAPTER)
def _repair(
    home: str, runs: tuple[str, ...], _workspace: Workspace, _run: EvaluationRun, _comparison: Comparison
) -> Repair:
    return repair_by(_comparison.rows, compared_columns_of(_workspace, _run))


def comparison(workspace: Workspace, old: ModelVersion, new: ModelVersion, dataset: Dataset, split: str) -> Comparison:
    """Comparison of the newest runs of two versions.

    Raises:
        StoreError: one was not evaluated there.
    """
    runs = [require_run(workspace, version, dataset, split) for version in (old, new)]
    return _comparison(
        str(workspace.home),
        (runs[0].id, runs[1].id),
        (old.name, new.name),
        dataset.task_kind,
        workspace,
        (runs[0], runs[1]),
    )


def judged(workspace: Workspace, old: ModelVersion, new: ModelVersion, dataset: Dataset, split: str) -> JudgedUpdate:
    """Comparison of two versions, the noise floor where one of them was run twice, and what the update is called.

    Raises:
        StoreError: one was not evaluated there.
        DataError: the runs of the floor share no sample.
    """
    runs = [require_run(workspace, version, dataset, split) for version in (old, new)]
    floor = floor_runs(workspace, old, new, dataset, split)
    compared = comparison(workspace, old, new, dataset, split)
    return _judged(
        str(workspace.home),
        (runs[0].id, runs[1].id),
        floor.ids,
        floor.same_version,
        (old.name, new.name),
        workspace,
        floor,
        compared,
    )


def repair(
    workspace: Workspace, old: ModelVersion, new: ModelVersion, compat: ModelVersion, dataset: Dataset, split: str
) -> Repair:
    """What an adapter repairs of an update, and what it breaks instead, by the newest runs of the three.

    Raises:
        StoreError: one was not evaluated there.
    """
    runs = [require_run(workspace, version, dataset, split) for version in (old, new, compat)]
    compared = comparison(workspace, old, new, dataset, split)
    return _repair(str(workspace.home), tuple(run.id for run in runs), workspace, runs[-1], compared)


def samples(workspace: Workspace, dataset: Dataset, split: str) -> dict[str, Sample]:
    """Samples of a split by id."""
    return _samples(str(workspace.home), dataset.id, split, workspace, dataset)


@st.cache_resource(max_entries=16, show_spinner=False)
def _split_ids(home: str, dataset_id: str, split: str, _workspace: Workspace, _dataset: Dataset) -> SplitIds:
    path = _workspace.local(_dataset.path)
    if not path.is_file():
        raise DataError(f"the file of dataset {_dataset.name!r} is gone: {path}. Add the dataset again.")
    return SplitIds(*read_sample_ids(path, split))


@st.cache_resource(max_entries=16, show_spinner=False)
def _run_ids(home: str, run_id: str, _workspace: Workspace, _run: EvaluationRun) -> pa.Array:
    table = read_prediction_table(_workspace.local(_run.path), ("sample_id",))
    return table["sample_id"].cast(pa.large_string()).combine_chunks()


# Of a million samples the texts of one comparison take some hundred megabytes once something is searched.
@st.cache_resource(max_entries=6, show_spinner=words.COMPARING)
def _compared(
    home: str,
    runs: tuple[str, ...],
    names: tuple[str, ...],
    _workspace: Workspace,
    _dataset: Dataset,
    _runs: tuple[EvaluationRun, ...],
    _comparison: Comparison,
) -> ComparedSamples:
    known = _split_ids(home, _dataset.id, _runs[0].split, _workspace, _dataset)
    return ComparedSamples(_workspace, _dataset, _runs[0].split, _runs, _comparison, known)


def compared_samples(
    workspace: Workspace,
    old: ModelVersion,
    new: ModelVersion,
    dataset: Dataset,
    split: str,
    compat: ModelVersion | None = None,
) -> ComparedSamples:
    """The samples of a comparison as columns, each read when it is needed.

    Raises:
        StoreError: one was not evaluated there.
        DataError: the dataset's file is gone or damaged.
    """
    versions = [version for version in (old, new, compat) if version is not None]
    runs = tuple(require_run(workspace, version, dataset, split) for version in versions)
    compared = comparison(workspace, old, new, dataset, split)
    names = tuple(version.name for version in versions)
    return _compared(str(workspace.home), tuple(run.id for run in runs), names, workspace, dataset, runs, compared)


@st.cache_resource(max_entries=24, show_spinner=words.LOOKING_FOR_SAMPLES)
def _view(
    home: str,
    key: tuple[str, ...],
    _samples: ComparedSamples,
    _wanted: SampleFilter,
    _order: str,
    _run_named: Callable[[str], EvaluationRun | None],
) -> ViewOfSamples:
    return view_of(_wanted, _order, _samples.columns(_run_named))


def view_of_samples(
    workspace: Workspace,
    compared: ComparedSamples,
    wanted: SampleFilter,
    order: str,
    run_named: Callable[[str], EvaluationRun | None],
) -> ViewOfSamples:
    """The samples that pass a filter, in order.

    Args:
        workspace: of the samples.
        compared: the samples.
        wanted: the filter.
        order: one of `muscle_core.comparison.sample_filter.orders_of`.
        run_named: the run of the version of a name on this split, or None.
    """
    others = [run_named(name) for name in (*wanted.right, *wanted.wrong)]
    key = (*compared.run_ids, order, repr(wanted), *(run.id if run else "" for run in others))
    return _view(str(workspace.home), key, compared, wanted, order, run_named)


def sample(workspace: Workspace, dataset: Dataset, split: str, identity: str) -> Sample | None:
    """One sample of a split, without reading all of them; None where there is none of that id.

    Raises:
        DataError: the dataset's file is gone or damaged.
    """
    known = _split_ids(str(workspace.home), dataset.id, split, workspace, dataset)
    row = row_of(known.ids, identity)
    if row is None:
        return None
    return sample_of(read_sample_rows(workspace.local(dataset.path), known.places[row : row + 1]).to_pylist()[0])


def inputs(workspace: Workspace, dataset: Dataset, split: str, ids: Sequence[str], gap: str) -> list[str]:
    """What was asked in some samples of a split, without reading all of them; the gap where there is none of an id.

    Raises:
        DataError: the dataset's file is gone or damaged.
    """
    known = _split_ids(str(workspace.home), dataset.id, split, workspace, dataset)
    rows = rows_of(known.ids, ids)
    table = read_sample_rows(workspace.local(dataset.path), known.places[rows[rows >= 0]])
    texts = iter(table["input"].to_pylist())
    return [next(texts) if row >= 0 else gap for row in rows]


def is_answered(workspace: Workspace, version: ModelVersion, dataset: Dataset, split: str, identity: str) -> bool:
    """Whether a version's newest run holds an answer to a sample, also one that is there twice.

    Raises:
        StoreError: it was not evaluated there.
    """
    run = require_run(workspace, version, dataset, split)
    return row_of(_run_ids(str(workspace.home), run.id, workspace, run), identity) is not None


def prediction(
    workspace: Workspace, version: ModelVersion, dataset: Dataset, split: str, identity: str
) -> dict[str, Any] | None:
    """A version's prediction of one sample, as its newest run holds it; None where it did not answer it.

    Raises:
        StoreError: it was not evaluated there.
    """
    run = require_run(workspace, version, dataset, split)
    row = row_of(_run_ids(str(workspace.home), run.id, workspace, run), identity)
    if row is None:
        return None
    return read_prediction_rows(workspace.local(run.path), np.array([row])).to_pylist()[0]


def outcome(compared: Comparison, identity: str) -> dict[str, Any] | None:
    """What both versions did on one sample: a row of `Comparison.samples`; None where not both answered it."""
    row = row_of(compared.rows.ids, identity)
    return None if row is None else compared.rows.frame(np.array([row])).iloc[0].to_dict()


def cause(
    workspace: Workspace, old: ModelVersion, new: ModelVersion, dataset: Dataset, split: str, identity: str
) -> dict[str, str] | None:
    """`cause`, `cause_rule` and `cause_evidence` of one negative flip, without looking at the others; None for others.

    Raises:
        StoreError: one was not evaluated there.
    """
    compared = compared_samples(workspace, old, new, dataset, split)
    row = row_of(compared.comparison.rows.ids, identity)
    return None if row is None else compared.cause_of(row)


def causes(workspace: Workspace, old: ModelVersion, new: ModelVersion, dataset: Dataset, split: str) -> pd.DataFrame:
    """How often each cause is among the negative flips of the newest runs; see `ComparedSamples.cause_table`.

    Raises:
        StoreError: one was not evaluated there.
    """
    compared = compared_samples(workspace, old, new, dataset, split)
    return _cause_table(str(workspace.home), compared.run_ids, compared)


def has_texts(workspace: Workspace, version: ModelVersion, dataset: Dataset, split: str) -> bool:
    """Whether a version's newest run holds texts, which the rules for causes read one by one.

    Raises:
        StoreError: it was not evaluated there, or its predictions are damaged.
    """
    return holds_outputs(workspace.local(require_run(workspace, version, dataset, split).path))


def answer_text(sample: Sample, prediction: Any) -> str:
    """A prediction as people read it: the choice's text, the number, or the text; "no answer" for none."""
    return text_of_answer(prediction, sample.choices)
