"""A workspace's tables by Alembic: made in an empty database, checked at every opening, changed by a command."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError

from muscle_core.errors import StoreError
from muscle_core.paths import reason
from muscle_core.store.database import place_of, refusal

_LOCK = 774411  # any number; all workbenches use the same
_RESTORE = "If it is damaged, restore a backup or name another workspace in MUSCLE_HOME."
_SCRIPTS = Path(__file__).parent / "migrations"


class Migration(NamedTuple):
    """What a migration did: revision before and after, and the copy that was made of a SQLite database before."""

    before: str | None
    after: str | None
    copy: Path | None


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))  # an INI file's sign for references
    return config


@lru_cache(maxsize=1)
def head_revision() -> str | None:
    """Revision of the tables that this code works with."""
    return ScriptDirectory.from_config(_config()).get_current_head()


def current_revision(connection: sa.Connection) -> str | None:
    """Revision of a database, or None for an empty one."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    return connection.scalar(sa.text("SELECT version_num FROM alembic_version"))


def prepare(engine: sa.Engine) -> None:
    """Make the tables in an empty database; refuse one whose tables are others than this code's.

    Raises:
        StoreError: the tables are older (they are changed by a command only) or newer, or the database is damaged.
        DatabaseRefused: it cannot be written although it would have to be.
    """
    with _refusals(engine):
        with engine.connect() as connection:
            revision = current_revision(connection)
        if revision is None:
            _upgrade(engine)
        else:
            check_revision(engine, revision)


def check_revision(engine: sa.Engine, revision: str | None) -> None:
    """Refuse tables that this code does not work with.

    Raises:
        StoreError: they are missing, older or newer.
    """
    head, where = head_revision(), f"the workspace database {place_of(engine)}"
    if revision == head:
        return
    if revision is None:
        raise StoreError(f"{where} holds no tables of the workbench.")
    if _is_known(revision):
        raise StoreError(
            f"{where} has the tables of revision {revision}, this workbench works with revision {head}. Stop the app "
            "and its workers, then run: python -m muscle_core workspace migrate"
        )
    raise StoreError(
        f"{where} was written by a newer version of the workbench: its tables have revision {revision}, which is not "
        f"known here (the newest is {head}). Update the workbench, or name another workspace in MUSCLE_HOME."
    )


def migrate(engine: sa.Engine, file: Path | None = None) -> Migration:
    """Bring older tables to this code's in one transaction.

    Args:
        engine: the database.
        file: of a SQLite database, which is copied before.

    Raises:
        StoreError: the tables are newer, or the copy or the change failed; then nothing is changed.
    """
    with _refusals(engine, "changing its tables failed", "Nothing was changed."):
        with engine.connect() as connection:
            before = current_revision(connection)
        if before == head_revision():
            return Migration(before, before, None)
        if before is not None and not _is_known(before):
            check_revision(engine, before)
        copy = None if file is None else _save_copy(file, before)
        _upgrade(engine)
    return Migration(before, head_revision(), copy)


def _save_copy(file: Path, revision: str | None) -> Path:
    """Copy a SQLite database beside itself, whole even while others write it."""
    copy = file.with_name(f"{file.name}.revision-{revision}-{datetime.now(UTC):%Y%m%d-%H%M%S-%f}")
    partial = copy.with_name(copy.name + ".partial")
    try:
        source, target = sqlite3.connect(file), sqlite3.connect(partial)
        try:
            source.backup(target)
        finally:
            source.close()
            target.close()
        partial.replace(copy)
    except (sqlite3.Error, OSError) as error:
        partial.unlink(missing_ok=True)
        raise StoreError(
            f"the database {file} cannot be copied to {copy} before its tables are changed: {reason(error)}. Nothing "
            "was changed; make room beside it and try again."
        ) from error
    return copy


def _upgrade(engine: sa.Engine) -> None:
    is_sqlite = engine.dialect.name == "sqlite"
    with engine.connect() as connection:
        if is_sqlite:
            # SQLite changes a table by making it anew and dropping the old one, to which others refer.
            _check_references(connection, False)
        try:
            with connection.execution_options(write=True).begin():
                if engine.dialect.name == "postgresql":
                    connection.execute(sa.text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
                # Asked again under the lock: another process may have migrated in between.
                if current_revision(connection) == head_revision():
                    return
                config = _config()
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
                if is_sqlite and (broken := connection.exec_driver_sql("PRAGMA foreign_key_check").first()):
                    raise StoreError(
                        f"the tables of {place_of(engine)} cannot be changed: a row of {broken[0]} refers to a row of "
                        f"{broken[2]} that is not there. Nothing was changed."
                    )
        finally:
            if is_sqlite:
                _check_references(connection, True)


def _check_references(connection: sa.Connection, on: bool) -> None:
    driver = connection.connection.driver_connection  # SQLite ignores this inside a transaction
    assert driver is not None
    driver.execute(f"PRAGMA foreign_keys={'ON' if on else 'OFF'}")


def _is_known(revision: str) -> bool:
    try:
        return ScriptDirectory.from_config(_config()).get_revision(revision) is not None
    except CommandError:
        return False


@contextmanager
def _refusals(engine: sa.Engine, problem: str = "it cannot be opened", advice: str = _RESTORE) -> Iterator[None]:
    try:
        yield
    except sa.exc.DatabaseError as error:
        raise refusal(error, engine) or StoreError(
            f"the workspace database {place_of(engine)}: {problem}: {error.orig}. {advice}"
        ) from error
