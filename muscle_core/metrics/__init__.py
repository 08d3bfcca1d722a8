"""Figures of an update as pure functions on arrays and counts: no files, no models, no pages."""

from __future__ import annotations

from muscle_core.metrics.continuous import ScoreChange, bootstrap_means, score_change
from muscle_core.metrics.flips import (
    accuracy_new,
    accuracy_old,
    bec,
    btc,
    inconsistency,
    nfr,
    nfr_mc,
    pfr,
    relative_nfr,
)
from muscle_core.metrics.quadrants import Quadrant, QuadrantCounts, count_quadrants, quadrants
from muscle_core.metrics.rates import Interval, Rate, rate
from muscle_core.metrics.statistics import PairedDifference, mcnemar_p, paired_rate_difference

__all__ = [
    "Interval",
    "PairedDifference",
    "Quadrant",
    "QuadrantCounts",
    "Rate",
    "ScoreChange",
    "accuracy_new",
    "accuracy_old",
    "bec",
    "bootstrap_means",
    "btc",
    "count_quadrants",
    "inconsistency",
    "mcnemar_p",
    "nfr",
    "nfr_mc",
    "paired_rate_difference",
    "pfr",
    "quadrants",
    "rate",
    "relative_nfr",
    "score_change",
]
