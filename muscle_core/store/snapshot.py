"""A workspace as it is at one moment: its rows as a SQLite file, and the files that belong to them.

Rows are read first, in one transaction. Files appear whole before a row refers to them and never change afterwards, so
what the rows refer to can be read while workers go on; only housekeeping deletes, and it waits.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple
from uuid import uuid4

import sqlalchemy as sa

from muscle_core.errors import StoreError
from muscle_core.paths import reason
from muscle_core.store.copying import Counts, copy_database, copy_rows, receiving, snapshot
from muscle_core.store.database import DATABASE_FILE, engine_of, sqlite_url
from muscle_core.store.disk import (
    OWNED,
    TEACHERS,
    files_below,
    inside_path,
    is_referred,
    is_unfinished,
    keeping_files,
    referred_paths,
)
from muscle_core.store.migrate import migrate
from muscle_core.store.tables import Job, ModelVersion, now
from muscle_core.store.workspace import Workspace

_RECORD = "muscle.json"  # the last file of a checkpoint: one without it is not used


class Snapshot(NamedTuple):
    """What a copy of a workspace consists of.

    Attributes:
        counts: rows of each table.
        files: paths of the artefacts, relative to the workspace.
        missing: paths that rows refer to but where nothing lies; it was so before.
    """

    counts: Counts
    files: list[str]
    missing: list[str]


def take_snapshot(workspace: Workspace, database: Path, *, teachers: bool = False) -> Snapshot:
    """Write the rows of a workspace into a new SQLite file, and list the files that belong to them.

    Args:
        workspace: the workspace.
        database: file to make.
        teachers: list the teacher stores too, which trainings can fill again.

    Raises:
        StoreError: the file cannot be written.
    """
    home, engine = workspace.home, engine_of(sqlite_url(database))
    try:
        counts = copy_database(workspace.engine, engine)
        with engine.connect() as connection:
            referred = referred_paths(connection, home)
    finally:
        engine.dispose()
    for path in sorted(referred):  # what only other machines have had so far
        workspace.local(path)
    missing = sorted(path for path in referred if not (home / path).exists())
    return Snapshot(counts, list(_artefacts(home, referred, teachers)), missing)


def _artefacts(home: Path, referred: set[str], teachers: bool) -> Iterator[str]:
    for folder in sorted(place for place in home.iterdir() if place.is_dir()):
        if folder.name == TEACHERS and not teachers:
            continue
        for entry in sorted(folder.iterdir()):
            if not is_referred(f"{folder.name}/{entry.name}", referred) and (
                folder.name in OWNED or is_unfinished(entry.name)
            ):
                continue
            below = [file.relative_to(entry) for file in files_below(entry)]
            whole = [path for path in below if not any(map(is_unfinished, path.parts))]
            for path in sorted(whole, key=lambda path: (path.parent, path.name == _RECORD, path.name)):
                yield (entry / path).relative_to(home).as_posix()


def open_files(home: Path, files: list[str]) -> Iterator[tuple[str, IO[bytes]]]:
    """Open files one after another; those of a checkpoint that went meanwhile are left out, with its record."""
    cut: set[str] = set()  # folders of which a file has gone
    for path in files:
        folder, _, name = path.rpartition("/")
        if name == _RECORD and folder in cut:
            continue
        try:
            stream = (home / path).open("rb")
        except FileNotFoundError:
            cut.add(folder)
            continue
        with stream:
            yield path, stream


def copy_workspace(workspace: Workspace, target: Path) -> Snapshot:
    """Copy rows and artefacts into another folder, which then is a workspace with a SQLite database.

    Args:
        workspace: what to copy; where its rows lie in PostgreSQL and `target` is its own folder, only they are copied.
        target: a folder that is empty or not there.

    Raises:
        StoreError: the folder holds something, or cannot be written; nothing appears there.
    """
    if target == workspace.home:
        engine = engine_of(sqlite_url(target / DATABASE_FILE))
        try:
            return Snapshot(copy_database(workspace.engine, engine), [], [])
        finally:
            engine.dispose()
    with new_home(target) as partial, keeping_files(workspace):
        taken = take_snapshot(workspace, partial / DATABASE_FILE)
        for path, stream in open_files(workspace.home, taken.files):
            place = partial / path
            place.parent.mkdir(parents=True, exist_ok=True)
            with place.open("wb") as out:
                shutil.copyfileobj(stream, out)
        settle(partial / DATABASE_FILE, workspace.home, target)
        appear(partial, target)
    return taken


@contextlib.contextmanager
def new_home(target: Path) -> Iterator[Path]:
    """A folder beside `target` in which a workspace is put together; whatever is left of it goes at the end.

    Raises:
        StoreError: the target holds something, or the system refuses; nothing appears there.
    """
    partial = target.with_name(f".{target.name}.{uuid4().hex}.partial")
    try:
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise StoreError(f"{target} is not empty; nothing was written. Name a folder that is empty or not there.")
        partial.mkdir(parents=True)
        yield partial
    except OSError as error:
        raise StoreError(
            f"the workspace {target} cannot be written: {reason(error)}. Nothing was put there; make room, or name "
            "another folder."
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def settle(database: Path, old_home: Path, home: Path) -> None:
    """Make the rows of a snapshot those of a workspace in another folder, where no worker is at work.

    Args:
        database: SQLite file of the snapshot; older tables are brought to this code's.
        old_home: folder of the workspace that the snapshot is of.
        home: folder in which it will lie.

    Raises:
        StoreError: the tables are newer than this code's, or the file cannot be written.
    """
    engine = engine_of(sqlite_url(database))
    try:
        migrate(engine)
        with engine.connect().execution_options(write=True) as connection, connection.begin():
            connection.execute(
                sa.update(Job)
                .where(Job.state.in_(("running", "cancelling")))
                .values(
                    state="lost",
                    finished_at=now(),
                    error="this job was running when the copy of the workspace was made; resume it or submit it again.",
                )
            )
            for version_id, base in connection.execute(sa.select(ModelVersion.id, ModelVersion.base)).all():
                inside = inside_path(base, old_home) if base and Path(base).is_absolute() else None
                if inside is not None:
                    moved = str(home / inside)
                    connection.execute(sa.update(ModelVersion).where(ModelVersion.id == version_id).values(base=moved))
    finally:
        engine.dispose()


def appear(partial: Path, home: Path, url: str | None = None) -> None:
    """Give a workspace that was put together its name.

    Args:
        partial: a folder of `new_home`.
        home: the name.
        url: empty database that takes the rows instead of the SQLite file.

    Raises:
        StoreError: the database holds rows or refuses them; nothing appears.
    """
    if url is None:
        partial.rename(home)
        return
    source, target = engine_of(sqlite_url(partial / DATABASE_FILE)), engine_of(url)
    try:
        with receiving(target) as connection:
            with snapshot(source) as rows:
                copy_rows(rows, connection)
            source.dispose()
            for file in partial.glob(f"{DATABASE_FILE}*"):
                file.unlink()
            partial.rename(home)
    except BaseException:
        if not partial.exists():
            shutil.rmtree(home, ignore_errors=True)
        raise
    finally:
        source.dispose()
        target.dispose()
