"""Columns of a prediction table, pandas or Arrow, read into Arrow and NumPy and checked on the way."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from muscle_core.errors import DataError

# A prediction table as callers hold it; inside, everything is Arrow.
Predictions: TypeAlias = pd.DataFrame | pa.Table

# What a comparison reads beside scores.
BASE_COLUMNS = ("sample_id", "prediction", "correct", "gold", "margin")

# Scores known to this project; a gap in one of them is an error, not a reason to ignore it.
KNOWN_SCORES = ("rouge1", "rouge2", "rougeL", "bertscore", "score")

# Numbers that describe how a sample was answered, not how well; none of them is "higher is better".
_NOT_SCORES = frozenset({"gold_loglikelihood", "latency_seconds", "margin"})
_NOT_SCORE_ENDINGS = ("_seconds", "_loglikelihood", "_tokens", "_margin", "_probability")


def column_names(table: Predictions) -> list[str]:
    """Names of the columns, as the table has them."""
    return table.column_names if isinstance(table, pa.Table) else list(table.columns)


def arrow_tables(
    old: Predictions, new: Predictions, more: Iterable[str | None], old_label: str, new_label: str
) -> tuple[pa.Table, pa.Table]:
    """Return what a comparison reads of both tables as Arrow, without a copy where it is Arrow already.

    Args:
        old: predictions of the old version.
        new: predictions of the new version.
        more: further columns that the caller asks for.
        old_label: name of the old version, for messages.
        new_label: name of the new version, for messages.

    Raises:
        DataError: a column mixes kinds of values.
    """
    asked = {name for name in more if name is not None}
    shared = set(column_names(old)) & set(column_names(new))
    scores = {name for name in shared if name in KNOWN_SCORES or (_is_score(old, name) and _is_score(new, name))}
    wanted = {*BASE_COLUMNS, *asked, *scores}
    return arrow_table(old, wanted, old_label), arrow_table(new, wanted, new_label)


def _is_score(table: Predictions, name: str) -> bool:
    if isinstance(table, pa.Table):
        return _may_be_score(name, table.schema.field(name).type)
    return _named_like_score(name) and pd.api.types.is_float_dtype(table[name])


def _may_be_score(name: str, kind: pa.DataType) -> bool:
    return name in KNOWN_SCORES or (_named_like_score(name) and pa.types.is_floating(kind))


def _named_like_score(name: str) -> bool:
    return name not in _NOT_SCORES and not str(name).endswith(_NOT_SCORE_ENDINGS)


def arrow_table(table: Predictions, wanted: set[str], label: str) -> pa.Table:
    """Return those of the wanted columns that a table has, as Arrow.

    Raises:
        DataError: a column mixes kinds of values.
    """
    names = [name for name in column_names(table) if name in wanted]
    if isinstance(table, pa.Table):
        return table.select(names)
    return pa.table({name: _from_pandas(table, name, label) for name in names})


def _from_pandas(frame: pd.DataFrame, column: str, label: str) -> pa.Array | pa.ChunkedArray:
    try:
        return pa.array(frame[column], from_pandas=True)
    except pa.ArrowException as error:
        raise DataError(f"column {column!r} of the {label} table mixes kinds of values: {error}") from error


def _plain(table: pa.Table, column: str) -> pa.ChunkedArray:
    """One column without dictionary encoding."""
    array = table.column(column)
    return array.cast(array.type.value_type) if pa.types.is_dictionary(array.type) else array


def _one_chunk(array: pa.ChunkedArray) -> pa.Array:
    return array.chunk(0) if array.num_chunks == 1 else pa.concat_arrays(array.chunks or [pa.array([], array.type)])


def text_column(table: pa.Table, column: str, label: str) -> pa.Array:
    """Return one column as Arrow text; whole numbers become their text, anything else is refused."""
    array = _plain(table, column)
    kind = array.type
    if pa.types.is_large_string(kind):
        return _one_chunk(array)
    text = pa.types.is_string(kind) or kind == pa.string_view()
    if text or pa.types.is_integer(kind) or pa.types.is_null(kind):
        # Large: joined to one chunk, the texts may need more than 2 GiB.
        return _one_chunk(array.cast(pa.large_string()))
    raise DataError(
        f"column {column!r} of the {label} table must hold text, but it holds {kind}; "
        "write each value as its canonical text (1 and 1.0 would count as different answers)"
    )


def flag_column(table: pa.Table, column: str, label: str) -> pa.Array:
    """Return one column as Arrow booleans with gaps; 1 and 0 are accepted, a missing column is all gaps."""
    if column not in table.column_names:
        return pa.nulls(len(table), pa.bool_())
    array = _one_chunk(_plain(table, column))
    kind = array.type
    if pa.types.is_boolean(kind):
        return array
    if pa.types.is_null(kind):
        return array.cast(pa.bool_())
    if pa.types.is_floating(kind):
        array = pc.if_else(pc.is_nan(array), pa.scalar(None, kind), array)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        known = pc.drop_null(array)
        if len(known) == 0 or pc.all(pc.is_in(known, pa.array([0, 1]).cast(kind))).as_py():
            return pc.not_equal(array, pa.scalar(0).cast(kind))
    raise DataError(
        f"column {column!r} of the {label} table must hold true, false or nothing, but it holds {kind} values"
    )


def score_column(table: pa.Table, column: str, label: str) -> NDArray[np.float64]:
    """Return one column as floats, with nan where there is no number."""
    try:
        array = _one_chunk(_plain(table, column)).cast(pa.float64())
    except pa.ArrowException as error:
        raise DataError(f"column {column!r} of the {label} table must hold numbers: {error}") from error
    return array.to_numpy(zero_copy_only=False)


def has_no_gap(scores: NDArray[np.float64]) -> bool:
    """Whether every entry is a finite number."""
    return bool(np.isfinite(scores).all())


def shared_scores(old: pa.Table, new: pa.Table) -> list[str]:
    """Return the score columns that both tables hold, the known ones first.

    A score is a known one, or any other column of decimal numbers that is not about time or likelihood.
    A column without a single value in one of the tables is none.
    """
    shared = [name for name in old.column_names if name in new.column_names]
    known = [name for name in KNOWN_SCORES if name in shared]
    others = [name for name in shared if name not in KNOWN_SCORES and _is_score(old, name) and _is_score(new, name)]
    return [name for name in known + others if _has_value(old, name) and _has_value(new, name)]


def _has_value(table: pa.Table, name: str) -> bool:
    column = table.column(name)
    if pa.types.is_floating(column.type):
        return bool(pc.any(pc.invert(pc.is_nan(column))).as_py())
    return column.null_count < len(column)
