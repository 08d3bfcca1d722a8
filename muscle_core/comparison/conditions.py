"""Conditions such as "label = 2" or "input_chars = 113 to 180", made of the columns of a frame of samples.

Every column gives conditions that do not overlap and together cover all samples: its values, or the quantile bins of
its numbers; what is missing is the value "(missing)". What cannot be sliced by is left out and named, with the reason.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from muscle_core.errors import ConfigError

MISSING = "(missing)"
_BINS = 4
_FEW_NUMBERS = 10  # so many different numbers, or fewer, are values and not a scale
_NAMED = 5  # values named where many are left out
_LONGEST_VALUE = 200  # characters; a column with longer ones holds texts, not values


class Column(NamedTuple):
    """One column as conditions.

    Attributes:
        name: of the column.
        values: text of each condition's value, in the order in which they are shown.
        codes: for each sample, which of the values it has; int32 [samples].
    """

    name: str
    values: list[str]
    codes: NDArray[np.int32]


class LeftOut(NamedTuple):
    """What is in no slice, and why: a whole column, or some values of one."""

    column: str
    what: str
    samples: int
    reason: str


def read_column(values: pd.Series, name: str, minimum: int) -> tuple[Column | None, LeftOut | None]:
    """One column as conditions, or why it cannot be.

    Numbers (also as text, as in a CSV file) with more than 10 different values fall into quarters; anything else is
    taken by value. A column of text whose every value is rarer than `minimum` is left out, as ids are.

    Args:
        values: of the column, one a sample.
        name: of the column.
        minimum: smallest size of a slice.
    """
    try:
        codes, distinct = pd.factorize(values, use_na_sentinel=True)
    except TypeError:
        return None, LeftOut(name, "the column", len(values), "holds lists or objects, not single values")
    known = codes >= 0
    if not known.any():
        return None, LeftOut(name, "the column", len(values), "holds no value")
    numbers = _as_numbers(distinct)
    if numbers is not None and len(distinct) > _FEW_NUMBERS:
        return _binned(name, numbers[codes], known), None
    texts = [_text_of(value) for value in distinct]
    if max(map(len, texts)) > _LONGEST_VALUE:
        return None, LeftOut(name, "the column", len(values), f"holds texts of more than {_LONGEST_VALUE} characters")
    return _by_value(name, texts, codes, numbers, minimum)


def _as_numbers(distinct: pd.Index | NDArray) -> NDArray[np.float64] | None:
    """The distinct values as numbers, or None where one is none."""
    values = np.asarray(distinct, dtype=object)
    if any(isinstance(value, bool | np.bool_) for value in values):
        return None
    try:
        numbers = np.array([float(value) for value in values], dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        return None
    return None if np.isnan(numbers).any() else numbers


def _text_of(value: object) -> str:
    text = number_text(float(value)) if isinstance(value, float | np.floating) else " ".join(str(value).split())
    return text or MISSING


def number_text(number: float) -> str:
    """A number as it is shown in the name of a slice."""
    if math.isfinite(number) and number == int(number) and abs(number) < 1e15:
        return str(int(number))
    return f"{number:.4g}"


def _by_value(
    name: str, texts: list[str], codes: NDArray[np.int64], numbers: NDArray[np.float64] | None, minimum: int
) -> tuple[Column | None, LeftOut | None]:
    # Two values may read alike (1 and "1", or a gap and an empty text): they are one.
    order = sorted(set(texts) - {MISSING})
    if numbers is not None:
        by_text = dict(zip(texts, numbers.tolist(), strict=True))
        order.sort(key=lambda text: (by_text[text], text))
    has_gap = bool((codes < 0).any()) or MISSING in texts
    values = [*order, MISSING] if has_gap else order
    place = {text: number for number, text in enumerate(values)}
    mapping = np.array([place[text] for text in texts] + [len(values) - 1], dtype=np.int32)
    found = mapping[codes]  # -1, a gap, is the last
    counts = np.bincount(found, minlength=len(values))
    if len(values) > max(_FEW_NUMBERS, 2) and counts[: len(order)].max() < minimum:
        reason = f"{len(order):,} different values, and none on {minimum} samples or more, as in a column of ids"
        return None, LeftOut(name, "the column", len(codes), reason)
    return Column(name, values, found.astype(np.int32)), None


def _binned(name: str, numbers: NDArray[np.float64], known: NDArray[np.bool_]) -> Column:
    values = numbers[known]
    # Limits are numbers that occur; equal ones, where many samples share a number, make fewer bins.
    limits = np.unique(np.quantile(values, np.arange(1, _BINS) / _BINS, method="inverted_cdf"))
    codes = np.full(len(numbers), -1, dtype=np.int32)
    codes[known] = np.searchsorted(limits, values, side="left")
    used = np.unique(codes[known])
    codes[known] = np.searchsorted(used, codes[known])
    texts = []
    for code in range(len(used)):
        inside = numbers[codes == code]
        low, high = number_text(float(inside.min())), number_text(float(inside.max()))
        texts.append(low if low == high else f"{low} to {high}")
    texts = _told_apart(texts)
    if not known.all():
        codes[~known] = len(texts)
        texts.append(MISSING)
    return Column(name, texts, codes)


def _told_apart(texts: list[str]) -> list[str]:
    """Numbers that round to one text get their quarter in brackets."""
    return [text if texts.count(text) == 1 else f"{text} (part {place + 1})" for place, text in enumerate(texts)]


def read_columns(
    samples: pd.DataFrame, columns: Sequence[str], keep: NDArray[np.bool_], minimum: int
) -> tuple[list[Column], list[LeftOut]]:
    """The named columns of the samples that count, as conditions; and what is left out.

    Args:
        samples: frame of samples.
        columns: names of columns.
        keep: which samples count.
        minimum: smallest size of a slice.

    Raises:
        ConfigError: a column is missing or named twice, none is named, or the minimum is not positive.
    """
    if minimum < 1:
        raise ConfigError(f"a slice must hold at least 1 sample; the minimum is {minimum}")
    if not columns:
        raise ConfigError("name at least one column to slice by")
    absent = [name for name in columns if name not in samples.columns]
    if absent:
        raise ConfigError(f"no column {', '.join(map(repr, absent))} to slice by; there are: {', '.join(samples)}")
    if len(set(columns)) < len(columns):
        raise ConfigError(f"a column to slice by is named twice: {', '.join(columns)}")
    read, left_out = [], []
    for name in columns:
        column, reason = read_column(samples.loc[keep, name], name, minimum)
        if column is not None and len(column.values) == 1:
            reason = LeftOut(name, "the column", len(column.codes), f"holds one value only, {column.values[0]}")
            column = None
        if column is not None:
            read.append(column)
        if reason is not None:
            left_out.append(reason)
    return read, left_out


def small_values(column: Column, minimum: int) -> LeftOut | None:
    """The values of a column that too few samples have, counted and named."""
    counts = np.bincount(column.codes, minlength=len(column.values))
    rare = np.flatnonzero(counts < minimum)
    if len(rare) == 0:
        return None
    rare = rare[np.argsort(-counts[rare], kind="stable")]
    named = ", ".join(f"{column.values[place]} ({counts[place]:,})" for place in rare[:_NAMED])
    rest = f" and {len(rare) - _NAMED:,} more" if len(rare) > _NAMED else ""
    what = f"{len(rare):,} value{'s' * (len(rare) > 1)}: {named}{rest}"
    return LeftOut(column.name, what, int(counts[rare].sum()), f"fewer than {minimum} samples each")
