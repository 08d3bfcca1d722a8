"""The real worker with real child processes: jobs that end well, badly, on request, and without a word."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import urllib.request
from pathlib import Path

import psutil
import pytest
from built import FilledAnd
from helpers import worker_pids
from jobs_running import (
    FAST,
    Started,
    adapter_bytes,
    job_lines,
    no_own_workers,
    start_worker,
    submit_training,
    task_adapters,
    wait_for,
)

from muscle_core.compat.config import CompatConfig
from muscle_core.errors import ConfigError, JobError, ModelError
from muscle_core.jobs import (
    Slots,
    Work,
    ensure_worker,
    get_job,
    history,
    jobs_after,
    leases,
    list_jobs,
    request_cancel,
    run_worker,
    submit,
    worker_alive,
)
from muscle_core.store import Workspace, get_version, list_runs, list_versions


@pytest.fixture
def ready(filled_and: FilledAnd, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """Two task adapters; submissions do not start a worker by themselves."""
    no_own_workers(monkeypatch)
    return filled_and(task_adapters)


@pytest.fixture
def workers(ready: Workspace):
    """Starts workers of the workspace; ends what is left of them."""
    started: list[Started] = []

    def start(*arguments: str, **variables: str) -> Started:
        started.append(start_worker(ready.home, *arguments, **variables))
        return started[-1]

    yield start
    for worker in started:
        worker.end()


def _running(job) -> bool:
    return job.state == "running" and job.progress.get("stage") == "training" and job.progress["done"] > 2


def _events(workspace: Workspace, job_id: str) -> list[str]:
    return [event.what for event in history(workspace, job_id)]


def test_a_training_job_trains_and_the_job_after_it_evaluates(ready: Workspace) -> None:
    job_id = submit_training(ready, 3)
    assert run_worker(ready, once=True) == 2
    job = get_job(ready, job_id)
    assert (job.state, job.error) == ("succeeded", None)
    version = get_version(ready, job.result["version"])
    assert any(run.version_id == version.id for run in list_runs(ready))
    assert (job.progress["stage"], job.progress["done"]) == ("training", 3)
    assert (ready.home / "jobs" / job_id / "metrics.jsonl").read_text().count("\n") == 3
    assert (ready.home / "jobs" / job_id / "log.txt").exists()
    [after] = jobs_after(ready, job_id)
    assert (after.state, after.result["version"]) == ("succeeded", version.name)
    assert [line["what"] for line in job_lines(ready, job_id)][:1] == ["begin"]
    assert job_lines(ready, job_id)[-1]["what"] == "end"


def test_an_evaluation_job_keeps_to_its_options(ready: Workspace) -> None:
    from muscle_core.actions.background.submit import submit_evaluation
    from muscle_core.actions.evaluation.evaluate import EvaluationOptions

    options = EvaluationOptions(template="is {input}", scoring="per_byte")
    job_id = submit_evaluation(ready, ["old"], "choice", options=options).job_id
    run_worker(ready, once=True)
    assert get_job(ready, job_id).error is None
    run = next(run for run in list_runs(ready) if run.template == "is {input}")
    assert run.decoding["scoring"] == "per_byte"


def test_a_refusal_in_the_child_becomes_the_jobs_message(ready: Workspace) -> None:
    payload = {"versions": ["gone"], "dataset": "choice", "split": "test", "limit": None}
    job_id = submit(ready, Work("evaluate", "t", payload)).job_id
    run_worker(ready, once=True)
    job = get_job(ready, job_id)
    assert job.state == "failed"
    assert "no model version named 'gone'" in str(job.error)
    assert job.traceback is None
    assert _events(ready, job_id) == ["submitted", "claimed", "failed"]  # an error is not tried again by itself


def test_a_bug_in_the_child_keeps_its_traceback_and_the_end_of_its_log(ready: Workspace) -> None:
    job_id = submit(ready, Work("no-such-kind", "t", {})).job_id
    run_worker(ready, once=True)
    job = get_job(ready, job_id)
    assert job.state == "failed"
    assert "KeyError" in str(job.traceback)
    assert "KeyError: 'no-such-kind'" in str(job.log_tail)


def test_a_child_that_cannot_even_start_fails_with_its_exit_code(
    ready: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("muscle_core.jobs.launcher.CHILD_MODULE", "muscle_core.no_such_module")
    job_id = submit_training(ready, 3)
    run_worker(ready, once=True)
    job = get_job(ready, job_id)
    assert (job.state, "exit code 1 without a result" in str(job.error)) == ("failed", True)
    assert "No module named" in str(job.log_tail)
    assert [after.state for after in jobs_after(ready, job_id)] == ["cancelled"]


def test_cancel_stops_a_running_training_with_a_checkpoint(ready: Workspace, workers) -> None:
    job_id = submit_training(ready, 100_000)
    worker = workers("--once")
    wait_for(ready, job_id, _running)
    asked = time.monotonic()
    request_cancel(ready, job_id)
    job = wait_for(ready, job_id, lambda job: job.state == "cancelled")
    assert time.monotonic() - asked < 10  # a second until it is heard of, a step of milliseconds, a checkpoint
    assert worker.wait(60) == 0
    assert [v.name for v in list_versions(ready)] == ["old", "new", "task-old", "task-new"]
    assert f"stopped after {job.progress['done']:,} steps" in str(job.error)
    assert ready.path(f"jobs/{job_id}/checkpoints/checkpoint-{job.progress['done']}").is_dir()
    assert [after.state for after in jobs_after(ready, job_id)] == ["cancelled"]


def test_a_child_that_does_not_stop_is_ended(ready: Workspace, workers) -> None:
    job_id = submit_training(ready, 100_000)
    worker = workers("--once", grace="1")
    wait_for(ready, job_id, _running)
    [child] = worker.children()
    child.suspend()  # hangs, as in a driver that does not answer
    request_cancel(ready, job_id)
    job = wait_for(ready, job_id, lambda job: job.state == "cancelled", 30)
    assert "did not stop within" in str(job.error)
    assert not child.is_running()


@pytest.mark.slow
def test_a_killed_child_is_started_again_and_goes_on_from_its_checkpoint(ready: Workspace, workers) -> None:
    undisturbed = submit_training(ready, 120, seed=1)
    run_worker(ready, once=True)
    # The same training in a workspace that knows nothing of the first.
    expected = adapter_bytes(ready, undisturbed)
    _forget(ready, undisturbed)
    job_id = submit_training(ready, 120, seed=1)
    worker = workers("--once", slow="0.05")
    wait_for(ready, job_id, lambda job: job.progress.get("done", 0) > 20 and job.state == "running")
    [child] = worker.children()
    child.send_signal(signal.SIGKILL)
    assert worker.wait(120) == 0
    job = get_job(ready, job_id)
    assert (job.state, job.error) == ("succeeded", None)
    assert adapter_bytes(ready, job_id) == expected
    assert "process died" in _events(ready, job_id)
    steps = [json.loads(line)["step"] for line in ready.path(f"jobs/{job_id}/metrics.jsonl").read_text().splitlines()]
    assert steps == list(range(1, 121))


@pytest.mark.slow
def test_a_child_outlives_its_worker_and_is_adopted(ready: Workspace, workers) -> None:
    job_id = submit_training(ready, 150)
    first = workers("--once", slow="0.05")
    wait_for(ready, job_id, _running)
    [child] = first.children()
    first.kill()
    second = workers("--once")
    wait_for(ready, job_id, lambda job: "adopted" in _events(ready, job.id))
    assert child.is_running()
    assert second.wait(120) == 0
    job = get_job(ready, job_id)
    assert job.state == "succeeded"
    assert [line["pid"] for line in job_lines(ready, job_id) if line["what"] == "begin"] == [child.pid]
    assert _events(ready, job_id) == ["submitted", "claimed", "adopted", "succeeded"]


@pytest.mark.slow
def test_after_a_death_of_worker_and_child_the_next_worker_goes_on_at_once(ready: Workspace, workers) -> None:
    job_id = submit_training(ready, 60)
    first = workers("--once", slow="0.05")
    wait_for(ready, job_id, lambda job: job.progress.get("done", 0) > 12)
    [child] = first.children()
    first.kill()
    child.send_signal(signal.SIGKILL)
    began = time.monotonic()
    assert workers("--once").wait(120) == 0
    assert time.monotonic() - began < 2 * leases.lease_seconds()
    assert get_job(ready, job_id).state == "succeeded"
    assert len([line for line in job_lines(ready, job_id) if line["what"] == "begin"]) == 2


def test_a_worker_that_is_asked_to_stop_lets_its_job_save_and_gives_it_back(ready: Workspace, workers) -> None:
    job_id = submit_training(ready, 100)
    first = workers(slow="0.05")
    wait_for(ready, job_id, _running)
    first.terminate()
    assert first.wait(60) == 0
    job = get_job(ready, job_id)
    assert (job.state, job.attempts) == ("queued", 0)
    done = job.progress["done"]
    assert ready.path(f"jobs/{job_id}/checkpoints/checkpoint-{done}").is_dir()
    assert workers("--once").wait(120) == 0
    assert get_job(ready, job_id).state == "succeeded"
    assert _events(ready, job_id) == ["submitted", "claimed", "given back", "claimed", "succeeded"]


def test_a_frozen_worker_and_child_lose_their_job_and_find_out(ready: Workspace, workers, tmp_path: Path) -> None:
    """Two machines: the second has its own copy of the files; both share the database."""
    elsewhere = tmp_path / "elsewhere"
    subprocess.run(["cp", "-r", str(ready.home), str(elsewhere)], check=True)
    lease = {"MUSCLE_LEASE_SECONDS": "4", "MUSCLE_DATABASE_URL": f"sqlite:///{ready.home / 'muscle.db'}"}
    job_id = submit_training(ready, 100)
    first = workers(slow="0.05", **lease)
    wait_for(ready, job_id, _running)
    [child] = first.children()
    for process in (first.process, child):
        process.send_signal(signal.SIGSTOP)
    second = start_worker(elsewhere, slow="0.05", **lease)
    try:
        wait_for(ready, job_id, lambda job: str(elsewhere) in str(job.machine) and _running(job), 60)
        for process in (first.process, child):
            process.send_signal(signal.SIGCONT)
        assert child.wait(30) is not None or not child.is_running()
        job = wait_for(ready, job_id, lambda job: job.state == "succeeded", 120)
    finally:
        second.end()
    assert str(elsewhere) in str(job.machine)
    assert "succeeded" not in [event.what for event in history(ready, job_id)][:-1]
    assert list((elsewhere / "adapters").glob(f"{job_id}-*/adapter_model.safetensors"))
    assert not list(ready.path("adapters").glob(f"{job_id}-*"))  # the first one stopped in the middle
    first.terminate()
    assert first.wait(60) == 0


def test_workers_of_one_machine_share_its_slots_and_their_names_differ(ready: Workspace, workers) -> None:
    ids = [submit_training(ready, 100_000, seed=seed) for seed in range(3)]
    for name in ("a", "b"):
        workers("--name", name, "--cpu-slots", "2")
    deadline = time.monotonic() + 90
    while sum(_running(get_job(ready, job)) for job in ids) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    time.sleep(2)
    assert sorted(get_job(ready, job).state for job in ids) == ["queued", "running", "running"]
    with pytest.raises(JobError, match="a worker named 'a' already serves"):
        run_worker(ready, name="a", once=True)
    for job in ids:
        request_cancel(ready, job)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "a/b"}, "a worker's name is"),
        ({"slots": Slots(0, 0)}, "at least one slot"),
        ({"slots": Slots(-1, 1)}, "slot"),
    ],
)
def test_a_worker_that_cannot_be_is_refused(workspace: Workspace, arguments: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        run_worker(workspace, once=True, **arguments)


@pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")  # it is to outlive who started it
def test_a_second_worker_is_refused_and_ensure_starts_only_one(
    workspace: Workspace, stop_workers: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MUSCLE_APP_WORKER", "0")
    ensure_worker(workspace)
    assert worker_pids(workspace.home) == []
    monkeypatch.delenv("MUSCLE_APP_WORKER")
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


def test_the_worker_counts_for_prometheus_on_loopback_and_logs_json(ready: Workspace, workers) -> None:
    port = _free_port()
    submit_training(ready, 2)
    worker = workers("--metrics-port", str(port))
    wait_for(ready, list_jobs(ready)[0].id, lambda job: all(one.state == "succeeded" for one in list_jobs(ready)))
    deadline = time.monotonic() + 30
    while "muscle_jobs_running 0.0" not in (text := _read(f"http://127.0.0.1:{port}/metrics")):
        assert time.monotonic() < deadline, text
        time.sleep(0.2)
    assert 'muscle_jobs_claimed_total{device="cpu",kind="train_compat"} 1.0' in text
    listening = [c.laddr for c in psutil.Process(worker.process.pid).net_connections() if c.status == "LISTEN"]
    assert [(address.ip, address.port) for address in listening] == [("127.0.0.1", port)]
    worker.terminate()
    assert worker.wait(60) == 0
    lines = [json.loads(line) for line in worker.log.read_text().splitlines()]
    assert [line["what"] for line in lines if line["what"].startswith("worker")] == ["worker started", "worker ended"]
    assert all("at" in line for line in lines)


def test_nothing_is_queued_where_the_inputs_cannot_be_used(ready: Workspace) -> None:
    from muscle_core.actions.background.submit import submit_compat

    with pytest.raises(ModelError, match="same version"):
        submit_compat(ready, "task-new", "task-new", "choice", CompatConfig(**{**FAST, "steps": 3}))
    assert list_jobs(ready) == []
    assert leases.claim(ready, "w", "here", Slots()) is None


def _read(url: str) -> str:
    with urllib.request.urlopen(url, timeout=5) as answer:
        return str(answer.read().decode())


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _forget(workspace: Workspace, run_id: str) -> None:
    """Remove a training, its version and what came of it."""
    import sqlalchemy as sa

    from muscle_core.store import EvaluationRun, ModelVersion, TrainingRun

    with workspace.writing() as session:
        version = session.get(TrainingRun, run_id).result_version_id
        session.execute(sa.delete(TrainingRun).where(TrainingRun.id == run_id))
        session.execute(sa.delete(EvaluationRun).where(EvaluationRun.version_id == version))
        session.execute(sa.delete(ModelVersion).where(ModelVersion.id == version))
