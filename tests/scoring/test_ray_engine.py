"""Answers of Ray actors on a real local Ray instance are those of one process, also where an actor is killed."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from muscle_core.errors import ConfigError, ModelError
from muscle_core.models import ModelSpec
from muscle_core.scoring.decoding import Decoding
from muscle_core.scoring.engine import AnswerJob, local_engine
from muscle_core.scoring.prediction import Answer
from muscle_core.scoring.ray_engine import RayEngine
from muscle_core.store import list_runs
from muscle_core.tasks import Sample

ray = pytest.importorskip("ray", reason="ray is not installed: pip install -r requirements-ray.txt")
pytestmark = [pytest.mark.timeout(900), pytest.mark.usefixtures("ray_alone")]  # may wait for another one's Ray

CHOICES = ("the cat", "a dog runs", "two")


@pytest.fixture(scope="module")
def cluster(ray_alone: None) -> Iterator[None]:
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def job(tiny_bases) -> AnswerJob:
    spec = ModelSpec(str(tiny_bases["old"]))
    return AnswerJob(spec, "multiple_choice", "Question : {input} Answer :", Decoding(8, ()))


def shards_of(count: int, size: int = 40) -> list[tuple[int, list[Sample]]]:
    return [
        (n, [Sample(f"s{n}-{i}", "test", f"the bird {n} {i} ?", "0", CHOICES[0], CHOICES) for i in range(size)])
        for n in range(count)
    ]


def without_time(pairs: Iterator[tuple[int, list[Answer]]]) -> dict[int, list[Answer]]:
    """Answers by shard; a shard that comes twice is a mistake."""
    found: dict[int, list[Answer]] = {}
    for number, answers in pairs:
        assert number not in found
        found[number] = [answer._replace(latency_seconds=0.0) for answer in answers]
    return found


def actor_pids() -> Iterator[int]:
    """Living processes of actors of this test's cluster."""
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):  # it has ended meanwhile
            if "ray::_Worker" in " ".join(process.cmdline()):
                yield process.pid


def test_two_actors_answer_as_one_process(cluster, job) -> None:
    shards = shards_of(7)
    engine = RayEngine(actors=2, threads=1)
    assert without_time(engine(job, shards)) == without_time(local_engine(job, shards))
    assert ray.is_initialized()  # a cluster that was there before stays


@pytest.mark.slow
def test_a_killed_actor_is_replaced_and_no_row_is_lost_or_doubled(cluster, job) -> None:
    shards, killed = shards_of(12), []

    def killing(pairs):
        for number, answers in pairs:
            if len(killed) < 2:
                killed.append(next(pid for pid in actor_pids() if pid not in killed))
                os.kill(killed[-1], signal.SIGKILL)
            yield number, answers

    found = without_time(killing(RayEngine(actors=2, threads=1)(job, shards)))
    assert len(killed) == 2
    assert found == without_time(local_engine(job, shards))


def test_an_actor_that_finds_no_room_is_refused_instead_of_waited_for(cluster, job) -> None:
    with pytest.raises(ConfigError, match="5 actors with 1 threads need 5 CPUs, but the Ray cluster has 2"):
        list(RayEngine(actors=5, threads=1)(job, shards_of(1)))


def test_what_the_model_refuses_is_said_as_in_one_process(cluster, job) -> None:
    long = [(0, [Sample("long one", "test", "cat " * 300, "0", "two", CHOICES)])]
    with pytest.raises(ModelError, match="'long one' needs"):
        list(RayEngine(threads=1)(job, long))


def test_what_the_model_refuses_at_loading_is_said_too(cluster, job) -> None:
    talking = dataclasses.replace(job, decoding=Decoding(8, (), chat=True))
    with pytest.raises(ModelError, match="no chat template"):
        list(RayEngine(threads=1)(talking, shards_of(1)))


@pytest.mark.slow
def test_the_command_starts_a_cluster_of_its_own(filled) -> None:
    command = ["evaluate", "old", "new", "--dataset", "choice", "--engine", "ray", "--actors", "2", "--threads", "1"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    run = subprocess.run(
        [sys.executable, "-m", "muscle_core", *command], env=environment, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.count("right (") == 2
    assert [evaluation.rows for evaluation in list_runs(filled)] == [30, 30]


def test_bad_settings_are_refused() -> None:
    with pytest.raises(ConfigError, match="at least 1 actor, got 0"):
        RayEngine(actors=0)
