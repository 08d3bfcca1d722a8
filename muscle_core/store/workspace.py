"""The workspace: a folder with a database and the artefacts it points to.

workspace/
  muscle.db            SQLite in WAL mode
  datasets/            Parquet, one file a dataset
  answers/             what models answered, kept by content: one folder for each way of asking a model
  predictions/         one folder of Parquet parts an evaluation run
  adapters/            PEFT folders
  jobs/<id>/           log.txt and metrics.jsonl of background work

Where MUSCLE_ARTIFACTS names a shared place (artifacts.py), what is made here is published there, and what other
machines made is fetched from there when it is needed; the folder is then a cache. Without it, both do nothing.
"""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session, sessionmaker

from muscle_core.errors import StoreError
from muscle_core.paths import local_path
from muscle_core.store.artifacts import Artifacts, ArtifactsUnreachable
from muscle_core.store.migrate import upgrade

HOME_VARIABLE = "MUSCLE_HOME"
DATABASE_VARIABLE = "MUSCLE_DATABASE_URL"
DEFAULT_HOME = "workspace"

_log = logging.getLogger(__name__)


class Workspace:
    """An open workspace. Cheap to open; safe to use from several processes at once."""

    def __init__(self, home: Path, engine: sa.Engine, *, artifacts: Artifacts | None = None) -> None:
        self.home = home
        self.engine = engine
        self.artifacts = artifacts  # the place shared with other machines, if there is one
        self._sessions = sessionmaker(engine, expire_on_commit=False)

    @classmethod
    def open(cls, home: str | Path | None = None) -> Workspace:
        """Open a workspace, making or migrating it where needed.

        Args:
            home: its folder; by default `$MUSCLE_HOME`, else `./workspace`.

        Raises:
            StoreError: the folder cannot be written, its database is damaged or from a newer version, or a variable
                names something that cannot be used.
        """
        artifacts = Artifacts.from_environment()
        folder = local_path(home or os.environ.get(HOME_VARIABLE) or DEFAULT_HOME, StoreError).resolve()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"the workspace folder {folder} cannot be made: {error.strerror}.") from error
        if not os.access(folder, os.W_OK):
            raise StoreError(f"the workspace folder {folder} cannot be written; check its owner and permissions.")
        engine = _engine(os.environ.get(DATABASE_VARIABLE) or _sqlite_url(folder / "muscle.db"))
        upgrade(engine)
        return cls(folder, engine, artifacts=artifacts)

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session for reading; objects stay usable after it."""
        with self._sessions() as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A session in one transaction: all is written, or nothing."""
        with self._sessions.begin() as session:
            session.connection(execution_options={"write": True})
            yield session

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


def _sqlite_url(file: Path) -> sa.URL:
    # Not as a text: "?" and "%41" in a folder's name would be read as parts of a URL.
    return sa.URL.create("sqlite", database=str(file))


def _engine(url: str | sa.URL) -> sa.Engine:
    try:
        if sa.make_url(url).get_backend_name() != "sqlite":
            return sa.create_engine(url, pool_pre_ping=True)
    except (sa.exc.ArgumentError, ImportError) as error:
        raise StoreError(
            f"{DATABASE_VARIABLE} cannot be used: {error}. Write it as postgresql+psycopg://user:password@host/name "
            "and install psycopg."
        ) from error
    engine = sa.create_engine(url, connect_args={"timeout": 30})
    sa.event.listen(engine, "connect", _configure_sqlite)
    sa.event.listen(engine, "begin", _begin_immediate)
    return engine


def _configure_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # SQLAlchemy's "begin" event decides how a transaction starts
    cursor = connection.cursor()
    _switch_to_wal(cursor)
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute("PRAGMA busy_timeout=30000")
    cursor.close()


def _switch_to_wal(cursor: sqlite3.Cursor) -> None:
    # SQLite does not wait here, whatever its timeout, while another process makes the same change.
    deadline = time.monotonic() + 30
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
        time.sleep(0.02)


def _begin_immediate(connection: sa.Connection) -> None:
    # A writer takes the lock at once: a transaction that upgrades from reading to writing can fail as "locked".
    write = connection.get_execution_options().get("write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
