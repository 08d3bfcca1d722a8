"""Jobs on a real local Ray cluster: the same results as on this machine, whatever dies on the way."""

from __future__ import annotations

import signal
import sys
import time
from types import SimpleNamespace
from typing import Any

import pandas as pd
import psutil
import pytest
from built import FilledAnd
from jobs_running import (
    Started,
    adapter_bytes,
    job_lines,
    job_processes,
    no_own_workers,
    start_worker,
    submit_training,
    task_adapters,
    wait_for,
)

pytest.importorskip("ray", reason="ray is not installed: pip install -r requirements-ray.txt")

from ray_cluster import Cluster, Gate

from muscle_core.errors import ConfigError, JobError
from muscle_core.jobs import get_job, history, jobs_after, request_cancel, run_worker
from muscle_core.jobs.launcher import UNKNOWN, Unreachable
from muscle_core.jobs.ray_launcher import RayLauncher, _exit_code, cluster_environment
from muscle_core.jobs.run_lock import REFUSED
from muscle_core.store import Workspace, list_runs, read_predictions

pytestmark = pytest.mark.timeout(900)  # may wait for another one's Ray


@pytest.fixture
def ready(filled_and: FilledAnd, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    no_own_workers(monkeypatch)
    return filled_and(task_adapters)


@pytest.fixture
def workers(ready: Workspace, ray_cluster: Cluster):
    """Starts workers that run jobs on the cluster; ends what is left of them and of their jobs."""
    started: list[Started] = []

    def start(*arguments: str, address: str = ray_cluster.dashboard, **variables: str) -> Started:
        started.append(start_worker(ready.home, "--launcher", "ray", "--address", address, *arguments, **variables))
        return started[-1]

    yield start
    for worker in started:
        worker.end()


def _running(job: Any) -> bool:
    return job.state == "running" and job.progress.get("stage") == "training" and job.progress["done"] > 2


def _events(workspace: Workspace, job_id: str) -> list[str]:
    return [event.what for event in history(workspace, job_id)]


def _process(workspace: Workspace) -> psutil.Process:
    [process] = job_processes(workspace.home)
    return process


def _pids(workspace: Workspace, job_id: str) -> list[int]:
    return [line["pid"] for line in job_lines(workspace, job_id) if line["what"] == "begin"]


def _table(workspace: Workspace, training: str) -> pd.DataFrame:
    """Predictions of the evaluation that follows a training, but for the time that they took."""
    [after] = jobs_after(workspace, training)
    run = next(run for run in list_runs(workspace) if run.id == after.result["runs"][0])
    return read_predictions(workspace.path(run.path)).drop(columns="latency_seconds")


def _trained_here(workspace: Workspace, steps: int, **options: Any) -> str:
    """A training by the local launcher; its result is forgotten, so that the same one can be queued again."""
    training = submit_training(workspace, steps, **options)
    run_worker(workspace, once=True)
    assert get_job(workspace, training).state == "succeeded"
    return training


def test_training_and_evaluation_on_the_cluster_give_the_same_bytes_and_rows(ready: Workspace, workers) -> None:
    here = _trained_here(ready, 12)
    there = submit_training(ready, 12)
    assert workers("--once").wait(120) == 0
    job = get_job(ready, there)
    assert (job.state, job.error, here != there) == ("succeeded", None, True)
    assert job.machine.startswith("ray http://127.0.0.1:")
    assert adapter_bytes(ready, there) == adapter_bytes(ready, here)
    pd.testing.assert_frame_equal(_table(ready, there), _table(ready, here))
    assert f"Running entrypoint for job muscle-{there}-" in ready.path(f"jobs/{there}/log.txt").read_text()


@pytest.mark.slow
def test_a_killed_process_is_started_again_and_goes_on_from_its_checkpoint(ready: Workspace, workers) -> None:
    here = _trained_here(ready, 60, seed=1)
    job_id = submit_training(ready, 60, seed=1)
    worker = workers("--once", slow="0.05")
    wait_for(ready, job_id, lambda job: job.progress.get("done", 0) > 20 and job.state == "running")
    _process(ready).send_signal(signal.SIGKILL)
    assert worker.wait(120) == 0
    assert get_job(ready, job_id).state == "succeeded"
    assert _events(ready, job_id) == ["submitted", "claimed", "process died", "claimed", "succeeded"]
    assert len(_pids(ready, job_id)) == 2
    assert adapter_bytes(ready, job_id) == adapter_bytes(ready, here)


@pytest.mark.slow
def test_cancel_stops_the_ray_job_with_a_checkpoint(ready: Workspace, workers) -> None:
    job_id = submit_training(ready, 100_000)
    worker = workers("--once")
    wait_for(ready, job_id, _running)
    request_cancel(ready, job_id)
    job = wait_for(ready, job_id, lambda job: job.state == "cancelled", 30)
    assert worker.wait(60) == 0
    assert f"stopped after {job.progress['done']:,} steps" in str(job.error)
    assert ready.path(f"jobs/{job_id}/checkpoints/checkpoint-{job.progress['done']}").is_dir()
    assert job_processes(ready.home) == []


@pytest.mark.slow
def test_rays_own_signal_leaves_time_for_a_checkpoint(ready: Workspace, workers) -> None:
    """A worker that is asked to stop stops its Ray jobs; longer than Ray's own 3 seconds are left to them."""
    job_id = submit_training(ready, 100_000)
    worker = workers(slow="5")  # one step takes longer than those
    wait_for(ready, job_id, lambda job: job.progress.get("stage") == "training" and job.progress["done"] > 0)
    worker.terminate()
    assert worker.wait(60) == 0
    job = get_job(ready, job_id)
    assert (job.state, job.attempts) == ("queued", 0)
    assert ready.path(f"jobs/{job_id}/checkpoints/checkpoint-{job.progress['done']}").is_dir()
    assert _events(ready, job_id) == ["submitted", "claimed", "given back"]


@pytest.mark.slow
def test_a_process_that_does_not_stop_is_killed_by_ray(ready: Workspace, workers) -> None:
    job_id = submit_training(ready, 100_000)
    worker = workers("--once", grace="2")
    wait_for(ready, job_id, _running)
    _process(ready).suspend()
    request_cancel(ready, job_id)
    job = wait_for(ready, job_id, lambda job: job.state == "cancelled", 60)
    assert "did not stop within" in str(job.error)
    assert worker.wait(60) == 0
    assert job_processes(ready.home) == []


@pytest.mark.slow
def test_a_new_worker_adopts_the_ray_job_of_a_killed_one(ready: Workspace, workers) -> None:
    job_id = submit_training(ready, 80)
    first = workers("--once", slow="0.1")
    wait_for(ready, job_id, _running)
    first.kill()
    second = workers("--once")
    wait_for(ready, job_id, lambda job: "adopted" in _events(ready, job.id))
    assert second.wait(120) == 0
    assert get_job(ready, job_id).state == "succeeded"
    assert _events(ready, job_id) == ["submitted", "claimed", "adopted", "succeeded"]
    assert len(_pids(ready, job_id)) == 1


@pytest.mark.slow
def test_a_cluster_out_of_reach_loses_no_job(ready: Workspace, workers, ray_cluster: Cluster) -> None:
    running = submit_training(ready, 100)
    with Gate(ray_cluster.dashboard) as gate:
        worker = workers("--once", "--cpu-slots", "2", address=gate.address, slow="0.1")
        wait_for(ready, running, _running)
        gate.shut()
        waiting = submit_training(ready, 2)
        done = get_job(ready, running).progress["done"]
        deadline = time.monotonic() + 60
        while "nothing can be started" not in worker.log.read_text():
            assert time.monotonic() < deadline
            time.sleep(0.2)
        wait_for(ready, running, lambda job: job.state == "running" and job.progress["done"] > done)
        assert get_job(ready, waiting).attempts == 0
        gate.open()
        for job_id in (running, waiting):
            wait_for(ready, job_id, lambda job: job.state == "succeeded", 120)
    assert "process died" not in _events(ready, running) + _events(ready, waiting)
    assert len(_pids(ready, running)) == 1


def test_a_ray_job_that_was_submitted_twice_runs_once(ready: Workspace, ray_cluster: Cluster) -> None:
    """The answer to the first submission was lost; asking again finds it, and so does a worker that looks for it."""
    launcher = RayLauncher(ray_cluster.dashboard)
    job = SimpleNamespace(
        id="0" * 32, token="t" * 32, title="t", device="cpu", payload={}, kind="evaluate", worker="w", machine="m"
    )
    first, again, found = launcher.start(ready, job), launcher.start(ready, job), launcher.find(ready, job)
    assert first._name == again._name == found._name
    deadline = time.monotonic() + 60
    while (code := first.poll()) is None:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert code == 1  # there is no such job in the queue
    assert launcher.find(ready, job) is None
    assert ready.path(f"jobs/{job.id}/log.txt").read_text().count("no job begins with") == 1
    later = launcher.start(ready, job)  # Ray takes every name once
    assert later._name == f"{first._name}-2"
    later.kill()


@pytest.mark.parametrize(
    ("status", "exit_code", "error_type", "expected"),
    [
        ("SUCCEEDED", 0, None, 0),
        ("FAILED", 1, "JOB_ENTRYPOINT_COMMAND_ERROR", 1),
        ("FAILED", REFUSED, "JOB_ENTRYPOINT_COMMAND_ERROR", REFUSED),
        ("FAILED", -9, "JOB_ENTRYPOINT_COMMAND_ERROR", -9),
        ("FAILED", None, "JOB_SUPERVISOR_ACTOR_DIED", UNKNOWN),
        ("FAILED", None, "JOB_SUPERVISOR_ACTOR_START_TIMEOUT", REFUSED),
        ("FAILED", None, "RUNTIME_ENV_SETUP_FAILURE", 1),
        ("STOPPED", None, None, UNKNOWN),
    ],
)
def test_what_ray_says_of_an_ended_job_becomes_an_exit_code(status, exit_code, error_type, expected) -> None:
    from ray.job_submission import JobStatus

    info = SimpleNamespace(status=JobStatus(status), driver_exit_code=exit_code, error_type=error_type)
    assert _exit_code(info) == expected


def test_the_cluster_gets_the_workspace_and_no_gpu_for_a_job_without_one(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MUSCLE_DATABASE_URL", "postgresql+psycopg://host/name")
    monkeypatch.setenv("MUSCLE_LEASE_SECONDS", "12")
    job = SimpleNamespace(id="j", token="t", device="cpu", payload={})
    passed = cluster_environment(workspace, job)
    assert (passed["MUSCLE_HOME"], passed["MUSCLE_JOB_TOKEN"]) == (str(workspace.home), "t")
    assert (passed["MUSCLE_DATABASE_URL"], passed["MUSCLE_LEASE_SECONDS"]) == ("postgresql+psycopg://host/name", "12")
    assert (passed["CUDA_VISIBLE_DEVICES"], passed["RAY_JOB_STOP_WAIT_TIME_S"]) == ("", "60")
    job.device = "gpu:1"
    assert "CUDA_VISIBLE_DEVICES" not in cluster_environment(workspace, job)  # Ray says which


def test_no_cluster_at_the_address_is_said_at_the_start(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(JobError, match=r"no Ray cluster answers at 'http://127.0.0.1:9': Failed to connect"):
        RayLauncher("http://127.0.0.1:9")
    with pytest.raises(JobError, match="no Ray cluster answers at 'nonsense:port'"):
        RayLauncher("nonsense:port")
    monkeypatch.setitem(sys.modules, "ray.job_submission", None)
    with pytest.raises(JobError, match=r"pip install -r requirements-ray\.txt"):
        RayLauncher("http://127.0.0.1:9")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"launcher": "ray"}, "belong together"),
        ({"address": "http://127.0.0.1:9"}, "belong together"),
        ({"launcher": "slurm"}, "unknown launcher 'slurm'"),
    ],
)
def test_a_launcher_without_its_address_is_refused(options: dict[str, str], message: str) -> None:
    from muscle_core.cli.jobs import worker_command

    with pytest.raises(ConfigError, match=message):
        worker_command(**options)


def test_unreachable_says_what_was_wrong(ray_cluster: Cluster, workspace: Workspace) -> None:
    with Gate(ray_cluster.dashboard) as gate:
        launcher = RayLauncher(gate.address)
        gate.shut()
        with pytest.raises(Unreachable, match="the Ray cluster does not answer"):
            launcher.find(workspace, SimpleNamespace(id="j", token="t", payload={}))
        with pytest.raises(Unreachable):
            launcher.check()
        gate.open()
        launcher.check()
