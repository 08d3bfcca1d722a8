"""Scores of free texts: from a file's column to a comparison."""

import json

import pandas as pd
import pytest
from typer.testing import CliRunner

from muscle_core.actions.library.datasets import add_dataset_rows
from muscle_core.actions.updates.compare import predictions_of
from muscle_core.cli import app
from muscle_core.comparison import compare
from muscle_core.datasets import build_samples
from muscle_core.errors import DataError
from muscle_core.interchange import ImportColumns, read_outputs
from muscle_core.store import list_runs
from muscle_core.tasks import Sample, task_of

TASK = task_of("instruction")
ROWS = [{"id": n, "instruction": f"Say {n}."} for n in range(4)]
COLUMNS = ImportColumns(output="text", score="points")


def placed(rows):
    return [(f"f.csv:{n}", row) for n, row in enumerate(rows, start=2)]


SAMPLES = build_samples(TASK, {"test": placed(ROWS)})


def scored(points, columns=COLUMNS, task=TASK, samples=SAMPLES):
    rows = [{"id": n, "text": f"text {n}", "points": value} for n, value in enumerate(points)]
    return read_outputs(task, placed(rows), columns, samples)


def test_imported_scores_are_compared_as_a_continuous_score():
    old, new = (pd.DataFrame(scored(points)) for points in ([0.5, 0.5, 1, 0], ["0.25", " 1.0 ", "1", "1e-1"]))
    assert list(old["gold"]) == [""] * 4
    figures = compare(old, new, task_kind="instruction", old_name="old", new_name="new")
    assert (figures.counts, figures.score, figures.unjudged) == (None, "score", 4)
    change = figures.continuous["score"]
    assert (change.mean_old, change.mean_new) == (0.5, pytest.approx(2.35 / 4))
    assert list(figures.samples["delta_score"]) == pytest.approx([-0.25, 0.5, 0.0, 0.1])


@pytest.mark.parametrize("value", [None, "", "high", "nan", "inf", float("nan"), float("-inf"), True, "0,5", 10**400])
def test_a_score_that_is_no_finite_number_is_refused_with_place_and_value(value):
    with pytest.raises(DataError, match=r"f\.csv:3: the value .* in 'points' is not a finite number"):
        scored([0.5, value])


def test_all_problems_with_scores_are_reported_at_once():
    with pytest.raises(DataError, match=r"(?s)2 problems.*f\.csv:2: the value 'x'.*f\.csv:4: the value 'y'"):
        scored(["x", 1, "y"])


def test_a_missing_score_column_is_refused():
    with pytest.raises(DataError, match=r"f\.csv:2: no column 'verdict'; the row has id, text, points"):
        scored([1], ImportColumns(output="text", score="verdict"))


def test_a_summary_keeps_its_own_scores_beside_the_imported_one():
    samples = [Sample("0", "test", "A: hi", "text 0", "text 0")]
    [row] = scored([0.7], task=task_of("summarization"), samples=samples)
    assert (row["score"], row["rouge1"]) == (0.7, 1.0)


@pytest.mark.parametrize("kind", ["math", "multiple_choice", "classification"])
def test_a_score_is_refused_where_answers_are_right_or_wrong(kind):
    with pytest.raises(DataError, match=rf"the score in 'points' is for free texts, but .* {kind} are right or wrong"):
        scored([1], task=task_of(kind))


@pytest.mark.parametrize("answer", [1, "1", "positive"])
def test_a_label_may_be_imported_by_index_or_name(answer):
    sample = Sample("0", "test", "t", "1", "positive", ("negative", "positive"))
    columns = ImportColumns(prediction="label")
    [row] = read_outputs(task_of("classification"), placed([{"id": 0, "label": answer}]), columns, [sample])
    assert (row["prediction"], row["correct"]) == ("1", True)
    with pytest.raises(DataError, match=r"the answer in 'label' 'B' is neither"):
        read_outputs(task_of("classification"), placed([{"id": 0, "label": "B"}]), columns, [sample])


def test_the_command_line_imports_a_score(workspace, tmp_path):
    add_dataset_rows(workspace, "free", "instruction", {"test": placed(ROWS)})
    file = tmp_path / "o.csv"
    file.write_text("id,text,points\n" + "".join(f"{n},text {n},0.{n}\n" for n in range(4)))
    command = ["runs", "import", "theirs", str(file), "--dataset", "free", "--output", "text", "--score", "points"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    assert "score 0.1500 (mean of 4)" in result.output
    [run] = list_runs(workspace)
    assert list(predictions_of(workspace, run)["score"]) == [0.0, 0.1, 0.2, 0.3]


@pytest.mark.real
def test_the_win_probabilities_of_a_real_update_are_compared(real_data):
    folder = real_data / "alpacaeval_vicuna7b_v1.3_to_v1.5"

    def rows(name):
        lines = (folder / name).read_text(encoding="utf-8").split("\n")
        return [(f"{name}:{n}", json.loads(line)) for n, line in enumerate(lines, start=1) if line]

    instructions = [(place, {**row, "id": row["row"]}) for place, row in rows("instructions.jsonl")]
    samples = build_samples(TASK, {"test": instructions})
    columns = ImportColumns(id="row", output="output", score="win_prob")
    old, new = (
        pd.DataFrame(read_outputs(TASK, rows(f"{side}.jsonl"), columns, samples, what=side)) for side in ("old", "new")
    )
    figures = compare(old, new, task_kind="instruction", old_name="v1.3", new_name="v1.5")
    change = figures.continuous["score"]
    assert (figures.score, figures.join.matched, figures.join.left_out) == ("score", 805, 0)
    assert (change.mean_old, change.mean_new) == (pytest.approx(0.046425110559), pytest.approx(0.047974911801))
