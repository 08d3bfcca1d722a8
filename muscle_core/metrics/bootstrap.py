"""Bootstrap intervals from draws: percentile and BCa, and draws that cost as much as there are distinct rows.

A bootstrap draws samples with replacement. Rows that look alike are exchangeable, so how often each *kind* of row is
drawn follows a multinomial distribution: for 0/1 outcomes that is the same bootstrap at a cost that does not depend on
the number of samples. Sources: Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), sections 13.3
(percentile), 14.3 (BCa) and 11.5 (jackknife).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from muscle_core.errors import ConfigError, DataError
from muscle_core.metrics.rates import check_confidence

Method = Literal["percentile", "bca"]
Floats = NDArray[np.float64]
# What is estimated, from totals over the samples: [..., quantities] -> [...].
Statistic = Callable[[Floats], Floats]


def percentile_limits(draws: np.ndarray, confidence: float) -> tuple[float, float]:
    """Return the limits between which the central share `confidence` of the draws lies."""
    tail = (1 - confidence) / 2
    low, high = np.quantile(draws, (tail, 1 - tail))
    return float(low), float(high)


def bca_limits(
    draws: ArrayLike,
    estimate: float,
    jackknife: ArrayLike,
    confidence: float,
    times: ArrayLike | None = None,
) -> tuple[float, float]:
    """Return the bias-corrected and accelerated limits (Efron and Tibshirani 1993, equations 14.9 to 14.15).

    Draws equal to the estimate count half on either side, which keeps counts from being biased by their ties. Where
    the correction is not defined (no draw on one side of the estimate, or a pole) the percentile limits are returned.

    Args:
        draws: the statistic of each bootstrap draw.
        estimate: the statistic of the samples as they are.
        jackknife: the statistic with one sample left out, for each kind of sample.
        confidence: coverage of the interval.
        times: how many samples there are of each kind; by default one.
    """
    from scipy.special import ndtr, ndtri

    drawn, left_out = np.asarray(draws, dtype=np.float64), np.asarray(jackknife, dtype=np.float64)
    weights = np.ones(len(left_out)) if times is None else np.asarray(times, dtype=np.float64)
    below = (np.count_nonzero(drawn < estimate) + np.count_nonzero(drawn <= estimate)) / (2 * len(drawn))
    if not weights.sum() > 0:
        return percentile_limits(drawn, confidence)
    deviation = np.average(left_out, weights=weights) - left_out
    squares = float(weights @ deviation**2)
    if not 0 < below < 1 or not squares > 0:
        return percentile_limits(drawn, confidence)
    acceleration = float(weights @ deviation**3) / (6 * squares**1.5)
    bias = float(ndtri(below))
    z = float(ndtri(0.5 + confidence / 2))
    moved = np.array([bias - z, bias + z])
    scale = 1 - acceleration * moved
    if (scale <= 0).any():
        return percentile_limits(drawn, confidence)
    low, high = np.quantile(drawn, ndtr(bias + moved / scale))
    return float(low), float(high)


def counted_limits(
    counts: ArrayLike,
    values: ArrayLike,
    statistic: Statistic,
    *,
    seed: int,
    resamples: int = 2000,
    confidence: float = 0.95,
    method: Method = "percentile",
) -> tuple[float, float]:
    """Return the bootstrap limits of a statistic of totals, where rows come in few kinds.

    The same as drawing rows one by one, in O(resamples * kinds). The jackknife of BCa is exact: leaving out any row of
    one kind gives one and the same value. Draws on which the statistic is not defined (nan, a denominator of 0) are
    left aside.

    Args:
        counts: how many rows there are of each kind, [kinds].
        values: what a row of each kind adds to the totals, [kinds, quantities].
        statistic: from totals [..., quantities] to the figure [...].
        seed: makes the interval repeatable.
        resamples: number of bootstrap draws.
        confidence: coverage of the interval.
        method: "percentile" or "bca".

    Raises:
        DataError: there is no row.
        ConfigError: an option has a value that cannot work.
    """
    check_bootstrap(resamples, confidence, method)
    times, parts = np.asarray(counts, dtype=np.int64), np.asarray(values, dtype=np.float64)
    n = int(times.sum())
    if n == 0:
        raise DataError("there is no sample to draw from; choose runs that share samples")
    present = times > 0  # kinds without a row are never drawn and have no jackknife value
    times, parts = times[present], parts[present]
    drawn = np.random.default_rng(seed).multinomial(n, times / n, size=resamples)
    draws = statistic(matrix_product(drawn, parts))
    totals = times @ parts
    return drawn_limits(draws, statistic, totals, totals - parts, confidence, method, times)


def drawn_limits(
    draws: Floats,
    statistic: Statistic,
    totals: Floats,
    totals_without: Floats,
    confidence: float,
    method: Method,
    times: ArrayLike | None = None,
) -> tuple[float, float]:
    """Return the limits from draws of a statistic; (nan, nan) where it is not defined on the samples themselves."""
    estimate = float(statistic(totals))
    defined = draws[np.isfinite(draws)]
    if not math.isfinite(estimate) or not len(defined):
        return math.nan, math.nan
    if method == "percentile":
        return percentile_limits(defined, confidence)
    jackknife = statistic(totals_without)
    weights = np.ones(len(jackknife)) if times is None else np.asarray(times, dtype=np.float64)
    usable = np.isfinite(jackknife)
    return bca_limits(defined, estimate, jackknife[usable], confidence, weights[usable])


def matrix_product(weights: np.ndarray, parts: Floats) -> Floats:
    """Weights [..., rows] times parts [rows, quantities], without BLAS, whose threads cost more than they give here."""
    return np.einsum("...i,ij->...j", weights.astype(np.float64, copy=False), parts)


def ratio(numerator: Floats, denominator: Floats) -> Floats:
    """Divide; nan where the denominator is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(denominator > 0, numerator / denominator, np.nan)


def check_bootstrap(resamples: int, confidence: float, method: str) -> None:
    """Refuse options of a bootstrap that cannot work."""
    check_confidence(confidence)
    check_resamples(resamples)
    if method not in get_args(Method):
        raise ConfigError(f"unknown interval method {method!r}; known: {', '.join(get_args(Method))}")


def check_resamples(resamples: int) -> None:
    """Refuse a number of bootstrap draws too small for an interval."""
    if resamples < 100:
        raise ConfigError(f"an interval needs at least 100 bootstrap draws; resamples is {resamples}")
