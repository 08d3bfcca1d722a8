"""Change of accuracy on the same samples, with Tango's score interval.

Covered: an interval for PFR - NFR = accuracy(new) - accuracy(old) that keeps its width where no answer changed: five
samples without a flip show little, and a bootstrap of them would claim an interval of width 0. Source: Tango,
Statistics in Medicine 17 (1998) 891-908. Not covered: samples that depend on each other.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist

from muscle_core.errors import DataError
from muscle_core.metrics.quadrants import QuadrantCounts
from muscle_core.metrics.rates import Interval, check_confidence

_HALVINGS = 60  # of an interval of width 2: the limits are exact to the last bit


def accuracy_change(counts: QuadrantCounts, confidence: float = 0.95) -> Interval:
    """Accuracy of the new version minus that of the old one: (Q2 - Q4) / N, from -1 to 1.

    The interval holds every difference that a score test of the paired counts does not reject.

    Args:
        counts: samples in each quadrant.
        confidence: coverage of the interval, between 0 and 1.

    Raises:
        DataError: there is no sample.
        ConfigError: `confidence` is not between 0 and 1.
    """
    check_confidence(confidence)
    gains, losses, n = counts.q2, counts.q4, counts.n
    if n == 0:
        raise DataError("there is no sample to compare two accuracies on; choose runs that share samples")
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    value = (gains - losses) / n

    def rejected(difference: float) -> bool:
        return (value - difference) ** 2 > z * z * _variance(gains, losses, n, difference)

    return Interval(value, _limit(rejected, value, -1.0), _limit(rejected, value, 1.0))


def samples_to_exclude(counts: QuadrantCounts, difference: float, confidence: float = 0.95) -> int | None:
    """How many samples with these shares of flips it takes until the interval leaves out a difference.

    Args:
        counts: samples in each quadrant.
        difference: of the accuracies, from -1 to 1.
        confidence: coverage of the interval.

    Returns:
        The number of samples; None where the observed difference is (nearly) that one, which no number leaves out.
    """
    check_confidence(confidence)
    gains, losses, n = counts.q2, counts.q4, counts.n
    distance = (gains - losses) / n - difference
    if abs(distance) < 1e-9:
        return None
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    # The variance falls with 1 / n and nothing else in the test depends on n.
    return math.ceil(z * z * n * _variance(gains, losses, n, difference) / distance**2)


def _variance(gains: int, losses: int, n: int, difference: float) -> float:
    """Variance of the observed difference if the true one were `difference`, by the likeliest share of losses."""
    a = 2 * n
    b = (2 * n - gains + losses) * difference - gains - losses
    c = -losses * difference * (1 - difference)
    share = (math.sqrt(max(0.0, b * b - 4 * a * c)) - b) / (2 * a)
    return max(0.0, 2 * share + difference * (1 - difference)) / n


def _limit(rejected: Callable[[float], bool], inside: float, outside: float) -> float:
    if not rejected(outside):
        return outside
    for _ in range(_HALVINGS):
        middle = (inside + outside) / 2
        if rejected(middle):
            outside = middle
        else:
            inside = middle
    return outside
