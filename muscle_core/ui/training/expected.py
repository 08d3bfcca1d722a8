"""What a training takes, cached until another training or job is there."""

from __future__ import annotations

import json

import streamlit as st

from muscle_core.actions.training.commands import CompatRequest
from muscle_core.actions.training.differences import known_trainings
from muscle_core.actions.training.preflight import Preflight, preflight
from muscle_core.jobs import list_jobs
from muscle_core.store import Workspace
from muscle_core.ui.training import before_words as words

_JOBS_LOOKED_AT = 50
_MOST_SECONDS = 60  # free memory and disk change


def _moment(workspace: Workspace) -> str:
    """Changes when a training is done, or a job is submitted or changes its state."""
    jobs = [(job.id, job.state) for job in list_jobs(workspace, _JOBS_LOOKED_AT)]
    return json.dumps([str(workspace.home), len(known_trainings(workspace)), jobs])


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
