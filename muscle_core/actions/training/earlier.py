"""What earlier trainings of a workspace say of the next one, and one figure that is made of that."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import sqlalchemy as sa

from muscle_core.actions.library.datasets import load_samples
from muscle_core.compat.config import CompatConfig
from muscle_core.errors import MuscleError
from muscle_core.store import Dataset, ModelVersion, TrainingRun, Workspace
from muscle_core.tasks import render_prompt

# Where a figure comes from, nearest first.
SAME, OTHER_STRATEGY, OTHER_BATCH, OTHER_DATASET = "same", "other strategy", "other batch size", "other dataset"
FORMULA, KEPT, EVALUATED, UNKNOWN = "formula", "kept", "evaluated", "unknown"
_MANY = 4  # from so many measurements on, the range is that of their middle half
_LEAST_STEPS = 20  # of a training that says how long a step takes: the first steps of a process are far slower


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


class Measured(NamedTuple):
    """An earlier training, and how long the samples of its dataset are in comparison."""

    run: TrainingRun
    basis: str
    length: float


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


def earlier_trainings(
    workspace: Workspace,
    old: ModelVersion,
    new: ModelVersion,
    dataset: Dataset,
    config: CompatConfig,
    split: str,
) -> list[Measured]:
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
            found.append(Measured(run, basis, 1.0))
            continue
        other = others[run.dataset_id]
        if other is None:
            continue
        for one, its in ((dataset, split), (other, run.split)):
            if (one.id, its) not in lengths:
                lengths[one.id, its] = _mean_length(workspace, one, its)
        own, its_length = lengths[dataset.id, split], lengths[other.id, run.split]
        if own and its_length:
            found.append(Measured(run, OTHER_DATASET, own / its_length))
    return found


def is_kept(
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
