"""Train task and compatibility adapters; each run makes a new model version and records what made it."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from muscle_core.actions.evaluation.evaluate import EvaluationOptions, evaluate
from muscle_core.actions.evaluation.pairs import check_pair, unchanged_spec
from muscle_core.actions.library.datasets import load_samples
from muscle_core.actions.library.models import build_version, check_new_version, free_name
from muscle_core.actions.training.checkpoints import checkpoint_folder, forget_checkpoints, share_checkpoint, take_over
from muscle_core.actions.training.step_records import Report, recording
from muscle_core.compat.config import CompatConfig, TaskConfig
from muscle_core.errors import Cancelled, ConfigError, ModelError, StoreError
from muscle_core.models.spec import ModelSpec, check_paths
from muscle_core.paths import full_disk_told, local_path
from muscle_core.store import (
    METRICS,
    ArtifactsUnreachable,
    Dataset,
    ModelVersion,
    TrainingRun,
    Workspace,
    check_name,
    check_split,
    get_dataset,
    get_version,
    made_by,
    publish_job_files,
    read_predictions,
    stored_path,
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
    finished = _finished(workspace, run_id)
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
            _new_adapter(workspace, run),
            checkpoints=checkpoint_folder(workspace, run),
            checkpoint_saved=partial(share_checkpoint, workspace, run),
            report=recorded,
            should_stop=should_stop,
        )
    return _finish(
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
    finished = _finished(workspace, run_id)
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
            _new_adapter(workspace, run),
            stores=workspace.path(STORES),
            checkpoints=checkpoint_folder(workspace, run),
            checkpoint_saved=partial(share_checkpoint, workspace, run),
            validation=validation,
            report=recorded,
            report_teacher=lambda name, done, total: report_stage(f"asking the {name} version", done, total),
            should_stop=should_stop,
        )
    return _finish(
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


def _finished(workspace: Workspace, run_id: str | None) -> ModelVersion | None:
    """What a run has made already; a job may have been stopped after its training.

    A kill between the adapter and its record leaves an adapter that nothing refers to; it is removed.
    """
    if run_id is None:
        return None
    with workspace.reading() as session:
        training = session.get(TrainingRun, run_id)
        if training is not None:
            return session.get(ModelVersion, training.result_version_id)
    for ending in ("????????", "????????.partial"):  # see _new_adapter
        for left in workspace.path("adapters").glob(f"{run_id}-{ending}"):
            shutil.rmtree(left, ignore_errors=True)
    return None


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


def _new_adapter(workspace: Workspace, run_id: str) -> Path:
    """Where a run puts its adapter; another machine that is still at the same run puts its own elsewhere."""
    return workspace.path(f"adapters/{run_id}-{new_id()[:8]}")


def _finish(
    workspace: Workspace,
    result: Any,
    run_id: str,
    *,
    name: str,
    base: ModelSpec,
    role: str,
    parent_id: str | None,
    dataset: Dataset,
    split: str,
    kind: str,
    config: TaskConfig | CompatConfig,
    old: ModelVersion | None = None,
    new: ModelVersion | None = None,
    limit: int | None = None,
    validation_split: str | None = None,
) -> ModelVersion:
    """Add the trained adapter as a version with its training run; a stopped run leaves its checkpoint behind.

    The version gets a running number where its name was taken during the training.
    """
    if result.stopped:
        raise Cancelled(
            f"the training of {name!r} was stopped after {result.steps:,} steps; its checkpoint is kept, and resuming "
            "the job goes on from there."
        )
    compat = config if isinstance(config, CompatConfig) else None
    training = TrainingRun(
        id=run_id,
        kind=kind,
        strategy=compat.strategy if compat else None,
        initialisation=compat.initialisation if compat else None,
        seed=config.seed,
        options=config.as_dict(),
        dataset_id=dataset.id,
        split=split,
        old_version_id=old.id if old else None,
        new_version_id=new.id if new else None,
        job_id=run_id,
        metrics_path=f"jobs/{run_id}/{METRICS}",
        summary=result.summary(),
        made_by=made_by(
            dataset_fingerprint=dataset.fingerprint,
            old_fingerprint=old.fingerprint if old else None,
            new_fingerprint=new.fingerprint if new else None,
            row_limit=limit,
            validation_split=validation_split,
        ),
    )
    adapter = stored_path(workspace, result.adapter)
    try:
        version = build_version(
            workspace,
            free_name(workspace, name),
            replace(base, adapter=str(result.adapter)),
            role=role,
            parent_id=parent_id,
        )
        training.result_version_id = version.id
        workspace.publish(adapter)
        publish_job_files(workspace, run_id)
        _save_trained(workspace, version, training, name)
    except ArtifactsUnreachable as error:
        raise StoreError(
            f"{name!r} is trained, but cannot be shared with other machines: {error} Its adapter is kept in "
            f"{result.adapter}; to add it as a version, resume the job or train again: that goes on from the last "
            "checkpoint."
        ) from error
    except BaseException as error:
        workspace.discard(adapter)
        if isinstance(error, sa.exc.IntegrityError) and (twin := _finished(workspace, run_id)) is not None:
            return twin  # another machine, which took this one for dead, was faster
        raise
    forget_checkpoints(workspace, run_id)
    return version


def _save_trained(workspace: Workspace, version: ModelVersion, training: TrainingRun, wanted: str) -> None:
    """Add both in one transaction, under the next free name where another process took the version's meanwhile."""
    while True:
        try:
            with workspace.writing() as session:
                session.add(version)
                session.flush()  # the training run refers to it
                session.add(training)
            return
        except sa.exc.IntegrityError:
            free = free_name(workspace, wanted)
            if free == version.name:  # not the name was the problem
                raise
            version.name = free
