"""Start real workers, watch real jobs, and slow trainings down so that they can be disturbed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from muscle_core.jobs.launcher import CHILD_MODULE

FAST = {"batch_size": 4, "warmup_steps": 0, "lora_rank": 2, "lora_alpha": 4, "checkpoint_every": 10}
ROOT = Path(__file__).resolve().parents[2]
_SLOW = "MUSCLE_TEST_STEP_SECONDS"


def no_own_workers(monkeypatch: Any) -> None:
    """Submissions start no worker."""
    monkeypatch.setattr("muscle_core.actions.background.submit.ensure_worker", lambda workspace: None)


def task_adapters(workspace: Any) -> None:
    """Task adapters on both bases."""
    from muscle_core.actions.training.train import train_task
    from muscle_core.compat.config import TaskConfig

    for role in ("old", "new"):
        train_task(workspace, f"task-{role}", role, "choice", TaskConfig(steps=2, **FAST), role=role)


def submit_training(workspace: Any, steps: int, **options: Any) -> str:
    """Queue a training and its evaluation; returns the id of the training."""
    from muscle_core.actions.background.submit import submit_compat
    from muscle_core.compat.config import CompatConfig

    config = CompatConfig(**{"steps": steps, **FAST, **options})
    return submit_compat(workspace, "task-old", "task-new", "choice", config).job_id


def adapter_bytes(workspace: Any, run_id: str) -> bytes:
    """Weights of the adapter that a training made."""
    from muscle_core.store import ModelVersion, TrainingRun

    with workspace.reading() as session:
        version = session.get(ModelVersion, session.get(TrainingRun, run_id).result_version_id)
    return (workspace.path(version.adapter) / "adapter_model.safetensors").read_bytes()


@dataclass
class Started:
    """A worker in a process group of its own."""

    process: subprocess.Popen
    log: Path

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(30)

    def terminate(self) -> None:
        self.process.terminate()

    def wait(self, seconds: float) -> int:
        return self.process.wait(seconds)

    def end(self) -> None:
        """End the worker, and the children of whatever worker of its workspace."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.kill()
        for child in job_processes(self.log.parent):
            child.kill()


def start_worker(home: Path, *arguments: str, grace: str = "60", slow: str = "0", **variables: str) -> Started:
    """Start `python -m muscle_core worker` on a workspace.

    Args:
        home: of the workspace.
        *arguments: of the command.
        grace: seconds between asking a child to stop and killing it.
        slow: seconds added to each step of a training.
        **variables: of the environment.
    """
    code = (
        f"from muscle_core.jobs import worker; worker.GRACE_SECONDS = {grace}; from muscle_core.cli import main; main()"
    )
    log = home / f"worker-{time.monotonic_ns()}.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-c", code, "worker", *arguments],
            cwd=ROOT,
            env={**os.environ, "MUSCLE_HOME": str(home), **slowed(home, slow), **variables},
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return Started(process, log)


def slowed(home: Path, seconds: float | str) -> dict[str, str]:
    """Environment in which each step of a training takes so much longer, also of workers that are started from it."""
    return {_SLOW: str(seconds), "PYTHONPATH": _slowing(home)}


def _slowing(home: Path) -> str:
    """A folder whose `sitecustomize` makes every step of a training take longer; nothing of the project knows of it."""
    folder = home / "slowing"
    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text(
        "import os, sys, time\n"
        f"seconds = float(os.environ.get({_SLOW!r}, '0'))\n"
        f"if seconds and {CHILD_MODULE!r} in ' '.join(sys.orig_argv):\n"
        "    from muscle_core.jobs.child import JobProcess\n"
        "    write = JobProcess.write\n"
        "    def slowly(self, stage, *arguments, **facts):\n"
        "        if stage == 'training':\n"
        "            time.sleep(seconds)\n"
        "        return write(self, stage, *arguments, **facts)\n"
        "    JobProcess.write = slowly\n"
    )
    return f"{folder}:{ROOT}"


def wait_for(workspace: Any, job_id: str, condition: Callable[[Any], bool], seconds: float = 120) -> Any:
    """The job, once a condition holds for it."""
    from muscle_core.jobs import get_job

    deadline = time.monotonic() + seconds
    while not condition(job := get_job(workspace, job_id)):
        assert time.monotonic() < deadline, vars(job)
        time.sleep(0.1)
    return job


def job_lines(workspace: Any, job_id: str) -> list[dict[str, Any]]:
    """What a job's processes wrote down: their begin, progress and end."""
    path = workspace.path(f"jobs/{job_id}/progress.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines()]


def job_processes(home: Path) -> list[psutil.Process]:
    """Living processes that run jobs of a workspace."""
    found = []
    for process in psutil.process_iter():
        try:
            if CHILD_MODULE in process.cmdline() and process.environ().get("MUSCLE_HOME") == str(home):
                found.append(process)
        except psutil.Error:
            continue
    return found
