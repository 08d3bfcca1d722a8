"""Full and read-only disks, real ones: every command says so and ends with 2, and earlier data stays readable."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from furnished import add_job, age, furnish, tree, write
from helpers import choice_rows

from muscle_core import cli
from muscle_core.actions.library.models import add_model_version
from muscle_core.errors import StoreError
from muscle_core.store import Job, ModelVersion, Workspace, get_version, list_versions
from muscle_core.store.database import DatabaseRefused

READING = [
    ("models", "list"),
    ("datasets", "list"),
    ("runs", "list"),
    ("jobs", "list"),
    ("jobs", "show", "aaaa"),
    ("compare", "old", "new", "-d", "choice", "--json"),
    ("delete", "version", "compat"),
    ("workspace", "disk"),
    ("workspace", "gc"),
]
FAST = ("--set", "steps=2", "--set", "batch_size=2", "--set", "warmup_steps=0", "--set", "lora_rank=2")


@pytest.fixture
def home(small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_bases: dict[str, Path]) -> Path:
    """A workspace with one of everything on a small disk, closed."""
    monkeypatch.setenv("MUSCLE_HOME", str(small_disk / "workspace"))
    workspace = Workspace.open()
    furnish(workspace, tmp_path)
    add_model_version(workspace, "runnable", str(tiny_bases["new"]))
    add_job(workspace, "b" * 32, "queued")
    workspace.close()
    return workspace.home


@pytest.fixture
def muscle(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Runs a command in this process; gives its exit code, output and messages."""
    opened: list[Workspace] = []
    really_open = Workspace.open

    def open_and_note(home: Path | None = None) -> Workspace:
        opened.append(really_open(home))
        return opened[-1]

    monkeypatch.setattr(Workspace, "open", open_and_note)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["muscle_core", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
            sys.exit(0)
        text = capsys.readouterr()
        while opened:
            opened.pop().close()  # as the end of a process does
        return int(ended.value.code or 0), text.out, text.err

    return run


def fill(folder: Path, spare: int = 0) -> Path:
    """Fill a file system but for some bytes."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as stream:
        try:
            while True:
                stream.write(bytes(4096))
        except OSError:
            stream.truncate(max(0, stream.tell() - spare))
    return filler


def read_only(folder: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)


def writing(tmp_path: Path, tiny: Path, disk: Path) -> list[tuple[str, ...]]:
    """Every command that would write."""
    rows = tmp_path / "rows.jsonl"
    noise = [{**row, "question": row["question"] + os.urandom(2000).hex()} for row in choice_rows(400)]
    rows.write_text("".join(json.dumps(row) + "\n" for row in noise))
    return [
        ("models", "add", "more", str(tiny)),
        ("models", "round", str(tiny), str(disk / "rounded")),
        ("datasets", "add", "more", f"test={rows}", "--task", "multiple_choice"),
        ("runs", "import", "other", str(tmp_path / "new.json"), "-d", "choice", "--prediction", "answer"),
        ("evaluate", "runnable", "-d", "choice"),
        ("evaluate", "runnable", "-d", "choice", "--background"),
        ("train", "task", "t", "runnable", "-d", "choice", *FAST),
        ("jobs", "cancel", "bbbb"),
        ("delete", "dataset", "unused", "--yes"),
        ("demo",),
        ("workspace", "migrate"),
        ("workspace", "backup", str(disk / "w.tar.zst")),
        ("workspace", "copy", "--to", str(disk / "copy")),
    ]


def test_on_a_full_disk_every_command_says_so_and_reading_goes_on(
    home: Path, small_disk: Path, muscle, tmp_path: Path, tiny_bases: dict[str, Path]
) -> None:
    before, expected = tree(home), [muscle(*command) for command in READING]
    filler = fill(small_disk)
    for command in writing(tmp_path, tiny_bases["old"], small_disk):
        code, _, err = muscle(*command)
        assert (code, err.splitlines()[-1][:7]) == (2, "error: "), (command, err)
        assert "full" in err or "No space left" in err, (command, err)
    assert muscle("doctor")[0] == 2
    for command, result in zip(READING, expected, strict=True):
        code, out, _ = muscle(*command)
        assert code == 0, command
        if command not in (("jobs", "list"), ("workspace", "disk")):
            assert out == result[1], command
    filler.unlink()
    after = tree(home)
    assert {path: after.get(path) for path in before} == before
    assert sorted(path.name for path in small_disk.iterdir()) == ["workspace"]
    assert [muscle(*command)[1] for command in READING[:3]] == [result[1] for result in expected[:3]]
    assert muscle("models", "add", "more", str(tiny_bases["old"]))[0] == 0


@pytest.mark.parametrize("spare", [45_056, 61_440, 81_920])  # the disk is full at one file of a training or another
def test_a_training_that_fills_the_disk_leaves_nothing_half(
    home: Path, small_disk: Path, muscle, spare: int, tiny_bases: dict[str, Path]
) -> None:
    before = tree(home)
    filler = fill(small_disk, spare)
    code, _, err = muscle("train", "task", "t", "runnable", "-d", "choice", *FAST, "--set", "checkpoint_every=1")
    assert code == 2
    assert "is full" in err
    filler.unlink()
    after = tree(home)
    assert {path: after.get(path) for path in before} == before
    assert muscle("models", "list")[1].count("\n") == 5
    assert muscle("train", "task", "t", "runnable", "-d", "choice", *FAST)[0] == 0


def test_a_transaction_that_fills_the_disk_writes_nothing(home: Path, small_disk: Path) -> None:
    workspace = Workspace.open()
    filler = fill(small_disk, 100_000)
    with pytest.raises(DatabaseRefused, match=r"disk is full.*workspace gc"), workspace.writing() as session:
        for n in range(50):
            session.add(Job(id=f"{n:032}", kind="x", title="x", payload={"text": "x" * 20_000}))
            session.flush()
    names = [version.name for version in list_versions(workspace)]
    assert names == ["old", "new", "compat", "runnable"]
    filler.unlink()
    with workspace.writing() as session:
        session.add(ModelVersion(name="after", role="imported"))
    workspace.close()
    again = Workspace.open()
    assert [version.name for version in list_versions(again)] == [*names, "after"]
    again.close()


def test_clean_up_makes_room_on_a_disk_that_takes_not_one_file_more(home: Path, small_disk: Path, muscle) -> None:
    age(write(home / "predictions" / "gone" / "part-00000.parquet", "left" * 10_000).parent)
    fill(small_disk)
    used = os.statvfs(small_disk)
    inodes = used.f_files - used.f_ffree
    subprocess.run(["mount", "-o", f"remount,nr_inodes={inodes}", str(small_disk)], check=True)
    with pytest.raises(OSError, match="No space left"):
        (small_disk / "one-more").touch()
    code, out, _ = muscle("workspace", "gc", "--yes")
    assert (code, out.count("39.1 KiB removed")) == (0, 1)
    assert not (home / "predictions" / "gone").exists()


def test_on_a_read_only_disk_every_command_says_so_and_reading_goes_on(
    home: Path, small_disk: Path, muscle, tmp_path: Path, tiny_bases: dict[str, Path]
) -> None:
    before, expected = tree(home), [muscle(*command) for command in READING]
    read_only(small_disk)
    for command in (*writing(tmp_path, tiny_bases["old"], small_disk), ("worker", "--once")):
        code, _, err = muscle(*command)
        assert (code, err.splitlines()[-1][:7]) == (2, "error: "), (command, err)
    code, out, _ = muscle("doctor")
    assert code == 2
    assert "cannot be written" in out
    for command, result in zip(READING, expected, strict=True):
        code, out, _ = muscle(*command)
        assert code == 0, command
        if command not in (("jobs", "list"), ("workspace", "disk")):  # which tell ages and sizes
            assert out == result[1], command
    assert muscle("workspace", "backup", str(tmp_path / "w.tar.zst"))[0] == 0  # from such a disk, to another
    assert tree(home) == before


def test_a_new_workspace_is_refused_on_a_full_and_on_a_read_only_disk(small_disk: Path) -> None:
    filler = fill(small_disk)
    with pytest.raises(StoreError, match="full"):
        Workspace.open(small_disk / "new")
    filler.unlink()
    Workspace.open(small_disk / "new").close()  # what was begun is no hindrance
    read_only(small_disk)
    with pytest.raises(StoreError, match="Read-only"):
        Workspace.open(small_disk / "other")


def test_a_read_only_mount_shows_what_a_writer_elsewhere_writes(home: Path, tmp_path: Path) -> None:
    writer = Workspace.open()
    with writer.writing() as session:
        session.add(ModelVersion(name="first", role="imported"))
    shown = tmp_path / "shown"
    shown.mkdir()
    subprocess.run(["mount", "--bind", str(home), str(shown)], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", str(shown)], check=True)
        reader = Workspace.open(shown)
        assert reader.read_only is not None
        assert get_version(reader, "first").role == "imported"
        with writer.writing() as session:
            session.add(ModelVersion(name="second", role="imported"))
        assert get_version(reader, "second").role == "imported"
        with pytest.raises(DatabaseRefused, match="how it is mounted"), reader.writing():
            pass
        reader.close()
    finally:
        subprocess.run(["umount", "-l", str(shown)], check=True)
        writer.close()


def test_what_a_killed_writer_left_cannot_be_read_without_writing_and_is_refused(
    home: Path, small_disk: Path, muscle
) -> None:
    writer = Workspace.open()
    with writer.writing() as session:
        session.add(ModelVersion(name="unfinished", role="imported"))
    killed = small_disk / "killed"
    killed.mkdir()
    for name in ("muscle.db", "muscle.db-wal"):  # what a reboot leaves of an open database
        shutil.copy(home / name, killed / name)
    writer.close()
    read_only(small_disk)
    with pytest.raises(StoreError, match="did not close it"):
        Workspace.open(killed)
