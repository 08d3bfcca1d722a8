"""The matched rows of two prediction tables, side by side in Arrow; as one pandas frame where people look at them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from operator import getitem
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from muscle_core.comparison.columns import flag_column, score_column, text_column
from muscle_core.comparison.join import JoinedRows
from muscle_core.comparison.matching import Rows, is_all, pick
from muscle_core.metrics.quadrants import Quadrant, quadrant_codes

Flags = NDArray[np.bool_]
ScorePair = tuple[NDArray[np.float64], NDArray[np.float64]]
_QUADRANTS = pa.array([quadrant.value for quadrant in Quadrant], pa.large_string())


@dataclass(frozen=True, eq=False)
class MatchedRows:
    """What both versions did on each matched sample, in the order of the old table.

    Attributes:
        ids: id of each sample.
        old_prediction: answer of the old version, missing where none could be read.
        new_prediction: answer of the new version.
        old_correct: whether the old version is right, missing where that is not known.
        new_correct: whether the new version is right.
        old_right: whether the old version is known to be right.
        new_right: whether the new version is known to be right.
        judged: whether both have a right or wrong.
        same: whether both gave the same answer; two missing ones are the same.
        scores: score under the old and under the new version, by name.
        rows: row numbers in the old and in the new table.
        gold: the whole column of right answers of the old and of the new table, where it has one.
        margin: the same of the margins.
    """

    ids: pa.Array
    old_prediction: pa.Array
    new_prediction: pa.Array
    old_correct: pa.Array
    new_correct: pa.Array
    old_right: Flags
    new_right: Flags
    judged: Flags
    same: Flags
    scores: dict[str, ScorePair]
    rows: tuple[Rows, Rows]
    gold: tuple[pa.Array | None, pa.Array | None]
    margin: tuple[NDArray[np.float64] | None, NDArray[np.float64] | None]

    def frame(self, chosen: Rows | None = None, names: Collection[str] | None = None) -> pd.DataFrame:
        """Return columns as a pandas frame.

        Args:
            chosen: row numbers, in the order wanted; by default all.
            names: of the columns; by default all.
        """
        columns = {name: read() for name, read in self._readers(chosen).items() if names is None or name in names}
        booleans = {pa.bool_(): pd.BooleanDtype()}
        frame = pa.table(columns).to_pandas(types_mapper=booleans.get)
        if "same_answer" in frame:
            frame["same_answer"] = frame["same_answer"].to_numpy(dtype=np.bool_)
        return frame

    def _readers(self, chosen: Rows | None) -> dict[str, Callable[[], Any]]:
        """What makes each column of the frame, of some rows or of all."""

        def part(column: Any) -> Any:
            if chosen is None:
                return column
            return column[chosen] if isinstance(column, np.ndarray) else column.take(pa.array(chosen, pa.int64()))

        sides = [rows if chosen is None else rows[chosen] for rows in self.rows]

        def quadrants() -> pa.Array:
            codes = quadrant_codes(part(self.old_right), part(self.new_right))
            return _QUADRANTS.take(pa.array(codes, mask=~part(self.judged)))

        def change(old: NDArray[np.float64], new: NDArray[np.float64]) -> Any:
            return part(new) - part(old)

        readers: dict[str, Callable[[], Any]] = {
            "sample_id": lambda: part(self.ids),
            "quadrant": quadrants,
            "same_answer": lambda: pa.array(part(self.same)),
            "old_prediction": lambda: part(self.old_prediction),
            "new_prediction": lambda: part(self.new_prediction),
            "old_correct": lambda: part(self.old_correct),
            "new_correct": lambda: part(self.new_correct),
        }
        gold = [(column, rows) for column, rows in zip(self.gold, sides, strict=True) if column is not None]
        if gold:
            readers["gold"] = lambda: pc.coalesce(*(pick(column, rows) for column, rows in gold))
        for name, (old, new) in self.scores.items():
            readers[f"old_{name}"] = partial(part, old)
            readers[f"new_{name}"] = partial(part, new)
            readers[f"delta_{name}"] = partial(change, old, new)
        for which, margin, rows in zip(("old", "new"), self.margin, sides, strict=True):
            if margin is not None:
                readers[f"{which}_margin"] = partial(getitem, margin, rows)
        return readers


def matched_rows(
    old: pa.Table, new: pa.Table, joined: JoinedRows, scores: dict[str, ScorePair], old_name: str, new_name: str
) -> MatchedRows:
    """Read the columns of the matched rows.

    Raises:
        DataError: a column holds values of another kind than it must.
    """
    old_correct = pick(flag_column(old, "correct", old_name), joined.old_rows)
    new_correct = pick(flag_column(new, "correct", new_name), joined.new_rows)
    old_prediction = pick(text_column(old, "prediction", old_name), joined.old_rows)
    new_prediction = pick(text_column(new, "prediction", new_name), joined.new_rows)
    return MatchedRows(
        ids=joined.ids,
        old_prediction=old_prediction,
        new_prediction=new_prediction,
        old_correct=old_correct,
        new_correct=new_correct,
        old_right=_flags(old_correct),
        new_right=_flags(new_correct),
        judged=_flags(pc.and_(old_correct.is_valid(), new_correct.is_valid())),
        same=_same_answer(old_prediction, new_prediction),
        scores=scores,
        rows=(joined.old_rows, joined.new_rows),
        gold=(_gold(old, old_name), _gold(new, new_name)),
        margin=(_margin(old, old_name), _margin(new, new_name)),
    )


def pick_scores(old: pa.Table, new: pa.Table, joined: JoinedRows, name: str, labels: tuple[str, str]) -> ScorePair:
    """One score of the matched samples under both versions.

    Raises:
        DataError: the column holds no numbers.
    """
    first, second = (
        scores if is_all(rows, len(scores)) else scores[rows]
        for scores, rows in (
            (score_column(old, name, labels[0]), joined.old_rows),
            (score_column(new, name, labels[1]), joined.new_rows),
        )
    )
    return first, second


def _same_answer(old: pa.Array, new: pa.Array) -> Flags:
    if not old.null_count and not new.null_count:
        return _flags(pc.equal(old, new))
    both_missing = pc.and_(old.is_null(), new.is_null())
    return _flags(pc.or_(pc.fill_null(pc.equal(old, new), False), both_missing))


def _flags(array: pa.Array) -> Flags:
    known = pc.fill_null(array, False) if array.null_count else array
    return known.to_numpy(zero_copy_only=False)


def _gold(table: pa.Table, label: str) -> pa.Array | None:
    return text_column(table, "gold", label) if "gold" in table.column_names else None


def _margin(table: pa.Table, label: str) -> NDArray[np.float64] | None:
    return score_column(table, "margin", label) if "margin" in table.column_names else None
