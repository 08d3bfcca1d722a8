"""Write a table of compared samples for other tools: CSV, Parquet, JSON lines, and LLM Comparator's JSON."""

from __future__ import annotations

import io
import json
import math
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from muscle_core.metrics.quadrants import Quadrant

# A spreadsheet runs a cell that begins so; the wide forms of the signs are taken for the narrow ones by some.
_FORMULA = r"^[=+\-@\t\r\n＝＋－＠]"
_NUMBER = r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"


def csv_text(frame: pd.DataFrame) -> str:
    """The table as CSV; texts that a spreadsheet would run as a formula get a leading apostrophe.

    Numbers stay numbers, also those kept as text. Lists are written as JSON.

    Args:
        frame: one row a sample.
    """
    safe = frame.copy()
    for column in frame.columns:
        if _holds_texts(frame[column]):
            safe[column] = _neutralised(frame[column].map(_cell, na_action="ignore").astype("string"))
    safe.columns = _neutralised(pd.Series(frame.columns, dtype="string"))
    # Line ends of RFC 4180: with "\n" alone a carriage return in a cell is not quoted, and cuts the row in two.
    return safe.to_csv(index=False, lineterminator="\r\n")


def _holds_texts(column: pd.Series) -> bool:
    return column.dtype == object or str(column.dtype) in ("string", "str")


def _cell(value: Any) -> str:
    if isinstance(value, list | tuple | dict | np.ndarray):
        return _json(plain(value))
    return str(value)


def _neutralised(texts: pd.Series) -> pd.Series:
    risky = texts.str.match(_FORMULA).fillna(False) & ~texts.str.fullmatch(_NUMBER).fillna(False)
    return texts.mask(risky, "'" + texts)


def parquet_bytes(frame: pd.DataFrame) -> bytes:
    """The table as Parquet with a type for every column; a column of mixed values becomes text.

    Args:
        frame: one row a sample.
    """
    table = pa.table({str(name): _typed(frame[name]) for name in frame.columns})
    target = io.BytesIO()
    pq.write_table(table, target, compression="zstd")
    return target.getvalue()


def _typed(column: pd.Series) -> pa.Array:
    try:
        return pa.array(column, from_pandas=True)
    except (pa.ArrowException, OverflowError):
        return pa.array([None if plain(value) is None else _cell(value) for value in column], pa.string())


def jsonl_text(frame: pd.DataFrame) -> str:
    """The table as JSON lines, strict JSON: what is missing or not a finite number is null.

    Args:
        frame: one row a sample.
    """
    return "".join(_json(row) + "\n" for row in records(frame))


def llm_comparator_json(
    frame: pd.DataFrame, *, old_name: str, new_name: str, source: str, score: str | None = None
) -> str:
    """The JSON file of LLM Comparator: A is the new version and B the old one.

    The score of a sample is 1 for a positive flip, -1 for a negative one, and 0 for no change; where right and wrong
    are not known, it is new - old of the continuous score, so that above 0 the new version is better.

    Args:
        frame: columns sample_id, quadrant and input, and where they are target, choices, outputs, predictions, right or
            wrong, scores and cause.
        old_name: name of the old version.
        new_name: name of the new version.
        source: where the samples come from.
        score: name of the continuous score, if any.
    """
    judged = bool(frame["quadrant"].notna().any())
    schema = [{"name": "sample_id", "type": "string"}, {"name": "target", "type": "text"}]
    if judged:
        schema += [{"name": "quadrant", "type": "category"}, {"name": "correct", "type": "per_model_boolean"}]
    if "cause" in frame:
        schema.append({"name": "cause", "type": "category"})
    if score is not None:
        schema.append({"name": score, "type": "per_model_number"})
    examples = [_example(row, {str(field["name"]) for field in schema}, score) for row in records(frame)]
    content = {
        "metadata": {"source_path": source, "custom_fields_schema": schema},
        "models": [{"name": new_name}, {"name": old_name}],
        "examples": examples,
    }
    return _json(content) + "\n"


_SCORES = {"Q1": 0, "Q2": 1, "Q3": 0, "Q4": -1}


def _example(row: dict[str, Any], fields: set[str], score: str | None) -> dict[str, Any]:
    quadrant = row["quadrant"]
    custom: dict[str, Any] = {
        "sample_id": row["sample_id"],
        "target": row.get("target") or "",
        "quadrant": quadrant or "not judged",
        "correct": [row.get("new_correct"), row.get("old_correct")],
        "cause": row.get("cause") or "",
    }
    if score is not None:
        custom[score] = [row.get(f"new_{score}"), row.get(f"old_{score}")]
    value = _SCORES[quadrant] if quadrant else row.get(f"delta_{score}")
    return {
        "input_text": row.get("input") or "",
        "tags": [Quadrant(quadrant).label] if quadrant else [],
        "output_text_a": _answer(row, "new"),
        "output_text_b": _answer(row, "old"),
        "score": value,
        # The viewer calls forEach on this list without looking whether it is there.
        "individual_rater_scores": [],
        "rationale_list": [],
        "custom_fields": {name: value for name, value in custom.items() if name in fields},
    }


def _answer(row: dict[str, Any], side: str) -> str:
    """What a version answered, as people read it: the text of the choice, or the output."""
    choices, prediction = row.get("choices") or [], str(row.get(f"{side}_prediction") or "")
    if choices and prediction.isdecimal() and int(prediction) < len(choices):
        return str(choices[int(prediction)])
    return str(row.get(f"{side}_output") or prediction)


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows in types of JSON; see `plain`."""
    columns = [[plain(value) for value in frame[name]] for name in frame.columns]
    names = [str(name) for name in frame.columns]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def plain(value: Any) -> Any:
    """The value in types of JSON; None for what is missing or not a finite number."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and not math.isfinite(value)):
        return None
    return value if isinstance(value, bool | int | float | str) else str(value)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
