"""Read a file of one version's outputs as a prediction table, for a gate without a workspace."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from muscle_core.datasets.read import read_rows
from muscle_core.errors import DataError, raise_all
from muscle_core.interchange.outputs import flag_of, number_of

_IDS = ("id", "sample_id")


def read_prediction_file(path: str | Path, scores: Sequence[str]) -> pd.DataFrame:
    """Read the columns id (or sample_id), prediction, correct and gold, and scores where they are.

    Doubled ids and missing values stay in the table: a gate refuses them together with all else that it finds.

    Args:
        path: .csv, .jsonl, .json or .parquet with one row a sample.
        scores: columns that hold a score where they are present.

    Returns:
        Columns sample_id, prediction, correct (nullable), and gold and scores where the file has them.

    Raises:
        DataError: the file cannot be read, a column is missing, or a value is neither right nor wrong or no number.
    """
    rows = read_rows(path)
    present = {name for _, row in rows for name in row}
    identity = next((name for name in _IDS if name in present), None)
    missing = [] if identity else [" or ".join(_IDS)]
    missing += [name for name in ("prediction",) if name not in present]
    if missing:
        raise DataError(f"{path} has no column {', '.join(missing)}; its columns are {', '.join(sorted(present))}.")
    names = ["prediction", *(name for name in ("gold",) if name in present)]
    numbers = [name for name in scores if name in present]
    table: dict[str, list[Any]] = {name: [] for name in ("sample_id", "correct", *names, *numbers)}
    problems: list[str] = []
    for place, row in rows:
        table["sample_id"].append(_text(row.get(identity or "")))
        for name in names:
            table[name].append(_text(row.get(name)))
        try:
            table["correct"].append(_flag(row.get("correct")))
            for name in numbers:
                table[name].append(_number(row.get(name), name))
        except ValueError as error:
            problems.append(f"{place}: {error}")
    raise_all(problems, DataError, f"{path} cannot be read")
    kinds = {"correct": "boolean", **dict.fromkeys(numbers, "float64")}
    return pd.DataFrame({name: pd.array(values, dtype=kinds.get(name, "string")) for name, values in table.items()})


def _text(value: Any) -> str | None:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # how tools write a column of whole numbers that has gaps
    return str(value) or None


def _flag(value: Any) -> bool | None:
    return flag_of(value, "correct") if (_text(value) or "").strip() else None


def _number(value: Any, column: str) -> float | None:
    return None if _text(value) is None and not isinstance(value, float) else number_of(value, column)
