"""Bring a workspace's database to this version's tables by Alembic, or say why not."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError

from muscle_core.errors import StoreError

_LOCK = 774411  # any number; all workbenches use the same
_SCRIPTS = Path(__file__).parent / "migrations"


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))  # an INI file's sign for references
    return config


@lru_cache(maxsize=1)
def _head() -> str | None:
    return ScriptDirectory.from_config(_config()).get_current_head()


def current_revision(connection: sa.Connection) -> str | None:
    """Revision of a database, or None for an empty one."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    return connection.scalar(sa.text("SELECT version_num FROM alembic_version"))


def upgrade(engine: sa.Engine) -> None:
    """Run the missing migrations in one transaction.

    Raises:
        StoreError: the database cannot be opened, or was written by a newer version of the workbench.
    """
    where = engine.url.render_as_string(hide_password=True)
    try:
        with engine.connect() as connection:
            if current_revision(connection) == _head():
                return
        with engine.connect().execution_options(write=True) as connection, connection.begin():
            if engine.dialect.name == "postgresql":
                connection.execute(sa.text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
            # Asked again under the lock: another process may have migrated in between.
            if current_revision(connection) == _head():
                return
            config = _config()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except CommandError as error:
        raise StoreError(
            f"the workspace database {where} was written by a newer version of the workbench ({error}). Update the "
            "workbench, or name another workspace in MUSCLE_HOME."
        ) from error
    except sa.exc.DatabaseError as error:
        raise StoreError(
            f"the workspace database {where} cannot be opened: {error.orig}. If it is damaged, restore a backup or "
            "name another workspace in MUSCLE_HOME."
        ) from error
