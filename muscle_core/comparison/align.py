"""Several prediction tables side by side: which row of each belongs to which sample."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from muscle_core.comparison.columns import Predictions, arrow_table, column_names, flag_column, text_column
from muscle_core.errors import DataError, raise_all

_HEADLINE = "prediction tables cannot be put side by side"


class Aligned(NamedTuple):
    """The samples of several tables, in the order in which they first occur.

    Attributes:
        names: name of each table.
        sample_ids: id of each sample (Arrow text, n).
        rows: row of each sample in each table (n x tables), -1 where a table has no usable one.
        duplicates: ids that occur more than once in a table, for each table; their rows are not used there, since
            which of them is meant cannot be known.
        conflicting: samples left out because two tables name different right answers.
    """

    names: tuple[str, ...]
    sample_ids: pa.Array
    rows: NDArray[np.int64]
    duplicates: tuple[int, ...]
    conflicting: int


def arrow_tables_of(tables: Mapping[str, Predictions], wanted: set[str]) -> dict[str, pa.Table]:
    """The wanted columns of each table as Arrow, with what `align_tables` needs.

    Raises:
        DataError: a table has no row, or not one column of ids; or a column mixes kinds of values.
    """
    _check(tables)
    return {name: arrow_table(table, wanted | {"sample_id", "gold"}, name) for name, table in tables.items()}


def align_tables(tables: Mapping[str, pa.Table]) -> Aligned:
    """Find the rows of every sample by `sample_id`, never by row order; gaps are kept as gaps.

    Args:
        tables: result of `arrow_tables_of`; `gold` is used where present.

    Raises:
        DataError: an id is empty, or every sample conflicts.
    """
    names = tuple(tables)
    ids = [text_column(table, "sample_id", name) for name, table in tables.items()]
    empty = {name: column.null_count for name, column in zip(names, ids, strict=True) if column.null_count}
    raise_all(
        (f"{count:,} rows of {name} have no sample_id; give each sample one" for name, count in empty.items()),
        DataError,
        _HEADLINE,
    )
    if all(column.equals(ids[0]) for column in ids[1:]):
        # Runs over one dataset keep its order: then one of the columns is hashed for all.
        once = ids[0].dictionary_encode()
        distinct, codes = once.dictionary, [once.indices.to_numpy()] * len(ids)
    else:
        encoded = pa.chunked_array(ids).dictionary_encode()
        distinct, codes = encoded.chunk(0).dictionary, [chunk.indices.to_numpy() for chunk in encoded.chunks]
    rows = np.full((len(distinct), len(ids)), -1, dtype=np.int64, order="F")
    duplicates = []
    for column, code in enumerate(codes):
        rows[code, column] = np.arange(len(code))
        times = np.bincount(code, minlength=len(distinct))
        rows[times > 1, column] = -1
        duplicates.append(int(np.count_nonzero(times > 1)))
    conflict = _conflicts(tables, rows)
    keep = (rows >= 0).any(axis=1) & ~conflict
    if not keep.any():
        raise DataError(
            f"{', '.join(names)} hold no sample that can be used: {int(conflict.sum()):,} have different right answers "
            "(gold) in two of the tables, the other ids occur more than once; evaluate all on the same dataset"
        )
    if not keep.all():
        distinct, rows = distinct.filter(pa.array(keep)), np.asfortranarray(rows[keep])
    return Aligned(names, distinct, rows, tuple(duplicates), int(conflict.sum()))


def aligned_flags(
    tables: Mapping[str, pa.Table], aligned: Aligned, column: str = "correct"
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """A column of yes and no as (n x tables) arrays: the value, false where there is none, and whether there is one.

    Raises:
        DataError: a table holds something else than yes, no or nothing.
    """
    shape = aligned.rows.shape
    value, known = np.zeros(shape, dtype=bool, order="F"), np.zeros(shape, dtype=bool, order="F")
    for number, (name, table) in enumerate(tables.items()):
        flags = flag_column(table, column, name)
        rows = aligned.rows[:, number]
        there = rows >= 0
        value[there, number] = flags.fill_null(False).to_numpy(zero_copy_only=False)[rows[there]]
        known[there, number] = flags.is_valid().to_numpy(zero_copy_only=False)[rows[there]]
    return value, known


def _check(tables: Mapping[str, Predictions]) -> None:
    problems = []
    for name, table in tables.items():
        columns = column_names(table)
        if columns.count("sample_id") != 1:
            problems.append(f"{name} must have one column sample_id; it has {', '.join(map(str, columns))}")
        elif not len(table):
            problems.append(f"the predictions of {name} hold no row; evaluate that version first")
    raise_all(problems, DataError, _HEADLINE)


def _conflicts(tables: Mapping[str, pa.Table], rows: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether two tables name different right answers for a sample."""
    conflict = np.zeros(len(rows), dtype=bool)
    named = [(number, name) for number, (name, table) in enumerate(tables.items()) if "gold" in table.column_names]
    golds = [text_column(tables[name], "gold", name) for _, name in named]
    if len(golds) < 2:
        return conflict
    codes = [chunk.indices for chunk in pa.chunked_array(golds).dictionary_encode().chunks]
    first = np.full(len(rows), -1, dtype=np.int64)
    for (number, _), code in zip(named, codes, strict=True):
        there = rows[:, number] >= 0
        own = np.full(len(rows), -1, dtype=np.int64)
        own[there] = code.fill_null(-1).to_numpy()[rows[there, number]]
        conflict |= (own >= 0) & (first >= 0) & (own != first)
        first = np.where(first < 0, own, first)
    return conflict
