"""Copies and backups of whole workspaces, between SQLite and PostgreSQL, while workers write; and what is refused."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import threading
from pathlib import Path

import pyarrow as pa
import pytest
import sqlalchemy as sa
from furnished import TRAINING, add_job, furnish, tree, write

from muscle_core.actions.updates.compare import compare_versions
from muscle_core.errors import StoreError
from muscle_core.jobs import Slots, leases, queue
from muscle_core.store import Job, ModelVersion, Workspace, backup, get_version
from muscle_core.store.backup import restore_backup, write_backup
from muscle_core.store.copying import _referred_first, copy_database
from muscle_core.store.database import engine_of, sqlite_url
from muscle_core.store.snapshot import copy_workspace
from muscle_core.store.tables import Table

LEFT_OUT = ("teachers/",)


def rows_of(engine: sa.Engine) -> dict[str, list]:
    with engine.connect() as connection:
        return {
            table.name: sorted(connection.execute(sa.select(table)).all(), key=repr)
            for table in Table.metadata.sorted_tables
        }


def figures(workspace: Workspace) -> dict:
    return compare_versions(workspace, "old", "new", "choice").to_dict()


@pytest.fixture
def full(furnished_workspace: Workspace) -> Workspace:
    return furnished_workspace


def reopened(monkeypatch: pytest.MonkeyPatch, home: Path, url: str = "") -> Workspace:
    monkeypatch.setenv("MUSCLE_DATABASE_URL", url)
    return Workspace.open(home)


@pytest.mark.postgres
def test_rows_go_from_sqlite_to_postgresql_and_back(
    workspace: Workspace, postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    furnish(workspace, tmp_path)
    add_job(workspace, "5" * 32, "queued", nothing=None, text="ä\n'")
    with workspace.writing() as session:
        queue.add_event(session, "5" * 32, "copied before")
    before, expected = rows_of(workspace.engine), figures(workspace)
    target = engine_of(postgres_url)
    counts = copy_database(workspace.engine, target)
    assert counts["model_versions"] == 3
    assert counts["evaluation_runs"] == 3
    assert rows_of(target) == before
    moved = reopened(monkeypatch, workspace.home, postgres_url)
    assert figures(moved) == expected
    job = leases.claim(moved, "w", "here", Slots())  # its event is numbered after the copied ones
    assert job.id == "5" * 32
    assert [event.what for event in queue.history(moved, job.id)] == ["copied before", "claimed"]
    copy_workspace(moved, tmp_path / "back")
    moved.close()
    target.dispose()
    back = reopened(monkeypatch, tmp_path / "back")
    assert figures(back) == expected
    assert get_version(back, "old").base == str(tmp_path / "back" / "bases" / "small")
    back.close()


@pytest.mark.postgres
def test_only_the_database_changes_where_the_folder_stays(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    workspace = reopened(monkeypatch, tmp_path / "w", postgres_url)
    furnish(workspace, tmp_path)
    files, expected = tree(workspace.home), figures(workspace)
    copy_workspace(workspace, workspace.home)
    with pytest.raises(StoreError, match="holds rows already"):
        copy_workspace(workspace, workspace.home)
    workspace.close()
    moved = reopened(monkeypatch, tmp_path / "w")
    assert moved.engine.dialect.name == "sqlite"
    assert tree(moved.home) == files
    assert figures(moved) == expected
    moved.close()


def test_a_copy_is_a_workspace_of_its_own(full: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected, files = figures(full), tree(full.home)
    add_job(full, "6" * 32, "running")
    taken = copy_workspace(full, tmp_path / "copy")
    assert taken.counts["jobs"] == 2
    copied = reopened(monkeypatch, tmp_path / "copy")
    assert figures(copied) == expected
    kept = {path: text for path, text in files.items() if not path.startswith(LEFT_OUT)}
    assert {path: text for path, text in tree(copied.home).items() if "6" * 32 not in path} == kept
    assert queue.get_job(copied, "6" * 32).state == "lost"
    assert queue.get_job(full, "6" * 32).state == "running"
    copied.close()


def test_a_target_that_holds_something_is_left_alone(workspace: Workspace, tmp_path: Path) -> None:
    furnish(workspace, tmp_path)
    other = Workspace.open(tmp_path / "other")
    with other.writing() as session:
        session.add(ModelVersion(name="here", role="imported"))
    with pytest.raises(StoreError, match=r"holds rows already \(model_versions 1\)"):
        copy_database(workspace.engine, other.engine)
    with pytest.raises(StoreError, match="not empty"):
        copy_workspace(workspace, other.home)
    with other.writing() as session:
        session.execute(sa.delete(ModelVersion))
        session.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match="newer version"):
        copy_database(workspace.engine, other.engine)
    other.close()
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.endswith(".partial")) == []


@pytest.mark.postgres
def test_a_row_that_the_target_refuses_leaves_it_empty(workspace: Workspace, postgres_url: str, tmp_path: Path) -> None:
    furnish(workspace, tmp_path)
    with workspace.writing() as session:
        session.execute(sa.update(Job).values(error="no \x00 in PostgreSQL"))
    target = engine_of(postgres_url)
    with pytest.raises(StoreError, match="does not take the rows"):
        copy_database(workspace.engine, target)
    assert not any(rows_of(target).values())
    target.dispose()


def test_rows_that_refer_to_each_other_are_put_in_order() -> None:
    rows = [{"id": str(n), "parent": str(n + 1) if n < 5 else None} for n in range(6)]
    assert [row["id"] for row in _referred_first(rows, [("parent", "id")])] == ["5", "4", "3", "2", "1", "0"]
    own = [{"id": "1", "parent": "1"}]
    assert _referred_first(own, [("parent", "id")]) == own


def test_a_restored_backup_gives_the_same_comparison(
    full: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, before = figures(full), tree(full.home)
    add_job(full, "7" * 32, "cancelling")
    write(full.home / "predictions" / "x.partial" / "part-00000.parquet", "half")
    write(full.home / "answers" / "of-old" / "x.partial", "half")
    made = write_backup(full, tmp_path / "w.tar.zst")
    assert made.missing == []
    assert not (tmp_path / "w.tar.zst.partial").exists()
    home = tmp_path / "elsewhere" / "restored"
    restored = restore_backup(made.file, home)
    assert restored == made
    again = reopened(monkeypatch, home)
    assert figures(again) == expected
    kept = {path: text for path, text in before.items() if not path.startswith(LEFT_OUT)}
    assert {path: text for path, text in tree(home).items() if "7" * 32 not in path} == kept
    lost = queue.get_job(again, "7" * 32)
    assert (lost.state, lost.finished_at is not None) == ("lost", True)
    assert "was running when the copy" in str(lost.error)
    assert get_version(again, "old").base == str(home / "bases" / "small")
    assert queue.resume(again, "7" * 32).state == "queued"
    again.close()
    assert [path.name for path in (tmp_path / "elsewhere").iterdir()] == ["restored"]


def test_teacher_stores_come_along_where_they_are_asked_for(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    furnish(workspace, tmp_path)
    monkeypatch.setattr(backup, "_AT_ONCE", 4)  # everything else as large files are
    write_backup(workspace, tmp_path / "w.tar.zst", teachers=True)
    restore_backup(tmp_path / "w.tar.zst", tmp_path / "restored")
    assert tree(tmp_path / "restored") == tree(workspace.home)


@pytest.mark.postgres
def test_a_backup_is_restored_into_postgresql(
    workspace: Workspace, postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    furnish(workspace, tmp_path)
    expected = figures(workspace)
    file = write_backup(workspace, tmp_path / "w.tar.zst").file
    restore_backup(file, tmp_path / "restored", postgres_url)
    with pytest.raises(StoreError, match="holds rows already"):
        restore_backup(file, tmp_path / "again", postgres_url)
    assert not (tmp_path / "again").exists()
    again = reopened(monkeypatch, tmp_path / "restored", postgres_url)
    assert figures(again) == expected
    assert not (again.home / "muscle.db").exists()
    again.close()


def test_a_backup_made_while_rows_and_files_are_written_is_whole(full: Workspace, tmp_path: Path) -> None:
    from muscle_core.actions.library.datasets import add_dataset_rows

    stop = threading.Event()
    failures: list[BaseException] = []

    def work() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            row = {"id": "a", "question": f"{number} ?", "choices": ["x", "y"], "answer": 0}
            try:
                add_dataset_rows(full, f"d{number}", "multiple_choice", {"test": [("r", row)]})
                with (full.home / "jobs" / TRAINING / "log.txt").open("a") as log:
                    log.write(f"line {number}\n" * 100)
            except BaseException as error:
                failures.append(error)
                return

    writer = threading.Thread(target=work)
    writer.start()
    try:
        made = [write_backup(full, tmp_path / f"{n}.tar.zst") for n in range(4)]
    finally:
        stop.set()
        writer.join()
    assert failures == []
    for n, one in enumerate(made):
        assert one.missing == []
        restore_backup(one.file, tmp_path / f"r{n}")
        engine = engine_of(sqlite_url(tmp_path / f"r{n}" / "muscle.db"))
        rows = rows_of(engine)["datasets"]
        engine.dispose()
        files = {f"datasets/{path.name}" for path in (tmp_path / f"r{n}" / "datasets").iterdir()}
        assert files == {row.path for row in rows}
        assert len(rows) == one.counts["datasets"]


def test_what_rows_refer_to_but_is_gone_is_told_and_does_not_keep_from_a_backup(
    workspace: Workspace, tmp_path: Path
) -> None:
    furnish(workspace, tmp_path)
    (workspace.home / "adapters" / TRAINING / "adapter_model.safetensors").unlink()
    (workspace.home / "adapters" / TRAINING).rmdir()
    made = write_backup(workspace, tmp_path / "w.tar.zst")
    assert made.missing == [f"adapters/{TRAINING}"]
    assert restore_backup(made.file, tmp_path / "r").missing == made.missing


def test_a_backup_overwrites_nothing_and_a_restore_neither(workspace: Workspace, tmp_path: Path) -> None:
    file = write(tmp_path / "w.tar.zst", "precious")
    with pytest.raises(StoreError, match="already a file"):
        write_backup(workspace, file)
    assert file.read_text() == "precious"
    with pytest.raises(StoreError, match="no folder"):
        write_backup(workspace, tmp_path / "nowhere" / "w.tar.zst")
    made = write_backup(workspace, tmp_path / "v.tar.zst")
    write(tmp_path / "full" / "x", "precious")
    for home in (tmp_path / "full", file, workspace.home):
        with pytest.raises(StoreError, match="not empty"):
            restore_backup(made.file, home)
    (tmp_path / "empty").mkdir()
    restore_backup(made.file, tmp_path / "empty")


def _packed(file: Path, members: list[tuple[str, bytes]], kinds: dict[str, bytes] | None = None) -> Path:
    with (
        file.open("wb") as raw,
        pa.CompressedOutputStream(raw, "zstd") as stream,
        tarfile.open(fileobj=stream, mode="w|") as archive,
    ):
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            if kinds and name in kinds:
                info.type, info.linkname, info.size = kinds[name], "/etc/passwd", 0
            archive.addfile(info, io.BytesIO(content))
    return file


def _members(file: Path) -> list[tuple[str, bytes]]:
    with (
        file.open("rb") as raw,
        pa.CompressedInputStream(raw, "zstd") as stream,
        tarfile.open(fileobj=stream, mode="r|") as archive,
    ):
        return [(member.name, archive.extractfile(member).read()) for member in archive]


def _manifested(members: list[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    """The members with a manifest that fits them."""
    manifest = json.loads(members[-1][1])
    manifest["files"] = {
        name: {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()} for name, content in members[1:-1]
    }
    return [*members[:-1], (members[-1][0], json.dumps(manifest).encode())]


@pytest.mark.parametrize(
    "name", ["../outside", "/tmp/muscle-outside", "jobs/../../outside", "./jobs/x", "jobs//x", "a\\..\\b", "muscle.db"]
)
def test_members_that_lead_outside_or_come_twice_are_refused(workspace: Workspace, tmp_path: Path, name: str) -> None:
    members = _members(write_backup(workspace, tmp_path / "w.tar.zst").file)
    bad = _packed(tmp_path / "bad.tar.zst", _manifested([*members[:2], (name, b"x"), members[-1]]))
    with pytest.raises(StoreError, match="holds the member"):
        restore_backup(bad, tmp_path / "deep" / "restored")
    assert not (tmp_path / "deep" / "restored").exists()
    assert not (tmp_path / "outside").exists()
    assert not (tmp_path / "deep" / "outside").exists()
    assert not Path("/tmp/muscle-outside").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE])
def test_members_that_are_no_files_are_refused(workspace: Workspace, tmp_path: Path, kind: bytes) -> None:
    members = _members(write_backup(workspace, tmp_path / "w.tar.zst").file)
    bad = _packed(tmp_path / "bad.tar.zst", [*members[:2], ("jobs/x", b""), members[-1]], {"jobs/x": kind})
    with pytest.raises(StoreError, match="holds the member 'jobs/x'"):
        restore_backup(bad, tmp_path / "restored")
    assert not (tmp_path / "restored").exists()


def test_damage_anywhere_is_found_before_anything_appears(workspace: Workspace, tmp_path: Path) -> None:
    furnish(workspace, tmp_path)
    made = write_backup(workspace, tmp_path / "w.tar.zst").file
    members = _members(made)
    content = made.read_bytes()
    changed = [(name, b"X" + text[1:]) if name.startswith("adapters/") else (name, text) for name, text in members]
    other_format = json.dumps({**json.loads(members[0][1]), "format": 2}).encode()
    cases = [
        ("adapters/", _packed(tmp_path / "1", changed)),
        ("not as its manifest", _packed(tmp_path / "2", [m for m in members if not m[0].startswith("datasets/")])),
        ("manifest is missing", _packed(tmp_path / "3", members[:-1])),
        ("begins with 'x'", _packed(tmp_path / "4", [("x", b"1"), *members[1:]])),
        ("has format 2", _packed(tmp_path / "5", [("backup.json", other_format), *members[1:]])),
        ("comes after its end", _packed(tmp_path / "6", [*members, ("jobs/late", b"1")])),
        ("cannot be read", _packed(tmp_path / "7", [("backup.json", b"[]"), *members[1:]])),
        ("cannot be read", write(tmp_path / "text", "no archive")),
    ]
    for length in (0, 10, len(content) // 2, len(content) - 3):
        cut = tmp_path / f"cut{length}"
        cut.write_bytes(content[:length])
        cases.append(("cannot be read|cut off", cut))
    for message, file in cases:
        with pytest.raises(StoreError, match=message):
            restore_backup(file, tmp_path / "restored")
        assert not (tmp_path / "restored").exists()
    with pytest.raises(StoreError, match="no backup"):
        restore_backup(tmp_path / "nothing", tmp_path / "restored")
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".partial")] == []


def test_a_backup_of_a_newer_version_is_refused_before_anything_appears(workspace: Workspace, tmp_path: Path) -> None:
    members = dict(_members(write_backup(workspace, tmp_path / "w.tar.zst").file))
    database = tmp_path / "newer.db"
    database.write_bytes(members["muscle.db"])
    engine = engine_of(sqlite_url(database))
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    members["muscle.db"] = database.read_bytes()
    file = _packed(tmp_path / "newer.tar.zst", _manifested(list(members.items())))
    with pytest.raises(StoreError, match="newer version"):
        restore_backup(file, tmp_path / "restored")
    assert not (tmp_path / "restored").exists()
