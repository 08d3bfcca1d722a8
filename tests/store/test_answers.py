"""Kept answers: whole shards or none, nothing deleted for a passing error, damage set aside."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from muscle_core.errors import StoreError
from muscle_core.scoring.prediction import Answer
from muscle_core.store.answers import AnswerStore


def answer(n: int) -> Answer:
    return Answer([[-1.0 * n], [-2.0, -0.5]], None if n % 2 else f"text {n}", "choice", 0.5)


def filled(folder: Path, shards: int = 6) -> AnswerStore:
    store = AnswerStore(folder)
    for shard in range(shards):
        numbers = range(shard * 3, shard * 3 + 3)
        store.add([f"c{n}" for n in numbers], [answer(n) for n in numbers])
    return store


def test_answers_come_back_as_they_were_in_any_order(tmp_path: Path) -> None:
    filled(tmp_path)
    again = AnswerStore(tmp_path)
    for order in (range(18), range(17, -1, -1), [4, 16, 4, 0]):
        assert again.get(f"c{n}" for n in order) == [answer(n) for n in order]
    assert "c17" in again
    assert "c18" not in again


def test_two_processes_that_answered_the_same_give_one_answer(tmp_path: Path) -> None:
    one, other = AnswerStore(tmp_path), AnswerStore(tmp_path)
    one.add(["c"], [answer(1)])
    other.add(["c", "d"], [answer(1), answer(2)])
    assert AnswerStore(tmp_path).get(["c", "d"]) == [answer(1), answer(2)]


def test_a_shard_that_cannot_be_read_is_asked_again_and_not_deleted(tmp_path: Path) -> None:
    filled(tmp_path, shards=2)
    broken = sorted(tmp_path.glob("*.parquet"))[0]
    held = pq.read_table(broken)["content"].to_pylist()
    broken.write_bytes(b"PAR1 nothing PAR1")
    again = AnswerStore(tmp_path)
    assert not any(content in again for content in held)
    assert broken.exists()
    again.add(held, [answer(int(content[1:])) for content in held])
    assert AnswerStore(tmp_path).get(held) == [answer(int(content[1:])) for content in held]


def test_damage_found_while_reading_is_set_aside_with_advice(tmp_path: Path) -> None:
    filled(tmp_path, shards=1)
    [shard] = tmp_path.glob("*.parquet")
    content = bytearray(shard.read_bytes())
    column = pq.ParquetFile(shard).metadata.row_group(0).column(1)  # the log-likelihoods; the index still reads
    start = column.dictionary_page_offset or column.data_page_offset
    content[start : start + column.total_compressed_size] = os.urandom(column.total_compressed_size)
    shard.write_bytes(bytes(content))
    store = AnswerStore(tmp_path)
    assert "c0" in store
    with pytest.raises(StoreError, match=r"damaged.*Evaluate again"):
        store.get(["c0"])
    assert [path.suffix for path in tmp_path.iterdir()] == [".damaged"]
    assert "c0" not in AnswerStore(tmp_path)


def test_answers_that_cannot_be_written_leave_no_half_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = filled(tmp_path, shards=1)

    def full(table, path, **options):
        Path(path).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pq, "write_table", full)
    with pytest.raises(StoreError, match="No space left on device"):
        store.add(["new"], [answer(1)])
    assert "new" not in store
    assert [path.suffix for path in tmp_path.iterdir()] == [".parquet"]


def test_half_files_of_killed_processes_go_after_a_day(tmp_path: Path) -> None:
    old, young = tmp_path / "old.partial", tmp_path / "young.partial"
    for file in (old, young):
        file.write_bytes(b"half")
    os.utime(old, (0, time.time() - 2 * 24 * 3600))
    AnswerStore(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["young.partial"]
