"""Numbers as this page writes them into sentences and tables."""

from __future__ import annotations

from muscle_core.figures.text import range_text, rate_text
from muscle_core.metrics import Rate
from muscle_core.ui.frame import plain


def with_interval(rate: Rate) -> str:
    """A rate with counts and interval, as a sentence holds it: "9.4 % (94 of 1,000; 95 % interval 7.7–11.4 %)"."""
    return plain(f"{rate_text(rate)[:-1]}; 95 % interval {range_text(rate.low, rate.high)})")


def p_text(value: float) -> str:
    """A p-value as a table shows it."""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
