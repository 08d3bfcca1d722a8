"""What a training has made becomes a model version with its training run, once, whatever was killed meanwhile."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from muscle_core.actions.library.models import build_version, free_name
from muscle_core.actions.training.checkpoints import forget_checkpoints
from muscle_core.compat.config import CompatConfig, TaskConfig
from muscle_core.errors import Cancelled, StoreError
from muscle_core.models.spec import ModelSpec
from muscle_core.store import (
    METRICS,
    ArtifactsUnreachable,
    Dataset,
    ModelVersion,
    TrainingRun,
    Workspace,
    made_by,
    publish_job_files,
    stored_path,
)
from muscle_core.store.tables import new_id


def already_made(workspace: Workspace, run_id: str | None) -> ModelVersion | None:
    """What a run has made already; a job may have been stopped after its training.

    A kill between the adapter and its record leaves an adapter that nothing refers to; it is removed.
    """
    if run_id is None:
        return None
    with workspace.reading() as session:
        training = session.get(TrainingRun, run_id)
        if training is not None:
            return session.get(ModelVersion, training.result_version_id)
    for ending in ("????????", "????????.partial"):  # see new_adapter
        for left in workspace.path("adapters").glob(f"{run_id}-{ending}"):
            shutil.rmtree(left, ignore_errors=True)
    return None


def new_adapter(workspace: Workspace, run_id: str) -> Path:
    """Where a run puts its adapter; another machine that is still at the same run puts its own elsewhere."""
    return workspace.path(f"adapters/{run_id}-{new_id()[:8]}")


def keep_trained(
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

    Args:
        workspace: where the version goes.
        result: of `fit_task_adapter` or `fit_compat_adapter`.
        run_id: id of the training run, and of its job.
        name: wanted for the version.
        base: that the adapter lies on.
        role: of the version.
        parent_id: id of the version that it follows.
        dataset: that it was trained on.
        split: that it was trained on.
        kind: "task" or "compat".
        config: options.
        old: old version of a compatibility training.
        new: new version of a compatibility training.
        limit: it saw only the first samples.
        validation_split: split that early stopping looked at.

    Raises:
        Cancelled: the training was stopped.
        StoreError: the adapter cannot be shared; it is kept on this machine.
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
        if isinstance(error, sa.exc.IntegrityError) and (twin := already_made(workspace, run_id)) is not None:
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
