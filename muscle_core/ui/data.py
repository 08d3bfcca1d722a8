"""What pages read, cached at the edge: comparisons and the table of samples. Cached objects are never changed."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from muscle_core.actions.compare import compared_columns_of, predictions_of, require_run
from muscle_core.actions.datasets import load_samples
from muscle_core.actions.noise import FloorRuns, floor_of_runs, floor_runs
from muscle_core.comparison import Comparison, NoiseFloor, compare
from muscle_core.store import Dataset, EvaluationRun, ModelVersion, Workspace
from muscle_core.tasks import Sample

PREVIEW_CHARACTERS = 160


@st.cache_resource(max_entries=16, show_spinner="Reading predictions …")
def _predictions(home: str, run_id: str, _workspace: Workspace, _run: EvaluationRun) -> pd.DataFrame:
    return predictions_of(_workspace, _run).set_index("sample_id", drop=False)


@st.cache_resource(max_entries=16, show_spinner="Comparing …")
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


@st.cache_resource(max_entries=16, show_spinner="Measuring the noise floor …")
def _noise_floor(
    home: str, ids: tuple[tuple[str, ...], ...], same_version: bool, _workspace: Workspace, _runs: FloorRuns
) -> NoiseFloor | None:
    return floor_of_runs(_workspace, _runs)


@st.cache_resource(max_entries=8, show_spinner="Reading samples …")
def _samples(home: str, dataset_id: str, split: str, _workspace: Workspace, _dataset: Dataset) -> dict[str, Sample]:
    return {sample.id: sample for sample in load_samples(_workspace, _dataset, split)}


def predictions(workspace: Workspace, version: ModelVersion, dataset: Dataset, split: str) -> pd.DataFrame:
    """Predictions of a version's newest run, by sample id.

    Raises:
        StoreError: it was not evaluated there.
    """
    run = require_run(workspace, version, dataset, split)
    return _predictions(str(workspace.home), run.id, workspace, run)


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


def noise_floor(
    workspace: Workspace, old: ModelVersion, new: ModelVersion, dataset: Dataset, split: str
) -> NoiseFloor | None:
    """Noise floor of a comparison; None where neither version was run twice.

    Raises:
        DataError: the runs share no sample.
    """
    runs = floor_runs(workspace, old, new, dataset, split)
    return _noise_floor(str(workspace.home), runs.ids, runs.same_version, workspace, runs)


def samples(workspace: Workspace, dataset: Dataset, split: str) -> dict[str, Sample]:
    """Samples of a split by id."""
    return _samples(str(workspace.home), dataset.id, split, workspace, dataset)


def answer_text(sample: Sample, prediction: Any) -> str:
    """A prediction as people read it: the choice's text, the number, or the text; "no answer" for none."""
    if prediction is None or prediction is pd.NA or (isinstance(prediction, float) and pd.isna(prediction)):
        return "(no answer found)"
    if sample.choices and str(prediction).isdecimal() and int(prediction) < len(sample.choices):
        return sample.choices[int(prediction)]
    return str(prediction)
