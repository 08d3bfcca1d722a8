"""Tests for differences between two versions on the same samples.

Covered: the exact McNemar test and a paired bootstrap for 0/1 outcomes. Not covered: corrections for looking
at many comparisons at once.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from muscle_core.errors import ConfigError, DataError
from muscle_core.metrics.quadrants import as_flags, check_same_length
from muscle_core.metrics.rates import check_confidence, finite


class PairedDifference(NamedTuple):
    """Difference of two rates on the same samples, with its interval and test.

    `value` is rate(a) - rate(b); `p` is the exact McNemar p-value; `n` the number of samples.
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
        confidence: coverage of the percentile interval.

    Raises:
        DataError: if the two do not hold one yes or no for each of the same samples; or hold none.
        ConfigError: if an option has a value that cannot work.
    """
    check_confidence(confidence)
    check_resamples(resamples)
    a = as_flags(flags_a, "flags_a")
    b = as_flags(flags_b, "flags_b")
    check_same_length(a, b, "flags_a", "flags_b")
    n = len(a)
    if n == 0:
        raise DataError("there is no sample to compare two rates on; choose runs that share samples")
    only_a = int(np.count_nonzero(a & ~b))
    only_b = int(np.count_nonzero(b & ~a))
    shares = np.array([only_a, only_b, n - only_a - only_b]) / n
    draws = np.random.default_rng(seed).multinomial(n, shares, size=resamples)
    low, high = percentile_limits((draws[:, 0] - draws[:, 1]) / n, confidence)
    return PairedDifference((only_a - only_b) / n, low, high, n, mcnemar_p(only_a, only_b))


def percentile_limits(draws: np.ndarray, confidence: float) -> tuple[float, float]:
    """Return the limits between which the central share `confidence` of the draws lies."""
    tail = (1 - confidence) / 2
    low, high = np.quantile(draws, (tail, 1 - tail))
    return float(low), float(high)


def check_resamples(resamples: int) -> None:
    """Refuse a number of bootstrap draws too small for an interval."""
    if resamples < 100:
        raise ConfigError(f"an interval needs at least 100 bootstrap draws; resamples is {resamples}")
