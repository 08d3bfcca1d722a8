"""Single rows of a file of samples: only the groups that hold them are read, and any order is kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from muscle_core.datasets.samples import SCHEMA, read_rows_of, read_sample_column, read_sample_ids, read_sample_rows
from muscle_core.errors import DataError


def written(folder: Path, rows: int, group: int) -> Path:
    table = pa.table(
        {
            "sample_id": [f"s{number}" for number in range(rows)],
            "split": ["test" if number % 3 else "train" for number in range(rows)],
            **{
                name: [f"{name} {number}" for number in range(rows)] for name in ("input", "gold", "target", "metadata")
            },
            "choices": [[str(number)] for number in range(rows)],
        }
    ).select(SCHEMA.names)
    path = folder / "samples.parquet"
    pq.write_table(table.cast(SCHEMA), path, row_group_size=group)
    return path


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 23), st.integers(1, 8), st.lists(st.integers(0, 22), max_size=9))
def test_any_rows_in_any_order(tmp_path_factory: pytest.TempPathFactory, rows: int, group: int, places: list) -> None:
    path = written(tmp_path_factory.mktemp("rows"), rows, group)
    places = [place for place in places if place < rows]
    with pq.ParquetFile(path) as file:
        found = read_rows_of(file, np.array(places, dtype=np.int64), ["input", "choices"])
    assert found.to_pylist() == [{"input": f"input {place}", "choices": [str(place)]} for place in places]


def test_ids_of_a_split_and_a_whole_column(tmp_path: Path) -> None:
    path = written(tmp_path, 10, 4)
    ids, places = read_sample_ids(path, "test")
    assert ids.to_pylist() == ["s1", "s2", "s4", "s5", "s7", "s8"]
    assert places.tolist() == [1, 2, 4, 5, 7, 8]
    assert read_sample_column(path, "gold").to_pylist() == [f"gold {number}" for number in range(10)]
    path.write_bytes(b"no parquet")
    for read in (
        lambda: read_sample_ids(path, "test"),
        lambda: read_sample_rows(path, np.array([0])),
        lambda: read_sample_column(path, "gold"),
    ):
        with pytest.raises(DataError, match="damaged"):
            read()
