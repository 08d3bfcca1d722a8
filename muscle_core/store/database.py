"""Connections to a workspace's database, SQLite or PostgreSQL; and what a database refuses, in words."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa

from muscle_core.errors import StoreError
from muscle_core.paths import is_full

DATABASE_VARIABLE = "MUSCLE_DATABASE_URL"
DATABASE_FILE = "muscle.db"


class DatabaseRefused(StoreError):
    """The database cannot be written: its disk is full, it can only be read, or the disk fails."""


class DatabaseAway(StoreError):
    """The database does not answer now: its server is away, or another process has kept it locked for long."""


_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_NO_TABLE = ("no such table", "no such column")  # SQLite has no number of its own for these
_NO_TABLE_STATES = ("42P01", "42703")  # PostgreSQL's for the same


def failure(error: sa.exc.DBAPIError, engine: sa.Engine) -> StoreError | None:
    """What to tell of an error of a database that was open already; None where the statement is to blame."""
    told = refusal(error, engine) or damage(error, engine)
    if told is not None:
        return told
    code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF
    waits = code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
    if waits or (engine.dialect.name != "sqlite" and isinstance(error, sa.exc.OperationalError)):
        return DatabaseAway(
            f"the workspace database {place_of(engine)} does not answer: {str(error.orig).splitlines()[0]}. Nothing "
            "was changed. Another process may keep it locked, or its server is away: look there, then try again."
        )
    return None


def refusal(error: sa.exc.DBAPIError, engine: sa.Engine) -> DatabaseRefused | None:
    """What to tell where the disk is the reason of an error; None for any other reason."""
    code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF  # the rest of the number tells details
    state = getattr(error.orig, "sqlstate", None)
    where = f"the workspace database {place_of(engine)}"
    failed = code in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN)
    # SQLite tells of a full disk by other names too, where it makes room for its log.
    full = failed and engine.url.database is not None and is_full(Path(engine.url.database).parent)
    if code == sqlite3.SQLITE_FULL or state == "53100" or full:
        return DatabaseRefused(
            f"{where} cannot be written: its disk is full. Nothing was changed. Make room (python -m muscle_core "
            "workspace gc lists what may go), then do it again."
        )
    if code == sqlite3.SQLITE_READONLY or state == "25006":
        return DatabaseRefused(
            f"{where} cannot be written: it can only be read here ({error.orig}). Check the rights of the file and how "
            "its disk is mounted."
        )
    if failed:
        return DatabaseRefused(
            f"{where} cannot be used: {error.orig}. Its disk is full, may not be written, or fails: look at its free "
            "space, its rights and the system's log."
        )
    return None


def damage(error: sa.exc.DBAPIError, engine: sa.Engine) -> StoreError | None:
    """What to tell where a database that was open is damaged, or lacks a table; None for any other reason."""
    code, state = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF, getattr(error.orig, "sqlstate", None)
    if code in _DAMAGED or state in _NO_TABLE_STATES or str(error.orig).startswith(_NO_TABLE):
        return damaged(engine, str(error.orig).splitlines()[0])
    return None


def damaged(engine: sa.Engine, why: str) -> StoreError:
    """What to tell of a database whose content cannot be read."""
    return StoreError(
        f"the workspace database {place_of(engine)} is damaged, or was replaced while it was in use: {why}. Restore a "
        "backup (python -m muscle_core workspace restore), or name another workspace in MUSCLE_HOME, and start the app "
        "again; python -m muscle_core doctor looks at the rest."
    )


def place_of(engine: sa.Engine) -> str:
    """Where a database is, for messages; without its password."""
    return engine.url.render_as_string(hide_password=True)


def sqlite_url(file: Path) -> sa.URL:
    """URL of a SQLite file."""
    # Not as a text: "?" and "%41" in a folder's name would be read as parts of a URL.
    return sa.URL.create("sqlite", database=str(file))


def engine_of(url: str | sa.URL, named_by: str = DATABASE_VARIABLE) -> sa.Engine:
    """Connections to a database.

    Args:
        url: of the database.
        named_by: what the user named it by, for the message.

    Raises:
        StoreError: the URL cannot be used.
    """
    try:
        if sa.make_url(url).get_backend_name() != "sqlite":
            return sa.create_engine(url, pool_pre_ping=True)
    except (sa.exc.ArgumentError, ImportError) as error:
        raise StoreError(
            f"{named_by} cannot be used: {error}. Write it as postgresql+psycopg://user:password@host/name "
            "and install psycopg (pip install -r requirements-postgres.txt)."
        ) from error
    engine = sa.create_engine(url, connect_args={"timeout": 30})
    sa.event.listen(engine, "connect", _configure_sqlite)
    sa.event.listen(engine, "begin", _begin_immediate)
    return engine


def reading_engine(file: Path) -> sa.Engine:
    """Connections that only read a SQLite file, where nothing can be written beside it.

    Raises:
        StoreError: there is none, or what its last writer left in its log cannot be read without writing.
    """
    log = file.with_name(file.name + "-wal")
    modes = ["mode=ro"]  # reads beside a writer on another mount; needs the files of its log
    if not log.exists() or log.stat().st_size == 0:
        modes.append("immutable=1")  # all is in the file itself, and nobody has it open for writing
    problem: Exception | None = None
    for mode in modes:
        engine = sa.create_engine(sqlite_url(file), creator=_connector(file, mode))
        sa.event.listen(engine, "begin", _begin_immediate)
        try:
            with engine.connect() as connection:
                connection.scalar(sa.text("SELECT count(*) FROM sqlite_master"))
            return engine
        except sa.exc.DatabaseError as error:
            engine.dispose()
            problem = error.orig
    raise StoreError(
        f"the workspace database {file} cannot be read without writing to its folder: {problem}. Its last writer did "
        "not close it: open it once where the folder can be written, or copy the folder to such a place."
    )


def _connector(file: Path, mode: str) -> Any:
    def connect() -> sqlite3.Connection:
        address = f"file:{quote(str(file))}?{mode}"
        return sqlite3.connect(address, uri=True, timeout=30, check_same_thread=False, isolation_level=None)

    return connect


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
