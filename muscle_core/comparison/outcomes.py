"""What is counted in a slice: negative flips, or the loss of a score; figures and tests for many slices at once.

Right or wrong: the negative flip rate with its Wilson interval, and Fisher's exact test, one-sided: does the slice hold
more negative flips than the rest? Scores: the mean regression max(old - new, 0) with its normal interval, and the
Mann-Whitney test (normal approximation, corrected for ties), one-sided: are the losses in the slice larger than in the
rest? That test compares ranks, not means; a few huge losses may raise the mean without a small p.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from muscle_core.errors import DataError
from muscle_core.metrics.rates import check_confidence

Floats = NDArray[np.float64]


class Outcome(NamedTuple):
    """What is counted of each sample.

    Attributes:
        word: name of the mean in tables: "nfr" or "regression".
        weights: what is summed in a slice; float64 [quantities, samples]. Of flips: whether it is one. Of a score: its
            regression, the square of it, and its rank.
        kind: "flips" or "score".
    """

    word: str
    weights: Floats
    kind: str


def outcome_of(samples: pd.DataFrame, score: str | None = None) -> tuple[Outcome, NDArray[np.bool_]]:
    """What to count, and which samples count.

    Args:
        samples: frame of samples: `quadrant`, or `delta_<score>`.
        score: count the loss of this score; by default negative flips, or where no sample is in a quadrant the loss of
            the first score.

    Raises:
        DataError: there is neither a quadrant nor such a score.
    """
    deltas = [str(name).removeprefix("delta_") for name in samples.columns if str(name).startswith("delta_")]
    judged = samples["quadrant"].notna().to_numpy() if "quadrant" in samples else np.zeros(len(samples), dtype=bool)
    if score is None and judged.any():
        flips = (samples.loc[judged, "quadrant"] == "Q4").to_numpy(dtype=np.float64)
        return Outcome("nfr", flips[None, :], "flips"), judged
    if score is None and deltas:
        score = deltas[0]
    if score is None or score not in deltas:
        wanted = "a right or wrong in both versions, or a score" if score is None else f"the score {score!r}"
        raise DataError(f"there is no sample with {wanted} to make slices of; scores: {', '.join(deltas) or 'none'}")
    change = samples[f"delta_{score}"].to_numpy(dtype=np.float64, na_value=np.nan)
    known = np.isfinite(change)
    if not known.any():
        raise DataError(f"no sample has a change of the score {score!r}")
    loss = np.maximum(-change[known], 0.0)
    return Outcome("regression", np.stack([loss, loss * loss, _ranks(loss)]), "score"), known


def _ranks(values: Floats) -> Floats:
    """Ranks from 1, ties at their mean rank."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    return (last - (count - 1) / 2.0)[place]


class Figures(NamedTuple):
    """Figures of many slices, one entry a slice."""

    value: Floats
    low: Floats
    high: Floats
    rest_value: Floats
    p: Floats


def figures(outcome: Outcome, n: Floats, sums: Floats, confidence: float) -> Figures:
    """Mean, interval and test against the rest, of many slices.

    Args:
        outcome: what was summed.
        n: samples of each slice, at least 1; [slices].
        sums: of the outcome's weights over each slice; [quantities, slices].
        confidence: coverage of the intervals.
    """
    check_confidence(confidence)
    n, size, total = n.astype(np.float64), float(outcome.weights.shape[1]), outcome.weights.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        value, rest_value = sums[0] / n, (total[0] - sums[0]) / (size - n)
        if outcome.kind == "flips":
            low, high = wilson(sums[0], n, confidence)
            p = hypergeometric_tail(sums[0], n, total[0], size)
        else:
            half = NormalDist().inv_cdf(0.5 + confidence / 2) * np.sqrt(_variance(n, sums) / n)
            low, high = np.maximum(value - half, 0.0), value + half
            p = _rank_p(outcome.weights[2], n, sums[2], size)
    return Figures(value, low, high, rest_value, p)


def worse_than_whole(outcome: Outcome, n: Floats, sums: Floats, size: Floats, total: Floats) -> Floats:
    """One-sided p of "this part of a slice is no worse than the rest of the slice"; to drop what adds nothing.

    For flips Fisher's exact test, for a score the normal test of two means.

    Args:
        outcome: what was summed.
        n: samples of each part.
        sums: of the weights over each part; [quantities, parts].
        size: samples of the slice that each part belongs to.
        total: of the weights over that slice; [quantities, parts].
    """
    if outcome.kind == "flips":
        return hypergeometric_tail(sums[0], n, total[0], size)
    from scipy.special import ndtr

    rest, other = size - n, total - sums
    with np.errstate(divide="ignore", invalid="ignore"):
        difference = sums[0] / n - other[0] / rest
        error = np.sqrt(_variance(n, sums) / n + _variance(rest, other) / rest)
        return np.where(
            (rest > 1) & (n > 1) & (error > 0), ndtr(-difference / error), np.where(difference > 0, 0.0, 1.0)
        )


def _variance(n: Floats, sums: Floats) -> Floats:
    return np.maximum(sums[1] - sums[0] ** 2 / n, 0.0) / (n - 1)


def wilson(count: Floats, n: Floats, confidence: float) -> tuple[Floats, Floats]:
    """Wilson limits of many shares at once; as `muscle_core.metrics.rate` gives them one by one."""
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    share = count / n
    shrink = 1 + z * z / n
    center = (share + z * z / (2 * n)) / shrink
    half = z / shrink * np.sqrt(share * (1 - share) / n + (z / (2 * n)) ** 2)
    low = np.where(count == 0, 0.0, np.maximum(0.0, center - half))
    return low, np.where(count == n, 1.0, np.minimum(1.0, center + half))


def hypergeometric_tail(count: ArrayLike, drawn: ArrayLike, marked: ArrayLike, size: ArrayLike) -> Floats:
    """P(X >= count) for X marked ones among `drawn` of `size` samples: Fisher's exact test "greater", many at once.

    scipy.stats.hypergeom.sf gives the same one by one, in about 200 microseconds each; a search tests 20,000.
    """
    from scipy.special import gammaln

    arrays = np.broadcast_arrays(*(np.asarray(a, dtype=np.float64) for a in (count, drawn, marked, size)))
    found, sample, good, whole = arrays
    lowest, highest = np.maximum(0.0, sample + good - whole), np.minimum(sample, good)

    def log_choose(n: Floats, k: Floats) -> Floats:
        return gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)

    # The shorter way to sum: upwards from the count where it lies above the mean, else one minus the way down.
    upwards = found > sample * good / np.maximum(whole, 1.0)
    start = np.clip(np.where(upwards, found, found - 1.0), lowest, highest)
    term = np.exp(log_choose(good, start) + log_choose(whole - good, sample - start) - log_choose(whole, sample))
    total, at, active = term.copy(), start.copy(), np.arange(term.size)
    while active.size:
        j, up = at[active], upwards[active]
        d, m, s = sample[active], good[active], whole[active]
        rise = (d - j) * (m - j) / ((j + 1.0) * (s - d - m + j + 1.0))
        with np.errstate(divide="ignore", invalid="ignore"):
            fall = j * (s - d - m + j) / ((d - j + 1.0) * (m - j + 1.0))
        inside = np.where(up, j < highest[active], j > lowest[active])
        term[active] *= np.where(inside, np.where(up, rise, fall), 0.0)
        total[active] += term[active]
        at[active] += np.where(up, 1.0, -1.0)
        active = active[term[active] > total[active] * 1e-17]
    p = np.where(upwards, total, 1.0 - total)
    p = np.where(found <= lowest, 1.0, np.where(found > highest, 0.0, p))
    return np.clip(p, 0.0, 1.0)


def _rank_p(ranks: Floats, n: Floats, rank_sum: Floats, size: float) -> Floats:
    from scipy.special import ndtr

    # The variance of a sum of n ranks drawn without return, ties and all, is n (N - n) / N times that of the ranks.
    spread = ranks.var(ddof=1) if len(ranks) > 1 else 0.0
    deviation = np.sqrt(n * (size - n) / size * spread)
    above = rank_sum - n * (size + 1.0) / 2.0 - 0.5
    return np.where(deviation > 0, ndtr(-above / np.where(deviation > 0, deviation, 1.0)), 1.0)
