"""Which samples of a comparison pass some filters, and in which order: over whole columns, no object a sample.

What takes long to make (texts, causes, slices, what other versions got right) is asked for only where a filter or an
order needs it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from muscle_core.comparison.conditions import Column
from muscle_core.comparison.matched import MatchedRows
from muscle_core.comparison.view import ViewOfSamples

Mask = NDArray[np.bool_]
LONGEST_SEARCH = 1_000  # characters that count

# As they are chosen; "Q3" is split by whether the wrong answer stayed the same.
QUADRANTS = ("Q4", "Q2", "Q3", "Q3-changed", "Q3-same", "Q1")

DATASET_ORDER = "dataset"
SUREST = "surest"
NEW_WRONG = "new_wrong"
SHORTEST, LONGEST = "shortest", "longest"
BY_ID = "id"
LOSS, GAIN = "loss:", "gain:"  # and the name of a score


class ScoreRange(NamedTuple):
    """A change of a score, new minus old, of at least `low` and below `high`; None for no limit."""

    score: str
    low: float | None
    high: float | None


@dataclass(frozen=True)
class SampleFilter:
    """What a sample must be to pass: all that is named here at once.

    Attributes:
        quadrant: one of `QUADRANTS`.
        cause: cause of a negative flip, as the rules name it.
        search: words that all occur, upper and lower case alike, in any of the texts.
        slices: field and value of a condition; see `muscle_core.comparison.conditions`.
        change: change of a score.
        right: names of versions that answered it rightly.
        wrong: names of versions that answered it wrongly.
        differ: whether the answers must differ.
    """

    quadrant: str | None = None
    cause: str | None = None
    search: str = ""
    slices: tuple[tuple[str, str], ...] = ()
    change: ScoreRange | None = None
    right: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()
    differ: bool = False


@dataclass(frozen=True, eq=False)
class SampleColumns:
    """The columns that filters and orders read; each has one entry a matched sample, in the order of `rows`.

    Attributes:
        rows: the matched samples.
        texts: what is searched: columns of text.
        causes: cause of each sample, missing where it has none.
        condition: a field as conditions, with code -1 for samples that do not count; None for an unknown field.
        correct: whether the version of a name is right, missing where that is not known; None for an unknown version.
        input_lengths: characters of each input.
        differs: whether the versions' answers differ.
    """

    rows: MatchedRows
    texts: Callable[[], Sequence[pa.Array]]
    causes: Callable[[], pa.Array]
    condition: Callable[[str], Column | None]
    correct: Callable[[str], pa.Array | None]
    input_lengths: Callable[[], NDArray[np.int64]]
    differs: Callable[[], Mask]


def passing(wanted: SampleFilter, columns: SampleColumns) -> Mask | None:
    """Which samples pass; None for all. What names something unknown (a field, a version, a score) is ignored."""
    tests: list[Callable[[], Mask | None]] = []
    rows = columns.rows
    if wanted.quadrant in QUADRANTS and rows.judged.any():
        tests.append(lambda: in_quadrant(rows, str(wanted.quadrant)))
    if wanted.change is not None and wanted.change.score in rows.scores:
        tests.append(lambda: _in_range(rows, wanted.change))
    for names, right in ((wanted.right, True), (wanted.wrong, False)):
        tests += [partial(_answered, columns, name, right) for name in names]
    if wanted.differ:
        tests.append(columns.differs)
    tests += [partial(_in_slice, columns, field, value) for field, value in wanted.slices]
    if wanted.cause:
        tests.append(lambda: _flags(pc.equal(columns.causes(), wanted.cause)))
    keep: Mask | None = None
    for test in tests:
        found = test()
        if found is not None:
            keep = found if keep is None else keep & found
    words = wanted.search[:LONGEST_SEARCH].split()
    return _searched(words, columns.texts(), keep) if words else keep


def in_quadrant(rows: MatchedRows, quadrant: str) -> Mask:
    """Which samples lie in a quadrant of `QUADRANTS`; those without a right or wrong lie in none."""
    old, new = rows.old_right, rows.new_right
    if quadrant == "Q1":
        return rows.judged & old & new
    if quadrant == "Q2":
        return rows.judged & ~old & new
    if quadrant == "Q4":
        return rows.judged & old & ~new
    both_wrong = rows.judged & ~old & ~new
    return both_wrong if quadrant == "Q3" else both_wrong & (rows.same == (quadrant == "Q3-same"))


def _in_range(rows: MatchedRows, change: ScoreRange | None) -> Mask:
    assert change is not None
    old, new = rows.scores[change.score]
    delta = new - old
    keep = np.isfinite(delta)
    if change.low is not None:
        keep &= delta >= change.low
    if change.high is not None:
        keep &= delta < change.high
    return keep


def _answered(columns: SampleColumns, name: str, right: bool) -> Mask | None:
    correct = columns.correct(name)
    return None if correct is None else _flags(pc.equal(correct, right))


def _in_slice(columns: SampleColumns, field: str, value: str) -> Mask | None:
    column = columns.condition(field)
    if column is None or value not in column.values:
        return None
    return column.codes == column.values.index(value)


def _searched(words: Sequence[str], texts: Sequence[pa.Array], keep: Mask | None) -> Mask:
    """Which of the samples to keep hold all words, each in any of the texts."""
    length = len(texts[0])
    rows = np.arange(length) if keep is None else np.flatnonzero(keep)
    for word in dict.fromkeys(words):
        every = len(rows) == length
        found = np.zeros(len(rows), dtype=np.bool_)
        for column in texts:
            part = column if every else column.take(pa.array(rows))
            found |= _flags(pc.match_substring(part, word, ignore_case=True))
        rows = rows[found]
    result = np.zeros(length, dtype=np.bool_)
    result[rows] = True
    return result


def _flags(array: pa.Array | pa.ChunkedArray) -> Mask:
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    return pc.fill_null(array, False).to_numpy(zero_copy_only=False)


def orders_of(rows: MatchedRows, *, inputs: bool = True) -> list[str]:
    """The orders that there are for these samples; the first is the default."""
    orders = [DATASET_ORDER]
    if all(margin is not None for margin in rows.margin):
        orders.append(SUREST)
    if rows.margin[1] is not None:
        orders.append(NEW_WRONG)
    for score in rows.scores:
        orders += [LOSS + score, GAIN + score]
    return [*orders, *((SHORTEST, LONGEST) if inputs else ()), BY_ID]


def view_of(wanted: SampleFilter, order: str, columns: SampleColumns) -> ViewOfSamples:
    """The samples that pass, in an order of `orders_of`; equal ones, and an unknown order, as in the dataset.

    Samples without the value that is sorted by come last.
    """
    keep = passing(wanted, columns)
    values = _sort_values(order, columns)
    if keep is None and values is None:
        return ViewOfSamples(columns.rows.ids)
    rows = np.arange(len(columns.rows.ids)) if keep is None else np.flatnonzero(keep)
    if isinstance(values, pa.Array):
        part = values if keep is None else values.take(pa.array(rows))
        rows = rows[pc.sort_indices(part).to_numpy()]
    elif values is not None:
        rows = rows[np.argsort(values[rows], kind="stable")]  # what is nan comes last
    return ViewOfSamples(columns.rows.ids, rows.astype(np.int32))


def _sort_values(order: str, columns: SampleColumns) -> pa.Array | NDArray | None:
    """What to sort by, smallest first; None to leave all as they are."""
    rows = columns.rows
    old_margin, new_margin = (
        None if margin is None else margin[places] for margin, places in zip(rows.margin, rows.rows, strict=True)
    )
    if order == BY_ID:
        return rows.ids
    if order == SUREST and old_margin is not None and new_margin is not None:
        # As sure as the less sure of the two: that it was right before, and that it is wrong now.
        return -np.minimum(old_margin, -new_margin)
    if order == NEW_WRONG and new_margin is not None:
        return new_margin
    if order in (SHORTEST, LONGEST):
        lengths = columns.input_lengths()
        return lengths if order == SHORTEST else -lengths
    for prefix, sign in ((LOSS, 1.0), (GAIN, -1.0)):
        if order.startswith(prefix) and order.removeprefix(prefix) in rows.scores:
            old, new = rows.scores[order.removeprefix(prefix)]
            return sign * (new - old)
    return None


def read_range(text: str) -> ScoreRange | None:
    """The change of a score that "score:low:high" names; None where it names none."""
    score, *limits = text.rsplit(":", 2)
    if len(limits) != 2 or not score:
        return None
    try:
        low, high = (float(limit) if limit else None for limit in limits)
    except ValueError:
        return None
    known = [limit for limit in (low, high) if limit is not None]
    if not known or any(math.isnan(limit) for limit in known) or (len(known) == 2 and known[0] >= known[1]):
        return None
    return ScoreRange(score, low, high)


def read_slices(text: str, values_of: Callable[[str], Sequence[str] | None]) -> tuple[tuple[str, str], ...]:
    """The conditions that "field=value&field=value" names; a value may itself hold "&" and "=".

    Args:
        text: of the URL.
        values_of: the values of a field, None for an unknown one. What names no field or value of it is left out.
    """
    parts = text.split("&")
    found: list[tuple[str, str]] = []
    start = 0
    while start < len(parts):
        field, equals, _ = parts[start].partition("=")
        known = values_of(field) if equals else None
        stop = start + 1
        if known is not None:
            for end in range(len(parts), start, -1):  # the longest value that there is
                value = "&".join(parts[start:end])[len(field) + 1 :]
                if value in known:
                    found.append((field, value))
                    stop = end
                    break
        start = stop
    return tuple(dict.fromkeys(found))
