"""Files that an import in the background needs and nobody else keeps: held in the workspace until it is over.

They lie under a name made of their content, so that the same upload twice is the same work. Whoever puts one there
holds a lock until the job that needs it is queued, and whoever removes those that no job needs holds it too.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from muscle_core.errors import DataError
from muscle_core.jobs import ACTIVE
from muscle_core.store import Job, Workspace
from muscle_core.store.disk import UPLOADS

JOB_KIND = "import"
FILES = ("file", "texts_file", "answers_file", "results")  # of a payload


@contextmanager
def holding_uploads(workspace: Workspace) -> Iterator[None]:
    """Keep other processes of this machine from removing uploads meanwhile."""
    with (workspace.home / f"{UPLOADS}.lock").open("a") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def keep_upload(workspace: Workspace, file: Path) -> str:
    """Copy a file into the workspace, whole or not at all; to be called while holding the uploads.

    Returns:
        Its path there, relative to the workspace.

    Raises:
        StoreError: the shared place fails.
    """
    with file.open("rb") as stream:
        content = hashlib.file_digest(stream, "sha256").hexdigest()
    path = f"{UPLOADS}/{content[:32]}/{file.name}"
    place = workspace.path(path)
    if not place.is_file():
        place.parent.mkdir(parents=True, exist_ok=True)
        partial = place.with_name(f"{place.name}.partial")
        try:
            shutil.copyfile(file, partial)
            partial.replace(place)
        finally:
            partial.unlink(missing_ok=True)
    workspace.publish(path)
    return path


def files_of(payload: dict[str, Any]) -> dict[str, str]:
    """The files that an import in the background reads, by what they are to it."""
    return {name: payload[name] for name in FILES if payload.get(name) is not None}


def require_files(workspace: Workspace, payload: dict[str, Any]) -> dict[str, Path]:
    """The files of an import's payload on this machine.

    Raises:
        DataError: one is no longer there.
        StoreError: the shared place fails.
    """
    found = {}
    for name, path in files_of(payload).items():
        found[name] = workspace.local(path) if payload["uploaded"] else Path(path)
        if not found[name].is_file():
            what = "the upload is removed when its import ends" if payload["uploaded"] else "it was moved or removed"
            raise DataError(f"the file {found[name].name} is no longer there: {what}. Import it again.")
    return found


def needed_uploads(session: Session) -> set[str]:
    """Folders of the uploads that jobs still need, relative to the workspace."""
    jobs = sa.select(Job.payload).where(Job.kind == JOB_KIND, Job.state.in_(ACTIVE))
    paths = [path for payload in session.scalars(jobs) if payload["uploaded"] for path in files_of(payload).values()]
    return {path.rpartition("/")[0] for path in paths}


def remove_ended_uploads(workspace: Workspace) -> list[str]:
    """Remove the uploads of imports that are over, however they ended; returns what was removed.

    Raises:
        StoreError: the database fails.
    """
    folder = workspace.path(UPLOADS)
    if workspace.read_only is not None or not folder.is_dir() or not any(folder.iterdir()):
        return []
    with holding_uploads(workspace):
        with workspace.reading() as session:
            needed = needed_uploads(session)
        gone = [path for entry in sorted(folder.iterdir()) if (path := f"{UPLOADS}/{entry.name}") not in needed]
        for path in gone:
            for file in workspace.path(path).glob("*"):  # by their names: they are shared one by one
                workspace.discard(f"{path}/{file.name}")
            workspace.discard(path)
    return gone
