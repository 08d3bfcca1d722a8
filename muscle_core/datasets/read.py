"""Read rows from JSONL, JSON, CSV or Parquet files, with the place of every row for error messages."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from muscle_core.errors import DataError, raise_all
from muscle_core.paths import local_path, reason

SUFFIXES = (".jsonl", ".json", ".csv", ".parquet")
_NESTED = ("choices", "endings", "options", "labels", "label_names")  # read as JSON in a cell of a CSV file
_ROWS_AT_ONCE = 65_536  # of a Parquet file
Row = tuple[str, dict[str, Any]]

csv.field_size_limit(2**30)  # long articles; the default stops at 128 KiB a cell


def read_rows(
    path: str | Path, *, suffix: str | None = None, told: Callable[[int], None] = lambda count: None
) -> list[Row]:
    """Read a file of rows.

    Args:
        path: a .jsonl, .json (a list of objects), .csv (with a header) or .parquet file, text in UTF-8.
        suffix: one of these, where the file's name does not say what it is.
        told: told with each row how many have been read; what it raises ends the reading.

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
    reader = readers.get(suffix or file.suffix.lower())
    if reader is None:
        raise DataError(f"{file}: unknown file type {file.suffix!r}; use one of {', '.join(SUFFIXES)}.")
    rows = []
    for count, row in enumerate(reader(file), start=1):
        rows.append(row)
        told(count)
    if not rows:
        raise DataError(f"{file} holds no rows.")
    return rows


def read_text(file: Path) -> str:
    """The text of a file in UTF-8, with or without a byte order mark.

    Raises:
        DataError: it is not UTF-8, or cannot be read.
    """
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{file} is not UTF-8 text (byte {error.start}: {error.reason}); save it as UTF-8 and try again."
        ) from error
    except OSError as error:
        raise DataError(f"{file} cannot be read: {reason(error)}. Check its rights.") from error


class _DoubledField(ValueError):
    """A field that an object names twice: which of the two values is meant cannot be known."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        seen: set[str] = set()
        doubled = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise _DoubledField(f"the field {doubled!r} occurs twice in one object")
    return fields


def parse_json(text: str) -> Any:
    """Like `json.loads`, but a field that occurs twice in one object is an error, not silently the last value.

    Raises:
        ValueError, RecursionError: see `json_problem`.
    """
    return json.loads(text, object_pairs_hook=_object)


def json_problem(error: Exception) -> str:
    """Why `parse_json` refused a text; it has more exceptions than json's own."""
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at column {error.colno}"
    if isinstance(error, _DoubledField):
        return str(error)
    return "it is nested too deeply" if isinstance(error, RecursionError) else "it holds a number of too many digits"


def _read_jsonl(file: Path) -> Iterator[Row]:
    problems: list[str] = []
    # Not splitlines(): it also cuts at characters such as U+2028 that JSON strings may hold.
    for number, line in enumerate(read_text(file).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = parse_json(line)
        except (ValueError, RecursionError) as error:
            problems.append(f"{file}:{number}: not a JSON object ({json_problem(error)}).")
            continue
        if not isinstance(row, dict):
            problems.append(f"{file.name}:{number}: a row must be a JSON object, got {type(row).__name__}.")
            continue
        if not problems:
            yield f"{file.name}:{number}", row
    _refuse(problems, file)


def _read_json(file: Path) -> Iterator[Row]:
    try:
        rows = parse_json(read_text(file))
    except (ValueError, RecursionError) as error:
        place = f"{file}:{error.lineno}" if isinstance(error, json.JSONDecodeError) else str(file)
        raise DataError(f"{place}: not JSON ({json_problem(error)}).") from error
    if not isinstance(rows, list):
        raise DataError(f"{file} must hold a JSON list of objects, got {type(rows).__name__}.")
    for number, row in enumerate(rows, start=1):
        yield _checked(row, f"{file.name}:item {number}")


def _read_csv(file: Path) -> Iterator[Row]:
    # Not pandas: it moves all columns by one where rows are longer than the header, and does not tell line numbers.
    lines = csv.reader(io.StringIO(read_text(file), newline=""), strict=True)
    header: list[str] = []
    problems: list[str] = []
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
                problems.append(f"{place}: the row has {len(cells)} cells, but the header has {len(header)}.")
                continue
            # Everything stays text: a CSV does not say which of its digits are numbers, the task does.
            yield place, {name: _nested_cell(place, name, cell) for name, cell in zip(header, cells, strict=True)}
    except csv.Error as error:
        problems.append(f"{file}:{lines.line_num}: cannot be read as CSV: {error}")
    _refuse(problems, file)


def _nested_cell(place: str, name: str, cell: str) -> Any:
    if name not in _NESTED or not cell.startswith(("[", "{")):
        return cell
    try:
        return json.loads(cell)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{place}: {name} is not a JSON list or object ({json_problem(error)}).") from error


def _read_parquet(file: Path) -> Iterator[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        with pq.ParquetFile(file) as opened:
            for batch in opened.iter_batches(batch_size=_ROWS_AT_ONCE):
                for row in _python_rows(batch, number):
                    number += 1
                    yield f"{file.name}:row {number}", row
    except _NotUtf8 as error:
        raise DataError(f"{file}:row {error}: a text is not UTF-8.") from error
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{file} cannot be read as Parquet: {error}") from error


class _NotUtf8(ValueError):
    """A text in a Parquet file is not UTF-8, which is found out only when it is made into one; says in which row."""


def _python_rows(batch: Any, before: int) -> list[dict[str, Any]]:
    try:
        return list(batch.to_pylist())
    except UnicodeDecodeError as error:
        for row in range(batch.num_rows):
            try:
                batch.slice(row, 1).to_pylist()
            except UnicodeDecodeError:
                raise _NotUtf8(before + row + 1) from error
        raise


def _refuse(problems: list[str], file: Path) -> None:
    """Refuse a file for all problems found; a single one speaks for itself."""
    if len(problems) == 1:
        raise DataError(problems[0])
    raise_all(problems, DataError, f"{file} cannot be read")


def _checked(row: Any, place: str) -> Row:
    if not isinstance(row, dict):
        raise DataError(f"{place}: a row must be a JSON object, got {type(row).__name__}.")
    return place, row
