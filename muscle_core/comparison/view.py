"""The rows a reader wants to see: filter by quadrant and text, sort, and cut one page. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from muscle_core.errors import ConfigError


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
