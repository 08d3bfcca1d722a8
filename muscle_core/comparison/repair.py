"""What a compatibility adapter does to an update: which flips it repairs, and what it breaks instead."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

from muscle_core.comparison.comparison import Comparison


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
    quadrant = comparison.samples.set_index("sample_id")["quadrant"]
    both = pd.DataFrame({"quadrant": quadrant, "right": right.reindex(quadrant.index)}).dropna()
    right, flips, kept = both["right"].astype(bool), both["quadrant"] == "Q4", both["quadrant"] == "Q1"
    return Repair(int((flips & right).sum()), int(flips.sum()), int((kept & ~right).sum()), int(kept.sum()))
