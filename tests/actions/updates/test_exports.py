"""Exports of a workspace: views read back with equal figures, and negative flips that train the next version."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from helpers import choice_rows

from muscle_core.actions.imports.outputs import import_predictions
from muscle_core.actions.library.datasets import add_dataset, add_dataset_rows, load_samples
from muscle_core.actions.updates.compare import compare_versions
from muscle_core.actions.updates.exports import Filters, export_view, hard_examples
from muscle_core.errors import ConfigError, DataError, MuscleError
from muscle_core.interchange import ImportColumns
from muscle_core.store import Workspace, get_dataset, list_datasets

TEXTS = [
    {"id": f"t{n}", "dialogue": f"Ann: hello {n}", "summary": f"Ann says hello number {n}", "topic": n % 2}
    for n in range(12)
]


@pytest.fixture
def compared(workspace: Workspace, tmp_path: Path) -> Workspace:
    """Versions v1 and v2 on `choice` (6 flips each way of 60, on test and train) and on `texts` (4 of 12 fall)."""
    rows = choice_rows(60)
    both = {split: [(row["id"], row) for row in rows] for split in ("test", "train")}
    add_dataset_rows(workspace, "choice", "multiple_choice", both, template="Q: {input}\nA:")
    for name, wrong in (("v1", range(10)), ("v2", range(4, 14))):
        said = [{"id": row["id"], "answer": (row["answer"] + (n in wrong)) % 3} for n, row in enumerate(rows)]
        (tmp_path / "a.json").write_text(json.dumps(said))
        for split in both:
            import_predictions(
                workspace, name, "choice", tmp_path / "a.json", ImportColumns(prediction="answer"), split=split
            )
    add_dataset_rows(
        workspace, "texts", "summarization", {"train": [(r["id"], r) for r in TEXTS]}, max_new_tokens=7, stop=["\n"]
    )
    for name, lost in (("v1", 0), ("v2", 4)):
        said = [{"id": r["id"], "text": "=hello" if n < lost else r["summary"]} for n, r in enumerate(TEXTS)]
        (tmp_path / "a.json").write_text(json.dumps(said))
        import_predictions(workspace, name, "texts", tmp_path / "a.json", ImportColumns(output="text"), split="train")
    return workspace


BROKEN = [f"c{n}" for n in range(10, 14)]


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_a_view_is_imported_again_with_equal_figures(compared: Workspace, tmp_path: Path, ending: str) -> None:
    file = tmp_path / f"view.{ending}"
    assert export_view(compared, "v1", "v2", "choice", file) == 60
    for side, name in (("old", "v1"), ("new", "v2")):
        columns = ImportColumns(id="sample_id", prediction=f"{side}_prediction", correct=f"{side}_correct")
        import_predictions(compared, f"again-{name}", "choice", file, columns)
    before = compare_versions(compared, "v1", "v2", "choice").to_dict()
    after = compare_versions(compared, "again-v1", "again-v2", "choice").to_dict()
    assert {**after, "old": "v1", "new": "v2"} == before
    assert before["quadrants"]["q4"] == 4


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_a_view_of_scores_is_imported_again_with_equal_figures(
    compared: Workspace, tmp_path: Path, ending: str
) -> None:
    file = tmp_path / f"view.{ending}"
    export_view(compared, "v1", "v2", "texts", file, split="train")
    for side in ("old", "new"):
        columns = ImportColumns(id="sample_id", output=f"{side}_output")
        import_predictions(compared, f"again-{side}", "texts", file, columns, split="train")
    before = compare_versions(compared, "v1", "v2", "texts", split="train").to_dict()
    after = compare_versions(compared, "again-old", "again-new", "texts", split="train").to_dict()
    assert {**after, "old": "v1", "new": "v2"} == before
    assert before["continuous"]["rouge1"]["regression"]["value"] > 0


def test_filters_and_columns_are_those_of_the_view(compared: Workspace, tmp_path: Path) -> None:
    file = tmp_path / "v.csv"
    flips = Filters(quadrants=["Q4"])
    assert (
        export_view(compared, "v1", "v2", "choice", file, filters=flips, columns=["new_prediction", "sample_id"]) == 4
    )
    read = pd.read_csv(file)
    assert list(read.columns) == ["new_prediction", "sample_id"]
    assert list(read["sample_id"]) == BROKEN
    searched = Filters(quadrants=["Q4", "Q2"], search="CAT runs")
    count = export_view(compared, "v1", "v2", "choice", file, filters=searched, force=True)
    read = pd.read_csv(file)
    assert count == len(read) == sum(n % 3 == 0 for n in (*range(4), *range(10, 14)))
    assert set(read["quadrant"]) == {"Q2", "Q4"}
    assert export_view(compared, "v1", "v2", "choice", file, filters=Filters(search="nowhere"), force=True) == 0
    assert len(pd.read_csv(file)) == 0
    same, changed = (
        export_view(compared, "v1", "v2", "choice", file, filters=Filters(quadrants=[part]), force=True)
        for part in ("Q3-same", "Q3-changed")
    )
    assert (same, changed) == (6, 0)


def test_the_ending_or_the_format_decides(compared: Workspace, tmp_path: Path) -> None:
    export_view(compared, "v1", "v2", "choice", tmp_path / "v.json")
    assert len(json.loads((tmp_path / "v.json").read_text())["examples"]) == 60
    export_view(compared, "v1", "v2", "choice", tmp_path / "v.txt", file_format="csv")
    assert (tmp_path / "v.txt").read_text().startswith("sample_id,")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"to": "v.xlsx"}, "does not tell a format; known: csv"),
        ({"file_format": "xml"}, "unknown format 'xml'"),
        ({"filters": Filters(quadrants=["Q9"])}, "unknown quadrant 'Q9'"),
        ({"to": "v.json", "columns": ["input"]}, "fields of LLM Comparator's format are fixed"),
        ({"split": "dev"}, "no split 'dev'"),
        ({"to": "gone/v.csv"}, "is not there"),
        ({"to": "there.csv"}, "there already"),
        ({"old_name": "v9"}, "no model version named 'v9'"),
        ({"dataset_name": "texts", "split": "train", "filters": Filters(quadrants=["Q4"])}, "in no quadrant"),
    ],
)
def test_what_cannot_be_exported_is_refused_and_nothing_is_written(
    compared: Workspace, tmp_path: Path, options: dict, words: str
) -> None:
    place = tmp_path / "out"
    place.mkdir()
    (place / "there.csv").write_text("mine")
    given = {"old_name": "v1", "new_name": "v2", "dataset_name": "choice", "to": "v.csv", **options}
    with pytest.raises(MuscleError, match=words):
        export_view(compared, **{**given, "to": place / given["to"]})
    assert [path.name for path in place.iterdir()] == ["there.csv"]
    assert (place / "there.csv").read_text() == "mine"


def test_a_full_disk_leaves_the_earlier_file(
    compared: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "out"
    place.mkdir()
    (place / "v.jsonl").write_text("mine")

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(ConfigError, match="No space left"):
        export_view(compared, "v1", "v2", "choice", place / "v.jsonl", force=True)
    before = [dataset.name for dataset in list_datasets(compared)]
    with pytest.raises(ConfigError, match="No space left"):
        hard_examples(
            compared, "v1", "v2", "choice", split="train", to=place / "v.jsonl", as_dataset="hard", force=True
        )
    assert [path.name for path in place.iterdir()] == ["v.jsonl"]
    assert (place / "v.jsonl").read_text() == "mine"
    assert [dataset.name for dataset in list_datasets(compared)] == before


def test_negative_flips_become_a_dataset_and_a_file_that_are_the_same(compared: Workspace, tmp_path: Path) -> None:
    file = tmp_path / "hard.jsonl"
    found = hard_examples(compared, "v1", "v2", "choice", split="train", to=file, as_dataset="hard")
    source = get_dataset(compared, "choice")
    assert found.dataset is not None
    assert (found.dataset.splits, found.dataset.template) == ({"train": 4}, source.template)
    record = found.dataset.made_by["hard_examples"]
    assert (record["dataset"], record["split"], record["old"]["version"], record["new"]["version"]) == (
        *("choice", "train"),
        *("v1", "v2"),
    )
    known = {sample.id: sample for sample in load_samples(compared, source, "train")}
    samples = load_samples(compared, get_dataset(compared, "hard"), "train")
    assert [sample.id for sample in samples] == BROKEN
    assert samples == [known[identity] for identity in BROKEN]
    again = add_dataset(compared, "again", "multiple_choice", {"train": file}, template=source.template)
    assert again.fingerprint == found.dataset.fingerprint


def test_without_right_and_wrong_the_samples_that_fell_are_the_hard_ones(compared: Workspace, tmp_path: Path) -> None:
    found = hard_examples(compared, "v1", "v2", "texts", split="train", as_dataset="hard")
    assert found.dataset is not None
    assert [sample.id for sample in found.samples] == ["t0", "t1", "t2", "t3"]
    assert found.dataset.decoding == {"max_new_tokens": 7, "stop": ["\n"]}
    assert load_samples(compared, found.dataset, "train")[1].metadata == {"topic": 1}
    with pytest.raises(DataError, match="no negative flip"):
        hard_examples(compared, "v1", "v2", "texts", split="train", as_dataset="harder", tau=0.99)


def test_samples_that_comparisons_use_are_only_taken_where_that_is_said(compared: Workspace, tmp_path: Path) -> None:
    file = tmp_path / "hard.jsonl"
    with pytest.raises(ConfigError, match="say nothing any more"):
        hard_examples(compared, "v1", "v2", "choice", split="test", to=file)
    assert not file.exists()
    assert len(hard_examples(compared, "v1", "v2", "choice", split="test", to=file, from_test=True).samples) == 4


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "name a .jsonl file or a dataset"),
        ({"to": "h.csv"}, "written as a .jsonl file"),
        ({"to": "h.jsonl", "filters": Filters(quadrants=["Q2"])}, "leave out the quadrant"),
        ({"to": "h.jsonl", "as_dataset": "choice"}, "already a dataset named 'choice'"),
        ({"to": "h.jsonl", "as_dataset": "a b"}, "not usable"),
        ({"to": "h.jsonl", "filters": Filters(search="nowhere")}, "no negative flip"),
        ({"to": "h.jsonl", "split": "dev"}, "no split 'dev'"),
    ],
)
def test_hard_examples_that_cannot_be_made_are_refused(
    compared: Workspace, tmp_path: Path, options: dict, words: str
) -> None:
    place = tmp_path / "out"
    place.mkdir()
    if "to" in options:
        options = {**options, "to": place / options["to"]}
    with pytest.raises(MuscleError, match=words):
        hard_examples(compared, "v1", "v2", "choice", **{"split": "train", **options})
    assert list(place.iterdir()) == []
    assert {dataset.name for dataset in list_datasets(compared)} == {"choice", "texts"}


def test_a_cause_limits_the_export_to_its_flips(compared: Workspace, tmp_path: Path) -> None:
    from muscle_core.actions.updates.explain import explained_samples

    causes = explained_samples(compared, "v1", "v2", "choice")["cause"].dropna()
    cause = causes.iloc[0]
    file = tmp_path / "v.csv"
    count = export_view(
        compared, "v1", "v2", "choice", file, filters=Filters(causes=[cause]), columns=["sample_id", "cause"]
    )
    assert count == (causes == cause).sum()
    assert set(pd.read_csv(file)["cause"]) == {cause}
    with pytest.raises(ConfigError, match="no flip has the cause 'bad luck'; causes here"):
        export_view(compared, "v1", "v2", "choice", tmp_path / "w.csv", filters=Filters(causes=["bad luck"]))
    with pytest.raises(ConfigError, match="no column 'nonsense'; known: sample_id"):
        export_view(compared, "v1", "v2", "choice", tmp_path / "w.csv", columns=["nonsense"])
