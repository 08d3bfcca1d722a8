"""The beginning of a large file is a file of the same kind with the same first rows."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from muscle_core.datasets import read_rows
from muscle_core.interchange import head as module
from muscle_core.interchange.head import ROWS, head_of

COUNT = 3 * ROWS


def rows(count: int = COUNT) -> list[dict[str, str]]:
    return [{"id": f"q{n}", "text": f'line one\nsaid "{n}", \u2028 and more'} for n in range(count)]


def content(suffix: str, count: int = COUNT) -> bytes:
    if suffix == ".parquet":
        sink = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(rows(count)), sink)
        return sink.getvalue()
    if suffix == ".csv":
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, ["id", "text"])
        writer.writeheader()
        writer.writerows(rows(count))
        return text.getvalue().encode()
    if suffix == ".json":
        return json.dumps(rows(count)).encode()
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows(count)).encode()


@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".csv", ".parquet"])
@pytest.mark.parametrize("cut", [2**20, 5_003])
def test_the_first_rows_are_those_of_the_file(
    tmp_path: Path, suffix: str, cut: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_BYTES", cut)
    whole, part = tmp_path / f"whole{suffix}", tmp_path / f"whole-head{suffix}"
    whole.write_bytes(content(suffix))
    part.write_bytes(head_of(memoryview(whole.read_bytes())))
    found = [row for _, row in read_rows(part)]
    assert found == [row for _, row in read_rows(whole)][: len(found)]
    assert 10 < len(found) <= ROWS
    assert (len(found) == ROWS) == (cut == 2**20 or suffix == ".parquet")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\x03\x04rest",
        b'{"eval": {"task":\n "x"}, "samples": []}',
        b"PAR1 and nothing",
        b"[",
        b"one line",
        b"\xff\x00",
    ],
)
def test_of_what_is_no_rows_there_is_no_beginning(content: bytes) -> None:
    assert head_of(memoryview(content)) is None


@given(st.binary(max_size=300))
def test_whatever_the_bytes_are_it_is_told_or_refused(content: bytes) -> None:
    found = head_of(memoryview(content))
    assert found is None or isinstance(found, bytes)
