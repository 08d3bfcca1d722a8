"""The export command as a user runs it, and the pipelines of the documentation."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from helpers import choice_rows

from muscle_core import cli
from muscle_core.actions.imports.outputs import import_predictions
from muscle_core.actions.library.datasets import add_dataset_rows
from muscle_core.interchange import ImportColumns
from muscle_core.store import Workspace

ROOT = Path(__file__).resolve().parents[1]
CI = [ROOT / "docs" / "ci" / name for name in ("gate.github.yml", "gate.gitlab-ci.yml")]


@pytest.fixture
def place(workspace: Workspace, tmp_path: Path) -> Path:
    rows = choice_rows(30)
    both = {split: [(row["id"], row) for row in rows] for split in ("test", "train")}
    add_dataset_rows(workspace, "d", "multiple_choice", both, template="Q: {input}\nA:")
    for name, wrong in (("v1", ()), ("v2", (3, 4))):
        said = [{"id": row["id"], "answer": (row["answer"] + (n in wrong)) % 3} for n, row in enumerate(rows)]
        (tmp_path / "a.json").write_text(json.dumps(said))
        for split in both:
            columns = ImportColumns(prediction="answer")
            import_predictions(workspace, name, "d", tmp_path / "a.json", columns, split=split)
    return tmp_path


@pytest.fixture
def muscle(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run a command as `python -m muscle_core` does, in this process: its exit code and what it says."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["muscle_core", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        captured = capsys.readouterr()
        return (int(ended.value.code or 0), captured.out, captured.err)

    return run


def test_a_view_is_written_and_not_replaced(place: Path, muscle: Callable) -> None:
    export = ["export", "v1", "v2", "-d", "d", "--to", place / "v.csv", "--quadrant", "Q4", "--columns", "sample_id"]
    assert muscle(*export) == (0, f"wrote 2 samples to {place / 'v.csv'}\n", "")
    assert (place / "v.csv").read_text().split() == ["sample_id", "c3", "c4"]
    code, _, said = muscle(*export)
    assert (code, "--force" in said) == (2, True)
    assert muscle(*export, "--force")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("", "--to"),
        ("--to {}/v.csv --tau 0.1", "belong to --format hard-examples"),
        ("--to {}/v.csv --from-test", "belong to --format hard-examples"),
        ("--to {}/v.csv --format xml", "unknown format 'xml'"),
        ("--to {}/h.jsonl --format hard-examples", "say nothing any more"),
        ("--to {}/h.jsonl --format hard-examples --from-test --columns input", "leave out --columns"),
    ],
)
def test_wrong_usage_is_refused_with_nothing_written(arguments: str, words: str, place: Path, muscle: Callable) -> None:
    before = sorted(place.iterdir())
    code, _, said = muscle("export", "v1", "v2", "-d", "d", *arguments.replace("{}", str(place)).split())
    assert (code, words in said) == (2, True), said
    assert sorted(place.iterdir()) == before


def test_hard_examples_are_added_with_a_warning_and_read_back_by_the_command_named(
    place: Path, muscle: Callable
) -> None:
    hard = ["export", "v1", "v2", "-d", "d", "--format", "hard-examples"]
    code, out, said = muscle(*hard, "--split", "train", "--as-dataset", "hard")
    assert (code, out, said) == (0, "added hard: train 2 rows\n", "")
    code, _, said = muscle(*hard, "--from-test", "--to", place / "h.jsonl")
    assert code == 0
    assert "warning: these samples come from 'd' (test)" in said
    command = said.splitlines()[-1].partition("read them back: ")[2].replace("NAME", "again")
    assert muscle(*shlex.split(command))[0] == 0
    lines = {line.split()[0]: line.split()[-1] for line in muscle("datasets", "list")[1].splitlines()}
    assert lines["hard"] == lines["again"]


# The pipelines of docs/ci -----------------------------------------------------


def _steps(path: Path) -> list[str]:
    """The shell commands of a pipeline, in order."""
    pipeline = yaml.safe_load(path.read_text())
    if "jobs" in pipeline:
        assert pipeline[True] == "pull_request"  # how YAML 1.1 reads the key "on"
        return [step["run"] for step in pipeline["jobs"]["gate"]["steps"] if "run" in step]
    return [*pipeline["gate"]["before_script"], *pipeline["gate"]["script"]]


@pytest.mark.parametrize("path", CI, ids=lambda path: path.name)
@pytest.mark.parametrize(("broken", "code"), [((), 0), ((3,), 100), (None, 2)])
def test_the_pipelines_of_the_documentation_run(path: Path, broken: tuple | None, code: int, tmp_path: Path) -> None:
    (tmp_path / "outputs").mkdir()
    (tmp_path / "allowed.txt").write_text("s7\n")

    def outputs(wrong: tuple) -> str:
        rows = [f"s{n},{int(n in wrong)},{int(n not in wrong)},0\n" for n in range(40)]
        return "id,prediction,correct,gold\n" + "".join(rows)

    def shell(command: str) -> int:
        script = command.replace("python ", f"{shlex.quote(sys.executable)} ", 1)
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        return subprocess.run(["bash", "-c", script], cwd=tmp_path, env=environment, timeout=120).returncode

    (tmp_path / "old.csv").write_text(outputs(()))
    assert shell("python -m muscle_core gate approve v1 --old-file old.csv --out approved.json") == 0
    if broken is not None:
        (tmp_path / "outputs" / "new.csv").write_text(outputs((*broken, 7)))
    (command,) = [step for step in _steps(path) if "muscle_core gate" in step]
    lenient = command.replace("--min-accuracy-change -0.01", "--min-accuracy-change -0.06")
    assert shell(lenient) == code
    status = {0: "passed", 100: "regression", 2: "refused"}[code]
    assert json.loads((tmp_path / "gate.json").read_text())["status"] == status
    assert (tmp_path / "gate.xml").exists()
    assert (ROOT / "requirements-gate.txt").name in " ".join(_steps(path))


def test_a_gate_by_files_needs_only_what_its_requirements_name(tmp_path: Path) -> None:
    def pins(name: str) -> set[str]:
        return {line for line in (ROOT / name).read_text().split("\n") if line and not line.startswith("#")}

    assert pins("requirements-gate.txt") < pins("requirements.txt")
    modules = {"scikit-learn": "sklearn", "rouge-score": "rouge_score", "Jinja2": "jinja2", "PyYAML": "yaml"}
    others = [line.split("==")[0] for line in pins("requirements.txt") - pins("requirements-gate.txt")]
    (tmp_path / "o.csv").write_text("id,prediction,correct\na,1,1\nb,1,1\n")
    (tmp_path / "n.csv").write_text("id,prediction,correct\na,1,1\nb,1,0\n")
    code = (
        "import sys\n"
        f"for name in {sorted(modules.get(name, name) for name in others)!r}: sys.modules[name] = None\n"
        "sys.argv = ['muscle_core', 'gate', '--old-file', 'o.csv', '--new-file', 'n.csv', '--max-nfr', '0.1',\n"
        "            '--rule', 'upper', '--min-accuracy-change', '0', '--junit', 'j.xml', '--json', 'j.json']\n"
        "from muscle_core.cli import main\nmain()\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    run = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert run.returncode == 100, run.stderr
