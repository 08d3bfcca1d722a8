"""Random kill -9 of workers and children: every job succeeds, none runs twice at once, adapters are bit-identical."""

from __future__ import annotations

import contextlib
import random
import shutil
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from built import FilledAnd
from jobs_running import Started, adapter_bytes, job_lines, no_own_workers, start_worker, submit_training, task_adapters

from muscle_core.compat.config import CompatConfig
from muscle_core.jobs import ACTIVE, get_job, history, list_jobs
from muscle_core.store import Workspace

_STEPS = 60


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Variables of the database, also set in this process."""
    if request.param == "sqlite":
        return {}
    url = request.getfixturevalue("postgres_url")
    monkeypatch.setenv("MUSCLE_DATABASE_URL", url)
    return {"MUSCLE_DATABASE_URL": url}


class _Watch(threading.Thread):
    """Looks again and again which processes have begun work on each job and still live."""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__(daemon=True)
        self.workspace, self.looks = workspace, 0
        self.doubles: list[Any] = []
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.wait(0.05):
            for folder in self.workspace.path("jobs").glob("*"):
                if not (folder / "progress.jsonl").exists():
                    continue
                begun = {
                    line["pid"]: line["at"]
                    for line in job_lines(self.workspace, folder.name)
                    if line["what"] == "begin"
                }
                alive = [pid for pid, at in begun.items() if _lives(pid, at)]
                self.looks += 1
                if len(alive) > 1:
                    self.doubles.append((folder.name, alive))

    def stop(self) -> None:
        self._over.set()
        self.join()


def _lives(pid: int, begun_at: float) -> bool:
    try:
        process = psutil.Process(pid)
        return process.create_time() <= begun_at and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def kill_at_random(workspace: Workspace, submit: Any, kills: int, seed: int, **variables: str) -> list[str]:
    """Run trainings while worker and children are killed at random; returns the ids of the trainings.

    Args:
        workspace: with what is trained on.
        submit: queues a training with a seed, and returns its id.
        kills: how many; each hits the worker, a child, or both.
        seed: of the moments and the victims.
        **variables: of the workers' environment.
    """
    draw, ids, done = random.Random(seed), [], 0
    watch = _Watch(workspace)
    watch.start()
    worker: Started | None = None
    hit: list[str] = []
    try:
        deadline = time.monotonic() + 60 + 30 * kills
        while True:
            assert time.monotonic() < deadline, [(job.title, job.state) for job in list_jobs(workspace)]
            active = [job for job in list_jobs(workspace) if job.state in ACTIVE]
            if done < kills and len(active) < 4:
                ids.append(submit(len(ids)))
                continue
            if worker is None or worker.process.poll() is not None:
                worker = start_worker(workspace.home, "--cpu-slots", "2", **variables)
            if done >= kills:
                if not active:
                    break
                time.sleep(0.5)
                continue
            time.sleep(draw.uniform(0.5, 7.0))
            children = worker.children() + _orphans(workspace)
            victim = draw.choice(["worker", "child", "both"])
            if victim != "child":
                worker.kill()
            if victim != "worker" and children:
                chosen = children if victim == "both" else [draw.choice(children)]
                for child in chosen:
                    _kill(child)
            done += 1
            hit.append(victim)
    finally:
        watch.stop()
        if worker is not None:
            worker.end()
    assert watch.looks > 10 * kills
    assert watch.doubles == []
    assert len(hit) == kills
    return ids


def _orphans(workspace: Workspace) -> list[psutil.Process]:
    from muscle_core.jobs.run_lock import holder

    return [found for folder in workspace.path("jobs").glob("*") if (found := holder(folder)) is not None]


def _kill(process: psutil.Process) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.kill()


def check_all(workspace: Workspace, ids: list[str], expected: dict[str, bytes]) -> int:
    """All jobs succeeded, with the adapters of undisturbed trainings; returns how many deaths there were."""
    jobs = list_jobs(workspace, limit=10_000)
    assert {job.state for job in jobs} == {"succeeded"}, [(job.title, job.state, job.error) for job in jobs]
    for job_id in ids:
        weights = adapter_bytes(workspace, job_id)
        assert weights == expected[get_job(workspace, job_id).payload["options"]["seed"]], job_id
    return sum(
        event.what in ("process died", "adopted", "taken over") for job in jobs for event in history(workspace, job.id)
    )


def _expected(workspace: Workspace, scratch: Path, ids: list[str]) -> dict[int, bytes]:
    """Adapters of the same trainings without a disturbance, made in this process."""
    from muscle_core.actions.library.datasets import load_samples
    from muscle_core.compat.fit import fit_compat_adapter
    from muscle_core.store import get_dataset, get_version, spec_of

    found: dict[int, bytes] = {}
    for job_id in ids:
        payload = get_job(workspace, job_id).payload
        config, dataset = CompatConfig.from_dict(payload["options"]), get_dataset(workspace, payload["dataset"])
        old, new = (spec_of(workspace, get_version(workspace, payload[role])) for role in ("old", "new"))
        samples = load_samples(workspace, dataset, payload["train_split"], payload["limit"])
        out = scratch / job_id
        fit_compat_adapter(old, new, samples, dataset.template, config, out, stores=workspace.path("teachers"))
        found[config.seed] = (out / "adapter_model.safetensors").read_bytes()
        shutil.rmtree(out)
    return found


def test_jobs_survive_random_kills(filled_and: FilledAnd, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    no_own_workers(monkeypatch)
    workspace = filled_and(task_adapters)
    ids = kill_at_random(
        workspace, lambda seed: submit_training(workspace, _STEPS, seed=seed), kills=4, seed=1, slow="0.05"
    )
    check_all(workspace, ids, _expected(workspace, tmp_path, ids))


@pytest.mark.slow
def test_demo_trainings_survive_25_random_kills(
    database: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from muscle_core.actions.background.submit import submit_compat
    from muscle_core.actions.library.demo import load_demo
    from muscle_core.actions.training.presets import compat_preset

    monkeypatch.setattr("muscle_core.actions.background.submit.ensure_worker", lambda workspace: None)
    workspace = Workspace.open()
    load_demo(workspace)

    def submit(seed: int) -> str:
        config = compat_preset("demo", {"steps": 60, "seed": seed, "checkpoint_every": 5})
        return submit_compat(workspace, "demo-choice-v1", "demo-choice-v2", "demo-choice", config, limit=400).job_id

    ids = kill_at_random(workspace, submit, kills=25, seed=len(database), **database)
    deaths = check_all(workspace, ids, _expected(workspace, tmp_path, ids))
    print(f"{len(ids)} trainings, {deaths} deaths and adoptions")
    assert deaths >= 25
    workspace.close()
