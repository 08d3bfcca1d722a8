"""Start jobs on a Ray cluster, each as a Ray job, and look after those that are there. Needs the package ray[default].

The name of a Ray job is made of the job's id and of its claim, so a worker that was started again finds it. What runs
on the cluster renews its own lease: neither the worker nor the connection to the cluster has to last as long as a job.
"""

from __future__ import annotations

import itertools
import math
import os
import shlex
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from muscle_core.errors import JobError, first_line
from muscle_core.jobs import worker
from muscle_core.jobs.child import TOKEN_VARIABLE
from muscle_core.jobs.launcher import CHILD_MODULE, UNKNOWN, Child, Unreachable, import_root
from muscle_core.jobs.run_lock import REFUSED
from muscle_core.store.job_files import LOG
from muscle_core.store.tables import Job
from muscle_core.store.workspace import HOME_VARIABLE, Workspace

PYTHON_VARIABLE = "MUSCLE_RAY_PYTHON"  # the interpreter of the cluster's nodes; "python" by default
WORKERS_KEY = "ray_workers"  # in a job's payload: how many processes of Ray Train the job starts by itself
_STOP_WAIT_VARIABLE = "RAY_JOB_STOP_WAIT_TIME_S"  # between Ray's SIGTERM and its SIGKILL
_THREADS_VARIABLE = "OMP_NUM_THREADS"
_PASSED = ("HF_HOME", "HF_HUB_OFFLINE", "TOKENIZERS_PARALLELISM", _THREADS_VARIABLE)
_ASK_SECONDS = 1.0  # between two questions about one Ray job
_CHECK_SECONDS = 10.0  # between two questions whether the cluster is there
_TIMEOUT_SECONDS = 10.0  # of one question
_KILL_SECONDS = 10.0  # between the order to end a process and the belief that the cluster cannot
_MISSES = 3  # answers "no such Ray job" in a row that are believed
_LOG_TRIES = 5
# Ray gave up before anything was started: there was no room.
_NO_ROOM = ("JOB_SUPERVISOR_ACTOR_START_TIMEOUT", "JOB_SUPERVISOR_ACTOR_UNSCHEDULABLE")
_CANNOT_START = ("RUNTIME_ENV_SETUP_FAILURE", "JOB_ENTRYPOINT_COMMAND_START_ERROR")


class RayLauncher:
    """Launches jobs through the Ray Jobs API of an existing cluster.

    Attributes:
        place: see `Launcher`.
    """

    def __init__(self, address: str) -> None:
        """Connect to the cluster.

        Args:
            address: of its dashboard, such as http://127.0.0.1:8265; "auto" for the cluster of this machine.

        Raises:
            JobError: Ray is not installed, or no cluster answers there.
        """
        self._client = _connect(address)
        self.place = f"ray {address} from "
        self._checked = time.monotonic()
        self._logs_kept: set[str] = set()

    def check(self) -> None:
        """See `Launcher`."""
        if time.monotonic() - self._checked > _CHECK_SECONDS:
            self.ask(self._client.get_version)
            self._checked = time.monotonic()

    def start(self, workspace: Workspace, job: Job) -> Child:
        """See `Launcher`."""
        for name in _names(job):
            info = self.info(name)
            if info is None:
                break
            if not info.status.is_terminal():  # it was submitted, but the answer did not arrive
                return _RayChild(self, workspace, job, name)
        alone = not job.payload.get(WORKERS_KEY)  # else the work is done by processes that Ray Train places
        self.ask(
            lambda: self._client.submit_job(
                # "exec": no shell stands between Ray and the job, so that signals and exit codes are the job's own.
                entrypoint=f"exec {_python()} -m {CHILD_MODULE} {shlex.quote(job.id)}",
                submission_id=name,
                runtime_env={"env_vars": cluster_environment(workspace, job)},
                metadata={"muscle_job": job.id, "muscle_title": job.title},
                entrypoint_num_cpus=_threads() if alone else None,
                entrypoint_num_gpus=1 if alone and _on_gpu(job) else None,
            )
        )
        return _RayChild(self, workspace, job, name)

    def find(self, workspace: Workspace, job: Job) -> Child | None:
        """See `Launcher`."""
        for name in _names(job):
            info = self.info(name)
            if info is None:
                break
            if not info.status.is_terminal():
                return _RayChild(self, workspace, job, name)
            self.keep_log(workspace, job, name, info)
        # That of an earlier claim, which the queue has told that it lost the job.
        start = f"{_prefix(job)}-"
        for other in self.ask(self._client.list_jobs):
            if (other.submission_id or "").startswith(start) and not other.status.is_terminal():
                return _RayChild(self, workspace, job, other.submission_id)
        return None

    def info(self, name: str) -> Any | None:
        """What the cluster knows of a Ray job (a `JobDetails`); None where it knows none of that name.

        Raises:
            Unreachable: it does not answer.
        """
        try:
            return self.ask(lambda: self._client.get_job_info(name))
        except Unreachable as error:
            if "status code 404" in str(error.__cause__):
                return None
            raise

    def stop(self, name: str) -> None:
        """Let Ray send SIGTERM, and SIGKILL after the worker's time of grace.

        Raises:
            Unreachable: the cluster does not answer.
        """
        self.ask(lambda: self._client.stop_job(name))

    def keep_log(self, workspace: Workspace, job: Job, name: str, info: Any) -> None:
        """Add what a Ray job that is over has printed to the job's log; once.

        Raises:
            Unreachable: the cluster does not answer.
        """
        if name in self._logs_kept:
            return
        text = str(self.ask(lambda: self._client.get_job_logs(name)))
        if info.driver_exit_code is None and info.message:
            text += f"\nRay: {info.message}\n"
        with (workspace.job_folder(job.id) / LOG).open("a") as stream:
            stream.write(text)
        self._logs_kept.add(name)

    def ask(self, question: Callable[[], Any]) -> Any:
        """Ask the cluster.

        Raises:
            Unreachable: it does not answer, or not as a cluster does.
        """
        try:
            return question()
        except (OSError, RuntimeError, ValueError) as error:  # those of requests are OSErrors
            self._checked = -1e9
            raise Unreachable(f"the Ray cluster does not answer: {first_line(error)}") from error


class _RayChild:
    """A job on the cluster."""

    def __init__(self, launcher: RayLauncher, workspace: Workspace, job: Job, name: str) -> None:
        self._launcher, self._workspace, self._job, self._name = launcher, workspace, job, name
        self._asked_at = -1e9
        self._stop_wanted = False
        self._kill_at: float | None = None
        self._misses = self._log_tries = 0

    def poll(self) -> int | None:
        """See `Child`; a job whose cluster does not answer counts as living."""
        if time.monotonic() - self._asked_at < _ASK_SECONDS:
            return None
        self._asked_at = time.monotonic()
        self._stop()
        code = None
        with suppress(Unreachable):
            code = self._look()
        if code is None and self._kill_at is not None and time.monotonic() - self._kill_at > _KILL_SECONDS:
            return UNKNOWN  # it waits for room, or the cluster is away; if it ever runs, the queue tells it to end
        return code

    def terminate(self) -> None:
        """See `Child`."""
        self._stop_wanted = True
        self._stop()

    def kill(self) -> None:
        """See `Child`. Ray has no order for it: it kills by itself what was asked to stop and does not."""
        if self._kill_at is None:
            self._kill_at = time.monotonic()
            self.terminate()

    def _stop(self) -> None:
        if self._stop_wanted:
            with suppress(Unreachable):
                self._launcher.stop(self._name)
                self._stop_wanted = False

    def _look(self) -> int | None:
        info = self._launcher.info(self._name)
        if info is None:  # a new cluster stands at the address
            self._misses += 1
            return UNKNOWN if self._misses >= _MISSES else None
        self._misses = 0
        if not info.status.is_terminal():
            return None
        try:
            self._launcher.keep_log(self._workspace, self._job, self._name, info)
        except Unreachable:
            self._log_tries += 1
            if self._log_tries < _LOG_TRIES:
                return None
        return _exit_code(info)


def cluster_environment(workspace: Workspace, job: Job) -> dict[str, str]:
    """What a job's process on the cluster finds in its environment, beside what its node has."""
    passed = {key: value for key, value in os.environ.items() if key.startswith("MUSCLE_") or key in _PASSED}
    paths = [str(import_root()), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    cpu_only = not _on_gpu(job) and not job.payload.get(WORKERS_KEY)
    return {
        **passed,
        **({"CUDA_VISIBLE_DEVICES": ""} if cpu_only else {}),
        HOME_VARIABLE: str(workspace.home),
        TOKEN_VARIABLE: str(job.token),
        "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths)),
        "PYTHONUNBUFFERED": "1",
        _STOP_WAIT_VARIABLE: str(max(1, math.ceil(worker.GRACE_SECONDS))),
    }


def _exit_code(info: Any) -> int:
    """Exit code of a Ray job that is over, as `Child.poll` gives it."""
    if info.status.value == "SUCCEEDED":
        return 0
    if info.status.value == "FAILED" and info.driver_exit_code is not None:
        return int(info.driver_exit_code)
    if info.error_type in _NO_ROOM:
        return REFUSED  # the worker starts it again after a while
    if info.error_type in _CANNOT_START:
        return 1
    return UNKNOWN  # stopped, or its node is gone; what it had to say is in the queue


def _names(job: Job) -> Iterator[str]:
    """Names of the Ray jobs of a claim; Ray takes each once, and a claim may have to start its process again."""
    first = f"{_prefix(job)}-{str(job.token)[:12]}"
    return (first if number == 1 else f"{first}-{number}" for number in itertools.count(1))


def _prefix(job: Job) -> str:
    return f"muscle-{job.id}"


def _on_gpu(job: Job) -> bool:
    return (job.device or "cpu") != "cpu"


def _python() -> str:
    return shlex.quote(os.environ.get(PYTHON_VARIABLE) or "python")


def _threads() -> int:
    """CPU threads of a job, which are the processors it reserves."""
    text = os.environ.get(_THREADS_VARIABLE, "1")
    return int(text) if text.isdecimal() and int(text) > 0 else 1


def _connect(address: str) -> Any:
    try:
        from ray.exceptions import RayError
        from ray.job_submission import JobSubmissionClient

        class Client(JobSubmissionClient):
            """A client that does not wait for ever for a cluster that is silent."""

            def _do_request(self, method: str, endpoint: str, **kwargs: Any) -> Any:
                try:
                    return super()._do_request(method, endpoint, **{"timeout": _TIMEOUT_SECONDS, **kwargs})
                except RayError as error:  # it asks for a token that is not there, or not the right one
                    raise RuntimeError(first_line(error)) from error
    except ImportError as error:
        raise JobError(
            "the launcher ray needs the packages of ray[default]: pip install -r requirements-ray.txt"
        ) from error
    try:
        return Client(address)
    except (OSError, RuntimeError, ValueError, KeyError, TypeError) as error:
        raise JobError(
            f"no Ray cluster answers at {address!r}: {first_line(error)}. Name the address of its dashboard, such as "
            "http://127.0.0.1:8265, or 'auto' for the cluster of this machine; see there whether it runs (ray status)."
        ) from error
