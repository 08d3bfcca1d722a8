"""What a compatibility training will take: time, memory and disk, from what earlier trainings of this workspace took.

Time grows with the samples that pass through the model, so what is measured is seconds a sample. The nearest earlier
trainings are taken: of this update on this dataset with the same strategy and batch size, else with any strategy, else
with any batch size, else of the same new base on another dataset, with the length of its samples taken into account.
Trainings of fewer than 20 steps are left out. Where there is none, nothing is guessed: the time is unknown until the
first steps.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from typing import NamedTuple

from muscle_core.actions.training.earlier import (
    EVALUATED,
    FORMULA,
    KEPT,
    OTHER_BATCH,
    OTHER_DATASET,
    OTHER_STRATEGY,
    SAME,
    UNKNOWN,
    Measured,
    Part,
    earlier_trainings,
    is_kept,
    seconds_a_sample,
    spread,
)
from muscle_core.actions.training.room import adapter_bytes, free_memory, memory_needed, store_bytes
from muscle_core.actions.training.train import VALIDATION_SPLIT
from muscle_core.actions.updates.compare import latest_run
from muscle_core.compat.config import CompatConfig
from muscle_core.errors import MuscleError
from muscle_core.store import Dataset, ModelVersion, TrainingRun, Workspace, read_predictions

_ADAPTER_COPIES = 3  # weights, and two moments of AdamW
_CHECKPOINTS = 2  # kept at a time (see compat/fit.py)


class Estimate(NamedTuple):
    """What a training will take on this machine.

    Attributes:
        steps: seconds of the steps.
        teachers: seconds of asking the teachers first.
        evaluation: seconds of evaluating the result, and the validation split at every look.
        memory: bytes of the process at its peak.
        adapter: bytes of the adapter that stays.
        checkpoints: bytes of checkpoints, which go when it is done.
        store: bytes of what the teachers say, which stays and is shared by all trainings on these samples.
        memory_free: bytes of memory that are free now; None where the system does not say.
        disk_free: bytes of disk that are free now.
    """

    steps: Part
    teachers: Part
    evaluation: Part
    memory: Part
    adapter: Part
    checkpoints: Part
    store: Part
    memory_free: int | None
    disk_free: int

    @property
    def seconds(self) -> Part:
        """All parts of the time together; unknown where the steps are, which take most of it."""
        if self.steps.value is None:
            return self.steps
        parts = [part for part in (self.steps, self.teachers, self.evaluation) if part.value is not None]
        value, low, high = (sum(getattr(part, end) for part in parts) for end in ("value", "low", "high"))
        return Part(value, low, high, self.steps.basis, self.steps.measured)

    @property
    def disk(self) -> Part:
        """Bytes of disk at the peak; unknown where a part is."""
        parts = (self.adapter, self.checkpoints, self.store)
        if any(part.value is None for part in parts):
            return Part(None, None, None, UNKNOWN)
        value, low, high = (sum(getattr(part, end) for part in parts) for end in ("value", "low", "high"))
        return Part(value, low, high, FORMULA if any(p.basis == FORMULA for p in parts) else SAME)


def estimate(
    workspace: Workspace,
    old: ModelVersion,
    new: ModelVersion,
    dataset: Dataset,
    config: CompatConfig,
    *,
    train_split: str = "train",
    test_split: str = "test",
    limit: int | None = None,
) -> Estimate:
    """What a compatibility training will take, from the trainings of this workspace.

    Args:
        workspace: where it would run.
        old: old version.
        new: new version.
        dataset: dataset.
        config: options.
        train_split: split to train on.
        test_split: split to evaluate on.
        limit: train on the first samples only.

    Raises:
        StoreError, DataError: the samples cannot be read.
    """
    earlier = earlier_trainings(workspace, old, new, dataset, config, train_split)
    rows = min(limit or math.inf, dataset.splits[train_split])
    own = [one.run for one in earlier if one.basis != OTHER_DATASET]
    adapter = adapter_bytes(workspace, own, new, config)
    copies = _ADAPTER_COPIES * (_CHECKPOINTS if config.checkpoint_every else 1)
    checkpoints = adapter._replace(basis=FORMULA if adapter.value is not None else UNKNOWN, measured=0)
    if adapter.value is not None:
        checkpoints = checkpoints._replace(value=copies * adapter.value, low=copies * adapter.value)
        checkpoints = checkpoints._replace(high=checkpoints.value)
    return Estimate(
        _steps(earlier, config),
        _teachers(workspace, own, int(rows), config, dataset, train_split, limit),
        _evaluation(workspace, (old, new), dataset, test_split, config),
        memory_needed(workspace, earlier, old, new, config),
        adapter,
        checkpoints,
        store_bytes(workspace, own, old, new, dataset, config, train_split, limit),
        free_memory(),
        shutil.disk_usage(workspace.home).free,
    )


def _steps(earlier: Sequence[Measured], config: CompatConfig) -> Part:
    samples = config.steps * config.batch_size * config.gradient_accumulation
    for basis in (SAME, OTHER_STRATEGY, OTHER_BATCH, OTHER_DATASET):
        values = [
            seconds * one.length
            for one in earlier
            if one.basis == basis and (seconds := seconds_a_sample(one.run)) is not None
        ]
        if values:
            return spread(values, basis, samples)
    return Part(None, None, None, UNKNOWN)


def _teachers(
    workspace: Workspace,
    own: Sequence[TrainingRun],
    rows: int,
    config: CompatConfig,
    dataset: Dataset,
    split: str,
    limit: int | None,
) -> Part:
    if not config.teacher_store:
        return Part(0.0, 0.0, 0.0, KEPT)
    if is_kept(workspace, own, config, dataset, split, limit):
        return Part(0.0, 0.0, 0.0, KEPT)
    values = [
        run.summary["teacher_seconds"] / (run.made_by.get("row_limit") or dataset.splits[run.split])
        for run in own
        if run.summary.get("teacher_seconds", 0.0) > 0.05 and run.split in dataset.splits  # less: it was kept
    ]
    return spread(values, SAME, rows) if values else Part(None, None, None, UNKNOWN)


def _evaluation(
    workspace: Workspace, versions: Sequence[ModelVersion], dataset: Dataset, split: str, config: CompatConfig
) -> Part:
    """The result has the new version's base and an adapter, so that it is about as fast as the two versions.

    With early stopping, so is the student at every look at the validation split.
    """
    looks = config.steps // config.validation_every if config.validation_every else 0
    rows = dataset.splits[split] + looks * dataset.splits.get(VALIDATION_SPLIT, 0)
    return evaluation_time(workspace, versions, dataset, split, rows)


def evaluation_time(
    workspace: Workspace, versions: Sequence[ModelVersion], dataset: Dataset, split: str, rows: int
) -> Part:
    """Seconds of asking a version some samples, by what the newest runs of some versions on a split took.

    Args:
        workspace: where the runs are.
        versions: of about the same speed.
        dataset: dataset.
        split: split of the runs.
        rows: samples to be asked.
    """
    values = []
    for version in versions:
        run = latest_run(workspace, version, dataset, split)
        if run is None or run.origin != "evaluated":
            continue
        try:
            seconds = read_predictions(workspace.local(run.path), ["latency_seconds"])["latency_seconds"].dropna()
        except MuscleError:
            continue  # an estimate does without answers that cannot be read
        if len(seconds):
            values.append(float(seconds.mean()))
    return spread(values, EVALUATED, rows) if values else Part(None, None, None, UNKNOWN)
