"""Columns of a prediction table, read into Arrow and NumPy and checked on the way."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from muscle_core.errors import DataError

# Scores known to this project; a gap in one of them is an error, not a reason to ignore it.
KNOWN_SCORES = ("rouge1", "rouge2", "rougeL", "bertscore", "score")

# Numbers that describe how a sample was answered, not how well; none of them is "higher is better".
_NOT_SCORES = frozenset({"gold_loglikelihood", "latency_seconds", "margin"})
_NOT_SCORE_ENDINGS = ("_seconds", "_loglikelihood", "_tokens", "_margin", "_probability")


def arrow_column(frame: pd.DataFrame, column: str, table: str) -> pa.Array:
    """Return one column as an Arrow array, whatever pandas keeps it in."""
    try:
        array = pa.array(frame[column], from_pandas=True)
    except pa.ArrowException as error:
        raise DataError(f"column {column!r} of the {table} table mixes kinds of values: {error}") from error
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    if isinstance(array, pa.DictionaryArray):
        array = array.dictionary_decode()
    return array


def text_column(frame: pd.DataFrame, column: str, table: str) -> pa.Array:
    """Return one column as Arrow text; whole numbers become their text, anything else is refused."""
    array = arrow_column(frame, column, table)
    kind = array.type
    if pa.types.is_large_string(kind):
        return array
    text = pa.types.is_string(kind) or kind == pa.string_view()
    if text or pa.types.is_integer(kind) or pa.types.is_null(kind):
        return array.cast(pa.large_string())
    raise DataError(
        f"column {column!r} of the {table} table must hold text, but it holds {kind}; "
        "write each value as its canonical text (1 and 1.0 would count as different answers)"
    )


def flag_column(frame: pd.DataFrame, column: str, table: str) -> pa.Array:
    """Return one column as Arrow booleans with gaps; 1 and 0 are accepted, a missing column is all gaps."""
    if column not in frame.columns:
        return pa.nulls(len(frame), pa.bool_())
    array = arrow_column(frame, column, table)
    kind = array.type
    if pa.types.is_boolean(kind):
        return array
    if pa.types.is_null(kind):
        return array.cast(pa.bool_())
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        known = pc.drop_null(array)
        if len(known) == 0 or pc.all(pc.is_in(known, pa.array([0, 1]).cast(kind))).as_py():
            return pc.not_equal(array, pa.scalar(0).cast(kind))
    raise DataError(
        f"column {column!r} of the {table} table must hold true, false or nothing, but it holds {kind} values"
    )


def score_column(frame: pd.DataFrame, column: str, table: str) -> NDArray[np.float64]:
    """Return one column as floats, with nan where there is no number."""
    try:
        return frame[column].to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError) as error:
        raise DataError(f"column {column!r} of the {table} table must hold numbers: {error}") from error


def has_no_gap(scores: NDArray[np.float64]) -> bool:
    """Whether every entry is a finite number."""
    return bool(np.isfinite(scores).all())


def shared_scores(old: pd.DataFrame, new: pd.DataFrame) -> list[str]:
    """Return the score columns that both tables hold, the known ones first.

    A score is a known one, or any other column of decimal numbers that is not about time or likelihood.
    A column without a single value in one of the tables is none.
    """
    shared = set(old.columns) & set(new.columns)
    others = [
        str(column)
        for column in old.columns
        if column in shared
        and column not in KNOWN_SCORES
        and column not in _NOT_SCORES
        and not str(column).endswith(_NOT_SCORE_ENDINGS)
        and pd.api.types.is_float_dtype(old[column])
        and pd.api.types.is_float_dtype(new[column])
    ]
    known = [column for column in KNOWN_SCORES if column in shared]
    return [column for column in known + others if old[column].notna().any() and new[column].notna().any()]
