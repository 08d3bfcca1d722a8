"""Matrices of models, and telling formats by content."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from logs import LOGS, comparator, lm_eval_file, text_line, write_lines

from muscle_core.errors import ConfigError, DataError
from muscle_core.interchange.detect import detect_format, existing_file
from muscle_core.interchange.wide import looks_wide, read_wide


def written(tmp_path: Path, text: str, name: str = "m.csv") -> Path:
    file = tmp_path / name
    file.write_text(text, encoding="utf-8")
    return file


def test_each_column_is_a_model_and_empty_cells_are_left_out(tmp_path: Path) -> None:
    file = written(tmp_path, "id,gold,m 1,m2\na,7,1,0\nb,8,,1\nc,9,true,0.0\n")
    matrix = read_wide(file, answers=written(tmp_path, "id,m 1,m2\nc,9,2\na,7,1\nb,,8\n", "a.csv"))
    assert matrix.models == ("m 1", "m2")
    assert [row["prediction"] for _, row in matrix.outputs("m2")] == ["1", "8", "2"]
    assert [(place, row["id"]) for place, row in matrix.outputs("m 1")] == [("m.csv:2", "a"), ("m.csv:4", "c")]
    assert matrix.golds() == {"a": ("m.csv:2", "7"), "b": ("m.csv:3", "8"), "c": ("m.csv:4", "9")}


def test_all_wrong_cells_and_ids_are_listed(tmp_path: Path) -> None:
    file = written(tmp_path, "id,m1,m2\na,1,2\na,1,0\n,1,0\nd,x,1\n")
    with pytest.raises(DataError) as refusal:
        read_wide(file)
    assert len(refusal.value.problems) == 4
    assert "m.csv:2: 'm2' holds '2'" in str(refusal.value)


def test_answers_of_other_ids_or_columns_are_refused(tmp_path: Path) -> None:
    file = written(tmp_path, "id,m1,m2\na,1,0\nb,1,0\n")
    with pytest.raises(DataError, match=r"(?s)lacks 1 of the ids.*'b'.*has 1 other ids.*'z'.*no column 'm2'"):
        read_wide(file, answers=written(tmp_path, "id,m1\na,1\nz,1\n", "a.csv"))


def test_the_id_column_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no column 'id'; it has key, m1"):
        read_wide(written(tmp_path, "key,m1\na,1\n"))
    with pytest.raises(ConfigError, match="no column of a model"):
        read_wide(written(tmp_path, "id,gold\na,1\n"))


@pytest.mark.parametrize(
    ("row", "wide"),
    [
        ({"id": 1, "a": 1, "b": 0}, True),
        ({"id": 1, "a": True, "b": "", "gold": "x"}, True),
        ({"id": 1, "a": 1}, False),
        ({"id": 1, "a": 1, "b": 2}, False),
        ({"key": 1, "a": 1, "b": 0}, False),
        ({"id": 1, "a": None, "b": float("nan")}, True),
    ],
)
def test_a_matrix_is_told_by_its_cells(row, wide) -> None:
    assert looks_wide([("x:1", row)], "id") is wide


def test_formats_are_told_by_content_whatever_the_name(tmp_path: Path) -> None:
    sources = {
        "a.txt": (lm_eval_file("old", "sums"), ("lm-eval", "")),
        "b.csv": (LOGS / "inspect" / "animals-old.eval", ("inspect", "")),
        "c": (LOGS / "inspect" / "animals-new.json", ("inspect", "")),
    }
    for name, (source, found) in sources.items():
        shutil.copy(source, tmp_path / name)
        assert detect_format(tmp_path / name) == found
    pd.DataFrame({"id": [1], "a": [1]}).to_parquet(tmp_path / "d.json")
    assert detect_format(tmp_path / "d.json") == ("generic", ".parquet")
    texts = {
        json.dumps(comparator()): ("llm-comparator", ""),
        json.dumps(comparator(), indent=1): ("llm-comparator", ""),
        "\ufeff" + json.dumps(text_line(0, "0", 1)): ("lm-eval", ""),
        "\n\n" + json.dumps(text_line(0, "0", 1)): ("lm-eval", ""),
        json.dumps(text_line(0, "0", 1), indent=1): ("lm-eval", ""),
        '{"id": 1, "answer": "x"}\n{"id": 2}': ("generic", ".jsonl"),
        '[{"id": 1}]': ("generic", ".json"),
        "id,answer\n1,x\n": ("generic", ".csv"),
        "\ufeffid,answer\n1,x\n": ("generic", ".csv"),
    }
    for text, found in texts.items():
        assert detect_format(written(tmp_path, text, "x")) == found, text[:40]


def test_an_indented_inspect_log_is_told(tmp_path: Path) -> None:
    log = json.loads((LOGS / "inspect" / "animals-new.json").read_text())
    assert detect_format(written(tmp_path, json.dumps(log, indent=4), "x")) == ("inspect", "")


def test_a_results_file_is_not_a_log(tmp_path: Path) -> None:
    [results] = lm_eval_file("old", "sums").parent.glob("results_*")
    for text in (results.read_text(), json.dumps(json.loads(results.read_text()))):
        with pytest.raises(DataError, match="results file, which has no answers; import the samples file"):
            detect_format(written(tmp_path, text, "r.json"))


def test_a_folder_names_the_logs_in_it(tmp_path: Path) -> None:
    write_lines(tmp_path / "samples_x.jsonl", [])
    with pytest.raises(DataError, match=r"is a folder, not a file\. It holds samples_x\.jsonl; name one"):
        existing_file(tmp_path)
    with pytest.raises(DataError, match="is empty"):
        existing_file(tmp_path / "samples_x.jsonl")
    with pytest.raises(DataError, match="no such file"):
        existing_file(tmp_path / "gone")


def test_a_file_that_is_not_what_it_is_called_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"is not what its name says \(\.json\)"):
        detect_format(written(tmp_path, "id,a\n1,2\n", "x.json"))
