"""`slices` and `flips` as a user runs them."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from muscle_core.actions.imports.outputs import import_predictions
from muscle_core.actions.library.datasets import add_dataset_rows
from muscle_core.cli import main
from muscle_core.interchange import ImportColumns
from muscle_core.store import Workspace

Command = Callable[..., str]


@pytest.fixture
def muscle(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Runs a command in this process, by its entry point: exit code, standard output, standard error."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["muscle_core", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
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
        assert (code, out) == (2, "")
        assert err.startswith("error: ")
        return err

    return run


@pytest.fixture
def sums(workspace: Workspace, tmp_path: Path) -> Workspace:
    """200 sums; the new version is off by one in half of the subject "=law"."""
    rows = [
        {"id": f"m{i}", "question": f"{i} and {i} ?", "gold": str(2 * i), "subject": "=law" if i % 2 else "art"}
        for i in range(200)
    ]
    add_dataset_rows(workspace, "sums", "math", {"test": [(row["id"], row) for row in rows]})
    for side in ("old", "new"):
        file = tmp_path / f"{side}.jsonl"
        wrong = [side == "new" and i % 4 == 1 for i in range(200)]
        lines = [
            {"id": f"m{i}", "output": f"{i} + {i} = {2 * i + off}\x1b\n#### {2 * i + off}"}
            for i, off in enumerate(wrong)
        ]
        file.write_text("".join(json.dumps(line) + "\n" for line in lines))
        import_predictions(workspace, side, "sums", file, ImportColumns(output="output"))
    return workspace


def test_slices_as_text_json_and_csv(sums: Workspace, done: Command) -> None:
    pair = ("slices", "old", "new", "-d", "sums")
    text = done(*pair, "--by", "subject")
    assert "meta.subject = =law  100  50     50.0 %  40.4 % to 59.6 %  0.0 % of 100" in text
    assert "for all 2 slices tested" in text
    found = json.loads(done(*pair, "--by", "subject", "--by", "input_chars", "--json"))
    assert [row["slice"] for row in found["slices"]][:2] == ["meta.subject = =law", "meta.subject = art"]
    assert found["slices"][0]["negative_flips"] == 50
    assert found["tested"] == len(found["slices"])
    rows = list(csv.DictReader(io.StringIO(done(*pair, "--by", "subject", "--csv"))))
    assert [row["value"] for row in rows] == ["'=law", "art"]
    searched = json.loads(done(*pair, "--search", "--top", "3", "--topics", "2", "--min", "20", "--json"))
    assert searched["slices"][0]["slice"] == "meta.subject = =law"
    assert len(searched["slices"]) == 3
    assert searched["tested"] > 3


def test_flips_are_listed_with_cause_and_rule(sums: Workspace, done: Command) -> None:
    pair = ("flips", "old", "new", "-d", "sums")
    text = done(*pair, "--limit", "2")
    assert "wrong calculation: 50 of 50 negative flips, 100.0 % [92.9, 100.0]" in text
    assert "An equation in the new output does not hold." in text
    assert "2 of 50 samples shown, of 200 compared" in text
    found = json.loads(done(*pair, "--cause", "wrong calculation", "--limit", "1", "--json"))
    assert found["total"] == 50
    assert found["samples"][0]["cause_evidence"] == "1 + 1 = 3"
    assert found["samples"][0]["new_output"] == "1 + 1 = 3\x1b\n#### 3"
    assert "\x1b" not in text
    assert json.loads(done(*pair, "--quadrant", "Q1", "--json"))["total"] == 150
    assert "0 of 0 samples shown" in done(*pair, "--cause", "truncated")


def test_what_cannot_be_is_refused(sums: Workspace, refused: Command) -> None:
    slices, flips = ("slices", "old", "new", "-d", "sums"), ("flips", "old", "new", "-d", "sums")
    assert "'colour'" in refused(*slices, "--by", "colour")
    assert "one of --json and --csv" in refused(*slices, "--json", "--csv")
    assert "minimum is 0" in refused(*slices, "--min", "0")
    assert "at least 2 topics" in refused(*slices, "--topics", "1")
    assert "depth is 9" in refused(*slices, "--search", "--depth", "9")
    assert "known: Q1" in refused(*flips, "--quadrant", "Q5")
    assert "unknown cause 'bad luck'" in refused(*flips, "--cause", "bad luck")
    assert "only negative flips" in refused(*flips, "--cause", "other", "--quadrant", "Q1")
    assert "limit" in refused(*flips, "--limit", "0")
    assert "it is -1" in refused(*flips, "--near-tie", "-1")


def test_scores_have_slices_but_no_flips(workspace: Workspace, tmp_path: Path, done: Command, refused: Command) -> None:
    rows = [{"id": f"p{i}", "prompt": f"write {i}", "kind": "ode" if i % 2 else "tale"} for i in range(80)]
    add_dataset_rows(workspace, "texts", "instruction", {"test": [(row["id"], row) for row in rows]})
    for side in ("old", "new"):
        file = tmp_path / f"{side}.jsonl"
        lines = [
            {"id": f"p{i}", "output": f"text {i}", "s": 0.9 - (0.5 if side == "new" and i % 2 else 0)}
            for i in range(80)
        ]
        file.write_text("".join(json.dumps(line) + "\n" for line in lines))
        import_predictions(workspace, side, "texts", file, ImportColumns(output="output", score="s"))
    found = json.loads(done("slices", "old", "new", "-d", "texts", "--by", "kind", "--json"))["slices"]
    assert [(row["slice"], round(row["regression"], 6)) for row in found] == [
        ("meta.kind = ode", 0.5),
        ("meta.kind = tale", 0.0),
    ]
    assert found[0]["p_adjusted"] < 0.05
    assert "neither right nor wrong" in refused("flips", "old", "new", "-d", "texts")
