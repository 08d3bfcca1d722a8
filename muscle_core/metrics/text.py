"""Figures in words, the same in pages, charts, reports and commands."""

from __future__ import annotations

import math

from muscle_core.metrics.rates import Rate

SIGNIFICANCE_LEVEL = 0.05  # the conventional one: above it a sentence says that the samples cannot tell
NOT_DEFINED = "–"


def percent(value: float | None, digits: int = 1) -> str:
    """Return a share as a percentage: "9.4 %", or a dash where it is not defined.

    Args:
        value: share, 1 for all.
        digits: decimals; two for the small rates of noise.
    """
    return NOT_DEFINED if value is None or not math.isfinite(value) else f"{value * 100:.{digits}f} %"


def percent_range(low: float, high: float, digits: int = 1) -> str:
    """Return the limits of a share: "7.7–11.4 %", or a dash where they are not defined."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return NOT_DEFINED
    return f"{low * 100:.{digits}f}–{high * 100:.{digits}f} %"


def share(rate: Rate) -> str:
    """Return the counts behind a rate: "94 of 1,000"."""
    return f"{rate.numerator:,} of {rate.denominator:,}"


def rate_text(rate: Rate) -> str:
    """Return a rate with its counts: "9.4 % (94 of 1,000)"."""
    return f"{percent(rate.value)} ({share(rate)})"


def p_text(p: float) -> str:
    """Return a p-value for a sentence: never as 0, and never rounded across the 5 % level."""
    if p < 0.001:
        return "p < 0.001"
    if abs(p - SIGNIFICANCE_LEVEL) < 0.0005:
        return f"p = {p:.4f}"
    return f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"
