"""Rates of an update with their intervals, for samples that stand alone and for samples in groups."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from muscle_core.metrics import flips
from muscle_core.metrics.bootstrap import Floats, counted_limits, ratio
from muscle_core.metrics.clusters import cluster_limits, rate_of_sums, sign_flip_p
from muscle_core.metrics.quadrants import QuadrantCounts, quadrant_codes
from muscle_core.metrics.rates import Interval, Rate
from muscle_core.metrics.statistics import PairedDifference, mcnemar_p

# Each rate as sums over the cells Q1, Q2, Q3 with the same answer, Q3 with another one, Q4: counted, and among.
_ALL = (1, 1, 1, 1, 1)
_RATES = {
    "accuracy_old": ((1, 0, 0, 0, 1), _ALL),
    "accuracy_new": ((1, 1, 0, 0, 0), _ALL),
    "nfr": ((0, 0, 0, 0, 1), _ALL),
    "pfr": ((0, 1, 0, 0, 0), _ALL),
    "nfr_mc": ((0, 0, 0, 1, 1), _ALL),
    "btc": ((1, 0, 0, 0, 0), (1, 0, 0, 0, 1)),
    "bec": ((0, 0, 1, 1, 0), (0, 0, 1, 1, 1)),
    "inconsistency": ((0, 0, 0, 1, 0), (0, 0, 1, 1, 0)),
}
RATE_NAMES = tuple(_RATES)
_RESAMPLES = 2000


class FlipFigures(NamedTuple):
    """The rates by name, and what has a bootstrap interval; see `Comparison`."""

    rates: dict[str, Rate]
    accuracy_change: PairedDifference
    relative_nfr: Interval | None


def flip_figures(counts: QuadrantCounts, seed: int) -> FlipFigures:
    """Figures of samples that stand alone: Wilson intervals, exact McNemar test, multinomial bootstrap (BCa).

    Args:
        counts: samples in each quadrant; at least one.
        seed: makes the bootstrap intervals repeatable.
    """
    cells = np.array([counts.q1, counts.q2, counts.q3_same, counts.q3_changed, counts.q4])
    each = np.eye(len(cells))
    change = counted_limits(cells, each, _accuracy_change, seed=seed, resamples=_RESAMPLES, method="bca")
    relative = counted_limits(cells, each, _relative_nfr, seed=seed, resamples=_RESAMPLES, method="bca")
    return FlipFigures(
        {name: getattr(flips, name)(counts) for name in _RATES},
        PairedDifference((counts.q2 - counts.q4) / counts.n, *change, counts.n, mcnemar_p(counts.q4, counts.q2)),
        _interval(flips.relative_nfr(counts), relative),
    )


def clustered_flip_figures(counts: QuadrantCounts, cells: Floats, seed: int) -> FlipFigures:
    """The same figures of samples in groups: cluster bootstrap, and the sign-flip test by group.

    Args:
        counts: samples in each quadrant; at least one.
        cells: samples of each group in each cell, [groups, 5]; see `group_cells`.
        seed: makes the bootstrap intervals repeatable.
    """
    rates = {
        name: rate_of_sums(
            np.column_stack([cells @ np.array(counted), cells @ np.array(among)]), seed=seed, resamples=_RESAMPLES
        )
        for name, (counted, among) in _RATES.items()
    }
    change = cluster_limits(cells, _accuracy_change, seed=seed, resamples=_RESAMPLES, method="bca")
    relative = cluster_limits(cells, _relative_nfr, seed=seed, resamples=_RESAMPLES, method="bca")
    p = sign_flip_p(cells[:, 1] - cells[:, 4])
    return FlipFigures(
        rates,
        PairedDifference((counts.q2 - counts.q4) / counts.n, *change, counts.n, p),
        _interval(flips.relative_nfr(counts), relative),
    )


def group_cells(
    codes: NDArray[np.int64], old_right: NDArray[np.bool_], new_right: NDArray[np.bool_], same: NDArray[np.bool_]
) -> Floats:
    """Count the samples of each group in each cell: [groups, 5].

    Args:
        codes: group of each sample, numbered from 0.
        old_right: whether the old version is right on it.
        new_right: whether the new version is right on it.
        same: whether both gave the same answer.
    """
    quadrant = quadrant_codes(old_right, new_right).astype(np.int64)
    cell = quadrant + ((quadrant == 2) & ~same) + (quadrant == 3)
    groups = int(codes.max()) + 1
    table = np.bincount(codes * 5 + cell, minlength=groups * 5).reshape(groups, 5).astype(np.float64)
    present: Floats = table[table.sum(axis=1) > 0]
    return present


def _accuracy_change(totals: Floats) -> Floats:
    return ratio(totals[..., 1] - totals[..., 4], totals.sum(axis=-1))


def _relative_nfr(totals: Floats) -> Floats:
    old_right = totals[..., 0] + totals[..., 4]
    new_wrong = totals[..., 2] + totals[..., 3] + totals[..., 4]
    return ratio(totals[..., 4] * totals.sum(axis=-1), old_right * new_wrong)


def _interval(value: float | None, limits: tuple[float, float]) -> Interval | None:
    return None if value is None else Interval(value, *limits)
