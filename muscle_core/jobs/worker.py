"""The worker: claims jobs, has each run in a process of its own, and looks after these until they end.

Workers of one machine have different names, and share its slots. Pages start one on demand, detached, so that it
outlives the app. A worker that is asked to stop lets its jobs save and queues them again; what a killed one leaves
behind goes on by itself, and the next worker on the machine adopts it.
"""

from __future__ import annotations

import fcntl
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import sqlalchemy as sa

from muscle_core.errors import ConfigError, JobError, StoreError, first_line
from muscle_core.jobs import leases, queue
from muscle_core.jobs.launcher import Child, Launcher, LocalLauncher, Unreachable, import_root
from muscle_core.jobs.leases import Slots
from muscle_core.jobs.log_tail import log_tail
from muscle_core.jobs.run_lock import REFUSED
from muscle_core.store.database import DatabaseAway
from muscle_core.store.job_files import LOG, job_file, publish_job_files
from muscle_core.store.tables import Job
from muscle_core.store.workspace import HOME_VARIABLE, Workspace

GRACE_SECONDS = 60.0  # between asking a child to stop and killing it
MACHINE_VARIABLE = "MUSCLE_MACHINE"
APP_WORKER_VARIABLE = "MUSCLE_APP_WORKER"  # "0": pages start no worker, for others serve the queue
_POLL_SECONDS = 0.25
_BEAT_SECONDS = 1.0
_ORPHAN_SECONDS = 5.0
_AWAY_SECONDS = 2.0  # between two looks at a launcher that cannot start anything
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")

Notice = Callable[..., None]  # what happened, and facts by name


def machine_name(workspace: Workspace) -> str:
    """Where jobs run: this machine and workspace folder. Workers there share slots and see the processes."""
    return f"{os.environ.get(MACHINE_VARIABLE) or socket.gethostname()}:{workspace.home}"[:300]


def machine_slots() -> Slots:
    """Slots of this machine unless others are asked for: one job on its processors, and one on each NVIDIA GPU."""
    return Slots(cpu=1, gpu=len(list(Path("/dev").glob("nvidia[0-9]*"))))


def worker_alive(workspace: Workspace) -> bool:
    """Whether any worker serves this workspace on this machine."""
    return any(_is_held(path) for path in _locks(workspace).glob("*.lock"))


def ensure_worker(workspace: Workspace) -> None:
    """Start a worker in the background if none is alive; it ends by itself after ten idle minutes."""
    if os.environ.get(APP_WORKER_VARIABLE) == "0" or worker_alive(workspace):
        return
    with workspace.path("worker.log").open("ab") as log:
        subprocess.Popen(
            [sys.executable, "-m", "muscle_core", "worker", "--idle-exit", "600"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, HOME_VARIABLE: str(workspace.home)},
            cwd=import_root(),
        )


def run_worker(
    workspace: Workspace,
    *,
    name: str = "main",
    slots: Slots | None = None,
    launcher: Launcher | None = None,
    idle_exit: float | None = None,
    once: bool = False,
    notice: Notice = lambda what, **facts: None,
) -> int:
    """Serve the queue until a signal, `idle_exit` idle seconds, or (with `once`) an empty queue.

    Args:
        workspace: where the queue is.
        name: of this worker among those of the workspace on this machine.
        slots: how many jobs the machine runs at once; by default `machine_slots`.
        launcher: how jobs' processes are started; by default on this machine.
        idle_exit: end after so many seconds without work.
        once: end as soon as nothing is left that could be started.
        notice: told of everything that happens, for the log.

    Returns:
        Number of jobs started.

    Raises:
        JobError: a worker of that name already serves this workspace on this machine.
        ConfigError: the name or the slots cannot be used.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(f"a worker's name is 1 to 60 letters, digits, '.', '_' or '-', got {name!r}.")
    leases.lease_seconds()  # refused here rather than in the middle of a job
    slots = slots or machine_slots()
    if slots.cpu < 0 or slots.gpu < 0 or not sum(slots):
        raise ConfigError(f"a worker needs at least one slot, got {slots.cpu} for processors and {slots.gpu} for GPUs.")
    lock = _take_lock(workspace, name, patience=2.0)  # whoever asks `worker_alive` holds it for an instant
    if lock is None:
        raise JobError(f"a worker named {name!r} already serves the workspace {workspace.home} on this machine.")
    worker = _Worker(workspace, name, slots, launcher or LocalLauncher(), notice)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, worker.on_signal)
    try:
        worker.serve(idle_exit, once)
    finally:
        lock.close()
    if not worker.stopping and not once and queue.has_queued(workspace):
        ensure_worker(workspace)  # submitted between the last look and the release of the lock
    return worker.started


@dataclass
class _Held:
    """A job that this worker looks after.

    Attributes:
        job: as it was when it was claimed or adopted.
        child: its process; None while another process of it has to end first.
        asked_at: when it was asked to stop.
        why: "cancel", "gone" or "stop".
        refused_at: since when its start waits for an earlier process of the job to end.
        tried_at: when it was last started.
    """

    job: Job
    child: Child | None
    asked_at: float | None = None
    why: str = ""
    refused_at: float | None = None
    tried_at: float = 0.0


class _Worker:
    def __init__(self, workspace: Workspace, name: str, slots: Slots, launcher: Launcher, notice: Notice) -> None:
        self.workspace, self.slots, self.launcher, self.notice = workspace, slots, launcher, notice
        self.machine = (launcher.place + machine_name(workspace))[:300]
        self.name = f"{name}@{socket.gethostname()}"[:80]
        self.held: dict[str, _Held] = {}
        self.stopping = False
        self.started = 0
        self._orphans_at = self._beat_at = self._without_database = -1e9

    def on_signal(self, _signal: int, _frame: object) -> None:
        self.stopping = True

    def serve(self, idle_exit: float | None, once: bool) -> None:
        self.notice("worker started", worker=self.name, machine=self.machine, slots=self.slots._asdict())
        idle_since = time.monotonic()
        while True:
            busy = False
            try:
                busy = self._turn()
            except (
                sa.exc.DBAPIError,
                DatabaseAway,
            ) as error:  # the children go on; they renew their leases when it is back
                self._without_database = time.monotonic()
                self.notice("database does not answer", error=first_line(getattr(error, "orig", error)))
            except StoreError as error:
                self._without_database = time.monotonic()
                self.notice("workspace cannot be written", error=str(error))
            except Unreachable as error:  # the jobs go on; they renew their leases themselves
                self.notice("nothing can be started", error=str(error))
                time.sleep(_AWAY_SECONDS)
            if busy or self.held:
                idle_since = time.monotonic()
            elif self._is_done(idle_since, idle_exit, once):
                break
            time.sleep(0.01 if busy else _POLL_SECONDS)
        self.notice("worker ended", worker=self.name, started=self.started)

    def _is_done(self, idle_since: float, idle_exit: float | None, once: bool) -> bool:
        now = time.monotonic()
        found_nothing = once and now - self._without_database > 1
        return self.stopping or found_nothing or (idle_exit is not None and now - idle_since > idle_exit)

    def _turn(self) -> bool:
        """Look after everything once; whether a job was started."""
        for held in list(self.held.values()):
            self._look_after(held)
        now = time.monotonic()
        if now - self._beat_at > _BEAT_SECONDS:
            self._beat_at = now
            for held in list(self.held.values()):
                self._beat(held)
        if self.stopping:
            return False
        if now - self._orphans_at > _ORPHAN_SECONDS:
            self._orphans_at = now
            self._adopt()
        # After a time without the database all leases seem to be over; their owners get one lease to renew them.
        sure = now - self._without_database > leases.lease_seconds()
        if leases.is_quiet(self.workspace, take_over=sure):
            return False
        if sure:
            settled = leases.settle(self.workspace)
            if settled:
                self.notice("jobs ended that nobody worked on", jobs=settled)
        self.launcher.check()
        job = leases.claim(self.workspace, self.name, self.machine, self.slots, take_over=sure)
        if job is None:
            return False
        self.started += 1
        self.notice("job claimed", job=job.id, kind=job.kind, device=job.device, attempts=job.attempts)
        self._start(_Held(job, None))
        return True

    def _start(self, held: _Held) -> None:
        job = held.job
        self.held[job.id] = held
        held.tried_at = time.monotonic()
        try:
            held.child = self.launcher.start(self.workspace, job)
        except OSError as error:
            self._finish(held, "failed", f"the job could not be started: {error}.")
        except Unreachable as error:
            leases.give_back(self.workspace, job.id, job.token, str(error))
            del self.held[job.id]
            raise

    def _look_after(self, held: _Held) -> None:
        """See whether a child has ended, and end one that does not come to a stop."""
        if held.child is None:
            self._wait_for_earlier(held)
            return
        code = held.child.poll()
        if code is not None:
            self._ended(held, code)
            return
        if self.stopping and held.asked_at is None:
            self._ask(held, "stop")
        if held.asked_at is not None and time.monotonic() - held.asked_at > GRACE_SECONDS:
            held.child.kill()

    def _ask(self, held: _Held, why: str) -> None:
        assert held.child is not None
        held.asked_at, held.why = time.monotonic(), why
        self.notice("job asked to stop", job=held.job.id, why=why)
        held.child.terminate()

    def _beat(self, held: _Held) -> None:
        word = leases.beat(self.workspace, held.job.id, held.job.token)
        if word == "gone" and held.asked_at is None and self._has_ended(held.job):
            held.asked_at, held.why = time.monotonic(), "gone"  # it is about to leave; killed only if it does not
            return
        if word != "go" and held.asked_at is None and held.child is not None:
            self._ask(held, word)
        elif word == "gone" and held.child is None:
            del self.held[held.job.id]

    def _has_ended(self, job: Job) -> bool:
        now = queue.get_job(self.workspace, job.id)
        return now.token == job.token and now.state in queue.FINAL

    def _ended(self, held: _Held, code: int) -> None:
        """A child has ended; what it wrote itself stays, and a death without a word is dealt with."""
        job = held.job
        if code == REFUSED:
            if held.refused_at is None:
                held.refused_at = time.monotonic()
                self.notice("job waits for its earlier process", job=job.id)
            held.child = None
            return
        if code < 0 or held.why == "stop":
            how = f"ended by signal {-code}" if code < 0 else f"exit code {code}"
            if held.why == "cancel":
                self._finish(
                    held,
                    "cancelled",
                    f"it did not stop within {GRACE_SECONDS:.0f} s and was ended. What it saved is kept.",
                )
                return
            if held.why == "stop":
                state = leases.give_back(self.workspace, job.id, job.token, f"the worker stopped ({how})")
            else:
                state = self._bury(job, how)
            if state is not None:
                self.notice("process died", job=job.id, how=how, state=state)
        else:
            text = f"the process of this job ended with exit code {code} without a result; its log tells more."
            tail = self._log_tail(job)
            if leases.finish(self.workspace, job.id, job.token, "failed", error=text, log_tail=tail):
                self.notice("job failed without a word", job=job.id, exit_code=code)
        publish_job_files(self.workspace, job.id)
        del self.held[job.id]
        self.notice("job ended", job=job.id, exit_code=code)

    def _bury(self, job: Job, how: str) -> str | None:
        return leases.bury(self.workspace, job.id, job.token, how, _given_up(how), self._log_tail(job))

    def _log_tail(self, job: Job) -> str:
        return log_tail(job_file(self.workspace, job.id, LOG))

    def _wait_for_earlier(self, held: _Held) -> None:
        """Start a job again whose earlier process held its lock; the queue has told that one that it lost the job."""
        if self.stopping:
            leases.give_back(self.workspace, held.job.id, held.job.token, "the worker stopped")
            del self.held[held.job.id]
            return
        now = time.monotonic()
        if now - held.tried_at < 1.0:
            return
        earlier = self.launcher.find(self.workspace, held.job)
        if earlier is None:
            self._start(held)
        elif held.refused_at is not None and now - held.refused_at > GRACE_SECONDS:
            earlier.kill()

    def _finish(self, held: _Held, state: str, error: str) -> None:
        leases.finish(self.workspace, held.job.id, held.job.token, state, error=error)
        del self.held[held.job.id]
        self.notice("job ended", job=held.job.id, state=state, error=error)

    def _adopt(self) -> None:
        """Look after jobs of this machine whose worker is dead; queue those again whose process is dead too."""
        for job in leases.orphans(self.workspace, self.machine, self.held):
            if job.worker != self.name and _is_held(_locks(self.workspace) / f"{str(job.worker).split('@')[0]}.lock"):
                continue
            child = self.launcher.find(self.workspace, job)
            if child is not None:
                if leases.adopt(self.workspace, job, self.name):
                    job.worker = self.name
                    self.held[job.id] = _Held(job, child)
                    self.notice("job adopted", job=job.id)
                continue
            how = "worker and process had ended"
            state = self._bury(job, how)
            if state is not None:
                self.notice("process died", job=job.id, how=how, state=state)


def _given_up(how: str) -> str:
    return (
        f"the process of this job died {leases.MOST_ATTEMPTS} times in a row with nothing saved in between ({how}); "
        "its log tells more. Signal 9 usually means that the machine ran out of memory: use a smaller batch, shorter "
        "samples or gradient checkpointing, or run fewer jobs at once; then resume it."
    )


def _locks(workspace: Workspace) -> Path:
    return workspace.path("workers")


def _take_lock(workspace: Workspace, name: str, patience: float = 0.0) -> IO[str] | None:
    folder = _locks(workspace)
    folder.mkdir(exist_ok=True)
    stream = (folder / f"{name}.lock").open("a+")
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


def _is_held(path: Path) -> bool:
    try:
        with path.open() as stream:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
