"""`train ablation` as a user runs it: the table at the end, nothing done twice, and refusals."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from muscle_core import cli
from muscle_core.jobs import list_jobs
from muscle_core.store import Workspace, list_training_runs

ROOT = Path(__file__).resolve().parents[1]
FAST = ["--preset", "scratch", *(part for o in ("steps=2", "batch_size=4", "lora_rank=2") for part in ("--set", o))]
COMMAND = ["muscle_core", "train", "ablation", "old", "new", "-d", "choice", *FAST]


def ablation(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *COMMAND, *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=300,
    )


def test_an_ablation_ends_with_a_table_and_is_not_repeated(filled: Workspace) -> None:
    wanted = ["--strategies", "always_old, cross_entropy", "--seeds", "0,1"]
    result = ablation(*wanted)
    assert result.returncode == 0, result.stderr
    header, plain, *rows = result.stdout.splitlines()
    for column in ("strategy", "seeds", "n", "accuracy", "NFR change", "accuracy change", "tokens aligned to old"):
        assert column in header
    assert plain.startswith("– (new, plain new version)")
    assert [row.split()[0] for row in rows] == ["always_old", "cross_entropy"]
    assert all("0, 1" in row and "[" in row for row in rows)
    assert "100.0 %" in rows[0]
    assert "cross_entropy, seed 1: training: 2 of 2" in result.stderr
    again = ablation(*wanted)
    assert again.stdout == result.stdout
    assert "training" not in again.stderr
    assert len(list_training_runs(filled)) == 4
    queued = ablation(*wanted, "--background")
    assert queued.stdout.count("already there: ") == 4
    assert list_jobs(filled) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--strategies", "magic,always_old", "--seeds", "-1"], "write seeds as whole numbers"),
        (["--strategies", "magic", "--limit", "0"], "unknown strategy 'magic'"),
        (["--strategies", "magic", "--limit", "0"], "at least 1"),
        (["--split", "test"], "Train on another split"),
    ],
)
@pytest.mark.parametrize("background", [[], ["--background"]])
def test_what_cannot_work_is_refused(
    filled: Workspace,
    arguments: list[str],
    words: str,
    background: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", [*COMMAND, *arguments, *background])
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        cli.main()
    out, err = capsys.readouterr()
    assert (ended.value.code, out) == (2, "")
    assert err.startswith("error: ")
    assert words in err
    assert list_jobs(filled) == []
    assert list_training_runs(filled) == []
