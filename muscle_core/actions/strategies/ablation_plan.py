"""What an ablation consists of: strategies with seeds, and what there is of each already."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeVar

import sqlalchemy as sa

from muscle_core.actions.background.submit import check_validation, compat_works
from muscle_core.actions.library.datasets import check_limit
from muscle_core.actions.training.train import check_compat, check_held_out
from muscle_core.actions.updates.compare import TrainedVariant, trained_variants
from muscle_core.compat.config import STRATEGIES, CompatConfig
from muscle_core.errors import ConfigError, MuscleError, raise_all
from muscle_core.jobs import ACTIVE, Work
from muscle_core.jobs.queue import idempotency_key
from muscle_core.store import Dataset, Job, ModelVersion, TrainingRun, Workspace, get_dataset, get_version
from muscle_core.store.tables import JobNeed

_T = TypeVar("_T")


@dataclass(frozen=True)
class AblationRequest:
    """What to train and compare.

    Attributes:
        old: name of the old model version.
        new: name of the new model version.
        dataset: name of the dataset.
        config: options of all trainings; its strategy and seed are replaced.
        strategies: keys of `muscle_core.compat.config.STRATEGIES`.
        seeds: seeds that each strategy is trained with.
        train_split: split to train on.
        test_split: split to evaluate the results on.
        limit: only the first samples of the training split.
    """

    old: str
    new: str
    dataset: str
    config: CompatConfig
    strategies: Sequence[str]
    seeds: Sequence[int]
    train_split: str = "train"
    test_split: str = "test"
    limit: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """JSON form, for a job."""
        lists = {"strategies": list(self.strategies), "seeds": list(self.seeds)}
        return {**vars(self), **lists, "config": self.config.as_dict()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> AblationRequest:
        """Back from the JSON form."""
        return cls(**{**values, "config": CompatConfig.from_dict(values["config"])})


class Cell(NamedTuple):
    """One strategy with one seed of an ablation.

    Attributes:
        config: its options.
        variant: the newest training with these very options, evaluated rather than not; None where there is none.
        evaluated: whether that one was evaluated on all of the test split.
        training: the newest background job of this training, whatever became of it.
        evaluation: the job that evaluates its result.
    """

    config: CompatConfig
    variant: TrainedVariant | None
    evaluated: bool
    training: Job | None
    evaluation: Job | None

    @property
    def label(self) -> str:
        """Strategy and seed."""
        return f"{self.config.strategy}, seed {self.config.seed}"

    @property
    def job(self) -> Job | None:
        """The job to look at: the evaluation once the training has succeeded, else the training."""
        is_trained = self.training is not None and self.training.state == "succeeded"
        return self.evaluation if is_trained and self.evaluation is not None else self.training

    @property
    def under_way(self) -> bool:
        """Whether a background job is queued for it or works on it."""
        return self.job is not None and self.job.state in ACTIVE

    @property
    def is_missing(self) -> bool:
        """Whether something is left to be queued for it."""
        return not self.evaluated and not self.under_way


class Ablation(NamedTuple):
    """What an ablation consists of, checked and looked up in the workspace; by seed, then strategy."""

    old: ModelVersion
    new: ModelVersion
    dataset: Dataset
    train_split: str
    test_split: str
    limit: int | None
    cells: list[Cell]

    def works(self, config: CompatConfig) -> tuple[Work, Work]:
        """A training of it and its evaluation as jobs."""
        return compat_works(
            self.old.name,
            self.new.name,
            self.dataset.name,
            config,
            train_split=self.train_split,
            test_split=self.test_split,
            limit=self.limit,
        )

    @property
    def variants(self) -> list[TrainedVariant]:
        """What is trained and evaluated."""
        return [cell.variant for cell in self.cells if cell.evaluated and cell.variant is not None]


def plan_ablation(workspace: Workspace, request: AblationRequest) -> Ablation:
    """Check an ablation and look up what there is of it already.

    A training counts as the same where versions, dataset, split, row limit and all options are the same.

    Raises:
        StoreError, ModelError, ConfigError, DataError: something cannot be used; all problems at once.
    """
    config, train_split, test_split, limit = request.config, request.train_split, request.test_split, request.limit
    errors: list[MuscleError] = []

    def checked(check: Callable[[], _T]) -> _T | None:
        try:
            return check()
        except MuscleError as error:
            errors.append(error)
            return None

    configs = checked(lambda: _configs(config, request.strategies, request.seeds))
    old, new = (checked(lambda name=name: get_version(workspace, name)) for name in (request.old, request.new))  # type: ignore[misc]
    dataset = checked(lambda: get_dataset(workspace, request.dataset))
    checked(lambda: check_limit(limit))
    if old and new and dataset:
        checked(lambda: check_compat(workspace, old.name, new.name, dataset.name, config))
    if dataset:
        checked(lambda: check_held_out(dataset, train_split, test_split))
        checked(lambda: check_validation(dataset, config, train_split, test_split))
    if len(errors) == 1:
        raise errors[0]
    raise_all(map(str, errors), ConfigError, "this ablation cannot start")
    assert old is not None  # for mypy: whatever is missing is among the errors
    assert new is not None
    assert dataset is not None
    assert configs is not None
    if limit is not None and limit >= dataset.splits[train_split]:
        limit = None
    plan = Ablation(old, new, dataset, train_split, test_split, limit, [])
    variants = trained_variants(workspace, old, new, dataset, test_split)
    jobs = _newest_jobs(workspace, [_key(plan, one) for one in configs])
    for one in configs:
        same = [variant for variant in variants if _is_same(variant.training, plan, one)]
        evaluated = [variant for variant in same if _is_evaluated(variant)]
        found = evaluated or same
        training, evaluation = jobs.get(_key(plan, one), (None, None))
        plan.cells.append(Cell(one, found[-1] if found else None, bool(evaluated), training, evaluation))
    return plan


def estimated_seconds(workspace: Workspace, plan: Ablation) -> tuple[float, int] | None:
    """How long the steps of the missing trainings take, roughly, and how many measured trainings say so.

    The measure is the median time a sample of the trainings of this pair on this dataset, of the same strategy where
    there are any. Asking the teachers and evaluating come on top. None where nothing was measured or is missing.
    """
    measured: dict[str | None, list[float]] = {}
    for variant in trained_variants(workspace, plan.old, plan.new, plan.dataset, plan.test_split):
        training, seconds = variant.training, variant.training.summary.get("seconds", 0.0)
        if training.kind != "compat" or not seconds:
            continue
        samples = training.summary["steps"] * training.options["batch_size"]
        measured.setdefault(training.strategy, []).append(
            seconds / (samples * training.options.get("gradient_accumulation", 1))
        )
    everything = [value for values in measured.values() for value in values]
    missing = [cell.config for cell in plan.cells if cell.is_missing and cell.variant is None]
    if not everything or not missing:
        return None
    total = sum(
        statistics.median(measured.get(one.strategy) or everything)
        * one.steps
        * one.batch_size
        * one.gradient_accumulation
        for one in missing
    )
    return total, len(everything)


def _configs(config: CompatConfig, strategies: Sequence[str], seeds: Sequence[int]) -> list[CompatConfig]:
    """Options of every cell, by seed and then strategy, so that a table with one seed is complete first."""
    problems = [
        f"unknown strategy {name!r}; known: {', '.join(STRATEGIES)}" for name in strategies if name not in STRATEGIES
    ]
    problems += [] if strategies else ["name at least one strategy"]
    problems += [] if seeds else ["name at least one seed"]
    for seed in dict.fromkeys(seeds):
        try:
            replace(config, seed=seed)
        except ConfigError as error:
            problems.append(str(error))
    raise_all(problems, ConfigError, "this ablation cannot start")
    return [
        replace(config, strategy=name, seed=seed) for seed in dict.fromkeys(seeds) for name in dict.fromkeys(strategies)
    ]


def _key(plan: Ablation, config: CompatConfig) -> str:
    work = plan.works(config)[0]
    return idempotency_key(work.kind, work.payload)


def _newest_jobs(workspace: Workspace, keys: list[str]) -> dict[str, tuple[Job, Job | None]]:
    """By key the newest training, and the newest job that evaluates its result."""
    trainings = sa.select(Job).where(Job.idempotency_key.in_(keys)).order_by(Job.created_at)
    with workspace.reading() as session:
        found = {str(job.idempotency_key): job for job in session.scalars(trainings)}
        evaluations = (
            sa.select(JobNeed.needed_id, Job)
            .join(Job, Job.id == JobNeed.job_id)
            .where(Job.kind == "evaluate", JobNeed.needed_id.in_([job.id for job in found.values()]))
            .order_by(Job.created_at)
        )
        after: dict[str, Job] = {row.needed_id: row.Job for row in session.execute(evaluations)}
    return {key: (job, after.get(job.id)) for key, job in found.items()}


def _is_same(training: TrainingRun, plan: Ablation, config: CompatConfig) -> bool:
    """Whether a training of the pair on the dataset is that of a cell; options unknown at its time had defaults."""
    if training.kind != "compat" or training.split != plan.train_split:
        return False
    try:
        options = CompatConfig.from_dict(training.options)
    except ConfigError:  # an option that there is no more
        return False
    rows = training.made_by.get("row_limit")
    if rows is not None and rows >= plan.dataset.splits[plan.train_split]:
        rows = None
    return options == config and rows == plan.limit


def _is_evaluated(variant: TrainedVariant) -> bool:
    return variant.run is not None and variant.run.row_limit is None
