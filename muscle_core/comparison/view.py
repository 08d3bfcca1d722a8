"""The rows a reader wants to see: filter by quadrant and text, cut one page, and what is before and after one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from muscle_core.errors import ConfigError


@dataclass(frozen=True, eq=False)
class ViewOfSamples:
    """The samples that pass the filters, in the order of the view, as row numbers: a million of them cost no objects.

    Attributes:
        ids: id of every compared sample, whether it passes or not.
        rows: rows of `ids` that pass, in the order of the view; None for all in their own order.
    """

    ids: pa.Array
    rows: NDArray[np.int32] | NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.ids) if self.rows is None else len(self.rows)

    def ids_at(self, start: int, stop: int) -> list[str]:
        """Ids of the samples from one position of the view up to another, counted from 0."""
        part = self.ids[start:stop] if self.rows is None else self.ids.take(pa.array(self.rows[start:stop]))
        return list(part.to_pylist())


class Neighbours(NamedTuple):
    """What is before and after a sample in a view; the position counts from 1 and is None where it is not in it."""

    before: str | None
    after: str | None
    position: int | None
    total: int


def neighbours(view: ViewOfSamples, sample_id: str) -> Neighbours:
    """The samples before and after one in the view, across the pages of the table.

    For a sample that is not in the view, the first of the view comes after it.
    """
    total = len(view)
    row = row_of(view.ids, sample_id)
    at = row
    if row is not None and view.rows is not None:
        found = np.flatnonzero(view.rows == row)
        at = int(found[0]) if len(found) else None
    if at is None:
        first = view.ids_at(0, 1)
        return Neighbours(None, first[0] if first else None, None, total)
    around = view.ids_at(max(0, at - 1), at + 2)
    place = min(at, 1)
    return Neighbours(
        around[0] if place else None, around[place + 1] if len(around) > place + 1 else None, at + 1, total
    )


def row_of(ids: pa.Array, sample_id: str) -> int | None:
    """Row of a sample id, or None."""
    row = pc.index(ids, pa.scalar(sample_id, ids.type)).as_py()
    return None if row < 0 else int(row)


def rows_of(ids: pa.Array, sample_ids: Sequence[str]) -> NDArray[np.int64]:
    """Row of each of some sample ids, -1 where there is none; for an id that occurs twice the first row."""
    wanted = pc.dictionary_encode(pa.array(sample_ids, ids.type))
    # A hash table of the few that are wanted: one of all ids would take a second for a million.
    found = pc.index_in(ids, value_set=wanted.dictionary)
    rows = np.full(len(wanted.dictionary), -1, dtype=np.int64)
    places = np.flatnonzero(found.is_valid().to_numpy(zero_copy_only=False))[::-1]  # the first row is written last
    rows[found.drop_null().to_numpy()[::-1]] = places
    return rows[wanted.indices.to_numpy()]


def filter_rows(
    frame: pd.DataFrame, *, quadrants: Sequence[str] = (), search: str = "", search_columns: Sequence[str] = ()
) -> pd.DataFrame:
    """Rows in any of the quadrants whose text columns hold all the searched words.

    Args:
        frame: table with a `quadrant` column.
        quadrants: "Q1" to "Q4", "Q3 same", "Q3 changed"; empty for all.
        search: words, upper and lower case alike; empty for all.
        search_columns: columns to search in.
    """
    keep = pd.Series(True, index=frame.index)
    if quadrants:
        keep &= pd.concat([_in_quadrant(frame, quadrant) for quadrant in quadrants], axis=1).any(axis=1)
    for word in search.lower().split():
        found = pd.Series(False, index=frame.index)
        for column in search_columns:
            found |= frame[column].astype(str).str.lower().str.contains(word, regex=False)
        keep &= found
    return frame[keep]


def _in_quadrant(frame: pd.DataFrame, quadrant: str) -> pd.Series:
    if quadrant in ("Q3 same", "Q3 changed"):
        return (frame["quadrant"] == "Q3") & (frame["same_answer"].astype(bool) == (quadrant == "Q3 same"))
    return frame["quadrant"] == quadrant


def page_count(rows: int, size: int) -> int:
    """Number of pages; at least one.

    Raises:
        ConfigError: the page size is not positive.
    """
    if size < 1:
        raise ConfigError(f"a page must have at least 1 row, got {size}.")
    return max(1, -(-rows // size))


def page_of(frame: pd.DataFrame, page: int, size: int) -> pd.DataFrame:
    """One page of rows; page numbers begin at 1 and are kept within the pages there are."""
    page = min(max(1, page), page_count(len(frame), size))
    return frame.iloc[(page - 1) * size : page * size]
