"""Ray Train on a real cluster: one worker trains bit by bit as this process does, two share out every batch exactly."""

from __future__ import annotations

import logging

import pytest
from built import FilledAnd
from jobs_running import FAST, adapter_bytes, no_own_workers, submit_training, task_adapters
from ray_cluster import explained, places_taken
from safetensors.torch import load

from muscle_core.actions.background.submit import submit_compat
from muscle_core.actions.training.step_records import read_metrics
from muscle_core.actions.training.train import train_compat
from muscle_core.compat.config import CompatConfig
from muscle_core.compat.ray_train import RayTraining
from muscle_core.errors import Cancelled, ConfigError, JobError, ModelError
from muscle_core.jobs import get_job, run_worker
from muscle_core.models.spec import ModelSpec
from muscle_core.store import Workspace, get_version, spec_of

ray = pytest.importorskip("ray", reason="ray is not installed: pip install -r requirements-ray.txt")
pytestmark = pytest.mark.timeout(240, func_only=True)  # the fixtures may wait for another one's Ray


@pytest.fixture
def ready(filled_and: FilledAnd, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    no_own_workers(monkeypatch)
    return filled_and(task_adapters)


@pytest.fixture(scope="module")
def connected(ray_cluster):
    """This process as a driver of the cluster; every training finds the connection."""
    from jobs_running import ROOT

    ray.init(address=ray_cluster.address, runtime_env={"env_vars": {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}})
    yield
    ray.shutdown()


@pytest.fixture(autouse=True)
def _explained(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A training that fails or hangs says what Ray says; what ends leaves nothing reserved."""
    if "connected" not in request.fixturenames:
        return
    cluster, train_there = request.getfixturevalue("ray_cluster"), RayTraining.__call__

    def explaining(*arguments, **options):
        before = places_taken()
        with explained(cluster):
            try:
                return train_there(*arguments, **options)
            finally:
                assert places_taken() == before

    monkeypatch.setattr(RayTraining, "__call__", explaining)


def config(**options) -> CompatConfig:
    return CompatConfig(**{**FAST, "steps": 8, "learning_rate": 1e-3, **options})


def train(workspace: Workspace, name: str, options: CompatConfig, **more) -> None:
    train_compat(workspace, "task-old", "task-new", "choice", options, name=name, run_id=name, **more)


def weights(workspace: Workspace, name: str) -> dict:
    return load(adapter_bytes(workspace, name))


def steps(workspace: Workspace, name: str, *keys: str) -> list[list[float]]:
    return [[record[key] for key in keys] for record in read_metrics(workspace, name)]


def test_one_worker_trains_bit_by_bit_as_this_process(ready: Workspace, connected) -> None:
    asked: list[str] = []
    train(ready, "there", config(), fit=RayTraining(1), report_stage=lambda stage, done, total: asked.append(stage))
    train(ready, "here", config())
    assert adapter_bytes(ready, "there") == adapter_bytes(ready, "here")
    keys = ("step", "loss", "old_share", "kl_old", "kl_new", "token_accuracy", "learning_rate")
    assert steps(ready, "there", *keys) == steps(ready, "here", *keys)
    assert {"asking the old version", "asking the new version"} <= set(asked)
    assert not ready.path("jobs/there/ray").exists()
    assert not ready.path("jobs/there/checkpoints").exists()


def test_two_workers_share_out_every_batch_exactly(ready: Workspace, connected) -> None:
    options = config(gradient_accumulation=2, max_grad_norm=0.5)  # their norm tells a wrong scale, which Adam hides
    train(ready, "two", options, fit=RayTraining(2))
    train(ready, "one", options)
    for two, one in zip(steps(ready, "two", "loss"), steps(ready, "one", "loss"), strict=True):
        assert two == pytest.approx(one, abs=1e-5)
    counts = ("step", "old_share", "token_accuracy")
    for two, one in zip(steps(ready, "two", *counts), steps(ready, "one", *counts), strict=True):
        assert two == pytest.approx(one, abs=1e-6)
    ours, theirs = weights(ready, "one"), weights(ready, "two")
    assert max(float((ours[key] - theirs[key]).abs().max()) for key in ours) < 1e-4


@pytest.mark.slow
def test_two_workers_stop_with_one_checkpoint_and_go_on_from_it(ready: Workspace, connected) -> None:
    seen: list[float] = []
    with pytest.raises(Cancelled, match="stopped after 3 steps"):
        train(
            ready,
            "cut",
            config(),
            fit=RayTraining(2),
            report=lambda record: seen.append(record["step"]),
            should_stop=lambda: len(seen) == 3,
        )
    assert ready.path("jobs/cut/checkpoints/checkpoint-3/rng_state_1.pth").is_file()
    train(ready, "cut", config(), fit=RayTraining(2), report=lambda record: seen.append(record["step"]))
    assert seen == [*range(1, 9)]
    train(ready, "whole", config())
    ours, theirs = weights(ready, "whole"), weights(ready, "cut")
    assert max(float((ours[key] - theirs[key]).abs().max()) for key in ours) < 1e-4


def test_what_the_training_refuses_is_said_as_in_one_process(ready: Workspace, connected) -> None:
    old = spec_of(ready, get_version(ready, "task-old"))
    with pytest.raises(ModelError, match="nowhere"):
        RayTraining(1)(
            old,
            ModelSpec(str(ready.path("nowhere"))),
            [],
            "{input}",
            config(),
            ready.path("adapters/x"),
            stores=ready.path("teachers"),
            checkpoints=ready.path("jobs/x/checkpoints"),
            report=print,
            report_teacher=print,
            should_stop=lambda: False,
        )


def test_what_finds_no_room_is_said_and_given_up_in_time(
    ready: Workspace, connected, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("muscle_core.compat.ray_train._SAY_SECONDS", 1)
    taken = ray.util.placement_group([{"CPU": 2}])
    assert taken.wait(60)
    try:
        with (
            caplog.at_level(logging.WARNING),
            pytest.raises(JobError, match="not begin within 4 s: its processes need 1 CPUs, and free are 0 of 2 CPUs"),
        ):
            train(ready, "x", config(), fit=RayTraining(1, threads=1, start_within=4))
    finally:
        ray.util.remove_placement_group(taken)
    assert "waiting for the training to begin" in caplog.text


@pytest.mark.slow
def test_a_training_that_is_fenced_here_ends_there(ready: Workspace, connected) -> None:
    """Its processes wait for an answer then; nothing of them is left."""

    def report(record: dict[str, float]) -> None:
        raise JobError("another process has this job")

    with pytest.raises(JobError, match="another process has this job"):
        train(ready, "fenced", config(), fit=RayTraining(2), report=report)


def test_too_many_workers_are_refused_instead_of_waited_for(ready: Workspace, connected) -> None:
    with pytest.raises(ConfigError, match="4 workers with 1 threads need 4 CPUs, but the Ray cluster has 2"):
        train(ready, "x", config(), fit=RayTraining(4, threads=1))


def test_a_batch_that_cannot_be_shared_out_is_refused_before_anything_is_queued(ready: Workspace) -> None:
    with pytest.raises(ConfigError, match="batch_size = 4 cannot be shared out evenly among 3 workers"):
        submit_compat(ready, "task-old", "task-new", "choice", config(), ray_workers=3)
    with pytest.raises(ConfigError, match="at least 1 worker, got 0"):
        RayTraining(0)


@pytest.mark.slow
def test_a_job_with_ray_workers_trains_as_one_without(ready: Workspace) -> None:
    """On a cluster that the job starts for itself."""
    here = submit_training(ready, 4)
    there = submit_compat(
        ready, "task-old", "task-new", "choice", CompatConfig(**{**FAST, "steps": 4}), ray_workers=1
    ).job_id
    assert run_worker(ready, once=True) == 4
    assert get_job(ready, there).error is None
    assert adapter_bytes(ready, there) == adapter_bytes(ready, here)
