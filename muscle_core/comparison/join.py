"""Pair the rows of two prediction tables by sample id, and account for every id that has no partner."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from muscle_core.comparison.columns import Predictions, column_names, text_column
from muscle_core.comparison.matching import match_ids, pick
from muscle_core.errors import DataError, raise_all

REQUIRED_COLUMNS = ("sample_id", "prediction")


class JoinReport(NamedTuple):
    """What became of the sample ids of both tables; only the matched ones enter the figures.

    Every field counts sample ids, not rows. An id that occurs more than once in a table is counted as a
    duplicate of that table and nowhere else, since which of its rows is meant cannot be known.
    """

    matched: int
    only_old: int
    only_new: int
    duplicate_old: int
    duplicate_new: int
    conflicting: int

    @property
    def left_out(self) -> int:
        """How many ids are in no figure (an id repeated in both tables is counted for each)."""
        return sum(self) - self.matched

    def reasons(self, old_name: str, new_name: str) -> list[tuple[int, str]]:
        """How many ids are in no figure for which reason, in words; a reason may have none."""
        return [
            (self.only_old, f"answered by {old_name} only"),
            (self.only_new, f"answered by {new_name} only"),
            (self.duplicate_old + self.duplicate_new, "with an id that occurs twice"),
            (self.conflicting, "with different gold answers in the two runs"),
        ]


class JoinedRows(NamedTuple):
    """The matched samples, in the order of the old table: their ids, and their row numbers in each table."""

    ids: pa.Array
    old_rows: NDArray[np.int64]
    new_rows: NDArray[np.int64]
    report: JoinReport


def join_tables(old: pa.Table, new: pa.Table, old_name: str, new_name: str) -> JoinedRows:
    """Pair the rows of two prediction tables by `sample_id`, never by row order.

    Args:
        old: predictions of the old version.
        new: predictions of the new version.
        old_name: name of the old version, for messages.
        new_name: name of the new version, for messages.

    Raises:
        DataError: if an id is empty, or no sample can be paired.
    """
    old_ids = _sample_ids(old, old_name)
    new_ids = _sample_ids(new, new_name)
    for name, ids in ((old_name, old_ids), (new_name, new_ids)):
        if not len(ids):
            raise DataError(f"the predictions of {name} hold no row; evaluate that version first, then compare again")
    matches = match_ids(old_ids, new_ids)
    old_rows, new_rows = matches.old_rows, matches.new_rows
    conflict = _gold_differs(old, new, old_rows, new_rows, old_name, new_name)
    if conflict is not None:
        old_rows, new_rows = old_rows[~conflict], new_rows[~conflict]
    conflicting = 0 if conflict is None else int(np.count_nonzero(conflict))
    report = JoinReport(
        matched=len(old_rows),
        only_old=matches.only_old,
        only_new=matches.only_new,
        duplicate_old=matches.duplicate_old,
        duplicate_new=matches.duplicate_new,
        conflicting=conflicting,
    )
    if not len(old_rows):
        raise DataError(_nothing_matched(report, old_ids, new_ids, old_name, new_name))
    return JoinedRows(pick(old_ids, old_rows), old_rows, new_rows, report)


def check_columns(tables: list[tuple[str, Predictions]]) -> None:
    """Refuse tables that lack a column every comparison needs, or hold one twice; list all problems."""
    problems = []
    for name, table in tables:
        present = column_names(table)
        missing = [column for column in REQUIRED_COLUMNS if column not in present]
        if missing:
            known = ", ".join(map(str, present)) or "(none)"
            problems.append(f"{name} has no column {', '.join(missing)}; its columns are {known}")
        twice = sorted({str(column) for column in present if present.count(column) > 1})
        if twice:
            problems.append(f"{name} has more than one column called {', '.join(twice)}")
    raise_all(problems, DataError, "prediction tables cannot be compared")


def _sample_ids(table: pa.Table, name: str) -> pa.Array:
    ids = text_column(table, "sample_id", name)
    if ids.null_count:
        row = int(np.flatnonzero(ids.is_null().to_numpy(zero_copy_only=False))[0])
        raise DataError(
            f"{ids.null_count:,} rows of {name} have no sample_id, the first is row {row + 1}; "
            "give each sample an id that is the same in both tables"
        )
    return ids


def _gold_differs(
    old: pa.Table,
    new: pa.Table,
    old_rows: NDArray[np.int64],
    new_rows: NDArray[np.int64],
    old_name: str,
    new_name: str,
) -> NDArray[np.bool_] | None:
    """Whether both tables name a right answer for a pair, and not the same one; None where that is so for no pair."""
    if "gold" not in old.column_names or "gold" not in new.column_names:
        return None
    differs = pc.not_equal(
        pick(text_column(old, "gold", old_name), old_rows), pick(text_column(new, "gold", new_name), new_rows)
    )
    if not pc.any(differs, min_count=0).as_py():
        return None
    return pc.fill_null(differs, False).to_numpy(zero_copy_only=False)


def _nothing_matched(report: JoinReport, old_ids: pa.Array, new_ids: pa.Array, old_name: str, new_name: str) -> str:
    if report.conflicting:
        return (
            f"{report.conflicting:,} samples of {old_name} and {new_name} share an id but not the right "
            "answer (gold), and no other sample is in both; evaluate both versions on the same dataset, then "
            "compare again"
        )
    return (
        f"no sample is in both {old_name} and {new_name}: {report.only_old:,} ids are only in the first, "
        f"{report.only_new:,} only in the second, {report.duplicate_old:,} and "
        f"{report.duplicate_new:,} occur more than once; the first ids are {old_ids[0].as_py()!r} "
        f"and {new_ids[0].as_py()!r}. Evaluate both versions on the same dataset and split, or "
        "give the samples the same unique ids"
    )
