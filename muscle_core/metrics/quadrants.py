"""Quadrants of an update: was the old version right on a sample, and is the new one."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from muscle_core.errors import DataError


class Quadrant(StrEnum):
    """Where a sample lies when two versions of a model are compared.

    The value is the key used in tables, links and files; `label` is the text for people.
    """

    Q1 = "Q1"
    Q2 = "Q2"
    Q3 = "Q3"
    Q4 = "Q4"

    @property
    def label(self) -> str:
        """Plain-English name of the quadrant."""
        return _LABELS[self.value]


_LABELS = {"Q1": "both right", "Q2": "positive flip", "Q3": "both wrong", "Q4": "negative flip"}


class QuadrantCounts(NamedTuple):
    """How many samples lie in each quadrant.

    `q3_same` and `q3_changed` split `q3` by whether both versions gave the same wrong answer: a *different*
    wrong answer also breaks the habits of the people who use the model.
    """

    q1: int
    q2: int
    q3: int
    q3_same: int
    q3_changed: int
    q4: int

    @property
    def n(self) -> int:
        """Number of samples in all four quadrants."""
        return self.q1 + self.q2 + self.q3 + self.q4

    def of(self, quadrant: Quadrant) -> int:
        """Return the number of samples in one quadrant."""
        return int(getattr(self, quadrant.value.lower()))


def quadrant_codes(old_correct: ArrayLike, new_correct: ArrayLike) -> NDArray[np.int8]:
    """Return the quadrant of each sample as 0 (Q1) to 3 (Q4).

    Args:
        old_correct: for each sample, whether the old version is right.
        new_correct: the same for the new version, in the same order.

    Raises:
        DataError: if the two do not hold one yes or no for each of the same samples.
    """
    old = as_flags(old_correct, "old_correct")
    new = as_flags(new_correct, "new_correct")
    check_same_length(old, new, "old_correct", "new_correct")
    return _CODES[old.astype(np.int8) * 2 + new]


# Index: 2 * old right + new right.
_CODES = np.array([2, 1, 3, 0], dtype=np.int8)
_NAMES = np.array([quadrant.value for quadrant in Quadrant])


def quadrants(old_correct: ArrayLike, new_correct: ArrayLike) -> NDArray[np.str_]:
    """Return the quadrant of each sample as its key, "Q1" to "Q4".

    Args:
        old_correct: for each sample, whether the old version is right.
        new_correct: the same for the new version, in the same order.

    Raises:
        DataError: if the two do not hold one yes or no for each of the same samples.
    """
    return _NAMES[quadrant_codes(old_correct, new_correct)]


def count_quadrants(old_correct: ArrayLike, new_correct: ArrayLike, same_answer: ArrayLike) -> QuadrantCounts:
    """Count the samples in each quadrant.

    Args:
        old_correct: for each sample, whether the old version is right.
        new_correct: the same for the new version, in the same order.
        same_answer: whether both versions gave the same answer; used to split Q3.

    Raises:
        DataError: if the three do not hold one yes or no for each of the same samples.
    """
    old, new = as_flags(old_correct, "old_correct"), as_flags(new_correct, "new_correct")
    same = as_flags(same_answer, "same_answer")
    check_same_length(old, new, "old_correct", "new_correct")
    check_same_length(old, same, "old_correct", "same_answer")
    # Counting flags is several times faster than sorting samples into quadrants and counting those.
    both, old_right, new_right = (int(np.count_nonzero(flags)) for flags in (old & new, old, new))
    wrong = ~(old | new)
    q3, q3_same = int(np.count_nonzero(wrong)), int(np.count_nonzero(wrong & same))
    return QuadrantCounts(
        q1=both, q2=new_right - both, q3=q3, q3_same=q3_same, q3_changed=q3 - q3_same, q4=old_right - both
    )


def as_flags(values: ArrayLike, name: str) -> NDArray[np.bool_]:
    """Return the values as a flat array of booleans; refuse anything but true, false, 1 and 0."""
    array = np.asarray(values)
    if array.ndim != 1:
        raise DataError(f"{name} must be one flat list with a true or false for each sample")
    if array.dtype == np.bool_:
        return array
    if array.size == 0:
        return np.zeros(0, dtype=np.bool_)
    numeric = array.dtype.kind in "iuf"
    # Objects are what a table column with a missing value turns into: name the culprit.
    allowed = np.isin(array, (0, 1)) if numeric else np.array([isinstance(v, bool | np.bool_) for v in array])
    if not allowed.all():
        row = int(np.flatnonzero(~allowed)[0])
        raise DataError(f"{name} must hold only true and false; entry {row} is {array[row]!r}")
    return array.astype(np.bool_)


def check_same_length(first: np.ndarray, second: np.ndarray, first_name: str, second_name: str) -> None:
    """Refuse two arrays that do not describe the same number of samples."""
    if len(first) != len(second):
        raise DataError(
            f"{first_name} has {len(first):,} entries and {second_name} has {len(second):,}; "
            "both must describe the same samples in the same order"
        )
