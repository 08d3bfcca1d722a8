"""Train task and compatibility adapters; each run makes a new model version and records what made it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from muscle_core.actions.evaluation.evaluate import EvaluationOptions, evaluate
from muscle_core.actions.evaluation.pairs import check_pair, unchanged_spec
from muscle_core.actions.library.datasets import load_samples
from muscle_core.actions.library.models import check_new_version
from muscle_core.actions.training.checkpoints import checkpoint_folder, share_checkpoint, take_over
from muscle_core.actions.training.step_records import Report, recording
from muscle_core.actions.training.trained import already_made, keep_trained, new_adapter
from muscle_core.compat.config import CompatConfig, TaskConfig
from muscle_core.errors import ConfigError, ModelError, StoreError
from muscle_core.models.spec import ModelSpec, check_paths
from muscle_core.paths import full_disk_told, local_path
from muscle_core.store import (
    Dataset,
    ModelVersion,
    Workspace,
    check_name,
    check_split,
    get_dataset,
    get_version,
    read_predictions,
)
from muscle_core.store.tables import new_id
from muscle_core.tasks import task_of

ShouldStop = Callable[[], bool]
Stage = Callable[[str, int, int], None]  # what is being done, how much of it, of how much
Fit = Callable[..., Any]  # called as `fit_compat_adapter`

VALIDATION_SPLIT = "validation"  # what early stopping looks at
STORES = "teachers"  # folder of the workspace with what teachers said, shared by all trainings


def train_task(
    workspace: Workspace,
    name: str,
    base: str,
    dataset_name: str,
    config: TaskConfig,
    *,
    split: str = "train",
    role: str = "new",
    parent: str | None = None,
    run_id: str | None = None,
    report: Report = lambda record: None,
    should_stop: ShouldStop = lambda: False,
) -> ModelVersion:
    """Train a task adapter on a base and add the result as a model version.

    Args:
        workspace: where the dataset is and the version goes.
        name: name of the new version.
        base: name of a model version in the workspace whose base is used, or a folder, .gguf file or hub id.
        dataset_name: dataset to train on.
        config: options.
        split: split to train on.
        role: role of the new version.
        parent: version it follows.
        run_id: id of the training run (a job's id); drawn by default. A training that was stopped or killed goes on
            from its last checkpoint when it is called again with the same id and options.
        report: called after every step.
        should_stop: asked after every step.

    Raises:
        StoreError, ConfigError, ModelError, DataError: the inputs cannot be used.
        JobError: loss or gradient is not finite.
        Cancelled: `should_stop` said so; the checkpoint is kept.
    """
    finished = already_made(workspace, run_id)
    if finished is not None:
        return finished
    dataset = get_dataset(workspace, dataset_name)
    samples = load_samples(workspace, dataset, split)
    parent_id = check_new_version(workspace, name, role, parent)
    spec = _base_to_train(workspace, base)
    from muscle_core.compat.fit import fit_task_adapter

    run = run_id or new_id()
    with full_disk_told(workspace.home):
        take_over(workspace, run)
    with full_disk_told(workspace.home), recording(workspace, run, report) as recorded:
        result = fit_task_adapter(
            spec,
            samples,
            dataset.template,
            config,
            new_adapter(workspace, run),
            checkpoints=checkpoint_folder(workspace, run),
            checkpoint_saved=partial(share_checkpoint, workspace, run),
            report=recorded,
            should_stop=should_stop,
        )
    return keep_trained(
        workspace,
        result,
        run,
        name=name,
        base=spec,
        role=role,
        parent_id=parent_id,
        dataset=dataset,
        split=split,
        kind="task",
        config=config,
    )


def train_compat(
    workspace: Workspace,
    old_name: str,
    new_name: str,
    dataset_name: str,
    config: CompatConfig,
    *,
    split: str = "train",
    name: str | None = None,
    limit: int | None = None,
    validation_split: str = VALIDATION_SPLIT,
    run_id: str | None = None,
    report: Report = lambda record: None,
    report_stage: Stage = lambda stage, done, total: None,
    should_stop: ShouldStop = lambda: False,
    fit: Fit | None = None,
) -> ModelVersion:
    """Train a compatibility adapter on the new version's base and add the result as a model version.

    Args:
        workspace: where versions and dataset are.
        old_name: old model version (teacher).
        new_name: new model version (teacher and base).
        dataset_name: dataset to train on.
        config: options.
        split: split to train on; must not be the one that is compared later.
        name: name of the new version; made from new version, strategy and seed by default.
        limit: only the first samples of the split.
        validation_split: split for early stopping, where `config.validation_every` asks for it.
        run_id: see `train_task`.
        report: called after every step.
        report_stage: called during what goes before the steps: asking the teachers, evaluating the validation split.
        should_stop: asked after every step.
        fit: does the training, such as a `RayTraining`; None for this process.

    Raises:
        StoreError, ConfigError, ModelError, DataError: the inputs cannot be used.
        JobError: loss or gradient is not finite.
        Cancelled: `should_stop` said so; the checkpoint is kept.
    """
    finished = already_made(workspace, run_id)
    if finished is not None:
        return finished
    old, new, dataset = check_compat(workspace, old_name, new_name, dataset_name, config)
    if name is not None:
        check_new_version(workspace, name, "compat", None)
    wanted = check_name(name or f"{new.name}-{config.strategy}-s{config.seed}", "model version")
    samples = load_samples(workspace, dataset, split, limit)
    old_spec, new_spec = unchanged_spec(workspace, old), unchanged_spec(workspace, new)
    validation = None
    if config.validation_every:
        if validation_split == split:
            raise ConfigError(f"early stopping needs another split than {split!r}, which is trained on.")
        validation = _validation(workspace, old, new, dataset, validation_split, report_stage, should_stop)
    from muscle_core.compat.fit import fit_compat_adapter

    run = run_id or new_id()
    with full_disk_told(workspace.home):
        take_over(workspace, run)
    with full_disk_told(workspace.home), recording(workspace, run, report) as recorded:
        result = (fit or fit_compat_adapter)(
            old_spec,
            new_spec,
            samples,
            dataset.template,
            config,
            new_adapter(workspace, run),
            stores=workspace.path(STORES),
            checkpoints=checkpoint_folder(workspace, run),
            checkpoint_saved=partial(share_checkpoint, workspace, run),
            validation=validation,
            report=recorded,
            report_teacher=lambda name, done, total: report_stage(f"asking the {name} version", done, total),
            should_stop=should_stop,
        )
    return keep_trained(
        workspace,
        result,
        run,
        name=wanted,
        base=new_spec,
        role="compat",
        parent_id=new.id,
        dataset=dataset,
        split=split,
        kind="compat",
        config=config,
        old=old,
        new=new,
        limit=limit,
        validation_split=validation_split if validation is not None else None,
    )


def check_compat(
    workspace: Workspace, old_name: str, new_name: str, dataset_name: str, config: CompatConfig
) -> tuple[ModelVersion, ModelVersion, Dataset]:
    """Everything about a compatibility training that can be checked without loading a model.

    Raises:
        StoreError: no such version or dataset.
        ModelError: a version without weights, one version twice, or different tokenizers.
    """
    old, new = check_pair(workspace, old_name, new_name)
    dataset = get_dataset(workspace, dataset_name)
    source = {"old": old, "new": new}.get(config.initialisation)
    if source is not None and source.adapter is None:
        raise ModelError(
            f"initialisation {config.initialisation!r} needs an adapter, but {source.name!r} is a plain base; "
            "choose initialisation 'scratch'."
        )
    return old, new, dataset


def check_held_out(dataset: Dataset, train_split: str, test_split: str) -> None:
    """Refuse to judge an adapter by the samples that it was trained on.

    Raises:
        StoreError: no such split.
        ConfigError: both are one split.
    """
    check_split(dataset, train_split)
    check_split(dataset, test_split)
    if train_split == test_split:
        raise ConfigError(
            f"split {train_split!r} of {dataset.name!r} is named for training and for the test; an adapter looks "
            "better than it is on the samples that it was trained on. Train on another split."
        )


def _base_to_train(workspace: Workspace, base: str) -> ModelSpec:
    """The plain base of a version of that name, else of a path or hub id."""
    known = None
    with contextlib.suppress(StoreError):
        known = get_version(workspace, base)
    if known is not None:
        return replace(unchanged_spec(workspace, known), adapter=None)
    path = local_path(base, ModelError)
    spec = ModelSpec(str(path.resolve()) if path.exists() else base)
    check_paths(spec)
    return spec


def _validation(
    workspace: Workspace,
    old: ModelVersion,
    new: ModelVersion,
    dataset: Dataset,
    split: str,
    report: Stage,
    should_stop: ShouldStop,
) -> Any:
    """What both versions reach on a split (a `Validation`); their answers are kept, and asked for once."""
    from muscle_core.compat.early_stopping import Validation, value_of

    samples = load_samples(workspace, dataset, split)
    values = []
    for version in (old, new):
        stage = f"evaluating {version.name} ({split})"
        run = evaluate(
            workspace,
            version.name,
            dataset.name,
            split=split,
            report=lambda done, total, stage=stage: report(stage, done, total),  # type: ignore[misc]
            should_stop=should_stop,
        )
        rows = read_predictions(workspace.local(run.path)).to_dict("records")
        values.append({row["sample_id"]: value_of(row) for row in rows})
    decoding = EvaluationOptions().decoding_of(dataset)
    return Validation(samples, task_of(dataset.task_kind), dataset.template, decoding, *values)
