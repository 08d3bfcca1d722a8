"""The examination: every line says how it is, a broken workspace is reported, and nothing is made."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa
from furnished import TRAINING, add_job, age, furnish, write

from muscle_core.actions.upkeep.doctor import OK, PROBLEM, WARNING, Finding, examine
from muscle_core.jobs import list_jobs
from muscle_core.store import Job, Workspace


@pytest.fixture(autouse=True)
def _room_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    from muscle_core.actions.upkeep import doctor

    monkeypatch.setattr(doctor, "_LOW_BYTES", 0)  # the disk of the machine that runs the tests is not the question
    monkeypatch.setattr(doctor, "_VERY_LOW_BYTES", 0)


def lines(home: Path | None = None) -> dict[str, Finding]:
    return {finding.what: finding for finding in examine(home)}


def test_a_workspace_in_order_is_ok_in_every_line(workspace: Workspace, tmp_path: Path) -> None:
    furnish(workspace, tmp_path)
    found = lines()
    assert {what: f.found for what, f in found.items() if f.level != OK and what != "chromium"} == {}
    assert found.keys() >= {"python", "torch", "gpu", "workspace", "disk", "database", "worker", "jobs", "files"}
    assert found["jobs"].found == "1 succeeded"


def test_nothing_is_made_where_nothing_is(tmp_path: Path) -> None:
    found = lines(tmp_path / "nothing")
    assert found["workspace"].level == WARNING
    assert found["database"].found.startswith("none yet")
    assert list(tmp_path.iterdir()) == []


def test_what_needs_attention_is_a_warning_with_advice(workspace: Workspace, tmp_path: Path) -> None:
    furnish(workspace, tmp_path)
    add_job(workspace, "e" * 32, "queued")
    add_job(workspace, "f" * 32, "running")
    write(workspace.home / "predictions" / "gone" / "part-00000.parquet", "left")
    age(workspace.home)
    (workspace.home / "adapters" / TRAINING / "adapter_model.safetensors").unlink()
    (workspace.home / "adapters" / TRAINING).rmdir()
    found = lines()
    assert "1 jobs wait" in found["worker"].found
    assert "1 without a sign of life" in found["jobs"].found
    assert "predictions" not in found["files"].found
    assert f"adapters/{TRAINING}" in found["files"].found
    assert "1 files and folders that nothing needs" in found["clean-up"].found
    for what in ("worker", "jobs", "files", "clean-up"):
        assert (found[what].level, bool(found[what].advice)) == (WARNING, True)
    assert len(list_jobs(workspace)) == 3


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"this is not a database" * 200, "cannot be opened"), (None, "python -m muscle_core workspace migrate|newer")],
)
def test_a_broken_database_is_a_problem(workspace: Workspace, content: bytes | None, words: str) -> None:
    if content is None:
        with workspace.engine.begin() as connection:
            connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    workspace.close()
    if content is not None:
        (workspace.home / "muscle.db").write_bytes(content)
    found = lines()["database"]
    assert found.level == PROBLEM
    assert any(word in found.found for word in words.split("|"))


def test_damage_inside_of_the_database_is_found(workspace: Workspace, tmp_path: Path) -> None:
    furnish(workspace, tmp_path)
    with workspace.writing() as session:
        session.execute(sa.update(Job).values(error="x" * 400_000))
    workspace.close()
    file = workspace.home / "muscle.db"
    content = bytearray(file.read_bytes())
    middle = content.rindex(b"x" * 4000)
    content[middle - 20_000 : middle] = bytes(20_000)
    file.write_bytes(bytes(content))
    assert lines()["database"].level == PROBLEM


def test_a_file_in_the_place_of_the_folder_and_an_unusable_path_are_problems(tmp_path: Path) -> None:
    assert lines(write(tmp_path / "file", "x"))["workspace"].level == PROBLEM
    assert lines(Path("~nobody-of-that-name/w"))["workspace"].level == PROBLEM


@pytest.mark.postgres
def test_postgresql_is_reached_or_a_problem_and_left_as_it_is(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "workspace").mkdir()
    monkeypatch.setenv("MUSCLE_DATABASE_URL", postgres_url)
    assert lines()["database"].found.startswith("none yet")
    engine = sa.create_engine(postgres_url)
    assert sa.inspect(engine).get_table_names() == []
    engine.dispose()
    Workspace.open().close()
    assert "postgresql, tables of revision" in lines()["database"].found
    monkeypatch.setenv("MUSCLE_DATABASE_URL", "postgresql+psycopg://muscle:secret@127.0.0.1:1/none")
    found = lines()["database"]
    assert found.level == PROBLEM
    assert "secret" not in found.found
