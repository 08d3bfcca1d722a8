"""From rows to samples: parse by task, give stable ids, collect every problem, fingerprint, and Parquet form."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from muscle_core.datasets.read import Row
from muscle_core.errors import DataError, first_line, raise_all
from muscle_core.tasks import ParsedRow, Sample, Task
from muscle_core.tasks.classification import Classification, distinct_labels

SCHEMA = pa.schema(
    [
        ("sample_id", pa.string()),
        ("split", pa.string()),
        ("input", pa.string()),
        ("gold", pa.string()),
        ("target", pa.string()),
        ("choices", pa.list_(pa.string())),
        ("metadata", pa.string()),
    ]
)


def content_id(parsed: ParsedRow) -> str:
    """Id of a sample that brings none: a hash of its content, never its row number."""
    content = json.dumps([parsed.input, list(parsed.choices), parsed.gold, parsed.target], ensure_ascii=False)
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def build_samples(
    task: Task, rows_by_split: Mapping[str, Iterable[Row]], *, name: str = "", labels: Sequence[str] = ()
) -> list[Sample]:
    """Parse all rows of all splits, or refuse with all problems at once.

    Rows may bring an `id` field; else the id is a hash of the content. Exact copies without an id get the
    hash and a running number ("…-2"), so that none is lost.

    Args:
        task: parses the rows.
        rows_by_split: (place, row) pairs by split name.
        name: the dataset's name, for messages.
        labels: names of the labels of a classification, for rows that do not bring them; without any, the distinct
            labels of all rows are the names.

    Raises:
        DataError: a row lacks its input or gold answer, an id occurs twice within a split, or there is no row.
    """
    if isinstance(task, Classification):
        rows_by_split = {split: list(rows) for split, rows in rows_by_split.items()}
        task = Classification(labels or distinct_labels(row for rows in rows_by_split.values() for _, row in rows))
    samples: list[Sample] = []
    problems: list[str] = []
    for split, rows in rows_by_split.items():
        first_place: dict[str, str] = {}
        copies: Counter[str] = Counter()
        for place, row in rows:
            try:
                parsed = task.parse_row(row)
                # Encoding also refuses half characters (lone surrogates), which no file can hold.
                content = content_id(parsed)
                _metadata_text(parsed.metadata).encode()
                own = str(row["id"]) if row.get("id") not in (None, "") else ""
                own.encode()
            except (ValueError, TypeError) as error:
                problems.append(f"{place}: {error}")
                continue
            except RecursionError:
                problems.append(f"{place}: a field is nested too deeply")
                continue
            if own:
                identity = own
            else:
                identity = content
                copies[identity] += 1
                if copies[identity] > 1:
                    identity = f"{identity}-{copies[identity]}"
            if identity in first_place:
                problems.append(f"{place}: the id {identity!r} was already used at {first_place[identity]}")
                continue
            first_place[identity] = place
            samples.append(Sample(id=identity, split=split, **vars(parsed)))
    raise_all(problems, DataError, f"dataset {name!r} ({task.kind}) cannot be added")
    if not samples:
        raise DataError(f"dataset {name!r} has no rows.")
    return samples


def _metadata_text(metadata: Mapping[str, Any]) -> str:
    return json.dumps(metadata, ensure_ascii=False, default=str)


def dataset_fingerprint(task_kind: str, samples: Iterable[Sample]) -> str:
    """Hash of the task kind and all sample contents; independent of row order and metadata."""
    digests = sorted(
        hashlib.sha256(
            json.dumps([s.split, s.id, s.input, list(s.choices), s.gold, s.target], ensure_ascii=False).encode()
        ).digest()
        for s in samples
    )
    total = hashlib.sha256(task_kind.encode())
    for digest in digests:
        total.update(digest)
    return total.hexdigest()


def write_samples(samples: Iterable[Sample], path: Path) -> None:
    """Write samples as Parquet in one go: the file appears whole or not at all."""
    rows = [
        {
            "sample_id": s.id,
            "split": s.split,
            "input": s.input,
            "gold": s.gold,
            "target": s.target,
            "choices": list(s.choices),
            "metadata": _metadata_text(s.metadata),
        }
        for s in samples
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), partial, compression="zstd")
    partial.replace(path)


def read_samples(path: Path, split: str | None = None) -> list[Sample]:
    """Read samples back, of one split or all.

    Raises:
        DataError: the file is missing or damaged.
    """
    try:
        return [
            Sample(
                id=row["sample_id"],
                split=row["split"],
                input=row["input"],
                gold=row["gold"],
                target=row["target"],
                choices=tuple(row["choices"] or ()),
                metadata=json.loads(row["metadata"] or "{}"),
            )
            for row in _read_table(path, split).to_pylist()
        ]
    except (pa.ArrowException, OSError, KeyError, ValueError, RecursionError) as error:
        raise _damaged(path, error) from error


def read_sample_table(path: Path, split: str | None = None) -> pa.Table:
    """The same as an Arrow table in the columns of `SCHEMA`, for work on all samples at once; metadata is JSON text.

    Raises:
        DataError: the file is missing or damaged.
    """
    try:
        return _read_table(path, split).select(SCHEMA.names)
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        raise _damaged(path, error) from error


def _read_table(path: Path, split: str | None) -> pa.Table:
    return pq.read_table(path, filters=None if split is None else [("split", "=", split)])


def _damaged(path: Path, error: Exception) -> DataError:
    return DataError(f"the samples at {path} are missing or damaged ({first_line(error)}). Add the dataset again.")
