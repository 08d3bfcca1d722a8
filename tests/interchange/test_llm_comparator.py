"""Files of LLM Comparator: two models, their scores, and what may be missing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from logs import comparator

from muscle_core.errors import ConfigError, DataError
from muscle_core.interchange.llm_comparator import read_llm_comparator
from muscle_core.interchange.log import LogOptions


def written(tmp_path: Path, content: object) -> Path:
    file = tmp_path / "c.json"
    file.write_text(json.dumps(content), encoding="utf-8")
    return file


def runs(tmp_path: Path, content: object, **options):
    return read_llm_comparator(written(tmp_path, content)).runs(LogOptions(**options))


def test_two_models_become_two_runs_with_half_of_the_score_each(tmp_path: Path) -> None:
    first, second = runs(tmp_path, comparator())
    assert (first.model, second.model, first.judged) == ("new model", "old-model", False)
    assert [row.output for row in second.rows] == [f"B says {n}" for n in range(4)]
    scores = [0.5 * n - 1 for n in range(4)]
    assert [a.score - b.score for a, b in zip(first.rows, second.rows, strict=True)] == scores
    assert "only their difference means it" in first.notes[0]
    assert first.rows[0].metadata == {"tags": "short"}


@pytest.mark.parametrize("lacking", ["individual_rater_scores", "custom_fields", "tags", "score"])
def test_optional_fields_may_be_missing(tmp_path: Path, lacking) -> None:
    content = comparator()
    for example in content["examples"]:
        del example[lacking]
    del content["metadata"]
    first, _ = runs(tmp_path, content)
    assert len(first.rows) == 4
    assert (first.rows[0].score is None) == (lacking == "score")


@pytest.mark.parametrize("score", [None, "nan", float("nan"), float("inf"), True, [1]])
def test_one_example_without_a_score_leaves_out_all_scores(tmp_path: Path, score) -> None:
    content = comparator()
    content["examples"][2]["score"] = score
    first, second = runs(tmp_path, content)
    assert {row.score for row in (*first.rows, *second.rows)} == {None}
    assert "not every example has a score" in first.notes[0]


def with_fields(**fields: list) -> dict:
    kinds = {"correct": "per_model_boolean", "ok": "per_model_boolean", "rating": "per_model_number"}
    content = comparator()
    schema = [{"name": name, "type": kinds.get(name, "string")} for name in fields]
    content["metadata"] = {"custom_fields_schema": schema}
    for number, example in enumerate(content["examples"]):
        example["custom_fields"] = {name: values[number] for name, values in fields.items()}
    return content


def test_right_and_wrong_of_our_own_export_are_read_back(tmp_path: Path) -> None:
    flags = [[True, False], [False, False], [True, True], [False, True]]
    content = with_fields(correct=flags, sample_id=["a", "b", "c", "d"], target=["1", "2", "3", "4"])
    first, second = runs(tmp_path, content)
    assert first.judged
    assert [[a.correct, b.correct] for a, b in zip(first.rows, second.rows, strict=True)] == flags
    assert [(row.id, row.gold, row.score) for row in first.rows][:2] == [("a", "1", None), ("b", "2", None)]


def test_fields_of_other_names_are_chosen(tmp_path: Path) -> None:
    content = with_fields(ok=[[1, 0]] * 4, rating=[[4, 2.5]] * 4)
    first, second = runs(tmp_path, content, correct="ok", score="rating")
    assert (first.rows[0].correct, second.rows[0].correct) == (True, False)
    assert (first.rows[0].score, second.rows[0].score) == (4.0, 2.5)
    with pytest.raises(ConfigError, match="no per_model_boolean field 'rating'; it has 'ok'"):
        runs(tmp_path, content, correct="rating")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c.update(models=[{"name": "one"}]), "models must be a list of two"),
        (lambda c: c.update(models=["a", "b"]), "models must be a list of two"),
        (lambda c: c.update(examples=[]), "examples must be a list"),
        (lambda c: c["examples"].append(3), r"c\.json:example 5: must be an object"),
        (lambda c: c["examples"][1].update(input_text=" "), r"c\.json:example 2: input_text must be a text"),
        (lambda c: c["examples"][3].update(output_text_b=[1]), r"c\.json:example 4: output_text_b must be a text"),
    ],
)
def test_wrong_parts_are_refused_with_their_example(tmp_path: Path, change, words) -> None:
    content = comparator()
    change(content)
    with pytest.raises(DataError, match=words):
        runs(tmp_path, content)


@pytest.mark.parametrize("text", ["", "{", "[1]", "null", '{"a": 1, "a": 2}', "[" * 3000])
def test_what_is_no_json_object_is_refused(tmp_path: Path, text) -> None:
    file = tmp_path / "c.json"
    file.write_text(text)
    with pytest.raises(DataError, match=r"is not JSON|must hold one JSON object"):
        read_llm_comparator(file)
