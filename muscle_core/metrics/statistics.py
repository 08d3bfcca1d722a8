"""Tests for differences between two versions on the same samples.

Covered: the exact McNemar test, a paired bootstrap for 0/1 outcomes, and the correction for looking at many
comparisons at once. Samples in groups: `clusters`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from muscle_core.errors import DataError
from muscle_core.metrics.bootstrap import Method, check_bootstrap, counted_limits
from muscle_core.metrics.clusters import cluster_codes, cluster_limits, cluster_sums, share_of_totals, sign_flip_p
from muscle_core.metrics.quadrants import as_flags, check_same_length
from muscle_core.metrics.rates import finite


class PairedDifference(NamedTuple):
    """Difference of two rates on the same samples, with its interval and test.

    `value` is rate(a) - rate(b); `p` is the exact McNemar p-value (with clusters, `sign_flip_p` by group); `n` the
    number of samples.
    """

    value: float
    low: float
    high: float
    n: int
    p: float

    def as_dict(self) -> dict[str, float | int | None]:
        """Return the fields for JSON: what is not defined is None."""
        return {
            "value": finite(self.value),
            "low": finite(self.low),
            "high": finite(self.high),
            "n": self.n,
            "p": finite(self.p),
        }


def mcnemar_p(only_first: int, only_second: int) -> float:
    """Return the exact two-sided McNemar p-value from the two counts of disagreement.

    With (q4, q2) it tests whether the accuracy changed: under "no change" each disagreement falls to either
    side like a fair coin. Samples on which both versions agree carry no information about it. A large p does
    not show that nothing changed; it shows that these samples cannot tell.

    Args:
        only_first: samples with the outcome in the first version only.
        only_second: samples with the outcome in the second version only.

    Raises:
        DataError: if a count is negative.
    """
    # scipy.stats takes a second to import; this one function of scipy.special gives the same tail.
    from scipy.special import bdtr

    if only_first < 0 or only_second < 0:
        raise DataError(f"counts cannot be negative; they are {only_first} and {only_second}")
    smaller = min(only_first, only_second)
    total = only_first + only_second
    return min(1.0, 2.0 * float(bdtr(smaller, total, 0.5)))


def paired_rate_difference(
    flags_a: ArrayLike,
    flags_b: ArrayLike,
    seed: int,
    resamples: int = 2000,
    confidence: float = 0.95,
    method: Method = "percentile",
    clusters: ArrayLike | None = None,
) -> PairedDifference:
    """Return rate(a) - rate(b) on the same samples, such as NFR(compat) - NFR(new).

    The bootstrap draws samples with replacement. For 0/1 flags only the four joint counts matter, so drawing
    them from a multinomial distribution is the same bootstrap, at a cost that does not depend on the number
    of samples. Where the two never disagree the interval is a single point: it tells that no difference was
    seen, not that there is none.

    Args:
        flags_a: for each sample, whether it counts in the first rate.
        flags_b: the same for the second rate, in the same order.
        seed: makes the interval repeatable.
        resamples: number of bootstrap draws.
        confidence: coverage of the interval.
        method: "percentile", or "bca" for the bias-corrected and accelerated interval.
        clusters: group of each sample, where several belong together; whole groups are then drawn, and `p` is that of
            `sign_flip_p` by group instead of McNemar's.

    Raises:
        DataError: if the two do not hold one yes or no for each of the same samples; or hold none.
        ConfigError: if an option has a value that cannot work.
    """
    check_bootstrap(resamples, confidence, method)
    a = as_flags(flags_a, "flags_a")
    b = as_flags(flags_b, "flags_b")
    check_same_length(a, b, "flags_a", "flags_b")
    n = len(a)
    if n == 0:
        raise DataError("there is no sample to compare two rates on; choose runs that share samples")
    if clusters is not None:
        codes = cluster_codes(clusters)
        check_same_length(a, codes, "flags_a", "clusters")
        sums = cluster_sums(codes, [a.astype(np.int8) - b.astype(np.int8), np.ones(n)])
        low, high = cluster_limits(
            sums, share_of_totals, seed=seed, resamples=resamples, confidence=confidence, method=method
        )
        return PairedDifference(float(sums[:, 0].sum()) / n, low, high, n, sign_flip_p(sums[:, 0]))
    only_a = int(np.count_nonzero(a & ~b))
    only_b = int(np.count_nonzero(b & ~a))
    return difference_of_counts(only_a, only_b, n, seed=seed, resamples=resamples, confidence=confidence, method=method)


def difference_of_counts(
    only_a: int,
    only_b: int,
    n: int,
    *,
    seed: int,
    resamples: int = 2000,
    confidence: float = 0.95,
    method: Method = "percentile",
) -> PairedDifference:
    """Return `paired_rate_difference` from its counts: samples in the first rate only, in the second only, and all."""
    low, high = counted_limits(
        [only_a, only_b, n - only_a - only_b],
        [[1], [-1], [0]],
        lambda totals: totals[..., 0] / n,
        seed=seed,
        resamples=resamples,
        confidence=confidence,
        method=method,
    )
    return PairedDifference((only_a - only_b) / n, low, high, n, mcnemar_p(only_a, only_b))


def adjusted_p(p_values: ArrayLike) -> NDArray[np.float64]:
    """Return the p-values adjusted for their number by Benjamini and Hochberg (1995).

    Calling every adjusted value below q a finding keeps the expected share of false ones among them at q, for
    independent and for positively dependent tests. Values that are nan (no test was made) do not count and stay nan.

    Args:
        p_values: one p-value for each comparison.

    Raises:
        DataError: a value does not lie between 0 and 1.
    """
    values = np.asarray(p_values, dtype=np.float64)
    known = np.isfinite(values)
    if not ((values[known] >= 0) & (values[known] <= 1)).all() or np.isinf(values).any():
        raise DataError(f"p-values must lie between 0 and 1; they are {values.tolist()}")
    adjusted = np.full(values.shape, np.nan)
    if known.sum() == 1:
        adjusted[known] = values[known]
    elif known.any():
        from scipy.stats import false_discovery_control  # takes a second to import

        adjusted[known] = false_discovery_control(values[known], method="bh")
    return adjusted
