"""The workspace: migrations, transactions, refusals, and PostgreSQL beside SQLite."""

from __future__ import annotations

import threading
from datetime import datetime

import alembic.autogenerate
import alembic.runtime.migration
import pytest
import sqlalchemy as sa

from muscle_core.errors import ConfigError, StoreError
from muscle_core.store import Workspace, check_name, get_dataset, get_version
from muscle_core.store.tables import ModelVersion, Table


def _add(workspace: Workspace, name: str) -> None:
    with workspace.writing() as session:
        session.add(ModelVersion(name=name, role="imported"))


def test_migrations_make_exactly_the_tables_of_the_code(workspace: Workspace) -> None:
    with workspace.engine.connect() as connection:
        context = alembic.runtime.migration.MigrationContext.configure(connection)
        assert alembic.autogenerate.compare_metadata(context, Table.metadata) == []


def test_the_database_is_in_wal_mode_with_foreign_keys(workspace: Workspace) -> None:
    with workspace.engine.connect() as connection:
        assert connection.scalar(sa.text("PRAGMA journal_mode")) == "wal"
        assert connection.scalar(sa.text("PRAGMA foreign_keys")) == 1


def test_opening_again_keeps_what_is_there(workspace: Workspace) -> None:
    _add(workspace, "kept")
    assert get_version(Workspace.open(), "kept").role == "imported"


def test_eight_openings_at_once_make_one_database(tmp_path) -> None:
    failures: list[BaseException] = []

    def open_one() -> None:
        try:
            Workspace.open(tmp_path / "shared").close()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=open_one) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_failed_transaction_writes_nothing(workspace: Workspace) -> None:
    with pytest.raises(RuntimeError), workspace.writing() as session:
        session.add(ModelVersion(name="half", role="imported"))
        session.flush()
        raise RuntimeError
    with pytest.raises(StoreError):
        get_version(workspace, "half")


def test_times_come_back_in_utc(workspace: Workspace) -> None:
    _add(workspace, "timed")
    made = get_version(workspace, "timed").created_at
    assert made.utcoffset() is not None
    assert abs((datetime.now(made.tzinfo) - made).total_seconds()) < 60


def test_a_missing_name_is_refused_with_the_nearest(workspace: Workspace) -> None:
    _add(workspace, "llama-new")
    with pytest.raises(StoreError, match="Did you mean 'llama-new'"):
        get_version(workspace, "lama-new")
    with pytest.raises(StoreError, match="none yet"):
        get_dataset(workspace, "anything")


def test_a_damaged_database_is_refused(tmp_path) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "muscle.db").write_bytes(b"this is not a database" * 200)
    with pytest.raises(StoreError, match="cannot be opened"):
        Workspace.open(tmp_path / "broken")


def test_a_database_of_a_newer_version_is_refused(workspace: Workspace) -> None:
    with workspace.engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match="newer version"):
        Workspace.open(workspace.home)


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="cannot be made"):
        Workspace.open(tmp_path / "file")


def test_paths_stay_inside_the_workspace(workspace: Workspace) -> None:
    assert workspace.path("jobs/x").is_relative_to(workspace.home)
    with pytest.raises(StoreError, match="outside"):
        workspace.path("../elsewhere")


@pytest.mark.parametrize("name", ["", "a b", "-x", "../x", "a/b", "x" * 201, "ä"])
def test_unusable_names_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="not usable"):
        check_name(name, "dataset")


def test_a_useless_database_url_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setenv("MUSCLE_DATABASE_URL", "nonsense")
    with pytest.raises(StoreError, match="MUSCLE_DATABASE_URL"):
        Workspace.open(tmp_path / "w")


@pytest.mark.postgres
def test_postgresql_holds_the_same_tables(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUSCLE_DATABASE_URL", postgres_url)
    workspace = Workspace.open()
    assert workspace.engine.dialect.name == "postgresql"
    with workspace.engine.connect() as connection:
        context = alembic.runtime.migration.MigrationContext.configure(connection)
        assert alembic.autogenerate.compare_metadata(context, Table.metadata) == []
    _add(workspace, "in-postgres")
    assert get_version(workspace, "in-postgres").created_at.utcoffset() is not None
    workspace.close()


@pytest.mark.parametrize("name", ["what?mode=memory", "a%41b", "a#b", "a%b"])
def test_signs_of_urls_in_the_folders_name_do_not_lead_elsewhere(tmp_path, name) -> None:
    _add(Workspace.open(tmp_path / name), "here")
    assert (tmp_path / name / "muscle.db").is_file()
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert get_version(Workspace.open(tmp_path / name), "here").role == "imported"


def test_a_percent_sign_in_the_programs_own_path_is_fine(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    import shutil

    from muscle_core.store import migrate

    copy = shutil.copytree(migrate._SCRIPTS, tmp_path / "100%" / "migrations")
    monkeypatch.setattr(migrate, "_SCRIPTS", copy)
    Workspace.open(tmp_path / "w").close()
    assert migrate._config().get_main_option("script_location") == str(copy)


@pytest.mark.parametrize("home", ["~nobody-of-that-name/w", "/tmp/" + "x" * 300])
def test_a_folder_that_the_system_refuses_is_refused(home: str) -> None:
    with pytest.raises(StoreError, match="cannot be used"):
        Workspace.open(home)


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        ("DROP TABLE training_runs", "no such table"),
        ("UPDATE datasets SET splits = '{half'", "a row cannot be read"),
    ],
)
def test_a_damaged_database_is_told_in_words(filled: Workspace, damage: str, told: str) -> None:
    import sqlite3

    from muscle_core.store import list_datasets, list_training_runs

    with sqlite3.connect(filled.home / "muscle.db") as connection:
        connection.execute(damage)
    connection.close()
    with pytest.raises(StoreError, match=rf"muscle\.db is damaged, or was .*: {told}.*workspace restore"):
        list_training_runs(filled), list_datasets(filled)


def test_pages_of_a_database_that_were_overwritten_are_told_in_words(filled: Workspace) -> None:
    from muscle_core.store import list_datasets, list_versions

    filled.close()
    file = filled.home / "muscle.db"
    content = bytearray(file.read_bytes())
    content[4096 : 4096 * 12] = b"\x5a" * (4096 * 11)
    file.write_bytes(bytes(content))
    with pytest.raises(StoreError, match=r"damaged|cannot be opened"):
        list_versions(Workspace.open(filled.home)), list_datasets(filled)
