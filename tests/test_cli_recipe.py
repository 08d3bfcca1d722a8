"""`recipe` as a user runs it: one table an ablation, as text or Markdown, and a refusal that names every problem."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from muscle_core.store import Workspace, list_training_runs

ROOT = Path(__file__).resolve().parents[1]


def recipe(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "muscle_core", "recipe", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=300)


def test_a_recipe_prints_its_table_also_as_markdown_and_trains_once(filled: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "small.yaml"
    path.write_text(
        "ablations:\n  - {old: old, new: new, dataset: choice, preset: scratch, strategies: [always_old], "
        "options: {steps: 2, batch_size: 4, lora_rank: 2}}\n"
    )
    result = recipe(str(path))
    assert result.returncode == 0, result.stderr
    assert "old -> new on choice (test)" in result.stdout
    assert any(line.startswith("always_old ") and "100.0 %" in line for line in result.stdout.splitlines())
    assert "always_old, seed 0: training: 2 of 2" in result.stderr
    written = recipe(str(path), "--markdown")
    rows = [line for line in written.stdout.splitlines() if line.startswith("|")]
    assert len({row.count("|") for row in rows}) == 1
    assert rows[1].startswith("| --- | ---")
    assert len(list_training_runs(filled)) == 1


def test_a_recipe_that_cannot_work_is_refused_with_all_its_problems(filled: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text("colour: red\nablations:\n  - {old: old, dataset: choice}\n")
    result = recipe(str(path))
    assert result.returncode == 2
    assert "unknown key 'colour'" in result.stderr
    assert "ablation 1 needs 'new'" in result.stderr
    assert "Traceback" not in result.stderr
