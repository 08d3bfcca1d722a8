"""Texts of the Flips page."""

from __future__ import annotations

TABS = {
    "update": "This update",
}

NO_RIGHT_OR_WRONG = (
    "This dataset has scores and no right or wrong, so that nothing flips here. The tab Scores shows how the scores "
    "moved."
)

RATES = "Rates"
RATES_ALT = "Accuracy of both versions and flip rates, each with its 95 % interval"


def rates_says(old: str, new: str, nfr: str, pfr: str) -> str:
    """What the chart of rates shows."""
    return (
        f"From {old} to {new}, {nfr} of all samples were right and are wrong now, {pfr} were wrong and are right now. "
        "Bars are 95 % intervals."
    )
