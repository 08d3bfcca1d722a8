"""Answers of a model, kept by the content of what was asked: a killed evaluation goes on, another scoring asks nothing.

A folder belongs to one way of asking one model (weights, adapter, template, decoding). Answers are added in shards; a
shard is a Parquet file that appears whole or not at all, so that a killed process leaves none half-written.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq

from muscle_core.errors import StoreError
from muscle_core.paths import reason
from muscle_core.scoring.prediction import Answer

_SCHEMA = pa.schema(
    [
        ("content", pa.string()),
        ("token_loglikelihoods", pa.list_(pa.list_(pa.float64()))),
        ("text", pa.string()),
        ("finish_reason", pa.string()),
        ("latency_seconds", pa.float64()),
    ]
)
_SHARDS_IN_MEMORY = 4
_ASKED = "asked.json"  # beside the shards: what was asked of whom
_LEFTOVER_SECONDS = 24 * 3600  # a half-written file of a process that was killed


class AnswerStore:
    """The answers in a folder.

    Attributes:
        folder: where the shards lie.
    """

    def __init__(self, folder: Path, asked: Mapping[str, Any] | None = None) -> None:
        """Read which answers there are; what is in a shard that cannot be read is asked for again.

        Args:
            folder: where the shards lie.
            asked: what was asked of whom, noted beside the shards; its "version" is the version's fingerprint, by which
                is found whose answers these are.

        Raises:
            StoreError: the folder cannot be made or written.
        """
        self.folder = folder
        note, partial = folder / _ASKED, folder / f"{uuid4().hex}.partial"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if asked is not None and not note.is_file():
                partial.write_text(json.dumps(asked))
                partial.replace(note)
        except OSError as error:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)
            raise StoreError(f"the folder {folder} cannot be made or written: {reason(error)}.") from error
        self._remove_leftovers()
        self._shard_of: dict[str, Path] = {}
        self._recent: dict[Path, dict[str, Answer]] = {}
        for shard in sorted(folder.glob("*.parquet")):
            try:
                contents = pq.read_table(shard, columns=["content"])["content"].to_pylist()
            except (pa.ArrowException, OSError):
                continue  # perhaps only for the moment: hours of answers are not deleted for that
            # Two processes may have answered the same; both answers are the model's.
            self._shard_of.update((content, shard) for content in contents if content not in self._shard_of)

    def __contains__(self, content: str) -> bool:
        return content in self._shard_of

    def add(self, contents: Sequence[str], answers: Sequence[Answer]) -> Path:
        """Keep answers, all of them or none; returns their shard.

        Raises:
            StoreError: they cannot be written, for example because the disk is full.
        """
        rows = [{"content": c, **answer._asdict()} for c, answer in zip(contents, answers, strict=True)]
        shard = self.folder / f"{uuid4().hex}.parquet"
        partial = shard.with_suffix(".partial")
        try:
            pq.write_table(pa.Table.from_pylist(rows, schema=_SCHEMA), partial, compression="zstd")
            partial.replace(shard)
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise StoreError(
                f"{len(rows):,} answers cannot be written to {self.folder}: {reason(error)}. Earlier ones are kept; "
                "make room, then evaluate again."
            ) from error
        self._shard_of.update((content, shard) for content in contents if content not in self._shard_of)
        return shard

    def get(self, contents: Iterable[str]) -> list[Answer]:
        """Answers to contents that are there, in the order given.

        Raises:
            StoreError: a shard is damaged; it is set aside.
        """
        return [self._shard(self._shard_of[content])[content] for content in contents]

    def _remove_leftovers(self) -> None:
        for partial in self.folder.glob("*.partial"):
            with contextlib.suppress(OSError):
                if time.time() - partial.stat().st_mtime > _LEFTOVER_SECONDS:
                    partial.unlink()

    def _shard(self, path: Path) -> dict[str, Answer]:
        # An evaluation reads shard after shard, in the order in which it wrote them.
        if path not in self._recent:
            while len(self._recent) >= _SHARDS_IN_MEMORY:
                del self._recent[next(iter(self._recent))]
            try:
                rows = pq.read_table(path).to_pylist()
            except (pa.ArrowException, OSError) as error:
                path.with_suffix(".damaged").unlink(missing_ok=True)
                path.rename(path.with_suffix(".damaged"))
                raise StoreError(
                    f"the answers in {path} are damaged ({reason(error)}); the file is set aside as .damaged. Evaluate "
                    "again: what it held will be asked once more."
                ) from error
            self._recent[path] = {row.pop("content"): Answer(**row) for row in rows}
        return self._recent[path]


def asked_of(folder: Path) -> dict[str, Any] | None:
    """What was asked of whom, where it was noted beside the answers in a folder."""
    try:
        asked = json.loads((folder / _ASKED).read_text())
    except (OSError, ValueError, RecursionError):
        return None
    return asked if isinstance(asked, dict) and "version" in asked else None
