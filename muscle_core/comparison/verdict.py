"""One honest sentence about an update, from its figures."""

from __future__ import annotations

from muscle_core.comparison.comparison import Comparison
from muscle_core.errors import DataError
from muscle_core.metrics.continuous import ScoreChange
from muscle_core.metrics.quadrants import QuadrantCounts
from muscle_core.metrics.rates import Rate

# The conventional 5 % level: above it the sentence says that the samples cannot tell.
SIGNIFICANCE_LEVEL = 0.05


def verdict(comparison: Comparison) -> str:
    """Return one plain sentence: what the update gained, what it broke, and whether that is more than chance.

    Args:
        comparison: the two versions compared.
    """
    left_out = comparison.join.left_out
    tail = f" ({left_out:,} sample ids could not be paired and are left out.)" if left_out else ""
    tail += groups_note(comparison)
    if comparison.counts is not None:
        return _flip_sentence(comparison, comparison.counts) + tail
    if comparison.score is None:
        raise DataError("there is neither a right or wrong nor a score to judge this update by")
    return _score_sentence(comparison, comparison.score, comparison.continuous[comparison.score]) + tail


def groups_note(comparison: Comparison) -> str:
    """Say by how many groups the intervals and the test were made; nothing where each sample stands alone."""
    if comparison.clusters is None:
        return ""
    few = "; with fewer than 30, intervals are too narrow" if comparison.clusters < 30 else ""
    return f" (Intervals and test by {comparison.clusters:,} groups of samples{few}.)"


def _flip_sentence(comparison: Comparison, counts: QuadrantCounts) -> str:
    new, nfr, p = comparison.accuracy_new, comparison.nfr, comparison.mcnemar_p
    assert new is not None
    assert nfr is not None
    assert p is not None
    start = f"{comparison.new_name} is right on {percent(new.value)} ({share(new)})"
    difference = counts.q2 - counts.q4
    points = f"{abs(difference) / counts.n * 100:.1f} points"
    test = f"{comparison.test} {p_text(p)}"
    if difference == 0:
        change = f"exactly as many as {comparison.old_name} ({test}; no change in accuracy seen)"
    elif p >= SIGNIFICANCE_LEVEL:
        direction = "more" if difference > 0 else "fewer"
        change = f"{points} {direction} than {comparison.old_name} ({test}: too few samples to tell from chance)"
    else:
        direction = "more" if difference > 0 else "fewer"
        change = f"{points} {direction} than {comparison.old_name} ({test})"
    interval = f"NFR {percent(nfr.value)} (95 % interval {percent_range(nfr.low, nfr.high)})"
    link = "yet" if difference >= 0 else "and"
    if counts.q4 == 0:
        return f"{start}, {change}, and no input that worked before fails now: {interval}."
    inputs = "1 input that worked before now fails" if counts.q4 == 1 else _many_fail(counts.q4)
    return f"{start}, {change}, {link} {inputs}: {interval}."


def _many_fail(count: int) -> str:
    return f"{count:,} inputs that worked before now fail"


def _score_sentence(comparison: Comparison, score: str, change: ScoreChange) -> str:
    mean = change.mean_change
    interval = f"95 % interval {mean.low:+.4f} to {mean.high:+.4f}"
    direction = "more" if mean.value > 0 else "less"
    moved = f"{abs(mean.value):.4f} {direction} than {comparison.old_name}"
    if mean.value == 0 and mean.low == mean.high:
        moved = f"exactly as much as {comparison.old_name}"
    elif mean.low <= 0 <= mean.high:
        moved += f" ({interval}: too few samples to tell from chance)"
    else:
        moved += f" ({interval})"
    worse = change.regression_rate
    link = "yet" if mean.value >= 0 else "and"
    beyond = f" by more than {change.tau:g}" if change.tau else ""
    if worse.numerator == 0:
        losses = f"and no sample scores lower than before{beyond}"
    else:
        verb = "scores" if worse.numerator == 1 else "score"
        losses = (
            f"{link} {percent(worse.value)} of the samples ({share(worse)}; 95 % interval "
            f"{percent_range(worse.low, worse.high)}) {verb} lower than before{beyond}"
        )
    return (
        f"{comparison.new_name} reaches a mean {score} of {change.mean_new:.4f} on {change.n:,} samples, "
        f"{moved}, {losses}: mean gain {change.gain.value:.4f}, "
        f"mean regression {change.regression.value:.4f}."
    )


def percent(value: float) -> str:
    """Return a share as a percentage with one decimal."""
    return f"{value * 100:.1f} %"


def percent_range(low: float, high: float) -> str:
    """Return the limits of a share as one percentage range."""
    return f"{low * 100:.1f}–{high * 100:.1f} %"


def share(rate: Rate) -> str:
    """Return the counts behind a rate."""
    return f"{rate.numerator:,} of {rate.denominator:,}"


def p_text(p: float) -> str:
    """Return a p-value for a sentence: never as 0, and never rounded across the 5 % level."""
    if p < 0.001:
        return "p < 0.001"
    if abs(p - SIGNIFICANCE_LEVEL) < 0.0005:
        return f"p = {p:.4f}"
    return f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"
