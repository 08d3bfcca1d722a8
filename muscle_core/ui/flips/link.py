"""Links out of the page, without the parameters that only this page reads."""

from __future__ import annotations

from collections.abc import Mapping

from muscle_core.ui.samples.link import open_samples
from muscle_core.ui.url import drop

OWN = (
    "flips_tab",
    "measure",
    "pairs",
    "pair_search",
    "minimum",
    "conditions",
    "topics",
    "versions",
    "order",
    "tau",
    "score",
)


def to_samples(filters: Mapping[str, str], picks: Mapping[str, str] | None = None) -> None:
    """Open the Samples page with exactly these filters; the next visit here starts as this one was left."""
    drop(*OWN)
    open_samples(filters, picks)
