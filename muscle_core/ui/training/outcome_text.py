"""What came of a training, as the list, the open training and the comparison write it."""

from __future__ import annotations

from typing import Any

from muscle_core.actions.training.differences import Outcome
from muscle_core.metrics import Interval
from muscle_core.ui.numbers import SCORE_NAMES, duration, percent, rough_size
from muscle_core.ui.training import trainings_words as words

_POINTS = ("accuracy", "nfr", "nfr_mc")
_SHARES = ("old_share", "token_accuracy")
_SHORT = 12  # characters of a fingerprint that are shown
_HALF_A_SECOND = 0.5  # less would be written as 0 s
_HASH = 40  # longer words are fingerprints


def figure_text(one: Outcome, name: str) -> str:
    """A figure with its interval and how many samples it is of."""
    found: Interval | None = one.figures.get(name)
    if found is None:
        return "–"
    if name in _POINTS:
        return f"{percent(found.value)} [{found.low * 100:.1f}, {found.high * 100:.1f}] of {one.n:,}"
    score = SCORE_NAMES.get(one.score or "", one.score)
    return f"{found.value:.4f} [{found.low:.4f}, {found.high:.4f}], {score}, n = {one.n:,}"


def fact_text(name: str, value: float | None) -> str:
    """A fact of `muscle_core.actions.training.differences.SUMMARY`."""
    if value is None:
        return "–"
    if name.endswith("seconds"):
        return words.UNDER_A_SECOND if value < _HALF_A_SECOND else duration(value)
    if name in _SHARES:
        return percent(value)
    if name == "peak_memory_mb":
        return rough_size(value * 2**20)
    return f"{value:,}" if isinstance(value, int) else f"{value:.4f}"


def setting_text(value: Any) -> str:
    """A setting as people read it; of fingerprints the beginning of each part."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "–"
    text = str(value)
    if len(text) > _HASH and " " not in text:
        return ":".join(part[:_SHORT] for part in text.split(":"))
    return text
