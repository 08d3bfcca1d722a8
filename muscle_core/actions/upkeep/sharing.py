"""Bring what a workspace folder holds to the place that several machines share, where MUSCLE_ARTIFACTS is new."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import sqlalchemy as sa

from muscle_core.errors import ConfigError
from muscle_core.store import Dataset, EvaluationRun, ModelVersion, TrainingRun, Workspace, publish_job_files


class Shared(NamedTuple):
    """What sharing a workspace did.

    Attributes:
        published: artefacts of this machine that are in the shared place now, or were before.
        missing: paths that rows refer to, but that are neither here nor there.
    """

    published: int
    missing: list[str]


def share_workspace(
    workspace: Workspace, *, report: Callable[[str, int, int], None] = lambda stage, done, total: None
) -> Shared:
    """Publish every artefact of this machine that a row refers to, and the kept answers; safe to repeat.

    Raises:
        ConfigError: MUSCLE_ARTIFACTS is not set.
        StoreError: the shared place fails; what was published stays there.
    """
    artifacts = workspace.artifacts
    if artifacts is None:
        raise ConfigError("there is no shared place: set MUSCLE_ARTIFACTS, for example to s3://bucket/folder.")
    with workspace.reading() as session:
        paths = [*session.scalars(sa.select(Dataset.path)), *session.scalars(sa.select(EvaluationRun.path))]
        adapters = session.scalars(sa.select(ModelVersion.adapter).where(ModelVersion.adapter.is_not(None)))
        paths += [path for path in adapters if path is not None and not Path(path).is_absolute()]
        trainings = list(session.scalars(sa.select(TrainingRun.id)))
    published, missing = 0, []
    for number, path in enumerate(paths):
        report("sharing artefacts", number, len(paths))
        if workspace.path(path).exists():
            artifacts.publish(path, workspace.path(path))
            published += 1
        elif artifacts.content_of(path) is None:
            missing.append(path)
    for training in trainings:
        publish_job_files(workspace, training)
    for folder in sorted(workspace.path("answers").glob("*/")):
        artifacts.share(f"answers/{folder.name}", folder)
    report("sharing artefacts", len(paths), len(paths))
    return Shared(published, missing)
