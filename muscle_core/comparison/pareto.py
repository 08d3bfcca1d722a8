"""Which strategies no other one beats in both figures at once, and how far that can be told."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from muscle_core.errors import DataError


class Measures(NamedTuple):
    """Columns of what should be high and of what should be low."""

    quality: str
    harm: str


class Pareto(NamedTuple):
    """Places of rows, in their order.

    Attributes:
        optimal: no other row is at least as good in both figures and better in one, by the estimates alone.
        unclear: not optimal, but of no optimal row is it clear that it beats this one: their intervals overlap in both
            figures.
        beaten: the others.
    """

    optimal: list[int]
    unclear: list[int]
    beaten: list[int]


def measures_of(frame: pd.DataFrame) -> Measures:
    """Accuracy and NFR, or mean score and mean regression where answers are neither right nor wrong.

    Raises:
        DataError: the frame has neither.
    """
    for found in (Measures("accuracy", "nfr"), Measures("mean_score", "regression")):
        if all(name in frame.columns and bool(frame[name].notna().any()) for name in found):
            return found
    raise DataError("the strategies have neither accuracy and nfr nor mean_score and regression; compare them again")


def pareto(frame: pd.DataFrame, measures: Measures) -> Pareto:
    """Sort rows into optimal ones, those that cannot be told apart from them, and the others.

    A row beats another one where it is at least as good in both figures and better in one. It clearly does where,
    besides, the intervals of one of the figures do not overlap. Intervals that do not overlap are a strict criterion
    for figures of the same samples; two rows that it does not tell apart may differ in a paired test.

    Args:
        frame: one row a strategy, with `_low` and `_high` of both measures; rows without a figure count as beaten.
        measures: the two columns.
    """
    quality, low, high = (frame[f"{measures.quality}{end}"].to_numpy(dtype=float) for end in ("", "_low", "_high"))
    harm, least, most = (frame[f"{measures.harm}{end}"].to_numpy(dtype=float) for end in ("", "_low", "_high"))
    known = np.isfinite(quality) & np.isfinite(harm)
    # Row i, column j: i is no worse than j; i beats j; and clearly so.
    no_worse = (quality[:, None] >= quality) & (harm[:, None] <= harm)
    beats = no_worse & ((quality[:, None] > quality) | (harm[:, None] < harm))
    clearly = beats & ((low[:, None] > high) | (most[:, None] < least))
    optimal = known & ~beats.any(axis=0)
    unclear = known & ~optimal & ~clearly[optimal].any(axis=0)
    places = np.arange(len(frame))
    return Pareto(places[optimal].tolist(), places[unclear].tolist(), places[~optimal & ~unclear].tolist())
