"""What the page reads of finished trainings, cached until another one is there; cached objects are never changed."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from muscle_core.actions.training.differences import Difference, Outcome, difference, outcome
from muscle_core.actions.training.step_records import read_metrics
from muscle_core.actions.updates.compare import TrainedVariant, latest_run, trained_variants
from muscle_core.store import Dataset, EvaluationRun, ModelVersion, TrainingRun, Workspace
from muscle_core.ui.picks import Picks
from muscle_core.ui.training import trainings_words as words


def finished(workspace: Workspace, chosen: Picks) -> list[TrainedVariant]:
    """The compatibility trainings of the update, newest first, without mixes."""
    found = trained_variants(workspace, chosen.old, chosen.new, chosen.dataset, chosen.split)
    return [one for one in reversed(found) if one.training.kind == "compat"]


def reached(workspace: Workspace, training: TrainingRun, split: str) -> Outcome:
    """What came of a training on a split.

    Raises:
        StoreError, DataError: as `outcome`.
    """
    return _outcome(str(workspace.home), _runs(workspace, training, split), training.id, split, workspace, training)


def gap(workspace: Workspace, first: TrainingRun, second: TrainingRun, split: str) -> Difference | None:
    """How much more the second of two trainings breaks.

    Raises:
        StoreError, DataError: as `difference`.
    """
    runs = (*_runs(workspace, first, split), *_runs(workspace, second, split))
    return _gap(str(workspace.home), runs, (first.id, second.id, split), workspace, first, second)


def metrics(workspace: Workspace, run_id: str) -> pd.DataFrame:
    """Step records of a finished training; empty where there are none, as of a mix.

    Raises:
        StoreError: they are damaged.
    """
    return _metrics(str(workspace.home), run_id, workspace)


def _runs(workspace: Workspace, training: TrainingRun, split: str) -> tuple[str | None, ...]:
    """Runs that an outcome comes from: those of the old version and of what was trained."""
    with workspace.reading() as session:
        dataset = session.get(Dataset, training.dataset_id)
        keys = (training.old_version_id, training.result_version_id)
        versions = [session.get(ModelVersion, key) if key else None for key in keys]
    if dataset is None:
        return (None, None)
    found: list[EvaluationRun | None] = [
        None if version is None else latest_run(workspace, version, dataset, split) for version in versions
    ]
    return tuple(None if run is None else run.id for run in found)


@st.cache_resource(max_entries=256, show_spinner=words.COMPARING)
def _outcome(
    home: str,
    runs: tuple[str | None, ...],
    training_id: str,
    split: str,
    _workspace: Workspace,
    _training: TrainingRun,
) -> Outcome:
    return outcome(_workspace, _training, split)


@st.cache_resource(max_entries=32, show_spinner=words.COMPARING)
def _gap(
    home: str,
    runs: tuple[str | None, ...],
    key: tuple[str, str, str],
    _workspace: Workspace,
    _first: TrainingRun,
    _second: TrainingRun,
) -> Difference | None:
    return difference(_workspace, _first, _second, key[2])


@st.cache_resource(max_entries=16, show_spinner=False)
def _metrics(home: str, run_id: str, _workspace: Workspace) -> pd.DataFrame:
    return pd.DataFrame(read_metrics(_workspace, run_id))
