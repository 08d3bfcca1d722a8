"""Migrations by command: from every earlier revision with rows in it, refusals at opening, and the copy before."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import alembic.command
import pytest
import sqlalchemy as sa
from alembic.script import ScriptDirectory

from muscle_core.errors import StoreError
from muscle_core.store import Workspace, get_version, migrate
from muscle_core.store.database import engine_of, sqlite_url

SCRIPTS = ScriptDirectory.from_config(migrate._config())
REVISIONS = [script.revision for script in SCRIPTS.walk_revisions()][::-1]
TIME = "2026-01-02 03:04:05.000000"


def _value(column: dict, table: str) -> object:
    """Something that fits a column of any revision."""
    kind, name = column["type"], column["name"]
    if isinstance(kind, sa.JSON):
        return '{"kept": 1}'
    if isinstance(kind, (sa.Boolean, sa.Integer)):
        return False if isinstance(kind, sa.Boolean) else 7
    if isinstance(kind, sa.Float):
        return 0.5
    if isinstance(kind, (sa.DateTime, sa.TIMESTAMP)):
        return TIME
    return f"{table}-{name}"[: getattr(kind, "length", None) or 100]


def _fill(connection: sa.Connection) -> dict[str, dict]:
    """One row in every table, by raw SQL, its references pointing at the others' rows."""
    inspector, rows = sa.inspect(connection), {}
    for table, _ in inspector.get_sorted_table_and_fkc_names():
        if table in (None, "alembic_version"):
            continue
        row = {column["name"]: _value(column, table) for column in inspector.get_columns(table)}
        for key in inspector.get_foreign_keys(table):
            target = row if key["referred_table"] == table else rows[key["referred_table"]]
            row |= {
                own: target[other]
                for own, other in zip(key["constrained_columns"], key["referred_columns"], strict=True)
            }
        names = ", ".join(row)
        connection.execute(
            sa.text(f"INSERT INTO {table} ({names}) VALUES ({', '.join(f':{name}' for name in row)})"), row
        )
        rows[table] = row
    return rows


def _made_at(engine: sa.Engine, revision: str) -> dict[str, dict]:
    with engine.connect().execution_options(write=True) as connection, connection.begin():
        config = migrate._config()
        config.attributes["connection"] = connection
        alembic.command.upgrade(config, revision)
        return _fill(connection)


def _kept(engine: sa.Engine, rows: dict[str, dict]) -> None:
    with engine.connect() as connection:
        for table, row in rows.items():
            found = connection.execute(sa.text(f"SELECT * FROM {table}")).mappings().all()
            assert len(found) == 1, table
            for name, value in row.items():
                if name in found[0] and value != TIME:
                    now = found[0][name]
                    assert now in (value, {"kept": 1}) or now == int(value), (table, name)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_url")
        monkeypatch.setenv("MUSCLE_DATABASE_URL", url)
    else:
        (tmp_path / "workspace").mkdir()
        url = sqlite_url(tmp_path / "workspace" / "muscle.db")
    engine = engine_of(url)
    yield engine
    engine.dispose()


@pytest.mark.parametrize("revision", REVISIONS)
def test_rows_of_every_earlier_revision_survive(database: sa.Engine, revision: str) -> None:
    rows = _made_at(database, revision)
    assert rows.keys() >= {"model_versions", "datasets", "jobs"}
    if revision != REVISIONS[-1]:
        with pytest.raises(StoreError, match=rf"revision {revision}.*revision {REVISIONS[-1]}.*workspace migrate"):
            Workspace.open()
        _kept(database, rows)
    done = Workspace.migrate()
    assert (done.before, done.after) == (revision, REVISIONS[-1])
    assert (done.copy is not None) == (revision != REVISIONS[-1] and database.dialect.name == "sqlite")
    _kept(database, rows)
    workspace = Workspace.open()
    assert get_version(workspace, "model_versions-name").made_by == {"kept": 1}
    workspace.close()
    assert Workspace.migrate() == (REVISIONS[-1], REVISIONS[-1], None)


def _one_older_revision(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The code's migrations and one more, so that what they make today is an older revision."""
    import shutil

    scripts = shutil.copytree(migrate._SCRIPTS, tmp_path / "scripts")
    (scripts / "versions" / "9000_more.py").write_text(
        "import sqlalchemy as sa\nfrom alembic import op\n"
        f"revision, down_revision = '9000', '{REVISIONS[-1]}'\nbranch_labels = depends_on = None\n\n\n"
        "def upgrade():\n"
        "    op.add_column('jobs', sa.Column('extra', sa.Text(), server_default='x', nullable=False))\n"
        "    with op.batch_alter_table('model_versions') as batch:\n"
        "        batch.alter_column('notes', nullable=True)\n"
    )
    monkeypatch.setattr(migrate, "_SCRIPTS", scripts)
    migrate.head_revision.cache_clear()


@pytest.fixture
def newer_code(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Call it to give the code one more migration."""
    yield lambda: _one_older_revision(monkeypatch, tmp_path)
    monkeypatch.undo()
    migrate.head_revision.cache_clear()


def test_migrating_changes_tables_that_others_refer_to_and_keeps_a_copy(database: sa.Engine, newer_code) -> None:
    rows = _made_at(database, REVISIONS[-1])
    newer_code()
    with pytest.raises(StoreError, match=rf"revision {REVISIONS[-1]}.*revision 9000.*workspace migrate"):
        Workspace.open()
    done = Workspace.migrate()
    assert (done.before, done.after) == (REVISIONS[-1], "9000")
    _kept(database, rows)
    with database.connect() as connection:
        assert connection.scalar(sa.text("SELECT extra FROM jobs")) == "x"
        if database.dialect.name == "sqlite":
            assert connection.scalar(sa.text("PRAGMA foreign_keys")) == 1
    if database.dialect.name == "sqlite":
        assert done.copy is not None
        with sqlite3.connect(done.copy) as copy:
            assert copy.execute("SELECT version_num FROM alembic_version").fetchone() == (REVISIONS[-1],)
            assert copy.execute("SELECT count(*) FROM model_versions").fetchone() == (1,)


def test_a_failed_migration_changes_nothing(database: sa.Engine, newer_code) -> None:
    rows = _made_at(database, REVISIONS[-1])
    newer_code()
    script = migrate._SCRIPTS / "versions" / "9000_more.py"
    script.write_text(script.read_text() + "    op.execute('no such statement')\n")
    with pytest.raises(StoreError, match=r"(?s)changing its tables failed: .*Nothing was changed"):
        Workspace.migrate()
    _kept(database, rows)
    with database.connect() as connection:
        assert migrate.current_revision(connection) == REVISIONS[-1]
        assert "extra" not in {column["name"] for column in sa.inspect(connection).get_columns("jobs")}


def test_unknown_revisions_are_newer_ones_also_for_the_command(database: sa.Engine) -> None:
    rows = _made_at(database, REVISIONS[-1])
    with database.connect().execution_options(write=True) as connection, connection.begin():
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    for action in (Workspace.open, Workspace.migrate):
        with pytest.raises(StoreError, match="newer version"):
            action()
    _kept(database, rows)


def test_there_is_nothing_to_migrate_where_there_is_no_database(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no database"):
        Workspace.migrate(tmp_path / "nothing")
    assert not (tmp_path / "nothing").exists()
