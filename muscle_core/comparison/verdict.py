"""One honest sentence about an update, from its figures; and one word, where a noise floor can back it."""

from __future__ import annotations

from typing import Any, NamedTuple

from muscle_core.comparison.comparison import Comparison
from muscle_core.comparison.noise import FloorDifference, NoiseFloor, above_floor
from muscle_core.errors import ConfigError, DataError
from muscle_core.metrics.continuous import ScoreChange
from muscle_core.metrics.quadrants import QuadrantCounts
from muscle_core.metrics.text import SIGNIFICANCE_LEVEL, p_text, percent, percent_range, share

# An NFR that lies above the noise floor by less than this is taken for noise: 1 point.
MARGIN = 0.01
# The bootstrap limits of a mean score are too narrow below this.
_LEAST_SCORES = 30

NO_UPDATE, REGRESSION, WITHIN_NOISE = "no update", "regression", "within noise"
TOO_FEW, NO_FLOOR = "too few samples", "no noise floor"
WORDS = (NO_UPDATE, REGRESSION, WITHIN_NOISE, TOO_FEW, NO_FLOOR)


class Judgement(NamedTuple):
    """What an update is called.

    Attributes:
        word: one of `WORDS`.
        sentence: the word and why, with every count and interval that it rests on.
        reasons: the parts of the sentence after the word, for lists.
        difference: NFR (or mean regression of a score) minus noise floor, where there is a floor.
        margin: the difference that was taken for noise.
    """

    word: str
    sentence: str
    reasons: tuple[str, ...] = ()
    difference: FloorDifference | None = None
    margin: float = MARGIN

    def as_dict(self) -> dict[str, Any]:
        """Return the fields for JSON."""
        difference = None if self.difference is None else self.difference.as_dict()
        return {"word": self.word, "sentence": self.sentence, "difference": difference, "margin": self.margin}


def verdict(comparison: Comparison, noise: NoiseFloor | None = None) -> str:
    """Return one plain sentence: what the update gained, what it broke, and whether that is more than chance.

    Args:
        comparison: the two versions compared.
        noise: the noise floor, which is then named beside the flips; `judge` says what follows from it.
    """
    left_out = comparison.join.left_out
    tail = f" ({left_out:,} sample ids could not be paired and are left out.)" if left_out else ""
    tail += groups_note(comparison)
    if comparison.counts is not None:
        sentence = _flip_sentence(comparison, comparison.counts)
    elif comparison.score is None:
        raise DataError("there is neither a right or wrong nor a score to judge this update by")
    else:
        sentence = _score_sentence(comparison, comparison.score, comparison.continuous[comparison.score])
    if noise is not None:
        sentence = f"{sentence.removesuffix('.')}; {floor_text(noise)}."
    return sentence + tail


def judge(
    comparison: Comparison, noise: NoiseFloor | None = None, *, same_version: bool = False, margin: float = MARGIN
) -> Judgement:
    """Say in one word what an update is, against the noise of running the same version again.

    - "no update": both are runs of one version, by declaration; what differs is noise.
    - "regression": the accuracy fell (exact McNemar p below 0.05; of a score, the interval of the mean change lies
      below 0), or the NFR lies above the noise floor with the whole interval of the difference.
    - "within noise": that interval reaches 0 and ends below `margin`.
    - "too few samples": neither can be told.
    - "no noise floor": the accuracy did not fall significantly, and no version was run twice.

    Of a score, the mean regression stands in place of the NFR.

    Args:
        comparison: the two versions compared.
        noise: the noise floor, where there is one.
        same_version: both are runs of one version, also where the floor does not say so.
        margin: difference that is taken for noise, as a share (or in units of the score).

    Raises:
        ConfigError: the margin is not positive.
        DataError: the floor is of something else than the comparison.
    """
    if not 0 < margin < 1:
        raise ConfigError(f"the margin that counts as noise must lie between 0 and 1, for example 0.01; it is {margin}")
    if comparison.counts is None and comparison.score is None:
        raise DataError("there is neither a right or wrong nor a score to judge this update by")
    flips = _what_failed(comparison, digits=1 if noise is None else 2)  # noise is small: it takes two decimals
    if same_version or (noise is not None and noise.same_version):
        return _judgement(NO_UPDATE, _between_runs(comparison), None, margin)
    difference = None if noise is None else above_floor(comparison, noise)
    against = [] if noise is None else [floor_text(noise)]
    fall = _fall(comparison)
    if fall is not None:
        return _judgement(REGRESSION, [fall, flips, *against], difference, margin)
    if difference is None:
        return _judgement(NO_FLOOR, [flips, _without_floor(comparison)], None, margin)
    few = comparison.counts is None and difference.n < _LEAST_SCORES
    if difference.low > 0 and not few:
        word, meaning = REGRESSION, "more than between runs of one version"
    elif difference.high < margin and not few:
        word, meaning = WITHIN_NOISE, f"less than the {_amount(comparison, margin)} that would count"
    else:
        word, meaning = TOO_FEW, "so that these samples cannot tell an effect from noise"
    return _judgement(word, [flips, *against, f"{_gap(comparison, difference)}, {meaning}"], difference, margin)


def _judgement(word: str, reasons: list[str], difference: FloorDifference | None, margin: float) -> Judgement:
    return Judgement(word, f"{word}: {'; '.join(reasons)}.", tuple(reasons), difference, margin)


def floor_text(noise: NoiseFloor) -> str:
    """The noise floor in words, with its denominator and interval."""
    names = list(dict.fromkeys(name.split(" (run ")[0] for name in noise.names))
    listed = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
    basis = f"{len(noise.names)} runs of {listed}, {noise.pairs} ordered pairs"
    if noise.score is not None:
        figure = f"{noise.rate:.4f} of {noise.score} (95 % interval {noise.low:.4f}–{noise.high:.4f}; n = {noise.n:,}"
    else:
        figure = f"{percent(noise.rate, 2)} ({noise.flips:,.1f} of {noise.n:,} on average; 95 % interval "
        figure += percent_range(noise.low, noise.high, 2)
    borrowed = ", borrowed from another version, whose noise need not be the same" if noise.borrowed else ""
    return f"the noise floor is {figure}; {basis}{borrowed})"


def _what_failed(comparison: Comparison, digits: int = 2) -> str:
    if comparison.counts is not None:
        nfr = comparison.nfr
        assert nfr is not None
        return (
            f"{percent(nfr.value, digits)} of the inputs ({share(nfr)}; 95 % interval "
            f"{percent_range(nfr.low, nfr.high, digits)}) worked with {comparison.old_name} and "
            f"fail with {comparison.new_name}"
        )
    assert comparison.score is not None
    lost = comparison.continuous[comparison.score].regression
    return (
        f"the mean regression of {comparison.score} from {comparison.old_name} to {comparison.new_name} is "
        f"{lost.value:.4f} (95 % interval {lost.low:.4f}–{lost.high:.4f}; n = {comparison.n:,})"
    )


def _between_runs(comparison: Comparison) -> list[str]:
    pair = f"{comparison.old_name} and {comparison.new_name}"
    if comparison.counts is None:
        return [f"{_what_failed(comparison)}, between two runs of the same version"]
    nfr, p = comparison.nfr, comparison.mcnemar_p
    assert nfr is not None
    assert p is not None
    reasons = [
        f"{percent(nfr.value, 2)} ({share(nfr)}; 95 % interval {percent_range(nfr.low, nfr.high, 2)}) flip between two "
        f"runs of the same version, {pair}"
    ]
    if p < SIGNIFICANCE_LEVEL:
        reasons.append(
            f"yet their accuracies differ by more than chance ({comparison.test} {p_text(p)}), so they may not be the "
            "same model"
        )
    return reasons


def _fall(comparison: Comparison) -> str | None:
    """How far the accuracy or mean score fell, where it did so by more than chance."""
    counts, p = comparison.counts, comparison.mcnemar_p
    if counts is not None and p is not None:
        if counts.q4 <= counts.q2 or p >= SIGNIFICANCE_LEVEL:
            return None
        points = (counts.q4 - counts.q2) / counts.n * 100
        return f"the accuracy fell by {points:.2f} points ({comparison.test} {p_text(p)}; n = {counts.n:,})"
    assert comparison.score is not None
    mean = comparison.continuous[comparison.score].mean_change
    if mean.high >= 0 or comparison.n < _LEAST_SCORES:
        return None
    return (
        f"the mean {comparison.score} fell by {-mean.value:.4f} (95 % interval of the change {mean.low:+.4f} to "
        f"{mean.high:+.4f}; n = {comparison.n:,})"
    )


def _gap(comparison: Comparison, difference: FloorDifference) -> str:
    scale, unit, digits = (100, " points", "+.2f") if comparison.counts is not None else (1, "", "+.4f")
    value, low, high = (f"{number * scale:{digits}}" for number in difference[:3])
    how = "on the same samples" if difference.paired else "on other samples, so not paired"
    return f"the difference is {value}{unit} (95 % interval {low} to {high}; {how}, n = {difference.n:,})"


def _amount(comparison: Comparison, margin: float) -> str:
    return f"{margin * 100:g} point{'' if margin == 0.01 else 's'}" if comparison.counts is not None else f"{margin:g}"


def _without_floor(comparison: Comparison) -> str:
    nfr = comparison.nfr
    them = "this" if nfr is None or nfr.numerator == 0 else "them"
    return (
        f"how much of {them} is noise has not been measured: run one version again on the same samples, import that "
        "second run and declare it (python -m muscle_core models replica NAME OF), and this word will say whether the "
        "update broke more than that"
    )


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
