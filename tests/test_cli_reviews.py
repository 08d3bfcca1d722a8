"""The commands of manual error review."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from furnished import furnish
from typer.testing import CliRunner

from muscle_core.actions.reviews.findings import save_review
from muscle_core.cli import app
from muscle_core.errors import MuscleError
from muscle_core.store import Workspace

PAIR = ["old", "new", "-d", "choice"]


@pytest.fixture
def full(workspace: Workspace, tmp_path: Path) -> Workspace:
    furnish(workspace, tmp_path)
    return workspace


def done(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["reviews", *arguments], catch_exceptions=False, env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    return result.stdout


def refused(*arguments: str) -> str:
    with pytest.raises(MuscleError) as error:  # which the entry point turns into exit code 2: tests/test_cli.py
        CliRunner().invoke(app, ["reviews", *arguments], catch_exceptions=False)
    return str(error.value)


def test_the_way_from_dealing_to_the_allow_list(full: Workspace, tmp_path: Path) -> None:
    assert done("assign", "old", "new", "Ada", "Ben", "-d", "choice", "--two-for-every", "3").split()[-4:] == [
        *("Ada", "4", "Ben", "4"),
    ]
    for sample, reviewer in (("c1", "Ada"), ("c1", "Ben"), ("c6", "Ben")):
        save_review(full, "old", "new", "choice", sample, reviewer, verdict="acceptable", note="=1+1")
    lines = done("list", *PAIR).splitlines()
    assert lines[0].split()[:2] == ["sample_id", "state"]
    assert [line.split()[1] for line in lines[1:]] == ["unreviewed"] * 4 + ["reviewed"] * 2
    assert len(done("list", *PAIR, "--reviewer", "Ada", "--state", "reviewed").splitlines()) == 2
    found = json.loads(done("list", *PAIR, "--json"))
    assert found["summary"]["by_verdict"]["acceptable"]["numerator"] == 2
    assert found["samples"][0]["verdict"] is None
    assert done("allow-list", *PAIR) == "c1\nc6\n"
    done("allow-list", *PAIR, "--out", str(tmp_path / "allowed.txt"))
    assert (tmp_path / "allowed.txt").read_text() == "c1\nc6\n"
    gate = ["gate", "check", *PAIR, "--max-flips", "4"]
    assert CliRunner().invoke(app, gate).exit_code == 100  # six flips
    assert CliRunner().invoke(app, [*gate, "--allow-file", str(tmp_path / "allowed.txt")]).exit_code == 0
    assert "kappa not defined, n = 1; the same verdict on 1 of 1" in done("agreement", *PAIR)
    [pair] = json.loads(done("agreement", *PAIR, "--on", "cause", "--json"))
    assert (pair["n"], pair["kappa"], pair["first"]) == (1, None, "Ada")
    done("export", *PAIR, "--out", str(tmp_path / "reviews.csv"))
    with (tmp_path / "reviews.csv").open(newline="") as file:
        assert [row["note"] for row in csv.DictReader(file)] == ["'=1+1"] * 3
    assert len(done("export", *PAIR, "--format", "jsonl").splitlines()) == 3
    assert not list(tmp_path.glob("*.partial"))


def test_nothing_is_said_so(full: Workspace) -> None:
    assert "no sample was reviewed by two" in done("agreement", *PAIR)
    assert json.loads(done("agreement", *PAIR, "--json")) == []
    assert done("allow-list", *PAIR) == ""
    assert "none yet" in done("list", *PAIR, "--queue", "Q3")


def test_causes_are_changed_by_command(full: Workspace) -> None:
    assert "arithmetic slip" in done("causes")
    out = done("causes", "--add", "hallucination", "--text", "It makes something up.")
    assert "hallucination" in out.splitlines()[-1]
    out = done("causes", "--rename", "refusal", "--to", "will not answer", "--retire", "other")
    assert "will not answer" in out
    assert "refusal" not in out
    assert next(line for line in out.splitlines() if line.startswith("other")).split()[1] == "retired"
    assert "retired" not in done("causes", "--restore", "other")
    assert "It says no." in done("causes", "--describe", "will not answer", "--text", "It says no.")


def test_refusals_say_what_to_do(full: Workspace) -> None:
    assert "no state 'new'; known: unreviewed" in refused("list", *PAIR, "--state", "new")
    assert "no queue 'Q7'" in refused("list", *PAIR, "--queue", "Q7")
    assert "Did you mean 'choice'" in refused("list", "old", "new", "-d", "choise")
    assert "known: csv, jsonl" in refused("export", *PAIR, "--format", "xml")
    assert "need two names" in refused("assign", "old", "new", "Ada", "-d", "choice", "--two-for-every", "2")
    assert "belong together" in refused("causes", "--rename", "refusal")
    assert "no cause 'x'" in refused("causes", "--retire", "x")
