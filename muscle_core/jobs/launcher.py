"""Start a job's process on this machine, and look after one that is there already."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Protocol

import psutil

from muscle_core.errors import JobError
from muscle_core.jobs.child import TOKEN_VARIABLE
from muscle_core.jobs.run_lock import holder
from muscle_core.store.job_files import LOG, job_file
from muscle_core.store.tables import Job
from muscle_core.store.workspace import HOME_VARIABLE, Workspace

CHILD_MODULE = "muscle_core.actions.background.run_job"
UNKNOWN = -int(signal.SIGKILL)  # a process that was not ours to wait for has ended; its last words are in the queue


class Unreachable(JobError):
    """Where the jobs run does not answer: nothing is known of them, and nothing can be started."""


class Child(Protocol):
    """A job's process, wherever it runs."""

    def poll(self) -> int | None:
        """Its exit code (negative: the signal that ended it), or None while it lives."""

    def terminate(self) -> None:
        """Ask it to end at its next step."""

    def kill(self) -> None:
        """End it and all that it started."""


class Launcher(Protocol):
    """Starts jobs' processes.

    Attributes:
        place: put before this machine's name where jobs run elsewhere: such workers share neither slots nor processes.
    """

    place: str

    def check(self) -> None:
        """Do nothing where a job could be started now.

        Raises:
            Unreachable: it could not.
        """

    def start(self, workspace: Workspace, job: Job) -> Child:
        """Start the process of a job that was just claimed.

        Raises:
            OSError: it cannot be started.
            Unreachable: it cannot be started now.
        """

    def find(self, workspace: Workspace, job: Job) -> Child | None:
        """The living process of a job that another worker started, or None.

        Raises:
            Unreachable: that cannot be told now.
        """


class LocalLauncher:
    """A fresh interpreter in a process group of its own; its output goes to a file, so that nobody has to read it."""

    place = ""

    def check(self) -> None:
        """See `Launcher`."""

    def start(self, workspace: Workspace, job: Job) -> Child:
        """See `Launcher`."""
        workspace.job_folder(job.id)
        with job_file(workspace, job.id, LOG).open("ab") as log:  # goes on where another machine's log ended
            return _Started(
                subprocess.Popen(
                    [sys.executable, "-m", CHILD_MODULE, job.id],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    env=child_environment(workspace, job),
                    cwd=import_root(),
                )
            )

    def find(self, workspace: Workspace, job: Job) -> Child | None:
        """See `Launcher`."""
        process = holder(workspace.path(f"jobs/{job.id}"))
        return None if process is None else _Found(process)


def child_environment(workspace: Workspace, job: Job) -> dict[str, str]:
    """Environment of a job's process on this machine."""
    device = job.device or "cpu"
    gpu = {"CUDA_VISIBLE_DEVICES": device.removeprefix("gpu:") if device != "cpu" else ""}
    return {
        **os.environ,
        **gpu,
        HOME_VARIABLE: str(workspace.home),
        TOKEN_VARIABLE: str(job.token),
        "PYTHONUNBUFFERED": "1",
    }


def import_root() -> Path:
    """Folder that `muscle_core` is imported from."""
    return Path(__file__).resolve().parents[2]


class _Started:
    """A child of this process."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def poll(self) -> int | None:
        return self._process.poll()

    def terminate(self) -> None:
        self._process.terminate()

    def kill(self) -> None:
        _kill_group(self._process.pid)


class _Found:
    """A child of a worker that is no more."""

    def __init__(self, process: psutil.Process) -> None:
        self._process = process

    def poll(self) -> int | None:
        # psutil compares the start time too: the id of a process that ended may be another's by now.
        with contextlib.suppress(psutil.Error):
            if self._process.is_running() and self._process.status() != psutil.STATUS_ZOMBIE:
                return None
        return UNKNOWN

    def terminate(self) -> None:
        with contextlib.suppress(psutil.Error):
            self._process.terminate()

    def kill(self) -> None:
        if self.poll() is None:
            _kill_group(self._process.pid)


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)  # the child leads a group of its own: its helpers go with it
