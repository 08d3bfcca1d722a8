"""The real worker with real child processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from helpers import worker_pids

from muscle_core.actions.train import train_task
from muscle_core.compat.config import CompatConfig, TaskConfig
from muscle_core.errors import JobError, ModelError
from muscle_core.jobs import (
    Slots,
    Work,
    ensure_worker,
    get_job,
    leases,
    list_jobs,
    request_cancel,
    run_worker,
    submit,
    worker_alive,
)
from muscle_core.store import Workspace, get_version, list_runs, list_versions

FAST = {"batch_size": 4, "warmup_steps": 0, "lora_rank": 2, "lora_alpha": 4}


@pytest.fixture
def ready(filled: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """Two task adapters; submissions do not start a worker by themselves."""
    monkeypatch.setattr("muscle_core.actions.background.ensure_worker", lambda workspace: None)
    for role in ("old", "new"):
        train_task(filled, f"task-{role}", role, "choice", TaskConfig(steps=2, **FAST), role=role)
    return filled


def _submit(workspace: Workspace, steps: int) -> str:
    from muscle_core.actions.background import submit_compat

    return submit_compat(workspace, "task-old", "task-new", "choice", CompatConfig(steps=steps, **FAST)).job_id


def _wait(workspace: Workspace, job_id: str, condition, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition(get_job(workspace, job_id)):
        assert time.monotonic() < deadline, vars(get_job(workspace, job_id))
        time.sleep(0.2)


def test_a_training_job_trains_evaluates_and_reports_progress(ready: Workspace) -> None:
    job_id = _submit(ready, 3)
    assert run_worker(ready, once=True) == 1
    job = get_job(ready, job_id)
    assert (job.state, job.error) == ("succeeded", None)
    version = get_version(ready, job.result["version"])
    assert any(run.version_id == version.id for run in list_runs(ready))
    assert job.progress["done"] == job.progress["total"]
    assert (ready.home / "jobs" / job_id / "metrics.jsonl").read_text().count("\n") == 3
    assert (ready.home / "jobs" / job_id / "log.txt").exists()


def test_an_evaluation_job_keeps_to_its_options(ready: Workspace) -> None:
    from muscle_core.actions.background import submit_evaluation
    from muscle_core.actions.evaluate import EvaluationOptions

    options = EvaluationOptions(template="is {input}", scoring="per_byte")
    job_id = submit_evaluation(ready, ["old"], "choice", options=options).job_id
    run_worker(ready, once=True)
    assert get_job(ready, job_id).error is None
    run = next(run for run in list_runs(ready) if run.template == "is {input}")
    assert run.decoding["scoring"] == "per_byte"


def test_a_refusal_in_the_child_becomes_the_jobs_message(ready: Workspace) -> None:
    payload = {"versions": ["gone"], "dataset": "choice", "split": "test", "limit": None}
    job_id = submit(ready, Work("evaluate", "t", payload))
    run_worker(ready, once=True)
    job = get_job(ready, job_id.job_id)
    assert job.state == "failed"
    assert "no model version named 'gone'" in str(job.error)
    assert job.traceback is None


def test_a_bug_in_the_child_keeps_its_traceback(ready: Workspace) -> None:
    job_id = submit(ready, Work("no-such-kind", "t", {})).job_id
    run_worker(ready, once=True)
    job = get_job(ready, job_id)
    assert job.state == "failed"
    assert "KeyError" in str(job.traceback)


def test_a_running_job_is_cancelled_and_leaves_no_version(ready: Workspace) -> None:
    job_id = _submit(ready, 100_000)
    worker = subprocess.Popen([sys.executable, "-m", "muscle_core", "worker", "--once"], cwd=Path.cwd())
    _wait(ready, job_id, lambda job: job.state == "running" and job.progress.get("done", 0) > 2)
    request_cancel(ready, job_id)
    assert worker.wait(timeout=60) == 0
    job = get_job(ready, job_id)
    assert job.state == "cancelled"
    assert [v.name for v in list_versions(ready)] == [
        "old",
        "new",
        "task-old",
        "task-new",
    ]


def test_a_child_that_is_killed_fails_with_a_reason(ready: Workspace) -> None:
    job_id = _submit(ready, 100_000)
    worker = subprocess.Popen([sys.executable, "-m", "muscle_core", "worker", "--once"], cwd=Path.cwd())
    _wait(ready, job_id, lambda job: job.progress.get("done", 0) > 2)
    children = psutil.Process(worker.pid).children()
    assert len(children) == 1
    os.kill(children[0].pid, signal.SIGKILL)
    assert worker.wait(timeout=60) == 0
    job = get_job(ready, job_id)
    assert job.state == "failed"
    assert "signal 9" in str(job.error)


def test_a_second_worker_is_refused_and_ensure_starts_only_one(workspace: Workspace, stop_workers: None) -> None:
    assert not worker_alive(workspace)
    ensure_worker(workspace)
    deadline = time.monotonic() + 30
    while not worker_alive(workspace):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    ensure_worker(workspace)
    with pytest.raises(JobError, match="already serves"):
        run_worker(workspace, once=True)
    pids = worker_pids(workspace.home)
    assert len(pids) == 1
    os.kill(pids[0], signal.SIGTERM)
    while worker_alive(workspace):
        assert time.monotonic() < deadline + 30
        time.sleep(0.1)


def test_nothing_is_queued_where_the_inputs_cannot_be_used(ready: Workspace) -> None:
    from muscle_core.actions.background import submit_compat

    with pytest.raises(ModelError, match="same version"):
        submit_compat(ready, "task-new", "task-new", "choice", CompatConfig())
    assert list_jobs(ready) == []
    assert leases.claim(ready, "w", "here", Slots()) is None
