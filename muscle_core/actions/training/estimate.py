"""What a compatibility training will take: time, memory and disk, from what earlier trainings of this workspace took.

Time grows with the samples that pass through the model, so what is measured is seconds a sample. The nearest earlier
trainings are taken: of this update on this dataset with the same strategy and batch size, else with any strategy, else
with any batch size, else of the same new base on another dataset, with the length of its samples taken into account.
Trainings of fewer than 20 steps are left out. Where there is none, nothing is guessed: the time is unknown until the
first steps.
"""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import sqlalchemy as sa

from muscle_core.actions.library.datasets import load_samples
from muscle_core.actions.training.train import VALIDATION_SPLIT
from muscle_core.actions.updates.compare import latest_run
from muscle_core.compat.config import CompatConfig
from muscle_core.errors import MuscleError
from muscle_core.store import (
    Dataset,
    ModelVersion,
    TrainingRun,
    Workspace,
    read_predictions,
    spec_of,
)
from muscle_core.store.disk import size_of
from muscle_core.tasks import render_prompt

# Where a figure comes from, nearest first.
SAME, OTHER_STRATEGY, OTHER_BATCH, OTHER_DATASET = "same", "other strategy", "other batch size", "other dataset"
FORMULA, KEPT, EVALUATED, UNKNOWN = "formula", "kept", "evaluated", "unknown"
_MANY = 4  # from so many measurements on, the range is that of their middle half
_LEAST_STEPS = 20  # of a training that says how long a step takes: the first steps of a process are far slower
_FLOAT_BYTES = 4
_ADAPTER_COPIES = 3  # weights, and two moments of AdamW
_CHECKPOINTS = 2  # kept at a time (see compat/fit.py)
_STORE_ENTRIES = 2  # numbers kept for a token beside its state (see compat/teachers.py)


class Part(NamedTuple):
    """One part of an estimate, in seconds or bytes.

    Attributes:
        value: what is to be expected; None where that is not known.
        low: lower end of what was measured (or `value`).
        high: upper end.
        basis: where it comes from: SAME, OTHER_STRATEGY, OTHER_BATCH, OTHER_DATASET, FORMULA, KEPT, EVALUATED or
            UNKNOWN.
        measured: how many measurements it comes from.
    """

    value: float | None
    low: float | None
    high: float | None
    basis: str
    measured: int = 0


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


class _Measured(NamedTuple):
    """An earlier training, and how long the samples of its dataset are in comparison."""

    run: TrainingRun
    basis: str
    length: float


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
    earlier = _earlier(workspace, old, new, dataset, config, train_split)
    rows = min(limit or math.inf, dataset.splits[train_split])
    own = [one.run for one in earlier if one.basis != OTHER_DATASET]
    adapter = _adapter_bytes(workspace, own, new, config)
    copies = _ADAPTER_COPIES * (_CHECKPOINTS if config.checkpoint_every else 1)
    checkpoints = adapter._replace(basis=FORMULA if adapter.value is not None else UNKNOWN, measured=0)
    if adapter.value is not None:
        checkpoints = checkpoints._replace(value=copies * adapter.value, low=copies * adapter.value)
        checkpoints = checkpoints._replace(high=checkpoints.value)
    return Estimate(
        _steps(earlier, config),
        _teachers(workspace, own, int(rows), config, dataset, train_split, limit),
        _evaluation(workspace, (old, new), dataset, test_split, config),
        _memory(workspace, earlier, old, new, config),
        adapter,
        checkpoints,
        _store(workspace, own, old, new, dataset, config, train_split, limit),
        _free_memory(),
        shutil.disk_usage(workspace.home).free,
    )


def spread(values: Sequence[float], basis: str, factor: float = 1.0) -> Part:
    """Median of measured values times a factor, with their range.

    From four values on, the range is that of the middle half: a machine that was busy or asleep during one training
    says little of the next.
    """
    numbers = np.asarray(values, dtype=float) * factor
    low, high = (0.25, 0.75) if len(numbers) >= _MANY else (0.0, 1.0)
    return Part(
        float(np.median(numbers)),
        float(np.quantile(numbers, low)),
        float(np.quantile(numbers, high)),
        basis,
        len(numbers),
    )


def seconds_a_sample(run: TrainingRun) -> float | None:
    """Wall time of a training's steps for each sample that passed through; None where it has too few to tell."""
    seconds, steps = run.summary.get("seconds"), run.summary.get("steps")
    if not seconds or not steps or steps < _LEAST_STEPS:
        return None
    return float(seconds / (steps * run.options["batch_size"] * run.options.get("gradient_accumulation", 1)))


def _steps(earlier: Sequence[_Measured], config: CompatConfig) -> Part:
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


def _earlier(
    workspace: Workspace,
    old: ModelVersion,
    new: ModelVersion,
    dataset: Dataset,
    config: CompatConfig,
    split: str,
) -> list[_Measured]:
    """Earlier trainings that say something, each with how near it is."""
    query = (
        sa.select(TrainingRun, ModelVersion.base_fingerprint)
        .join(ModelVersion, TrainingRun.new_version_id == ModelVersion.id)
        .where(TrainingRun.kind == "compat")
    )
    with workspace.reading() as session:
        runs = [
            row[0]
            for row in session.execute(query)
            if row[1] is not None and row[1] == new.base_fingerprint and _as_costly(row[0].options, config)
        ]
        others = {run.dataset_id: session.get(Dataset, run.dataset_id) for run in runs}
    found, lengths = [], {}
    for run in runs:
        if (run.dataset_id, run.old_version_id, run.new_version_id) == (dataset.id, old.id, new.id):
            batch = run.options["batch_size"] == config.batch_size
            basis = OTHER_BATCH if not batch else SAME if run.strategy == config.strategy else OTHER_STRATEGY
            found.append(_Measured(run, basis, 1.0))
            continue
        other = others[run.dataset_id]
        if other is None:
            continue
        for one, its in ((dataset, split), (other, run.split)):
            if (one.id, its) not in lengths:
                lengths[one.id, its] = _mean_length(workspace, one, its)
        own, its_length = lengths[dataset.id, split], lengths[other.id, run.split]
        if own and its_length:
            found.append(_Measured(run, OTHER_DATASET, own / its_length))
    return found


def _as_costly(options: dict[str, Any], config: CompatConfig) -> bool:
    """Whether a step of a training with these options does the same work for each sample."""
    usual = CompatConfig().as_dict() | options
    wanted = config.as_dict()
    return all(usual[name] == wanted[name] for name in ("gradient_checkpointing", "teacher_store"))


def _mean_length(workspace: Workspace, dataset: Dataset, split: str) -> float | None:
    """Mean characters of prompt and answer."""
    try:
        samples = load_samples(workspace, dataset, split)
    except MuscleError:  # the other dataset may be gone
        return None
    return float(np.mean([len(render_prompt(dataset.template, s.input)) + len(s.target) for s in samples]))


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
    if _is_kept(workspace, own, config, dataset, split, limit):
        return Part(0.0, 0.0, 0.0, KEPT)
    values = [
        run.summary["teacher_seconds"] / (run.made_by.get("row_limit") or dataset.splits[run.split])
        for run in own
        if run.summary.get("teacher_seconds", 0.0) > 0.05 and run.split in dataset.splits  # less: it was kept
    ]
    return spread(values, SAME, rows) if values else Part(None, None, None, UNKNOWN)


def _is_kept(
    workspace: Workspace,
    own: Sequence[TrainingRun],
    config: CompatConfig,
    dataset: Dataset,
    split: str,
    limit: int | None,
) -> bool:
    """Whether an earlier training has asked the teachers about these samples, and it is still there."""
    if not any(workspace.path("teachers").glob("*/store.json")):
        return False
    return any(
        run.split == split
        and run.made_by.get("row_limit") == limit
        and run.made_by.get("dataset_fingerprint") == dataset.fingerprint
        and run.options["max_length"] == config.max_length
        and run.strategy != "cross_entropy"
        for run in own
    )


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


def _memory(
    workspace: Workspace, earlier: Sequence[_Measured], old: ModelVersion, new: ModelVersion, config: CompatConfig
) -> Part:
    """The peak of earlier trainings with batches at least as large, else the weights in 32 bits as the least."""
    for other in (False, True):
        runs = [one.run for one in earlier if (one.basis == OTHER_DATASET) == other]
        near = [run for run in runs if run.options["batch_size"] >= config.batch_size] or runs
        peaks = [run.summary["peak_memory_mb"] * 2**20 for run in near if run.summary.get("peak_memory_mb")]
        if peaks:
            return spread(peaks, OTHER_DATASET if other else SAME)
    weights = [_weights(workspace, version) for version in (old, new)]
    if weights[1] is None:
        return Part(None, None, None, UNKNOWN)
    together = float(weights[1] + (0 if config.teacher_store else weights[0] or 0))
    return Part(together, together, together, FORMULA)


def _weights(workspace: Workspace, version: ModelVersion) -> int | None:
    """Bytes of a version's base in 32 bits: the numbers in its safetensors files; None where they are not here."""
    try:
        folder = Path(spec_of(workspace, version).base)
    except MuscleError:
        return None
    files = sorted(folder.glob("*.safetensors")) if folder.is_dir() else []
    numbers = [_numbers_in(file) for file in files]
    return sum(n for n in numbers if n) * _FLOAT_BYTES if files and None not in numbers else None


def _numbers_in(file: Path) -> int | None:
    """How many numbers a safetensors file holds, by its header; None where that cannot be read."""
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if length > file.stat().st_size:
            return None
        try:
            header = json.loads(stream.read(length))
        except ValueError:
            return None
    return sum(math.prod(entry["shape"]) for name, entry in header.items() if name != "__metadata__")


def _adapter_bytes(workspace: Workspace, own: Sequence[TrainingRun], new: ModelVersion, config: CompatConfig) -> Part:
    """Bytes of an earlier result's adapter, or of the new version's own."""
    ids = [run.result_version_id for run in own if run.options["lora_rank"] == config.lora_rank]
    with workspace.reading() as session:
        made = list(session.scalars(sa.select(ModelVersion).where(ModelVersion.id.in_(ids))))
    for version, basis in [*((one, SAME) for one in made), (new, FORMULA)]:
        try:
            folder = spec_of(workspace, version).adapter_path
        except MuscleError:
            continue
        size = 0 if folder is None else size_of(folder)[1]
        if size:
            return Part(float(size), float(size), float(size), basis, 1)
    return Part(None, None, None, UNKNOWN)


def _store(
    workspace: Workspace,
    own: Sequence[TrainingRun],
    old: ModelVersion,
    new: ModelVersion,
    dataset: Dataset,
    config: CompatConfig,
    split: str,
    limit: int | None,
) -> Part:
    """A state a token of the answers and the output layer, for each teacher.

    A token is at least one byte, so that the bytes of the answers give the most; a fourth of it is usual for English.
    """
    nothing = Part(0.0, 0.0, 0.0, KEPT)
    if not config.teacher_store or config.strategy == "cross_entropy":
        return nothing
    if _is_kept(workspace, own, config, dataset, split, limit):
        return nothing
    shapes = [_shape(workspace, version) for version in (old, new)]
    if any(shape is None for shape in shapes):
        return Part(None, None, None, UNKNOWN)
    samples = load_samples(workspace, dataset, split, limit)
    answers = sum(len(sample.target.encode()) for sample in samples)
    most, usual = answers + len(samples), answers / 4 + len(samples)  # with the end of each
    sizes = []
    for tokens in (usual, len(samples) * 2.0, most):
        each = [
            (tokens * (width + _STORE_ENTRIES) + vocabulary * width) * _FLOAT_BYTES
            for width, vocabulary in (shape for shape in shapes if shape is not None)
        ]
        sizes.append(float(sum(each)))
    value, low, high = sizes
    return Part(value, min(low, value), high, FORMULA)


def _shape(workspace: Workspace, version: ModelVersion) -> tuple[int, int] | None:
    """Width of the states and entries of the vocabulary, by the base's own configuration."""
    try:
        file = Path(spec_of(workspace, version).base) / "config.json"
        config = json.loads(file.read_text())
        return int(config["hidden_size"]), int(config["vocab_size"])
    except (MuscleError, OSError, ValueError, KeyError):
        return None


def _free_memory() -> int | None:
    """Bytes of memory that a new process can have; None where the system does not say (such as macOS)."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return None
