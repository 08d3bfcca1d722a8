"""Keep a worker alive while a page waits for a job, and say what is wrong where none starts."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import streamlit as st

from muscle_core.jobs import ensure_worker, log_tail
from muscle_core.store import Job, Workspace

_LOOK_SECONDS = 10.0
_PATIENCE_SECONDS = 30.0
_LAST_LOOK = "_last_look_for_a_worker"


def keep_worker(workspace: Workspace, job: Job) -> None:
    """Start a worker if none is alive (looked at every ten seconds); show its log where a job waits too long."""
    now = time.monotonic()
    if now - st.session_state.get(_LAST_LOOK, -_LOOK_SECONDS) >= _LOOK_SECONDS:
        st.session_state[_LAST_LOOK] = now
        ensure_worker(workspace)
    waiting = (datetime.now(UTC) - job.created_at).total_seconds()
    log = workspace.path("worker.log")
    if job.state == "queued" and waiting > _PATIENCE_SECONDS and log.is_file() and log.stat().st_size:
        with st.expander("The job still waits. End of the worker's log:"):
            st.code(log_tail(log), language=None)
