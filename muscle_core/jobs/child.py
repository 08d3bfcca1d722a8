"""The side of a job's own process: its lock, its lease, its progress, and whether it is to stop.

A thread renews the lease, so that a job whose worker was killed goes on undisturbed. Where the database cannot be
reached for most of a lease, the work waits at its next step: another machine may be about to take it over.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from typing import IO, Any

import sqlalchemy as sa

from muscle_core.errors import StoreError
from muscle_core.jobs import leases
from muscle_core.jobs.run_lock import REFUSED, take_run_lock
from muscle_core.store.workspace import Workspace

TOKEN_VARIABLE = "MUSCLE_JOB_TOKEN"  # proves to the queue that the child works for the claim that started it
BEAT_SECONDS = 1.0
_LINE_SECONDS = 0.5
_GRACE_SECONDS = 60.0  # a process that has lost its job and does not come to a step is ended


class JobProcess:
    """This process's hold on its job.

    Attributes:
        word: what the queue said last: "go", "cancel" or "gone".
        stop_requested: whether the work should end at its next step.
    """

    def __init__(self, workspace: Workspace, job_id: str) -> None:
        self.workspace, self.job_id = workspace, job_id
        self.token = os.environ.get(TOKEN_VARIABLE)
        self.word = "go"
        self.stop_requested = False
        self._lock: IO[str] | None = None
        self._lines = (workspace.job_folder(job_id) / "progress.jsonl").open("a", buffering=1)
        self._confirmed = time.monotonic()
        self._progress: dict[str, Any] | None = None
        self._saved = 0
        self._guard = threading.Lock()
        self._over = threading.Event()
        self._line_at = 0.0

    def begin(self) -> None:
        """Take the lock and confirm the claim; ends this process where either is not ours."""
        self._lock = take_run_lock(self.workspace.job_folder(self.job_id), self.token)
        if self._lock is None:
            print(f"job {self.job_id[:8]} is run by another process on this machine", flush=True)
            sys.exit(REFUSED)
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a closed terminal does not end it
        while not self._beat():
            time.sleep(BEAT_SECONDS)
        if self.word == "gone":
            print(f"job {self.job_id[:8]} was given to another process", flush=True)
            sys.exit(0)
        self.line("begin", pid=os.getpid(), token=self.token)
        threading.Thread(target=self._keep, name="lease", daemon=True).start()

    def end(self) -> None:
        """Stop renewing the lease; the job's end is in the queue."""
        self._over.set()
        self.line("end")
        self._lines.close()
        if self._lock is not None:
            self._lock.close()

    def should_stop(self) -> bool:
        """Whether to stop at this step. Waits while it is not certain that the job is still ours."""
        # Most of a lease, not all: the step that follows takes time too.
        while time.monotonic() - self._confirmed > 0.7 * leases.lease_seconds() and not self.stop_requested:
            time.sleep(0.1)
        return self.stop_requested

    def write(self, stage: str, done: int, total: int, *, saved: bool = False, **facts: Any) -> None:
        """Tell how far the work is.

        Args:
            stage: what is being done.
            done: how much of it.
            total: of how much.
            saved: whether something was saved that the job can go on from.
            **facts: what pages show besides.
        """
        progress = {"stage": stage, "done": done, "total": total, **facts}
        with self._guard:
            self._progress = progress
            self._saved += saved
        moment = time.monotonic()
        if moment - self._line_at >= _LINE_SECONDS or done >= total:
            self._line_at = moment
            self.line("progress", **progress)

    def line(self, what: str, **facts: Any) -> None:
        """Write a line of progress.jsonl."""
        try:
            self._lines.write(json.dumps({"at": time.time(), "what": what, **facts}) + "\n")
        except OSError as error:  # a full disk ends the work where it matters, not here
            print(f"progress.jsonl cannot be written: {error}", flush=True)

    def _on_signal(self, _signal: int, _frame: object) -> None:
        self.stop_requested = True

    def flush(self) -> None:
        """Bring the last progress into the queue, before the end is written."""
        self._beat()

    def _beat(self) -> bool:
        """Renew the lease; False where the database did not answer."""
        with self._guard:
            progress, saved = self._progress, self._saved
            self._progress, self._saved = None, 0
        sent = time.monotonic()
        try:
            self.word = leases.beat(self.workspace, self.job_id, self.token, progress=progress, saved=saved)
        except (sa.exc.DBAPIError, StoreError) as error:
            print(f"the lease cannot be renewed: {str(error).splitlines()[0]}", flush=True)
            with self._guard:
                self._progress = self._progress or progress
                self._saved += saved
            return False
        self._confirmed = sent
        self.stop_requested |= self.word != "go"
        return True

    def _keep(self) -> None:
        gone_at: float | None = None
        while not self._over.wait(BEAT_SECONDS):
            self._beat()
            if self.word == "gone":
                gone_at = gone_at or time.monotonic()
                if time.monotonic() - gone_at > _GRACE_SECONDS:
                    print("the job was given to another process long ago; ended", flush=True)
                    os._exit(1)
