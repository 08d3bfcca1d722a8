"""The beginning of a large file as a small file of the same kind: what it is can then be told at once."""

from __future__ import annotations

import io
import json
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

_BYTES, ROWS = 2**20, 200  # of the beginning


def head_of(content: memoryview) -> bytes | None:
    """The first rows of a file of rows.

    Args:
        content: the whole file.

    Returns:
        A file of the same kind with at most `ROWS` rows; None where a part of it says nothing (a log that is one JSON
        object, an archive) or its beginning cannot be read. Whoever reads the whole file then says what is wrong.
    """
    start = bytes(content[:_BYTES])
    if start.startswith(b"PAR1"):
        return _parquet(content)
    if start.startswith(b"PK\x03\x04"):
        return None
    text = start.decode("utf-8-sig", "ignore")
    if text.lstrip().startswith("["):
        return _json(text)
    if text.lstrip().startswith("{"):
        return _json_lines(text)
    return _csv(text)


def _parquet(content: memoryview) -> bytes | None:
    try:
        with pq.ParquetFile(pa.BufferReader(content)) as file:
            table = pa.Table.from_batches([next(file.iter_batches(batch_size=ROWS))])
    except (pa.ArrowException, OSError, StopIteration):
        return None
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


def _json(text: str) -> bytes | None:
    decoder, rows, place = json.JSONDecoder(), list[Any](), text.index("[") + 1
    while len(rows) < ROWS:
        while place < len(text) and text[place] in " \t\r\n,":
            place += 1
        try:
            row, place = decoder.raw_decode(text, place)
        except (ValueError, RecursionError):
            break
        rows.append(row)
    return json.dumps(rows).encode() if rows else None


def _json_lines(text: str) -> bytes | None:
    lines = text.split("\n")[:-1][:ROWS]
    try:
        is_rows = bool(lines) and isinstance(json.loads(next(line for line in lines if line.strip())), dict)
    except (ValueError, RecursionError, StopIteration):
        return None
    return ("\n".join(lines) + "\n").encode() if is_rows else None


def _csv(text: str) -> bytes | None:
    """Whole rows only: a line feed between quotes ends none."""
    rows = quotes = end = whole = 0
    for line in text.split("\n")[:-1]:
        quotes += line.count('"')
        end += len(line) + 1
        if quotes % 2 == 0:
            rows, whole = rows + 1, end
            if rows > ROWS:
                break
    return text[:whole].encode() if rows > 1 else None
