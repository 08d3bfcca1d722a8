"""The worker: claims jobs and runs each in a fresh child interpreter, its output going to a file.

One worker a workspace and machine (a lock file decides); starting a second one is harmless. Pages start it on demand,
detached, so that it outlives the app.
"""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

import sqlalchemy as sa

from muscle_core.errors import JobError
from muscle_core.jobs import queue
from muscle_core.store.job_files import LOG, job_file, publish_job_files
from muscle_core.store.tables import Job
from muscle_core.store.workspace import HOME_VARIABLE, Workspace

POLL_SECONDS = 0.5
GRACE_SECONDS = 60.0  # between asking a child to stop and killing it
CHILD_MODULE = "muscle_core.actions.run_job"
TOKEN_VARIABLE = "MUSCLE_JOB_TOKEN"  # proves to the queue that the child works for the claim that started it


def _take_lock(workspace: Workspace, patience: float = 0.0) -> IO[str] | None:
    stream = workspace.path("worker.lock").open("a+")
    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return stream
        except BlockingIOError:
            if time.monotonic() >= deadline:
                stream.close()
                return None
            time.sleep(0.05)


def worker_alive(workspace: Workspace) -> bool:
    """Whether a worker serves this workspace on this machine."""
    stream = _take_lock(workspace)
    if stream is None:
        return True
    stream.close()
    return False


def ensure_worker(workspace: Workspace) -> None:
    """Start a worker in the background if none is alive; it ends by itself after ten idle minutes."""
    if worker_alive(workspace):
        return
    with workspace.path("worker.log").open("ab") as log:
        subprocess.Popen(
            [sys.executable, "-m", "muscle_core", "worker", "--idle-exit", "600"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, HOME_VARIABLE: str(workspace.home)},
            cwd=_import_root(),
        )


def _import_root() -> Path:
    return Path(__file__).resolve().parents[2]


def run_worker(workspace: Workspace, *, idle_exit: float | None = None, once: bool = False) -> int:
    """Serve the queue until a signal, `idle_exit` idle seconds, or (with `once`) an empty queue.

    Returns:
        Number of jobs run.

    Raises:
        JobError: another worker already serves this workspace on this machine.
    """
    lock = _take_lock(workspace, patience=2.0)  # a page that asks `worker_alive` holds it for an instant
    if lock is None:
        raise JobError(f"a worker already serves the workspace {workspace.home} on this machine.")
    stopping = False

    def stop(_signal: int, _frame: object) -> None:
        nonlocal stopping
        stopping = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    name = f"{socket.gethostname()}:{os.getpid()}"
    jobs_run, idle_since = 0, time.monotonic()
    try:
        while not stopping:
            try:
                queue.mark_lost(workspace)
                job = queue.claim(workspace, name)
                if job is not None:
                    _run_job(workspace, job, lambda: stopping)
                    jobs_run, idle_since = jobs_run + 1, time.monotonic()
                    continue
            except sa.exc.OperationalError as error:
                print(f"the database does not answer, trying again: {error.orig}", flush=True)
            if once or (idle_exit is not None and time.monotonic() - idle_since > idle_exit):
                break
            time.sleep(POLL_SECONDS)
    finally:
        lock.close()
    if not stopping and not once and queue.has_queued(workspace):
        ensure_worker(workspace)  # submitted between the last look and the release of the lock
    return jobs_run


def _run_job(workspace: Workspace, job: Job, worker_stops: Callable[[], bool]) -> None:
    """Run one job in a child; its own last words decide the state, a silent death counts as failed."""
    try:
        child = _start_child(workspace, job)
    except OSError as error:
        queue.finish(workspace, job.id, job.token, "failed", error=f"the job could not be started: {error}.")
        return
    asked_at: float | None = None
    state, why = "failed", ""
    while child.poll() is None:
        time.sleep(POLL_SECONDS)
        try:
            word = queue.beat(workspace, job)
        except sa.exc.OperationalError:
            continue  # the database is busy or away for a moment; the child goes on
        wants_stop = word != "go" or worker_stops()
        if wants_stop and asked_at is None:
            child.send_signal(signal.SIGTERM)
            asked_at = time.monotonic()
        elif asked_at is not None and time.monotonic() - asked_at > GRACE_SECONDS:
            child.kill()
            if word == "cancel":
                state, why = "cancelled", f"it did not stop within {GRACE_SECONDS:.0f} s and was ended. "
    how = f"by signal {-child.returncode}" if child.returncode < 0 else f"with exit code {child.returncode}"
    queue.finish(  # changes nothing where the child has ended the job itself
        workspace,
        job.id,
        job.token,
        state,
        error=why
        or f"the process of this job ended {how} without a result; its log tells more (signal 9 usually means that "
        "the machine ran out of memory).",
    )
    publish_job_files(workspace, job.id)


def _start_child(workspace: Workspace, job: Job) -> subprocess.Popen[bytes]:
    workspace.job_folder(job.id)
    with job_file(workspace, job.id, LOG).open("ab") as log:  # goes on where another machine's log ended
        return subprocess.Popen(
            [sys.executable, "-m", CHILD_MODULE, job.id],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={
                **os.environ,
                HOME_VARIABLE: str(workspace.home),
                TOKEN_VARIABLE: str(job.token),
                "PYTHONUNBUFFERED": "1",
            },
            cwd=_import_root(),
        )
