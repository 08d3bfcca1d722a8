"""What a training takes, cached until another training or job is there."""

from __future__ import annotations

import json

import streamlit as st

from muscle_core.actions.training.commands import CompatRequest
from muscle_core.actions.training.differences import known_trainings
from muscle_core.actions.training.estimate import Part, estimate
from muscle_core.actions.training.preflight import Preflight, preflight
from muscle_core.compat.config import CompatConfig
from muscle_core.errors import MuscleError
from muscle_core.jobs import list_jobs
from muscle_core.store import Workspace
from muscle_core.ui.picks import Picks
from muscle_core.ui.training import words

_JOBS_LOOKED_AT = 50
_MOST_SECONDS = 60  # free memory and disk change


def _moment(workspace: Workspace) -> str:
    """Changes when a training is done, or a job is submitted or changes its state."""
    jobs = [(job.id, job.state) for job in list_jobs(workspace, _JOBS_LOOKED_AT)]
    return json.dumps([str(workspace.home), len(known_trainings(workspace)), jobs])


def expected_seconds(workspace: Workspace, chosen: Picks, config: str, train_split: str) -> Part | None:
    """Seconds that a training takes; None where its samples cannot be read.

    Args:
        workspace: where it would run.
        chosen: versions, dataset and split.
        config: options as JSON.
        train_split: split to train on.
    """
    key = (chosen.old.id, chosen.new.id, chosen.dataset.id, chosen.split, train_split, config)
    return _seconds(key, _moment(workspace), workspace, chosen)


@st.cache_data(max_entries=64, ttl=600, show_spinner=False)
def _seconds(key: tuple[str, ...], moment: str, _workspace: Workspace, _chosen: Picks) -> Part | None:
    config = CompatConfig.from_dict(json.loads(key[-1]))
    try:
        return estimate(
            _workspace,
            _chosen.old,
            _chosen.new,
            _chosen.dataset,
            config,
            train_split=key[-2],
            test_split=_chosen.split,
        ).seconds
    except MuscleError:  # the panel below says what is wrong
        return None


def looked_at(workspace: Workspace, request: CompatRequest) -> Preflight:
    """Preflight of a training.

    Raises:
        StoreError: as `preflight`.
    """
    dataset = request.dataset
    key = (request.old, request.new, dataset.id, request.train_split, request.test_split)
    return _preflight((*key, json.dumps(request.config.as_dict())), _moment(workspace), workspace, request)


@st.cache_resource(max_entries=32, ttl=_MOST_SECONDS, show_spinner=words.ESTIMATING)
def _preflight(key: tuple[str, ...], moment: str, _workspace: Workspace, _request: CompatRequest) -> Preflight:
    return preflight(_workspace, _request)
