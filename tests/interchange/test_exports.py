"""Tables written for other tools are read back by readers that are not ours, and hold what they held."""

from __future__ import annotations

import csv
import io
import json
import math

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import validate

from muscle_core.interchange.exports import csv_text, jsonl_text, llm_comparator_json, parquet_bytes

DANGEROUS = [
    "=1+1",
    "+1+1",
    "-1+1",
    "@SUM(A1)",
    "\tx",
    "\rx",
    "\n=1",
    "=cmd|' /C calc'!A0",
    "＝1",
    "-",
    "--5",
    "+.",
    "-1,5",
]
NUMBERS = ["-5", "+5", "-0.5", "-.5", "1e-9", "-1E+5", "5."]


@pytest.mark.parametrize("text", DANGEROUS)
def test_a_cell_that_a_spreadsheet_would_run_gets_an_apostrophe(text: str) -> None:
    frame = pd.DataFrame({"a": [text, "plain"], text: ["x", "y"]})
    rows = list(csv.reader(io.StringIO(csv_text(frame), newline="")))
    assert rows[0] == ["a", "'" + text]
    assert rows[1] == ["'" + text, "x"]
    assert rows[2] == ["plain", "y"]


@pytest.mark.parametrize("text", NUMBERS)
def test_numbers_stay_numbers_also_as_text(text: str) -> None:
    float(text)
    rows = list(csv.reader(io.StringIO(csv_text(pd.DataFrame({"a": [text], "b": [-0.25]})))))
    assert rows[1] == [text, "-0.25"]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.none() | st.text(max_size=12), min_size=1, max_size=8), st.sampled_from(["string", "object", "str"]))
def test_no_cell_of_any_text_begins_a_formula_and_nothing_else_is_changed(texts: list, kind: str) -> None:
    try:
        "".join(text or "" for text in texts).encode()
    except UnicodeEncodeError:
        return
    frame = pd.DataFrame({"a": pd.array(texts, dtype=kind)})
    frame["end"] = 1
    cells = [row[0] for row in csv.reader(io.StringIO(csv_text(frame), newline=""))][1:]
    for text, cell in zip(texts, cells, strict=True):
        assert cell in ((text or ""), "'" + (text or ""))
        if cell[:1] in tuple("=+-@\t\r\n"):
            float(cell)  # a number, or this fails
        if cell.startswith("'") and text != cell:
            assert text[0] in "=+-@\t\r\n＝＋－＠"


def frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "sample_id": ["a", "b", "c", "d"],
            "quadrant": ["Q1", "Q2", "Q4", None],
            "old_correct": pd.array([True, False, True, None], dtype="boolean"),
            "new_correct": pd.array([True, True, False, None], dtype="boolean"),
            "old_prediction": ["0", "1", "0", None],
            "new_prediction": ["0", "0", "1", None],
            "old_output": ["0", "1", "0", None],
            "new_output": ["0", "0", "1", None],
            "choices": [["yes", "no"]] * 4,
            "input": ["=1+1", "<b>", "é\u2028", ""],
            "target": ["yes"] * 4,
            "delta_score": [0.5, -0.25, math.nan, math.inf],
            "meta.mixed": [1, "x", None, [2]],
        }
    )


def test_parquet_keeps_types_and_gaps() -> None:
    table = pq.read_table(io.BytesIO(parquet_bytes(frame())))
    kinds = {field.name: field.type for field in table.schema}
    assert kinds["old_correct"] == pa.bool_()
    assert kinds["delta_score"] == pa.float64()
    assert kinds["choices"] in (pa.list_(pa.string()), pa.list_(pa.large_string()))
    assert table["old_correct"].to_pylist() == [True, False, True, None]
    assert table["input"].to_pylist() == list(frame()["input"])  # no apostrophe: nothing runs it
    assert table["meta.mixed"].to_pylist() == ["1", "x", None, "[2]"]
    assert table["delta_score"].null_count == 1


def test_json_lines_are_strict_and_one_a_sample() -> None:
    lines = jsonl_text(frame()).split("\n")
    rows = [json.loads(line, parse_constant=pytest.fail) for line in lines[:-1]]
    assert lines[-1] == ""
    assert [row["old_correct"] for row in rows] == [True, False, True, None]
    assert [row["delta_score"] for row in rows] == [0.5, -0.25, None, None]
    assert rows[3]["meta.mixed"] == [2]
    assert list(rows[0]) == list(frame().columns)


def test_numpy_values_become_those_of_json() -> None:
    odd = pd.DataFrame({"a": pd.Series([np.int64(3), np.float32(0.5), np.array([1, 2]), np.bool_(True)], dtype=object)})
    assert [json.loads(line)["a"] for line in jsonl_text(odd).splitlines()] == [3, 0.5, [1, 2], True]


_TEXT = {"type": "string"}
# As peers.md D3 says, after client/lib/types.ts of LLM Comparator.
SCHEMA = {
    "type": "object",
    "required": ["metadata", "models", "examples"],
    "additionalProperties": False,
    "properties": {
        "metadata": {
            "type": "object",
            "required": ["source_path", "custom_fields_schema"],
            "properties": {
                "source_path": _TEXT,
                "custom_fields_schema": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["name", "type"],
                        "properties": {
                            "name": _TEXT,
                            "type": {
                                "enum": ["number", "string", "category", "text", "url", "image_path", "image_byte"]
                                + [f"per_model_{kind}" for kind in ("boolean", "number", "category", "text")]
                                + ["per_rating_string", "per_rating_per_model_category"]
                            },
                        },
                    },
                },
            },
        },
        "models": {
            "type": "array",
            "minItems": 2,
            "maxItems": 2,
            "items": {"type": "object", "required": ["name"], "properties": {"name": _TEXT}},
        },
        "examples": {
            "type": "array",
            "items": {
                "type": "object",
                "required": [
                    *("input_text", "tags", "output_text_a", "output_text_b", "score"),
                    *("individual_rater_scores", "rationale_list", "custom_fields"),
                ],
                "properties": {
                    "input_text": _TEXT,
                    "tags": {"type": "array", "items": _TEXT},
                    "output_text_a": _TEXT,
                    "output_text_b": _TEXT,
                    "score": {"type": ["number", "null"]},
                    "individual_rater_scores": {"type": "array"},
                    "rationale_list": {"type": "array"},
                    "custom_fields": {
                        "type": "object",
                        "properties": {
                            "quadrant": _TEXT,
                            "sample_id": _TEXT,
                            "target": _TEXT,
                            "cause": _TEXT,
                            "correct": {
                                "type": "array",
                                "minItems": 2,
                                "maxItems": 2,
                                "items": {"type": ["boolean", "null"]},
                            },
                            "score": {
                                "type": "array",
                                "minItems": 2,
                                "maxItems": 2,
                                "items": {"type": ["number", "null"]},
                            },
                        },
                        "additionalProperties": False,
                    },
                },
                "additionalProperties": False,
            },
        },
    },
}


def comparator(table: pd.DataFrame, **options: str) -> dict:
    text = llm_comparator_json(table, old_name="v1", new_name="v2", source="d (test)", **options)
    read = json.loads(text, parse_constant=pytest.fail)
    validate(read, SCHEMA)
    named = {field["name"] for field in read["metadata"]["custom_fields_schema"]}
    assert all(set(example["custom_fields"]) == named for example in read["examples"])
    return read


def test_llm_comparator_shows_the_new_version_as_a() -> None:
    read = comparator(frame())
    assert [model["name"] for model in read["models"]] == ["v2", "v1"]
    assert [example["score"] for example in read["examples"]] == [0, 1, -1, None]
    broken = read["examples"][2]
    assert (broken["output_text_a"], broken["output_text_b"]) == ("no", "yes")
    assert broken["tags"] == ["negative flip"]
    assert broken["custom_fields"]["correct"] == [False, True]


def test_llm_comparator_of_a_score_and_with_causes() -> None:
    scored = frame().assign(quadrant=None, old_score=[0.1, 0.9, 0.2, 0.3], new_score=[0.6, 0.65, 0.2, 0.3])
    read = comparator(scored.assign(delta_score=[0.5, -0.25, 0.0, math.nan]), score="score")
    assert [example["score"] for example in read["examples"]] == [0.5, -0.25, 0.0, None]
    assert read["examples"][0]["custom_fields"]["score"] == [0.6, 0.1]
    assert "correct" not in read["examples"][0]["custom_fields"]
    caused = comparator(frame().assign(cause=[None, None, "near tie", None]))
    assert [example["custom_fields"]["cause"] for example in caused["examples"]] == ["", "", "near tie", ""]
