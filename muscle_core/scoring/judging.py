"""Judge answers shard by shard; slow scores of many samples in parallel processes. No torch here."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import islice
from typing import Any

from muscle_core.scoring.prediction import Answer, prediction_row
from muscle_core.tasks import Sample, Task, task_of

# ROUGE takes about a millisecond a sample, a process about two seconds to start.
_PARALLEL_FROM = 8000
_SLOW_SCORINGS = ("rouge", "bertscore")

Judged = tuple[Sequence[Sample], Sequence[Answer]]


def judge_shards(
    task: Task, shards: Iterable[Judged], scoring: str, *, total: int, parallel_from: int = _PARALLEL_FROM
) -> Iterator[list[dict[str, Any]]]:
    """Prediction rows of shards, in their order.

    Args:
        task: judges.
        shards: samples with their answers.
        scoring: one of the task's `scorings`.
        total: number of all samples.
        parallel_from: from so many samples on, slow scorings run in a process for each core.
    """
    judge = partial(_judge, task.kind, scoring)
    if scoring not in _SLOW_SCORINGS or total < parallel_from:
        yield from map(judge, shards)
        return
    # Not forked: the threads of a model that was loaded before would be cut off in the middle.
    with ProcessPoolExecutor(os.cpu_count(), mp_context=multiprocessing.get_context("spawn")) as pool:
        remaining = iter(shards)
        while window := list(islice(remaining, 4 * (os.cpu_count() or 1))):  # not all answers in memory at once
            yield from pool.map(judge, window)


def _judge(kind: str, scoring: str, shard: Judged) -> list[dict[str, Any]]:
    task = task_of(kind)
    return [prediction_row(task, sample, answer, scoring) for sample, answer in zip(*shard, strict=True)]
