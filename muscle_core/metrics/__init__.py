"""Figures of an update as pure functions on arrays and counts: no files, no models, no pages."""

from __future__ import annotations

from muscle_core.metrics.clusters import cluster_rate, sign_flip_p
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
from muscle_core.metrics.power import mcnemar_power, required_samples
from muscle_core.metrics.quadrants import Quadrant, QuadrantCounts, count_quadrants, quadrants
from muscle_core.metrics.rates import Interval, Rate, rate
from muscle_core.metrics.statistics import PairedDifference, adjusted_p, mcnemar_p, paired_rate_difference

__all__ = [
    "Interval",
    "PairedDifference",
    "Quadrant",
    "QuadrantCounts",
    "Rate",
    "ScoreChange",
    "accuracy_new",
    "accuracy_old",
    "adjusted_p",
    "bec",
    "bootstrap_means",
    "btc",
    "cluster_rate",
    "count_quadrants",
    "inconsistency",
    "mcnemar_p",
    "mcnemar_power",
    "nfr",
    "nfr_mc",
    "paired_rate_difference",
    "pfr",
    "quadrants",
    "rate",
    "relative_nfr",
    "required_samples",
    "score_change",
    "sign_flip_p",
]
