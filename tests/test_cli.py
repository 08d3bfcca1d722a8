"""The commands as a user runs them: exit codes, messages, and nothing written where input is refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import choice_rows

from muscle_core import cli
from muscle_core.jobs import ACTIVE, get_job
from muscle_core.store import Workspace, list_datasets, list_runs, list_training_runs, list_versions

ROOT = Path(__file__).resolve().parents[1]


Command = Callable[..., str]


def process(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command as a user does, in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "muscle_core", *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "200"},
        timeout=300,
    )


@pytest.fixture
def muscle(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Runs a command by its entry point in this process, which saves loading torch: exit code, output, messages."""
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["muscle_core", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return (int(ended.value.code or 0), *capsys.readouterr())

    return run


@pytest.fixture
def done(muscle: Callable[..., tuple[int, str, str]]) -> Command:
    def run(*arguments: str) -> str:
        code, out, err = muscle(*arguments)
        assert code == 0, err
        return out

    return run


@pytest.fixture
def refused(muscle: Callable[..., tuple[int, str, str]]) -> Command:
    def run(*arguments: str) -> str:
        code, out, err = muscle(*arguments)
        assert code == 2, (code, out, err)
        assert "Traceback" not in err
        assert err.startswith("error: ")
        return err

    return run


@pytest.fixture
def rows_file(tmp_path: Path) -> Path:
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in choice_rows(12)))
    return file


def test_the_whole_way_from_the_command_line(tiny_bases: dict[str, Path], rows_file: Path, done: Command) -> None:
    done("models", "add", "old", str(tiny_bases["old"]), "--role", "old")
    done("models", "add", "new", str(tiny_bases["new"]), "--parent", "old")
    done("datasets", "add", "d", f"test={rows_file}", f"train={rows_file}", "--task", "multiple_choice")
    fast = ["--set", "steps=2", "--set", "batch_size=4", "--set", "warmup_steps=0", "--set", "lora_rank=2"]
    done("train", "task", "t-old", "old", "-d", "d", "--role", "old", *fast)
    done("train", "task", "t-new", "new", "-d", "d", *fast)
    assert "right (" in done("evaluate", "t-old", "t-new", "-d", "d")
    figures = json.loads(done("compare", "t-old", "t-new", "-d", "d", "--json"))
    other = ["-d", "d", "--scoring", "per_byte", "--template", "{input}\\nAnswer:"]
    assert done("evaluate", "t-old", "t-new", *other).count("right (") == 2
    assert json.loads(done("compare", "t-old", "t-new", *other, "--json"))["n"] == figures["n"]
    assert {"n", "accuracy_old", "accuracy_new", "nfr", "pfr", "nfr_mc", "quadrants"} <= set(figures)
    assert set(figures["quadrants"]) == {"q1", "q2", "q3", "q3_same", "q3_changed", "q4"}
    out = done("train", "compat", "t-old", "t-new", "-d", "d", "--strategy", "always_old", "--seed", "3", *fast)
    assert "trained t-new-always_old-s3" in out
    assert "t-new-always_old-s3" in done("masking", "t-old", "t-new", "-d", "d")
    assert "multiple_choice" in done("datasets", "list")
    assert "t-new-always_old-s3" in done("models", "list")
    assert done("runs", "list").count("evaluated") == 5


def test_background_work_is_queued_run_and_shown(
    tiny_bases: dict[str, Path], rows_file: Path, stop_workers: None
) -> None:
    """As a user does it: every command is a process."""

    def done(*arguments: str) -> str:
        result = process(*arguments)
        assert result.returncode == 0, result.stderr
        return result.stdout

    done("models", "add", "old", str(tiny_bases["old"]))
    done("datasets", "add", "d", f"test={rows_file}", "--task", "multiple_choice")
    job_id = done("evaluate", "old", "-d", "d", "--background").split()[-1]
    assert "Evaluate old on d (test)" in done("jobs", "list")
    workspace = Workspace.open()
    deadline = time.monotonic() + 90
    while get_job(workspace, job_id).state in ACTIVE:
        assert time.monotonic() < deadline, done("jobs", "show", job_id)
        time.sleep(0.5)
    workspace.close()
    assert "succeeded" in done("jobs", "show", job_id)
    assert "evaluated" in done("runs", "list")
    refused = process("jobs", "show", "zzz")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith("error: ")
    assert "no job begins" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_bad_datasets_are_refused_and_nothing_is_written(tmp_path: Path, rows_file: Path, refused: Command) -> None:
    no_gold = tmp_path / "no_gold.jsonl"
    no_gold.write_text(
        '{"question": "q", "choices": ["a", "b"], "answer": 0}\n{"question": "q", "choices": ["a", "b"]}\n'
    )
    twice = tmp_path / "twice.jsonl"
    twice.write_text('{"id": "x", "question": "q", "answer": "1"}\n' * 2)
    assert "no such file" in refused("datasets", "add", "d", f"test={tmp_path}/gone.jsonl", "--task", "math")
    assert "no_gold.jsonl:2: no gold answer" in refused(
        "datasets", "add", "d", f"test={no_gold}", "--task", "multiple_choice"
    )
    assert "twice.jsonl:2: the id 'x' was already used" in refused(
        "datasets", "add", "d", f"test={twice}", "--task", "math"
    )
    assert "unknown task kind 'riddles'; known: multiple_choice" in refused(
        "datasets", "add", "d", f"test={rows_file}", "--task", "riddles"
    )
    assert "SPLIT=FILE" in refused("datasets", "add", "d", str(rows_file), "--task", "math")
    assert "{input} exactly once" in refused(
        "datasets", "add", "d", f"test={rows_file}", "--task", "multiple_choice", "--template", "no place"
    )
    workspace = Workspace.open()
    assert list_datasets(workspace) == []
    assert not workspace.path("datasets").exists()


def test_bad_models_and_trainings_are_refused_and_nothing_is_written(
    tiny_bases: dict[str, Path], rows_file: Path, tmp_path: Path, done: Command, refused: Command
) -> None:
    for name in ("old", "new", "foreign"):
        done("models", "add", name, str(tiny_bases[name]))
    done("datasets", "add", "d", f"train={rows_file}", f"test={rows_file}", "--task", "multiple_choice")
    fast = ["--set", "steps=1", "--set", "batch_size=2", "--set", "lora_rank=2"]
    done("train", "task", "t-old", "old", "-d", "d", *fast)
    adapter = next(v.adapter for v in list_versions(Workspace.open()) if v.name == "t-old")
    before = [v.name for v in list_versions(Workspace.open())]
    assert adapter is not None
    assert adapter.startswith("adapters/")
    assert "no model at" in refused("models", "add", "x", str(tmp_path / "gone"))
    assert "trained on another base" in refused("models", "add", "x", str(tiny_bases["new"]), "--adapter", adapter)
    assert "already a model version" in refused("models", "add", "old", str(tiny_bases["old"]))
    assert "tokenizers of 'old' and 'foreign' differ" in refused(
        "train", "compat", "old", "foreign", "-d", "d", "--preset", "scratch"
    )
    message = refused("train", "compat", "old", "new", "-d", "d", "--set", "steps=0", "--set", "learning_rate=7")
    assert "steps must be" in message
    assert "learning_rate must be" in message
    assert "strategy must be one of" in refused("train", "compat", "old", "new", "-d", "d", "--strategy", "magic")
    assert "has not been evaluated" in refused("compare", "old", "new", "-d", "d")
    assert "Did you mean 'old'" in refused("evaluate", "old", "new", "olds", "-d", "d")
    assert "no scoring 'best'; known: sum, per_byte" in refused("evaluate", "old", "-d", "d", "--scoring", "best")
    assert "must hold {input}" in refused("evaluate", "old", "-d", "d", "--template", "none", "--background")
    assert "unknown engine 'spark'" in refused("evaluate", "old", "-d", "d", "--engine", "spark", "--background")
    assert "belong to --engine ray" in refused("evaluate", "old", "-d", "d", "--actors", "4")
    assert "leave out one of the two" in refused("evaluate", "old", "-d", "d", "--engine", "ray", "--background")
    assert "no chat template" in refused("evaluate", "old", "-d", "d", "--chat")
    assert "unknown option 'name'" in refused("train", "compat", "old", "new", "-d", "d", "--set", "name=x")
    assert "seed must be" in refused("train", "compat", "old", "new", "-d", "d", "--set", "seed=-1")
    scratch = ["--preset", "scratch", "--set", "steps=1"]
    assert "Train on another split" in refused(
        "train", "compat", "old", "new", "-d", "d", *scratch, "--split", "test", "--set", "strategy=always_old"
    )
    assert "no split 'dev'" in refused("train", "compat", "old", "new", "-d", "d", *scratch, "--test-split", "dev")
    workspace = Workspace.open()
    assert [v.name for v in list_versions(workspace)] == before
    assert len(list_training_runs(workspace)) == 1
    assert list_runs(workspace) == []
    assert len(list(workspace.path("adapters").iterdir())) == 1


@pytest.mark.parametrize(
    ("raised", "code", "words"),
    [
        (OSError(28, "No space left on device"), 2, "error: [Errno 28] No space left on device"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_errors_of_the_system_and_interruptions_show_no_traceback(
    raised: BaseException, code: int, words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise raised

    monkeypatch.setattr(cli.library, "workspace_here", fail)
    monkeypatch.setattr(sys, "argv", ["muscle_core", "models", "list"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == code
    assert words in capsys.readouterr().err
