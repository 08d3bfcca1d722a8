"""Samples in groups, and what is read of stored predictions, through the workspace and from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from muscle_core.actions.imports.outputs import import_predictions
from muscle_core.actions.library.datasets import add_dataset_rows
from muscle_core.actions.updates.compare import compare_versions, compared_columns_of, predictions_of, require_run
from muscle_core.cli import app
from muscle_core.comparison import compare
from muscle_core.errors import ConfigError, DataError, StoreError
from muscle_core.interchange import ImportColumns
from muscle_core.metrics import cluster_rate
from muscle_core.store import PredictionWriter, Workspace, get_dataset, get_version, read_prediction_table

CHOICES = ["dog", "bird", "tree"]


@pytest.fixture
def grouped(workspace: Workspace, tmp_path: Path) -> Workspace:
    """Two versions, outputs only, on 60 prompts of 4 questions; flips come prompt by prompt."""
    generator = np.random.default_rng(3)
    rows = [
        {"id": f"q{n}", "question": f"what {n} ?", "choices": CHOICES, "answer": 0, "prompt": f"text {n // 4}", "n": n}
        for n in range(240)
    ]
    rows[0]["odd"] = "once"
    add_dataset_rows(workspace, "d", "multiple_choice", {"test": [(row["id"], row) for row in rows]})
    for name, share in (("v1", 0.6), ("v2", 0.7)):
        right = np.repeat(generator.random(60) < share, 4) ^ (generator.random(240) < 0.05)
        file = tmp_path / f"{name}.csv"
        pd.DataFrame({"id": [row["id"] for row in rows], "answer": np.where(right, 0, 1)}).to_csv(file, index=False)
        import_predictions(workspace, name, "d", file, ImportColumns(prediction="answer"))
    return workspace


def test_a_metadata_field_names_the_groups(grouped: Workspace) -> None:
    result = compare_versions(grouped, "v1", "v2", "d", cluster="prompt")
    assert result.clusters == 60
    samples = result.samples
    prompts = (samples["sample_id"].str[1:].astype(int) // 4).to_numpy()
    expected = cluster_rate((samples["quadrant"] == "Q4").to_numpy(dtype=bool), prompts)
    assert result.nfr.numerator == expected.numerator > 0
    assert result.nfr[3:] == pytest.approx(expected[3:], abs=0.015)
    plain = compare_versions(grouped, "v1", "v2", "d")
    assert result.nfr.high - result.nfr.low > 1.4 * (plain.nfr.high - plain.nfr.low)
    assert compare_versions(grouped, "v1", "v2", "d", cluster="n").clusters == 240


def test_a_field_that_names_no_groups_is_refused(grouped: Workspace) -> None:
    with pytest.raises(ConfigError, match="have no field 'promt'; their fields: n, odd, prompt"):
        compare_versions(grouped, "v1", "v2", "d", cluster="promt")
    with pytest.raises(DataError, match=r"'odd' of 'd' \(test\) must name the group of each sample.*\(239 problems\)"):
        compare_versions(grouped, "v1", "v2", "d", cluster="odd")


def test_the_commands(grouped: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    runner = CliRunner()
    done = runner.invoke(app, ["compare", "v1", "v2", "-d", "d", "--cluster", "prompt", "--json"])
    assert done.exit_code == 0, done.output
    figures = json.loads(done.stdout)
    assert figures["interval_method"] == "cluster bootstrap over 60 groups"
    assert (
        "by 60 groups of samples"
        in runner.invoke(app, ["compare", "v1", "v2", "-d", "d", "--cluster", "prompt"]).stdout
    )
    table = runner.invoke(app, ["samples-needed", "0.085", "0.01", "--difference", "0.009", "--difference", "0.02"])
    assert table.exit_code == 0, table.output
    lines = table.stdout.splitlines()
    assert len(lines) == 5
    assert "not possible" in lines[-1]


def test_a_comparison_reads_a_part_of_the_columns_and_says_the_same(grouped: Workspace) -> None:
    dataset = get_dataset(grouped, "d")
    runs = [require_run(grouped, get_version(grouped, name), dataset, "test") for name in ("v1", "v2")]
    part = compared_columns_of(grouped, runs[0])
    assert set(part.column_names) == {"sample_id", "prediction", "correct", "gold"}
    whole = [predictions_of(grouped, run) for run in runs]
    expected = compare(*whole, task_kind="multiple_choice", old_name="v1", new_name="v2")
    found = compare_versions(grouped, "v1", "v2", "d")
    assert found.to_dict() == expected.to_dict()
    pd.testing.assert_frame_equal(found.samples, expected.samples)


def test_parts_of_a_table_may_lack_columns(tmp_path: Path) -> None:
    writer = PredictionWriter(tmp_path / "run")
    writer.write([{"sample_id": "a", "prediction": "1", "correct": True}])
    writer.write([{"sample_id": "b", "prediction": None, "correct": None, "score": 0.5}])
    writer.finish()
    table = read_prediction_table(tmp_path / "run", ["sample_id", "correct", "score", "margin"])
    expected = {"sample_id": ["a", "b"], "correct": [True, None], "score": [None, 0.5]}
    assert isinstance(table, pa.Table)
    assert table.to_pydict() == expected
    with pytest.raises(StoreError, match="missing; evaluate again"):
        read_prediction_table(tmp_path / "gone")
