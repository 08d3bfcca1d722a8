"""Look objects up by name and list them, with messages that name what there is."""

from __future__ import annotations

import difflib
import platform
import re
from collections.abc import Sequence
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from muscle_core import __version__
from muscle_core.errors import ConfigError, ModelError, StoreError
from muscle_core.models.spec import ModelSpec
from muscle_core.store.tables import ENSEMBLE, Dataset, EvaluationRun, ModelVersion, TrainingRun
from muscle_core.store.workspace import Workspace

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
_PACKAGES = ("torch", "transformers", "peft", "tokenizers", "rouge-score", "numpy", "pyarrow")


def check_name(name: str, what: str) -> str:
    """Refuse names that would be awkward in URLs, files or commands.

    Raises:
        ConfigError: naming the rule.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"{what} name {name!r} is not usable: use 1 to 200 letters, digits, '.', '_' or '-', beginning with a "
            "letter or digit."
        )
    return name


@lru_cache(maxsize=1)
def _library_versions() -> tuple[tuple[str, str], ...]:
    found = []
    for package in _PACKAGES:
        try:
            found.append((package, version(package)))
        except PackageNotFoundError:
            continue
    return tuple(found)


def made_by(**facts: Any) -> dict[str, Any]:
    """Record of what made an artefact: versions, machine, and the given facts."""
    return {
        "muscle_core": __version__,
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        "libraries": dict(_library_versions()),
        **facts,
    }


def _missing(what: str, name: str, known: Sequence[str]) -> StoreError:
    close = difflib.get_close_matches(name, known, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    listed = ", ".join(known[:20]) + (f" and {len(known) - 20} more" if len(known) > 20 else "")
    return StoreError(f"no {what} named {name!r} in the workspace.{hint} Known: {listed or 'none yet'}.")


def get_version(workspace: Workspace, name: str) -> ModelVersion:
    """Model version by name.

    Raises:
        StoreError: there is none; the message names the nearest.
    """
    with workspace.reading() as session:
        found = session.scalar(sa.select(ModelVersion).where(ModelVersion.name == name))
        if found is None:
            names = list(session.scalars(sa.select(ModelVersion.name).order_by(ModelVersion.name)))
            raise _missing("model version", name, names)
        return found


def stored_path(workspace: Workspace, path: str | Path) -> str:
    """How an absolute path is stored: relative where it lies in the workspace, so that the workspace can be moved."""
    absolute = Path(path)
    return absolute.relative_to(workspace.home).as_posix() if absolute.is_relative_to(workspace.home) else str(path)


def require_weights(version: ModelVersion) -> str:
    """The base of a version that can be run.

    Raises:
        ModelError: only its outputs are known, or it stands for two versions together.
    """
    if version.role == ENSEMBLE and version.base is None:
        raise ModelError(
            f"{version.name!r} stands for two versions asked together and has no weights of its own; it can be "
            "compared, but not run or trained. Name its two versions: python -m muscle_core ensemble OLD NEW."
        )
    if version.base is None:
        raise ModelError(
            f"{version.name!r} has imported outputs only, no weights; it can be compared, but not run or trained."
        )
    return version.base


def spec_of(workspace: Workspace, version: ModelVersion) -> ModelSpec:
    """What to load for a version that has weights; the adapter's path is absolute.

    Raises:
        ModelError: only outputs of the version are known.
        StoreError: its adapter would lie outside the workspace, or cannot be fetched from the shared place.
    """
    base = require_weights(version)
    adapter = version.adapter
    if adapter is not None and not Path(adapter).is_absolute():
        adapter = str(workspace.local(adapter))
    return ModelSpec(base=base, revision=version.revision, adapter=adapter)


def get_dataset(workspace: Workspace, name: str) -> Dataset:
    """Dataset by name.

    Raises:
        StoreError: there is none; the message names the nearest.
    """
    with workspace.reading() as session:
        found = session.scalar(sa.select(Dataset).where(Dataset.name == name))
        if found is None:
            names = list(session.scalars(sa.select(Dataset.name).order_by(Dataset.name)))
            raise _missing("dataset", name, names)
        return found


def check_split(dataset: Dataset, split: str) -> None:
    """Refuse a split the dataset does not have.

    Raises:
        StoreError: naming its splits and their sizes.
    """
    if split not in dataset.splits:
        known = ", ".join(f"{name} ({rows:,} rows)" for name, rows in dataset.splits.items())
        raise StoreError(f"dataset {dataset.name!r} has no split {split!r}; it has {known}.")


def list_versions(workspace: Workspace) -> list[ModelVersion]:
    """All model versions, oldest first."""
    with workspace.reading() as session:
        return list(session.scalars(sa.select(ModelVersion).order_by(ModelVersion.created_at, ModelVersion.name)))


def list_datasets(workspace: Workspace) -> list[Dataset]:
    """All datasets, oldest first."""
    with workspace.reading() as session:
        return list(session.scalars(sa.select(Dataset).order_by(Dataset.created_at, Dataset.name)))


def list_runs(workspace: Workspace, dataset_id: str | None = None) -> list[EvaluationRun]:
    """All evaluation runs, newest first, of one dataset or all."""
    query = sa.select(EvaluationRun).order_by(EvaluationRun.created_at.desc())
    if dataset_id is not None:
        query = query.where(EvaluationRun.dataset_id == dataset_id)
    with workspace.reading() as session:
        return list(session.scalars(query))


def list_training_runs(workspace: Workspace) -> list[TrainingRun]:
    """All training runs, newest first."""
    with workspace.reading() as session:
        return list(session.scalars(sa.select(TrainingRun).order_by(TrainingRun.created_at.desc())))


def runs_of(workspace: Workspace, version: ModelVersion, dataset: Dataset, split: str) -> list[EvaluationRun]:
    """All runs of a version on a split: full runs before limited ones, then the newest first."""
    query = (
        sa.select(EvaluationRun)
        .where(
            EvaluationRun.version_id == version.id,
            EvaluationRun.dataset_id == dataset.id,
            EvaluationRun.split == split,
        )
        .order_by(EvaluationRun.rows.desc(), EvaluationRun.created_at.desc())
    )
    with workspace.reading() as session:
        return list(session.scalars(query))
