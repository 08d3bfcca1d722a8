"""Intervals and tests for samples that come in groups, such as several questions about one text.

Rows of one prompt resemble each other, so that n rows tell less than n independent ones and the usual intervals are too
narrow. Here whole groups are drawn with replacement instead of rows (cluster bootstrap; Field and Welsh 2007,
"Bootstrapping clustered data", J. R. Stat. Soc. B 69). Not covered: fewer than about 30 groups, with which these
intervals are still too narrow; and groups within groups.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from muscle_core.errors import DataError
from muscle_core.metrics.bootstrap import (
    Floats,
    Method,
    Statistic,
    check_bootstrap,
    counted_limits,
    drawn_limits,
    matrix_product,
    ratio,
)
from muscle_core.metrics.quadrants import as_flags, check_same_length
from muscle_core.metrics.rates import Rate, rate

# Beyond this many steps of its distribution the sign-flip test and its normal limit agree to three digits.
_EXACT_STEPS = 20_000


def cluster_codes(labels: ArrayLike) -> NDArray[np.int64]:
    """Number the groups of samples from 0, in the order in which they first appear.

    Args:
        labels: group of each sample, such as the id of its prompt: texts, numbers or anything with an equality.

    Raises:
        DataError: a sample has no group; or labels are not one flat list.
    """
    import pandas as pd

    values = labels if isinstance(labels, np.ndarray) else pd.Series(labels, dtype=object).to_numpy()
    if values.ndim != 1:
        raise DataError("clusters must be one flat list with the group of each sample")
    codes, _ = pd.factorize(values)
    missing = np.flatnonzero(codes < 0)
    if len(missing):
        raise DataError(
            f"{len(missing):,} of {len(codes):,} samples have no cluster, the first is entry {missing[0]}; "
            "name a group for each sample (one that stands alone is a group of its own)"
        )
    return codes.astype(np.int64, copy=False)


def cluster_sums(codes: NDArray[np.int64], columns: Sequence[ArrayLike]) -> Floats:
    """Sum columns over the samples of each group: [groups, columns]."""
    return np.column_stack([np.bincount(codes, weights=np.asarray(column, dtype=np.float64)) for column in columns])


def cluster_limits(
    sums: Floats,
    statistic: Statistic,
    *,
    seed: int,
    resamples: int = 2000,
    confidence: float = 0.95,
    method: Method = "percentile",
) -> tuple[float, float]:
    """Return the limits of a statistic of totals under resampling of whole groups.

    Args:
        sums: what each group adds to the totals, [groups, quantities]; see `cluster_sums`.
        statistic: from totals [..., quantities] to the figure [...], nan where it is not defined.
        seed: makes the interval repeatable.
        resamples: number of bootstrap draws.
        confidence: coverage of the interval.
        method: "percentile" or "bca" (leaving out one group at a time).

    Raises:
        DataError: there is no group.
        ConfigError: an option has a value that cannot work.
    """
    check_bootstrap(resamples, confidence, method)
    kinds, times = np.unique(sums, axis=0, return_counts=True)
    if len(kinds) * 4 <= len(sums) or len(kinds) <= 64:  # groups with equal sums are exchangeable
        return counted_limits(
            times, kinds, statistic, seed=seed, resamples=resamples, confidence=confidence, method=method
        )
    groups = len(sums)
    generator = np.random.default_rng(seed)
    totals = np.empty((resamples, sums.shape[1]))
    for draw in range(resamples):
        weights = np.bincount(generator.integers(0, groups, size=groups), minlength=groups)
        totals[draw] = matrix_product(weights, sums)
    whole = sums.sum(axis=0)
    return drawn_limits(statistic(totals), statistic, whole, whole - sums, confidence, method)


def cluster_rate(
    flags: ArrayLike,
    clusters: ArrayLike,
    *,
    among: ArrayLike | None = None,
    seed: int = 0,
    resamples: int = 2000,
    confidence: float = 0.95,
    method: Method = "percentile",
) -> Rate:
    """Return a rate with the interval of the cluster bootstrap.

    At 0 and at all samples no draw differs from another; the limit is then Wilson's with the number of groups in place
    of the number of samples, which is the cautious end: as if each group told as much as one sample.

    Args:
        flags: for each sample, whether it is counted.
        clusters: group of each sample, in the same order.
        among: for each sample, whether it belongs to the denominator; by default all do.
        seed: makes the interval repeatable.
        resamples: number of bootstrap draws.
        confidence: coverage of the interval.
        method: "percentile" or "bca".

    Raises:
        DataError: the lists do not describe the same samples, or a sample has no group.
        ConfigError: an option has a value that cannot work.
    """
    counted, codes = as_flags(flags, "flags"), cluster_codes(clusters)
    check_same_length(counted, codes, "flags", "clusters")
    base = np.ones(len(counted), dtype=np.bool_) if among is None else as_flags(among, "among")
    check_same_length(counted, base, "flags", "among")
    sums = cluster_sums(codes, [counted & base, base])
    return rate_of_sums(sums, seed=seed, resamples=resamples, confidence=confidence, method=method)


def rate_of_sums(
    sums: Floats, *, seed: int, resamples: int = 2000, confidence: float = 0.95, method: Method = "percentile"
) -> Rate:
    """Return the rate of the first over the second column of `cluster_sums`; see `cluster_rate`."""
    numerator, denominator = (int(total) for total in sums.sum(axis=0))
    share = rate(numerator, denominator, confidence)
    if denominator == 0:
        return share
    if numerator in (0, denominator):
        groups = int(np.count_nonzero(sums[:, 1]))
        cautious = rate(groups if numerator else 0, groups, confidence)
        return share._replace(low=cautious.low, high=cautious.high)
    low, high = cluster_limits(
        sums, share_of_totals, seed=seed, resamples=resamples, confidence=confidence, method=method
    )
    return share._replace(low=low, high=high)


def share_of_totals(totals: Floats) -> Floats:
    """First total over the second."""
    return ratio(totals[..., 0], totals[..., 1])


def sign_flip_p(differences: ArrayLike) -> float:
    """Return the two-sided p-value of "the differences are as likely to be positive as negative".

    Each difference, such as flips less gains of one group, may turn its sign like a fair coin (Fisher's randomisation
    test). With differences of -1 and +1 it is the exact McNemar test; with groups it is that test for clustered pairs.
    It is exact up to a total of 20,000; beyond, the normal limit is taken: sum / sqrt(sum of squares), the statistic of
    Durkalski et al. 2003, "Analysis of clustered matched-pair data", Statistics in Medicine 22.

    Args:
        differences: one whole number for each group.

    Raises:
        DataError: a difference is not a whole number.
    """
    values = np.asarray(differences, dtype=np.float64)
    if not (np.isfinite(values).all() and (values == np.rint(values)).all()):
        raise DataError("the sign-flip test needs a whole number for each group")
    sizes, times = np.unique(np.abs(values[values != 0]).astype(np.int64), return_counts=True)
    observed = abs(int(values.sum()))
    if observed == 0:
        return 1.0
    if int(sizes @ times) > _EXACT_STEPS:
        return math.erfc(observed / math.sqrt(2 * float(sizes.astype(float) ** 2 @ times)))
    # Chances of the sum of those that turn positive; the whole sum is twice that less the total.
    total, chances = int(sizes @ times), np.ones(1)
    for size, count in zip(sizes.tolist(), times.tolist(), strict=True):
        step = np.zeros(size * count + 1)
        step[::size] = _fair_coin(count)
        chances = np.convolve(chances, step)
    return min(1.0, 2.0 * float(chances[(total + observed) // 2 :].sum()))


def _fair_coin(count: int) -> Floats:
    """Chances of 0 to `count` heads."""
    from scipy.special import gammaln

    heads = np.arange(count + 1)
    chances: Floats = np.exp(gammaln(count + 1) - gammaln(heads + 1) - gammaln(count - heads + 1) - count * math.log(2))
    return chances
