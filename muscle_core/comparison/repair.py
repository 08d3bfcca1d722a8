"""What a compatibility adapter does to an update: which flips it repairs, and what it breaks instead."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from muscle_core.comparison.columns import flag_column, text_column
from muscle_core.comparison.comparison import Comparison
from muscle_core.comparison.matched import MatchedRows
from muscle_core.comparison.matching import match_ids


class Repair(NamedTuple):
    """Counts of samples that the adapter answered too.

    Attributes:
        repaired: negative flips of the plain new version that the adapter has right.
        flips: negative flips of the plain new version.
        broken: samples that both versions have right and the adapter has wrong.
        both_right: samples that both versions have right.
    """

    repaired: int
    flips: int
    broken: int
    both_right: int


def repair_of(comparison: Comparison, correct: pd.Series) -> Repair:
    """Count what an adapter repairs and breaks.

    Args:
        comparison: the old version against the plain new one.
        correct: whether the adapter is right, by sample id; missing where that is not known. Ids that occur twice do
            not count.
    """
    right = correct[~correct.index.duplicated(keep=False)].dropna().astype(bool)
    flags = pa.array(right.reindex(comparison.rows.ids.to_pylist()), pa.bool_(), from_pandas=True)
    return _counted(comparison.rows, flags)


def repair_by(rows: MatchedRows, answers: pa.Table) -> Repair:
    """The same from the adapter's prediction table, without an object for each of its samples.

    Args:
        rows: of the comparison of the old version with the plain new one.
        answers: predictions of the adapter.

    Raises:
        DataError: a column holds values of another kind than it must.
    """
    found = match_ids(rows.ids, text_column(answers, "sample_id", "adapter's"))
    places = np.full(len(rows.ids), -1)
    places[found.old_rows] = found.new_rows
    return _counted(rows, flag_column(answers, "correct", "adapter's").take(pa.array(places, mask=places < 0)))


def _counted(rows: MatchedRows, correct: pa.Array) -> Repair:
    known = rows.judged & correct.is_valid().to_numpy(zero_copy_only=False)
    right = pc.fill_null(correct, False).to_numpy(zero_copy_only=False)
    kept, flips = known & rows.old_right & rows.new_right, known & rows.old_right & ~rows.new_right
    return Repair(*(int(np.count_nonzero(part)) for part in (flips & right, flips, kept & ~right, kept)))
