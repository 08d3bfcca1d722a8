"""The commands for the whole workspace, as a user types them; in this process, which saves the start of Python."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from furnished import TRAINING, add_job, age, furnish, tree, write

from muscle_core import cli
from muscle_core.store import Workspace, list_versions


@pytest.fixture
def muscle(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Runs a command; gives its exit code, output and messages."""
    opened: list[Workspace] = []
    really_open = Workspace.open

    def open_noted(home: str | Path | None = None) -> Workspace:
        opened.append(really_open(home))
        return opened[-1]

    monkeypatch.setattr(Workspace, "open", open_noted)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["muscle_core", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
            sys.exit(0)
        while opened:  # which else the end of the process does
            opened.pop().close()
        text = capsys.readouterr()
        return int(ended.value.code or 0), text.out, text.err

    return run


@pytest.fixture
def furnished(workspace: Workspace, tmp_path: Path) -> Workspace:
    furnish(workspace, tmp_path)
    return workspace


def test_backup_and_restore_are_one_command_each(
    furnished: Workspace, muscle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = muscle("compare", "old", "new", "-d", "choice", "--json")
    assert figures[0] == 0
    file = str(tmp_path / "w.tar.zst")
    code, out, _ = muscle("workspace", "backup", file)
    assert code == 0
    assert "evaluation_runs 3" in " ".join(out.split())
    code, _, err = muscle("workspace", "backup", file)
    assert (code, err.count("already a file")) == (2, 1)
    assert muscle("workspace", "restore", file)[0] == 2  # its own folder is not empty
    code, out, _ = muscle("workspace", "restore", file, "--home", str(tmp_path / "again"))
    assert code == 0
    assert f"as {furnished.home} was at 20" in out
    monkeypatch.setenv("MUSCLE_HOME", str(tmp_path / "again"))
    assert muscle("compare", "old", "new", "-d", "choice", "--json") == figures


@pytest.mark.postgres
def test_copy_to_postgresql_and_back_to_a_folder(
    furnished: Workspace, muscle, tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = muscle("compare", "old", "new", "-d", "choice", "--json")
    add_job(furnished, "d" * 32, "running")
    code, out, err = muscle("workspace", "copy", "--to", postgres_url)
    assert code == 0
    assert "model_versions 3" in " ".join(out.split())
    assert "jobs are running (dddddddd)" in err
    code, _, err = muscle("workspace", "copy", "--to", postgres_url)
    assert code == 2
    assert "holds rows already" in err
    monkeypatch.setenv("MUSCLE_DATABASE_URL", postgres_url)
    (furnished.home / "muscle.db").rename(tmp_path / "not-used.db")
    assert muscle("compare", "old", "new", "-d", "choice", "--json") == figures
    assert muscle("workspace", "copy", "--to", str(tmp_path / "folder"))[0] == 0
    monkeypatch.delenv("MUSCLE_DATABASE_URL")
    monkeypatch.setenv("MUSCLE_HOME", str(tmp_path / "folder"))
    assert muscle("compare", "old", "new", "-d", "choice", "--json") == figures
    for target in ("nonsense://x", "postgresql+psycopg://muscle@127.0.0.1:1/none"):
        code, _, err = muscle("workspace", "copy", "--to", target)
        assert (code, err.startswith("error: ")) == (2, True)


def test_deletion_shows_first_and_acts_on_demand(furnished: Workspace, muscle) -> None:
    before = tree(furnished.home)
    code, out, _ = muscle("delete", "version", "compat")
    assert code == 0
    assert "depends on it: run" in out
    assert "goes with it: training" in out
    assert "--yes --with-dependents deletes it" in out
    assert tree(furnished.home) == before
    code, _, err = muscle("delete", "version", "compat", "--yes")
    assert code == 2
    assert "--with-dependents" in err
    code, out, _ = muscle("delete", "version", "compat", "--yes", "--with-dependents")
    assert code == 0
    assert "deleted" in out
    assert [version.name for version in list_versions(furnished)] == ["old", "new"]
    run = muscle("runs", "list")[1].splitlines()[1].split()[0]
    for arguments in (("run", run), ("dataset", "unused")):
        assert muscle("delete", *arguments, "--yes")[0] == 0
    for kind in ("version", "dataset", "run", "training", "job"):
        code, _, err = muscle("delete", kind, "nothing-of-that-name")
        assert (code, err.startswith("error: no ")) == (2, True)


def test_a_job_in_the_way_is_shown_and_refused(furnished: Workspace, muscle) -> None:
    add_job(furnished, "d" * 32, "queued", versions=["new"])
    out = muscle("delete", "version", "new")[1]
    assert "uses it: job dddddddd" in out
    assert "nothing can be deleted now" in out
    assert muscle("delete", "version", "new", "--yes", "--with-dependents")[0] == 2


def test_disk_and_clean_up(furnished: Workspace, muscle) -> None:
    code, out, _ = muscle("workspace", "disk")
    assert code == 0
    assert f"adapters/{TRAINING}" in out
    assert "could go" in muscle("workspace", "gc")[1]
    age(write(furnished.home / "predictions" / "gone" / "part-00000.parquet", "left").parent)
    assert "predictions/gone" in muscle("workspace", "gc")[1]
    assert (furnished.home / "predictions" / "gone").exists()
    assert "4 B removed" in muscle("workspace", "gc", "--yes")[1]
    assert not (furnished.home / "predictions" / "gone").exists()


def test_migrate_and_doctor_say_how_it_is(furnished: Workspace, muscle) -> None:
    assert "nothing to do" in muscle("workspace", "migrate")[1]
    code, out, _ = muscle("doctor")
    assert code in (0, 2)  # the disk of this machine may be nearly full
    assert "tables of revision" in out
    furnished.close()
    (furnished.home / "muscle.db").write_bytes(b"no database" * 1000)
    code, out, _ = muscle("doctor")
    assert code == 2
    assert "problem  database" in out
