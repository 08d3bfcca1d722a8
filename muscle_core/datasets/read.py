"""Read rows from JSONL, JSON, CSV or Parquet files, with the place of every row for error messages."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from muscle_core.errors import DataError
from muscle_core.paths import local_path, reason

SUFFIXES = (".jsonl", ".json", ".csv", ".parquet")
_NESTED = ("choices", "endings", "options", "labels", "label_names")  # read as JSON in a cell of a CSV file
Row = tuple[str, dict[str, Any]]

csv.field_size_limit(2**30)  # long articles; the default stops at 128 KiB a cell


def read_rows(path: str | Path) -> list[Row]:
    """Read a file of rows.

    Args:
        path: a .jsonl, .json (a list of objects), .csv (with a header) or .parquet file, text in UTF-8.

    Returns:
        One (place, row) pair a row; the place reads `file:line` for messages.

    Raises:
        DataError: the file is missing, empty, of another kind or encoding, or a row cannot be read.
    """
    file = local_path(path, DataError)
    if not file.is_file():
        raise DataError(f"no such file: {file}. Give the path of a {', '.join(SUFFIXES)} file.")
    if file.stat().st_size == 0:
        raise DataError(f"{file} is empty (0 bytes); it must hold at least one row.")
    readers = {".jsonl": _read_jsonl, ".json": _read_json, ".csv": _read_csv, ".parquet": _read_parquet}
    reader = readers.get(file.suffix.lower())
    if reader is None:
        raise DataError(f"{file}: unknown file type {file.suffix!r}; use one of {', '.join(SUFFIXES)}.")
    rows = list(reader(file))
    if not rows:
        raise DataError(f"{file} holds no rows.")
    return rows


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{file} is not UTF-8 text (byte {error.start}: {error.reason}); save it as UTF-8 and try again."
        ) from error
    except OSError as error:
        raise DataError(f"{file} cannot be read: {reason(error)}. Check its rights.") from error


def _json_problem(error: Exception) -> str:
    """Why `json.loads` refused a text; it has more exceptions than its own."""
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at column {error.colno}"
    return "it is nested too deeply" if isinstance(error, RecursionError) else "it holds a number of too many digits"


def _read_jsonl(file: Path) -> Iterator[Row]:
    # Not splitlines(): it also cuts at characters such as U+2028 that JSON strings may hold.
    for number, line in enumerate(_text(file).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{file}:{number}: not a JSON object ({_json_problem(error)}).") from error
        yield _checked(row, f"{file.name}:{number}")


def _read_json(file: Path) -> Iterator[Row]:
    try:
        rows = json.loads(_text(file))
    except (ValueError, RecursionError) as error:
        place = f"{file}:{error.lineno}" if isinstance(error, json.JSONDecodeError) else str(file)
        raise DataError(f"{place}: not JSON ({_json_problem(error)}).") from error
    if not isinstance(rows, list):
        raise DataError(f"{file} must hold a JSON list of objects, got {type(rows).__name__}.")
    for number, row in enumerate(rows, start=1):
        yield _checked(row, f"{file.name}:item {number}")


def _read_csv(file: Path) -> Iterator[Row]:
    # Not pandas: it moves all columns by one where rows are longer than the header, and does not tell line numbers.
    lines = csv.reader(io.StringIO(_text(file), newline=""), strict=True)
    header: list[str] = []
    try:
        while not header:
            header = next(lines, ["-"])
        doubled = sorted({name for name in header if name and header.count(name) > 1})
        if doubled:
            raise DataError(f"{file}: the header names {', '.join(map(repr, doubled))} more than once.")
        start = lines.line_num + 1
        for cells in lines:
            place, start = f"{file.name}:{start}", lines.line_num + 1
            if not cells:
                continue
            if len(cells) != len(header):
                raise DataError(f"{place}: the row has {len(cells)} cells, but the header has {len(header)}.")
            # Everything stays text: a CSV does not say which of its digits are numbers, the task does.
            yield place, {name: _nested_cell(place, name, cell) for name, cell in zip(header, cells, strict=True)}
    except csv.Error as error:
        raise DataError(f"{file}:{lines.line_num}: cannot be read as CSV: {error}") from error


def _nested_cell(place: str, name: str, cell: str) -> Any:
    if name not in _NESTED or not cell.startswith(("[", "{")):
        return cell
    try:
        return json.loads(cell)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{place}: {name} is not a JSON list or object ({_json_problem(error)}).") from error


def _read_parquet(file: Path) -> Iterator[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(file)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{file} cannot be read as Parquet: {error}") from error
    for number, row in enumerate(table.to_pylist(), start=1):
        yield f"{file.name}:row {number}", row


def _checked(row: Any, place: str) -> Row:
    if not isinstance(row, dict):
        raise DataError(f"{place}: a row must be a JSON object, got {type(row).__name__}.")
    return place, row
