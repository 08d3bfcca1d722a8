"""The same answers from many processes: Ray actors over shards of a dataset. Needs the optional package ray.

Every actor loads the model once and answers whole shards, so the numbers are those of one process. An actor that dies
is started again, and its shard is asked for again; the caller keeps each shard once.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator
from typing import Any

from muscle_core.errors import ConfigError, JobError, MuscleError, first_line
from muscle_core.scoring.engine import AnswerJob, Shard
from muscle_core.scoring.prediction import Answer
from muscle_core.scoring.ray_cluster import connect, gpus_each

_RESTARTS = 3  # of an actor; more deaths than that have a reason, such as too little memory
_SAY_SECONDS = 30  # without an answer, between two lines in the log

_log = logging.getLogger(__name__)


class _Worker:
    """Answers shards with one copy of the model; runs in an actor's process."""

    def __init__(self, job: AnswerJob, threads: int) -> None:
        self.job, self.threads = job, threads
        self.answerer: Any = None

    def answer(self, samples: Shard) -> list[Answer]:
        # Not in __init__: what is refused there reaches the caller as a dead actor, without the reason.
        if self.answerer is None:
            import torch

            torch.set_num_threads(self.threads)
            self.answerer = self.job.answerer()
        answers: list[Answer] = self.answerer(samples)
        return answers


class RayEngine:
    """Answers shards on a Ray cluster: the one this process is connected to, else one on this machine."""

    def __init__(self, *, actors: int = 1, threads: int | None = None, address: str | None = None) -> None:
        """Choose where and how wide.

        Args:
            actors: copies of the model.
            threads: CPU threads of each; by default this process's, shared out. Other numbers of threads change the
                last digits of log-likelihoods.
            address: of an existing cluster ("auto" for the one of this machine); None starts one for this evaluation.

        Raises:
            ConfigError: Ray is not installed, or there are no actors.
        """
        try:
            import ray
        except ImportError as error:
            raise ConfigError("the engine ray needs the package ray: pip install -r requirements-ray.txt") from error
        if actors < 1:
            raise ConfigError(f"the engine ray needs at least 1 actor, got {actors}.")
        self._ray: Any = ray
        self.actors, self.threads, self.address = actors, threads, address

    def __call__(self, job: AnswerJob, shards: Iterable[tuple[int, Shard]]) -> Iterator[tuple[int, list[Answer]]]:
        """Answer shards, in the order in which they get done.

        Raises:
            ConfigError: the cluster is not there or too small.
            JobError: an actor kept dying.
            MuscleError: what the model itself refuses.
        """
        import torch

        ray, ours = self._ray, not self._ray.is_initialized()
        threads = self.threads or max(1, torch.get_num_threads() // self.actors)
        if ours:
            connect(ray, self.address, self.actors * threads, log_to_driver=False)
        workers: list[Any] = []
        try:
            gpus = gpus_each(ray, self.actors, "actors", threads)
            remote = ray.remote(_Worker).options(
                num_cpus=threads, num_gpus=gpus, max_restarts=_RESTARTS, max_task_retries=_RESTARTS
            )
            workers = [remote.remote(job, threads) for _ in range(self.actors)]
            yield from self._shared_out(workers, iter(shards))
        finally:
            for worker in workers:
                ray.kill(worker)
            if ours:
                ray.shutdown()

    def _shared_out(
        self, workers: list[Any], shards: Iterator[tuple[int, Shard]]
    ) -> Iterator[tuple[int, list[Answer]]]:
        """One shard in work for each worker; whoever is done gets the next."""
        ray = self._ray
        running: dict[Any, tuple[int, Any]] = {}

        def hand_out(worker: Any) -> None:
            following = next(shards, None)
            if following is not None:
                number, samples = following
                running[worker.answer.remote(list(samples))] = (number, worker)

        for worker in workers:
            hand_out(worker)
        heard = time.monotonic()
        while running:
            ready, _ = ray.wait(list(running), num_returns=1, timeout=_SAY_SECONDS)
            if not ready:
                free = ray.available_resources().get("CPU", 0)
                seconds = time.monotonic() - heard
                _log.warning("no answers from Ray for %.0f s; %g CPUs of the cluster are free", seconds, free)
                continue
            heard, [done] = time.monotonic(), ready
            number, worker = running.pop(done)
            try:
                answers = ray.get(done)
            except ray.exceptions.RayTaskError as error:
                if isinstance(error.cause, MuscleError):
                    raise error.cause from None
                raise
            except ray.exceptions.RayError as error:
                what = f"{type(error).__name__}: {first_line(error)}"
                if isinstance(error, ray.exceptions.ActorDiedError):
                    what = f"an actor died more than {_RESTARTS} times ({what})"
                raise JobError(
                    f"the Ray engine cannot go on: {what}. What was answered is kept; look at the cluster's memory and "
                    "logs, then evaluate again."
                ) from error
            hand_out(worker)
            yield number, answers
