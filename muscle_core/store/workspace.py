"""The workspace: a folder with a database and the artefacts it points to.

workspace/
  muscle.db            SQLite in WAL mode
  datasets/            Parquet, one file a dataset
  answers/             what models answered, kept by content: one folder for each way of asking a model
  predictions/         one folder of Parquet parts an evaluation run
  adapters/            PEFT folders
  tokens/              looks at the tokens of gold answers: one folder for two versions, a student and a dataset
  uploads/             files of imports that wait for a worker or run
  jobs/<id>/           log.txt and metrics.jsonl of background work

Where MUSCLE_ARTIFACTS names a shared place (artifacts.py), what is made here is published there, and what other
machines made is fetched from there when it is needed; the folder is then a cache. Without it, both do nothing.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.orm import Session, sessionmaker

from muscle_core.errors import StoreError
from muscle_core.paths import local_path, reason
from muscle_core.store.artifacts import Artifacts, ArtifactsUnreachable
from muscle_core.store.database import (
    DATABASE_FILE,
    DATABASE_VARIABLE,
    DatabaseRefused,
    damaged,
    engine_of,
    failure,
    reading_engine,
    sqlite_url,
)
from muscle_core.store.migrate import Migration, check_revision, current_revision, migrate, prepare

HOME_VARIABLE = "MUSCLE_HOME"
DEFAULT_HOME = "workspace"

_log = logging.getLogger(__name__)


class Workspace:
    """An open workspace. Cheap to open; safe to use from several processes at once.

    Attributes:
        home: its folder.
        engine: connections to its database.
        read_only: why nothing can be written to it; None where it can.
        artifacts: the place shared with other machines, if there is one.
    """

    def __init__(
        self, home: Path, engine: sa.Engine, read_only: str | None = None, *, artifacts: Artifacts | None = None
    ) -> None:
        self.home = home
        self.engine = engine
        self.read_only = read_only
        self.artifacts = artifacts
        self._sessions = sessionmaker(engine, expire_on_commit=False)

    @classmethod
    def open(cls, home: str | Path | None = None) -> Workspace:
        """Open a workspace, making it where there is none.

        One that cannot be written, because its disk is full or only to be read, is opened for reading.

        Args:
            home: its folder; by default `$MUSCLE_HOME`, else `./workspace`.

        Raises:
            StoreError: the folder cannot be made, its database is damaged or has the tables of another version, or a
                variable names something that cannot be used.
        """
        artifacts = Artifacts.from_environment()
        folder = home_folder(home)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"the workspace folder {folder} cannot be made: {reason(error)}. Name another folder in "
                f"{HOME_VARIABLE}, or correct its rights."
            ) from error
        url, file = database_url(), folder / DATABASE_FILE
        refused = None
        if not os.access(folder, os.W_OK):
            refused = f"the workspace folder {folder} cannot be written; check its owner, rights and how it is mounted."
        if refused is None or url is not None:
            try:
                return cls(folder, _prepared(engine_of(url or sqlite_url(file))), refused, artifacts=artifacts)
            except DatabaseRefused as error:
                if url is not None:
                    raise
                refused = str(error)
        if not file.is_file() or file.stat().st_size == 0:
            raise StoreError(refused)
        return cls(folder, _checked(reading_engine(file)), refused, artifacts=artifacts)

    @staticmethod
    def migrate(home: str | Path | None = None) -> Migration:
        """Bring the tables of a workspace's database to this version's; a SQLite database is copied before.

        Raises:
            StoreError: there is no database, it is newer, or it cannot be written; nothing is changed.
        """
        url, file = database_url(), home_folder(home) / DATABASE_FILE
        if url is None and not file.is_file():
            raise StoreError(f"there is no database {file}; a new workspace needs no migration.")
        engine = engine_of(url or sqlite_url(file))
        try:
            return migrate(engine, file if url is None else None)
        finally:
            engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session for reading; objects stay usable after it.

        Raises:
            DatabaseRefused: the disk fails.
            DatabaseAway: it does not answer.
            StoreError: it is damaged, or was replaced by another one.
        """
        with self._failures(), self._sessions() as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A session in one transaction: all is written, or nothing.

        Raises:
            DatabaseRefused: the database cannot be written: its disk is full, or it can only be read.
            DatabaseAway: it does not answer.
            StoreError: it is damaged, or was replaced by another one.
        """
        if self.read_only is not None:
            raise DatabaseRefused(self.read_only)
        with self._failures(), self._sessions.begin() as session:
            session.connection(execution_options={"write": True})
            yield session

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except sa.exc.DBAPIError as error:
            told = failure(error, self.engine)
            if told is None:
                raise
            raise told from error
        except json.JSONDecodeError as error:  # a column that holds JSON
            raise damaged(self.engine, f"a row cannot be read ({error})") from error

    def path(self, relative: str) -> Path:
        """Path of an artefact.

        Raises:
            StoreError: it would lie outside the workspace.
        """
        path = (self.home / relative).resolve()
        if not path.is_relative_to(self.home):
            raise StoreError(f"{relative!r} points outside the workspace {self.home}.")
        return path

    def local(self, relative: str) -> Path:
        """Path of an artefact to read; what another machine made is fetched first. It may still be missing.

        Raises:
            StoreError: it would lie outside the workspace, its shared copy is damaged, or the shared place fails.
        """
        path = self.path(relative)
        if self.artifacts is not None and not path.exists():
            self.artifacts.fetch(relative, path)
        return path

    def publish(self, relative: str) -> None:
        """Make a complete artefact visible to other machines; before the row that refers to it is written.

        Raises:
            StoreError: the shared place fails; nothing of it is visible there.
        """
        if self.artifacts is not None:
            self.artifacts.publish(relative, self.path(relative))

    def discard(self, relative: str) -> None:
        """Remove an artefact that nothing refers to, here and in the shared place; where that fails, it stays there."""
        path = self.path(relative)
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
        if self.artifacts is not None:
            try:
                self.artifacts.remove(relative)
            except ArtifactsUnreachable as error:
                _log.warning("%s is no longer needed, but stays in the shared place: %s", relative, error)

    def job_folder(self, job_id: str) -> Path:
        """Folder of a job's log and metrics; made on first use."""
        folder = self.path(f"jobs/{job_id}")
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def close(self) -> None:
        """Close all database connections."""
        self.engine.dispose()


def home_folder(home: str | Path | None = None) -> Path:
    """The workspace folder that is meant: the one named, else `$MUSCLE_HOME`, else `./workspace`.

    Raises:
        StoreError: it is no usable path.
    """
    return local_path(home or os.environ.get(HOME_VARIABLE) or DEFAULT_HOME, StoreError).resolve()


def database_url() -> str | None:
    """What MUSCLE_DATABASE_URL names; None where the database is the SQLite file in the workspace folder."""
    return os.environ.get(DATABASE_VARIABLE) or None


def _prepared(engine: sa.Engine) -> sa.Engine:
    """A database with this code's tables; made where it is empty."""
    try:
        prepare(engine)
    except BaseException:
        engine.dispose()
        raise
    return engine


def _checked(engine: sa.Engine) -> sa.Engine:
    """A database with this code's tables, which cannot be made."""
    try:
        with engine.connect() as connection:
            check_revision(engine, current_revision(connection))
    except BaseException:
        engine.dispose()
        raise
    return engine
