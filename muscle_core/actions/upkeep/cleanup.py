"""Clean-up: files and folders of the workspace that nothing refers to any more, and teacher stores long unused."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import sqlalchemy as sa

from muscle_core.actions.imports.uploads import needed_uploads
from muscle_core.jobs import FINAL
from muscle_core.store import Dataset, Job, ModelVersion, TrainingRun, Workspace
from muscle_core.store.answers import asked_of
from muscle_core.store.disk import (
    OWNED,
    TEACHERS,
    UPLOADS,
    is_referred,
    keeping_files,
    last_change,
    last_use,
    referred_paths,
    size_of,
)
from muscle_core.store.kept_tokens import TOKENS, is_of_none, whose_tokens

_HOUR, _DAY = 3600.0, 24 * 3600.0
YOUNG_SECONDS = _HOUR  # what was written since is left alone: a process may be at it
FOREGROUND_SECONDS = 7 * _DAY  # a training without a job may go on from its checkpoint
TEACHER_DAYS = 30.0


class Orphan(NamedTuple):
    """Something that may go.

    Attributes:
        path: file or folder, relative to the workspace.
        why: why it may go.
        size: its bytes.
    """

    path: str
    why: str
    size: int


def find_orphans(workspace: Workspace, *, teacher_days: float = TEACHER_DAYS) -> list[Orphan]:
    """What may go from the workspace's folder, the largest first; nothing is changed.

    Answers of versions that are there, answers that do not tell whose they are, and whatever was written within the
    last hour never count.

    Args:
        workspace: the workspace.
        teacher_days: teacher stores count that were not used for so many days; a training can fill them again.
    """
    home, now = workspace.home, time.time()
    # Files first, rows after: what gets its row in between is then found to be referred to.
    old = [place for place in _places(home) if now - last_change(place) > YOUNG_SECONDS]
    with workspace.reading() as session:
        referred = referred_paths(session.connection(), home) | needed_uploads(session)
        fingerprints = {version.fingerprint for version in session.scalars(sa.select(ModelVersion))}
        datasets = set(session.scalars(sa.select(Dataset.id)))
        jobs = dict(session.execute(sa.select(Job.id, Job.state)).all())
        trainings = set(session.scalars(sa.select(TrainingRun.id)))
    active = {job_id for job_id, state in jobs.items() if state not in FINAL}
    found = []
    for place in old:
        path = place.relative_to(home).as_posix()
        folder, name = path.split("/", 1)
        why = None
        if is_referred(path, referred):
            continue
        if folder == TEACHERS:
            if now - last_use(place) > teacher_days * _DAY:
                why = f"not used for {teacher_days:g} days; a training fills it again"
        elif name.endswith(".partial"):
            why = "left half-written"
        elif folder == "answers":
            asked = asked_of(place)
            if asked is not None and asked["version"] not in fingerprints:
                why = f"answers of {asked.get('name')!r}, which is no more"
        elif folder == TOKENS:
            if is_of_none(whose_tokens(place), fingerprints, datasets):
                why = "tokens of versions or a dataset that are no more"
        elif folder == "jobs":
            known = name in jobs or name in trainings
            if not known and now - last_change(place) > FOREGROUND_SECONDS:
                why = "of a job that is no more"
        elif name.partition("-")[0] not in active:  # an adapter is named after its run
            why = "the import that needed it is over" if folder == UPLOADS else "nothing refers to it"
        if why is not None:
            found.append(Orphan(path, why, size_of(place)[1]))
    found += _shared_orphans(workspace, referred, {orphan.path for orphan in found})
    return sorted(found, key=lambda orphan: -orphan.size)


def _shared_orphans(workspace: Workspace, referred: set[str], known: set[str]) -> Iterator[Orphan]:
    """What other machines may see and nothing refers to; it is published before its row, so a day has to pass."""
    for key, changed in workspace.artifacts.everything().items() if workspace.artifacts is not None else ():
        if not key.startswith((*OWNED, UPLOADS)) or is_referred(key, referred) or key in known:
            continue
        if time.time() - changed.timestamp() > _DAY:
            yield Orphan(key, "in the shared place, and nothing refers to it", 0)


def remove_orphans(workspace: Workspace, *, teacher_days: float = TEACHER_DAYS) -> list[Orphan]:
    """Remove what `find_orphans` finds.

    Returns:
        What was removed.

    Raises:
        StoreError: another process copies or deletes files.
    """
    with keeping_files(workspace):
        found = find_orphans(workspace, teacher_days=teacher_days)
        for orphan in found:
            workspace.discard(orphan.path)
    return [orphan for orphan in found if not (workspace.home / orphan.path).exists()]


def _places(home: Path) -> Iterator[Path]:
    """Every entry that belongs to one object, and what is half-written inside of folders of answers."""
    for folder in (*OWNED, "answers", "bases", "jobs", TEACHERS, TOKENS, UPLOADS):
        for entry in sorted((home / folder).glob("*")):
            if entry.name.endswith(".lock"):
                continue
            yield entry
            if folder in ("answers", TOKENS):
                yield from entry.glob("*.partial")
