"""A share of counted samples, always with its denominator and its interval.

Covered: the Wilson score interval, which stays inside [0, 1] and does not shrink to nothing at 0 or n.
Not covered: samples that depend on each other (several questions about one text), for which every
interval here is too narrow.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import NamedTuple

from muscle_core.errors import ConfigError, DataError


class Interval(NamedTuple):
    """A number with the limits of its confidence interval."""

    value: float
    low: float
    high: float

    def as_dict(self) -> dict[str, float | None]:
        """Return the fields for JSON: what is not defined is None."""
        return {"value": finite(self.value), "low": finite(self.low), "high": finite(self.high)}


class Rate(NamedTuple):
    """A share: `numerator` of `denominator` samples, with a Wilson interval.

    `value`, `low` and `high` are nan if the denominator is 0: then the share is not defined.
    """

    value: float
    numerator: int
    denominator: int
    low: float
    high: float

    def as_dict(self) -> dict[str, float | int | None]:
        """Return the fields for JSON: what is not defined is None."""
        return {
            "value": finite(self.value),
            "numerator": self.numerator,
            "denominator": self.denominator,
            "low": finite(self.low),
            "high": finite(self.high),
        }


def rate(numerator: int, denominator: int, confidence: float = 0.95) -> Rate:
    """Return `numerator` of `denominator` as a rate with its Wilson interval.

    Args:
        numerator: number of samples counted.
        denominator: number of samples that could have been counted.
        confidence: coverage of the interval, between 0 and 1.

    Raises:
        DataError: if the counts are negative, or more is counted than there is.
        ConfigError: if `confidence` is not between 0 and 1.
    """
    check_confidence(confidence)
    numerator, denominator = int(numerator), int(denominator)
    if not 0 <= numerator <= denominator:
        raise DataError(f"a rate of {numerator} out of {denominator} cannot be; check the two counts")
    if denominator == 0:
        return Rate(math.nan, 0, 0, math.nan, math.nan)
    value = numerator / denominator
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    shrink = 1 + z * z / denominator
    center = (value + z * z / (2 * denominator)) / shrink
    half = z / shrink * math.sqrt(value * (1 - value) / denominator + (z / (2 * denominator)) ** 2)
    # At both ends the limit is exactly 0 or 1; rounding would leave 1e-18 there.
    low = 0.0 if numerator == 0 else max(0.0, center - half)
    high = 1.0 if numerator == denominator else min(1.0, center + half)
    return Rate(value, numerator, denominator, low, high)


def finite(value: float | None) -> float | None:
    """Return the number as a plain float, or None where it is missing, nan or infinite."""
    if value is None or not math.isfinite(value):
        return None
    return float(value)


def check_confidence(confidence: float) -> None:
    """Refuse a confidence level that is not between 0 and 1."""
    if not 0 < confidence < 1:
        raise ConfigError(f"the confidence level must lie between 0 and 1, for example 0.95; it is {confidence}")
