"""Keep a worker alive while a page waits for a job, and say what is wrong where none starts."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

import streamlit as st

from muscle_core.jobs import ensure_worker
from muscle_core.store import Job, Workspace

_LOOK_SECONDS = 10.0
_PATIENCE_SECONDS = 30.0
_LAST_LOOK = "_last_look_for_a_worker"
_LOG_BYTES = 65_536
_LOG_LINES = 200


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
            st.code(end_of(log), language=None)


def end_of(log: Path) -> str:
    """The last 200 lines of a log, without reading all of it."""
    with log.open("rb") as stream:
        stream.seek(max(0, log.stat().st_size - _LOG_BYTES))
        return "\n".join(stream.read().decode(errors="replace").splitlines()[-_LOG_LINES:])
