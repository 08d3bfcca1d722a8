"""From rows to samples: parse by task, give stable ids, collect every problem, fingerprint, and Parquet form."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from muscle_core.datasets.read import Row
from muscle_core.errors import DataError, first_line, raise_all
from muscle_core.tasks import ParsedRow, Sample, Task
from muscle_core.tasks.classification import Classification, distinct_labels

# So few rows are read to show one sample; a million of them are still read in one go at the same speed.
ROWS_A_GROUP = 10_000
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
                metadata_text(parsed.metadata).encode()
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


def metadata_text(metadata: Mapping[str, Any]) -> str:
    """Metadata as they are stored."""
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
            "metadata": metadata_text(s.metadata),
        }
        for s in samples
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    write_sample_table(pa.Table.from_pylist(rows, schema=SCHEMA), partial)
    partial.replace(path)


def write_sample_table(table: pa.Table, path: Path) -> None:
    """Write a table in the columns of `SCHEMA`, in groups of rows that can be read one by one."""
    pq.write_table(table, path, compression="zstd", row_group_size=ROWS_A_GROUP)


def read_sample_ids(path: Path, split: str) -> tuple[pa.Array, NDArray[np.int64]]:
    """Ids of the samples of a split, `large_string`, and their row numbers in the file.

    Raises:
        DataError: the file is missing or damaged.
    """
    try:
        table = pq.read_table(path, columns=["sample_id", "split"])
        places = np.flatnonzero(pc.equal(table["split"], split).to_numpy())
        ids = table["sample_id"].cast(pa.large_string()).combine_chunks()
        return (ids if len(places) == len(ids) else ids.take(pa.array(places))), places
    except (pa.ArrowException, OSError, KeyError) as error:
        raise _damaged(path, error) from error


def read_sample_rows(path: Path, places: NDArray[np.int64], columns: Sequence[str] | None = None) -> pa.Table:
    """Some rows of the file, in the order asked for; only their groups are read.

    Args:
        path: of the file.
        places: numbers of rows.
        columns: of `SCHEMA`; by default all.

    Raises:
        DataError: the file is missing or damaged.
    """
    try:
        with pq.ParquetFile(path) as file:
            return read_rows_of(file, places, columns or SCHEMA.names)
    except (pa.ArrowException, OSError, KeyError) as error:
        raise _damaged(path, error) from error


def read_sample_column(path: Path, name: str) -> pa.Array:
    """One column of `SCHEMA` of all rows of the file, in one piece; text as `large_string`.

    Raises:
        DataError: the file is missing or damaged.
    """
    try:
        column = pq.read_table(path, columns=[name])[name]
        if pa.types.is_string(column.type):
            column = column.cast(pa.large_string())  # in one piece it may need more than 2 GiB
        return column.combine_chunks()
    except (pa.ArrowException, OSError, KeyError) as error:
        raise _damaged(path, error) from error


def read_rows_of(file: pq.ParquetFile, places: NDArray[np.int64], columns: Sequence[str]) -> pa.Table:
    """Some rows of a Parquet file by their numbers, in the order asked for, reading only the groups that hold them."""
    ends = np.cumsum([file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)])
    groups = np.searchsorted(ends, places, side="right")
    needed = np.unique(groups)
    if not len(needed):
        return file.schema_arrow.empty_table().select(list(columns))
    table = file.read_row_groups(needed.tolist(), columns=list(columns))
    sizes = np.diff(ends, prepend=0)[needed]
    starts = np.zeros(len(ends), dtype=np.int64)  # of each group in the table read
    starts[needed] = np.cumsum(sizes) - sizes
    inside = places - (ends[groups] - np.diff(ends, prepend=0)[groups])
    return table.take(pa.array(starts[groups] + inside))


def sample_of(row: Mapping[str, Any]) -> Sample:
    """A sample from a row of the file."""
    return Sample(
        id=row["sample_id"],
        split=row["split"],
        input=row["input"],
        gold=row["gold"],
        target=row["target"],
        choices=tuple(row["choices"] or ()),
        metadata=json.loads(row["metadata"] or "{}"),
    )


def read_samples(path: Path, split: str | None = None) -> list[Sample]:
    """Read samples back, of one split or all.

    Raises:
        DataError: the file is missing or damaged.
    """
    try:
        return [sample_of(row) for row in _read_table(path, split).to_pylist()]
    except (pa.ArrowException, OSError, KeyError, ValueError, RecursionError) as error:
        raise _damaged(path, error) from error


def read_sample_table(path: Path, split: str | None = None, columns: Sequence[str] | None = None) -> pa.Table:
    """The same as an Arrow table, for work on all samples at once; metadata is JSON text.

    Args:
        path: of the file.
        split: whose samples; by default all.
        columns: of `SCHEMA`; by default all.

    Raises:
        DataError: the file is missing or damaged.
    """
    try:
        return _read_table(path, split, columns or SCHEMA.names)
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        raise _damaged(path, error) from error


def _read_table(path: Path, split: str | None, columns: Sequence[str] = tuple(SCHEMA.names)) -> pa.Table:
    return pq.read_table(path, columns=list(columns), filters=None if split is None else [("split", "=", split)])


def _damaged(path: Path, error: Exception) -> DataError:
    return DataError(f"the samples at {path} are missing or damaged ({first_line(error)}). Add the dataset again.")
