"""Numbers as the pages write them: one format for rates, intervals, p-values and durations."""

from __future__ import annotations

from muscle_core.figures.text import SCORE_NAMES as SCORE_NAMES
from muscle_core.metrics import Rate
from muscle_core.metrics.text import percent as percent
from muscle_core.metrics.text import percent_range, rate_text
from muscle_core.ui import words
from muscle_core.ui.frame import plain


def counts(rate: Rate) -> str:
    """Numerator, denominator and interval of a rate."""
    if rate.denominator == 0:
        return words.NOT_DEFINED
    return words.rate_counts(rate.numerator, rate.denominator, rate.low * 100, rate.high * 100)


def with_interval(rate: Rate) -> str:
    """A rate with counts and interval, as a sentence holds it: "9.4 % (94 of 1,000; 95 % interval 7.7–11.4 %)"."""
    return plain(f"{rate_text(rate)[:-1]}; 95 % interval {percent_range(rate.low, rate.high)})")


def points(difference: float) -> str:
    """A difference of two shares in percentage points, with its sign."""
    return words.points(difference * 100)


def duration(seconds: float) -> str:
    """Seconds as people say them."""
    seconds = max(0, round(seconds))
    if seconds < 90:
        return f"{seconds} s"
    if seconds < 5400:
        return f"{seconds // 60} min {seconds % 60:02d} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60:02d} min"


def rough_size(size: float) -> str:
    """Bytes to two figures or to whole units: what is estimated is not known more exactly."""
    units = iter(("B", "KiB", "MiB", "GiB"))
    unit = next(units)
    while round(size) >= 1024 and unit != "GiB":
        size, unit = size / 1024, next(units)
    return f"{size:,.1f} {unit}" if unit != "B" and round(size, 1) < 10 else f"{size:,.0f} {unit}"
