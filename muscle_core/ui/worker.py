"""Keep a worker alive while a page waits for a job, and say so where none starts."""

from __future__ import annotations

import time

import streamlit as st

from muscle_core.jobs import ensure_worker, list_jobs, log_tail, worker_alive
from muscle_core.store import Job, Workspace
from muscle_core.ui import words

_LOOK_SECONDS = 10.0
_PATIENCE_SECONDS = 20.0
_LAST_LOOK = "_last_look_for_a_worker"
_ALONE_SINCE = "_without_a_worker_since"
_LOG_HEIGHT = 420


def keep_worker(workspace: Workspace, job: Job) -> None:
    """Start a worker if none is alive (looked at every ten seconds); show its log where none stays alive."""
    now = time.monotonic()
    if now - st.session_state.get(_LAST_LOOK, -_LOOK_SECONDS) >= _LOOK_SECONDS:
        st.session_state[_LAST_LOOK] = now
        ensure_worker(workspace)
    if job.state != "queued" or worker_alive(workspace) or _is_served_elsewhere(workspace):
        st.session_state.pop(_ALONE_SINCE, None)
        return
    if now - st.session_state.setdefault(_ALONE_SINCE, now) < _PATIENCE_SECONDS:
        return
    st.warning(words.NO_WORKER, icon=":material/warning:")
    log = log_tail(workspace.path("worker.log"))
    if log:
        with st.expander(words.WORKER_LOG):
            st.code(log, language=None, height=_LOG_HEIGHT)


def _is_served_elsewhere(workspace: Workspace) -> bool:
    """Whether a job runs, on whatever machine: the queue moves on when it ends."""
    return any(job.state in ("running", "cancelling") for job in list_jobs(workspace))
