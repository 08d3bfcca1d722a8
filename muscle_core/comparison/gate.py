"""Does an update stay within its limits? A pure function of two prediction tables and thresholds.

It fails closed: a sample that is missing, doubled, not judged or changed is an error, never a pass, for a rate over the
samples that happen to be left says nothing about the others. Not covered: the noise of asking one version twice.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, NamedTuple

import pandas as pd

from muscle_core.comparison.comparison import Comparison, compare
from muscle_core.comparison.gate_samples import check_samples
from muscle_core.errors import ConfigError, raise_all
from muscle_core.metrics.continuous import score_change
from muscle_core.metrics.paired_change import accuracy_change, samples_to_exclude
from muscle_core.metrics.rates import Rate, finite, rate
from muscle_core.metrics.text import percent

RULES = ("point", "upper")
# Fewer score differences than this are no ground for a bootstrap interval, and 0 of 5 losses would give width 0.
LEAST_FOR_BOOTSTRAP = 30
_NEXT_TO = 1e-9  # closer to its limit than this, no number of samples tells a value from it


@dataclass(frozen=True)
class Thresholds:
    """What an update may cost. At least one limit must be set.

    Attributes:
        max_nfr: largest negative flip rate, over all samples; from 0, below 1.
        max_flips: largest number of negative flips.
        min_accuracy_change: least accuracy(new) - accuracy(old); -0.01 lets it fall by one point.
        max_regression: largest mean loss of the continuous score.
        confidence: coverage of the intervals.
        rule: "point": the measured value must keep the limit. "upper": the whole interval must keep it, so that too
            few samples fail. A number of flips is compared as it is under both.
    """

    max_nfr: float | None = None
    max_flips: int | None = None
    min_accuracy_change: float | None = None
    max_regression: float | None = None
    confidence: float = 0.95
    rule: str = "point"

    @property
    def limits(self) -> dict[str, float]:
        """The limits that are set, by name."""
        named = {name: getattr(self, name) for name in LIMITS}
        return {name: value for name, value in named.items() if value is not None}

    def check(self) -> None:
        """Refuse thresholds that cannot be meant.

        Raises:
            ConfigError: naming all problems; also where no limit is set.
        """
        problems = []
        if not self.limits:
            problems.append(f"no limit is given; give at least one of {', '.join(LIMITS)}")
        if self.max_nfr is not None and not 0 <= self.max_nfr < 1:  # also false for nan
            problems.append(f"max_nfr must be a share from 0 to below 1 (2 % is 0.02), got {self.max_nfr:g}")
        if self.max_flips is not None and self.max_flips < 0:
            problems.append(f"max_flips must be 0 or more, got {self.max_flips}")
        if self.min_accuracy_change is not None and not -1 < self.min_accuracy_change <= 1:
            problems.append(
                "min_accuracy_change must lie above -1 and at most at 1 (-0.01 allows a fall of one point), got "
                f"{self.min_accuracy_change:g}"
            )
        if self.max_regression is not None and not (self.max_regression >= 0 and math.isfinite(self.max_regression)):
            problems.append(f"max_regression must be 0 or more and finite, got {self.max_regression:g}")
        if not 0 < self.confidence < 1:
            problems.append(f"confidence must lie between 0 and 1, for example 0.95, got {self.confidence:g}")
        if self.rule not in RULES:
            problems.append(f"rule must be one of {', '.join(RULES)}, got {self.rule!r}")
        raise_all(problems, ConfigError, "the gate's thresholds cannot be used")


LIMITS = ("max_nfr", "max_flips", "min_accuracy_change", "max_regression")
FLIP_LIMITS = ("max_nfr", "max_flips")
_CORRECT_LIMITS = ("max_nfr", "max_flips", "min_accuracy_change")


class Check(NamedTuple):
    """One limit and what was measured.

    Attributes:
        name: one of the limits of `Thresholds`.
        limit: its value.
        value: what was measured.
        low: lower limit of its interval; nan where it has none.
        high: upper limit of its interval; nan where it has none.
        n: number of samples that it is about.
        outcome: "passed", "failed", or "too few samples": the value keeps the limit, its interval does not.
        reason: the same in words, with counts.
        needed: about how many samples of this kind the interval would need to keep the limit; None if not asked or not
            to be told.
    """

    name: str
    limit: float
    value: float
    low: float
    high: float
    n: int
    outcome: str
    reason: str
    needed: int | None = None

    @property
    def passed(self) -> bool:
        """Whether the limit is kept."""
        return self.outcome == "passed"

    def as_dict(self) -> dict[str, Any]:
        """Return the fields for strict JSON: what is not defined is None."""
        numbers = {key: finite(getattr(self, key)) for key in ("limit", "value", "low", "high")}
        return {**self._asdict(), **numbers}


class Flip(NamedTuple):
    """A sample that was right and is wrong."""

    sample_id: str
    old_prediction: str | None
    new_prediction: str | None
    gold: str | None


@dataclass(frozen=True, eq=False)
class GateResult:
    """Whether an update may pass, and why.

    Attributes:
        comparison: the two versions on all samples.
        thresholds: the limits.
        checks: one for each limit.
        flips: negative flips that count.
        allowed: negative flips that were allowed for this run.
        accepted: negative flips that the approved baseline accepts.
        notes: what a reader should know besides, none of which fails the gate.
    """

    comparison: Comparison
    thresholds: Thresholds
    checks: tuple[Check, ...]
    flips: tuple[Flip, ...]
    allowed: tuple[Flip, ...]
    accepted: tuple[Flip, ...]
    notes: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether every limit is kept."""
        return all(check.passed for check in self.checks)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it did not pass; empty where it did."""
        return tuple(check.reason for check in self.checks if not check.passed)

    @property
    def flips_fail(self) -> bool:
        """Whether a limit on negative flips is not kept."""
        return any(check.name in FLIP_LIMITS and not check.passed for check in self.checks)

    def to_dict(self) -> dict[str, Any]:
        """Return all of it for strict JSON."""
        return {
            "passed": self.passed,
            "reasons": list(self.reasons),
            "checks": [check.as_dict() for check in self.checks],
            "thresholds": vars(self.thresholds),
            "negative_flips": {
                name: [flip._asdict() for flip in getattr(self, field)]
                for name, field in (("counted", "flips"), ("allowed", "allowed"), ("accepted", "accepted"))
            },
            "notes": list(self.notes),
            "figures": self.comparison.to_dict(),
        }


def gate(
    old: pd.DataFrame,
    new: pd.DataFrame,
    thresholds: Thresholds,
    *,
    task_kind: str,
    old_name: str,
    new_name: str,
    golds: Mapping[str, str] | None = None,
    allow: Collection[str] = (),
    accepted: Collection[str] = (),
    score: str | None = None,
) -> GateResult:
    """Compare two versions sample by sample and hold the update against its limits.

    Args:
        old: predictions of the old version, as for `compare`.
        new: the same for the new version.
        thresholds: the limits.
        task_kind: kind of task; kept with the figures.
        old_name: name of the old version.
        new_name: name of the new version.
        golds: right answer of every sample that both must hold, by id; by default the ids of both tables must be equal.
        allow: ids whose negative flips do not count.
        accepted: ids whose negative flips the baseline has accepted; they do not count either.
        score: the continuous score of `max_regression`; by default the leading one.

    Raises:
        ConfigError: thresholds that cannot be meant, that ask for what the samples do not have, or that cannot fail.
        DataError: a sample is missing, doubled, not judged or changed; an allowed id does not exist.
    """
    thresholds.check()
    check_samples(old, new, old_name, new_name, golds, {"allowed": allow, "accepted in the baseline": accepted})
    comparison = compare(old, new, task_kind=task_kind, old_name=old_name, new_name=new_name, score=score)
    _check_limits_fit(comparison, thresholds, allow)
    found = _negative_flips(comparison)
    allowed, known = set(allow), set(accepted)
    counted = tuple(flip for flip in found if flip.sample_id not in allowed | known)
    checks = tuple(_check(name, comparison, thresholds, len(counted)) for name in thresholds.limits)
    return GateResult(
        comparison=comparison,
        thresholds=thresholds,
        checks=checks,
        flips=counted,
        allowed=tuple(flip for flip in found if flip.sample_id in allowed - known),
        accepted=tuple(flip for flip in found if flip.sample_id in known),
        notes=tuple(_notes(comparison, checks, found, allow, accepted)),
    )


def _check_limits_fit(comparison: Comparison, thresholds: Thresholds, allow: Collection[str]) -> None:
    problems = []
    if comparison.counts is None:
        asked = [name for name in _CORRECT_LIMITS if name in thresholds.limits]
        if asked:
            problems.append(
                f"{', '.join(asked)} is about right and wrong, but these samples have a score only: set max_regression"
            )
        if allow:
            problems.append("ids are allowed, but these samples have no right and wrong, so no negative flip")
    if thresholds.max_regression is not None and comparison.score is None:
        problems.append("max_regression is about a continuous score, but both versions share none")
    if thresholds.max_flips is not None and comparison.counts and thresholds.max_flips >= comparison.n:
        problems.append(f"max_flips of {thresholds.max_flips:,} can never fail on {comparison.n:,} samples")
    raise_all(problems, ConfigError, "the gate's thresholds cannot be used")


def _negative_flips(comparison: Comparison) -> list[Flip]:
    if comparison.counts is None:
        return []
    rows = comparison.samples
    rows = rows[rows["quadrant"] == "Q4"]
    columns = [rows[name] if name in rows else [None] * len(rows) for name in Flip._fields]
    texts = ([None if pd.isna(value) else str(value) for value in row] for row in zip(*columns, strict=True))
    return [Flip(str(identity), *rest) for identity, *rest in texts]


def _check(name: str, comparison: Comparison, thresholds: Thresholds, flips: int) -> Check:
    if name == "max_nfr":
        return _nfr_check(rate(flips, comparison.n, thresholds.confidence), thresholds)
    if name == "max_flips":
        return _flips_check(flips, comparison.n, thresholds)
    if name == "min_accuracy_change":
        return _accuracy_check(comparison, thresholds)
    return _regression_check(comparison, thresholds)


def _nfr_check(nfr: Rate, thresholds: Thresholds) -> Check:
    limit = float(thresholds.max_nfr or 0.0)
    outcome = _outcome(nfr.value <= limit, nfr.high <= limit, thresholds.rule)
    needed = None
    if nfr.value + _NEXT_TO < limit < nfr.high:
        # The Wilson limit is where a score test rejects, so this inverts it exactly at the share seen.
        z = NormalDist().inv_cdf(0.5 + thresholds.confidence / 2)
        needed = math.ceil(z * z * limit * (1 - limit) / (limit - nfr.value) ** 2)
    counts = f"{nfr.numerator:,} of {nfr.denominator:,}"
    reason = _reason(
        f"negative flip rate {percent(nfr.value, 2)} ({counts})",
        f"at most {percent(limit, 2)}",
        f"{_level(thresholds)} interval {percent(nfr.low, 2)} to {percent(nfr.high, 2)}",
        outcome,
        needed,
    )
    return Check("max_nfr", limit, nfr.value, nfr.low, nfr.high, nfr.denominator, outcome, reason, needed)


def _flips_check(flips: int, n: int, thresholds: Thresholds) -> Check:
    limit = int(thresholds.max_flips or 0)
    outcome = "passed" if flips <= limit else "failed"
    reason = _reason(f"{flips:,} negative flips in {n:,} samples", f"at most {limit:,}", "", outcome, None)
    return Check("max_flips", limit, flips, math.nan, math.nan, n, outcome, reason)


def _accuracy_check(comparison: Comparison, thresholds: Thresholds) -> Check:
    assert comparison.counts is not None
    limit = float(thresholds.min_accuracy_change or 0.0)
    change = accuracy_change(comparison.counts, thresholds.confidence)
    outcome = _outcome(change.value >= limit, change.low >= limit, thresholds.rule)
    needed = None
    if change.low < limit < change.value:
        needed = samples_to_exclude(comparison.counts, limit, thresholds.confidence)
    n = comparison.counts.n
    reason = _reason(
        f"accuracy changed by {_points(change.value)} on {n:,} samples",
        f"at least {_points(limit)}",
        f"{_level(thresholds)} interval {_points(change.low)} to {_points(change.high)}",
        outcome,
        needed,
    )
    return Check("min_accuracy_change", limit, *change, n, outcome, reason, needed)


def _regression_check(comparison: Comparison, thresholds: Thresholds) -> Check:
    assert comparison.score is not None
    name, limit = comparison.score, float(thresholds.max_regression or 0.0)
    rows = comparison.samples
    loss = score_change(rows[f"old_{name}"], rows[f"new_{name}"], confidence=thresholds.confidence).regression
    enough = comparison.n >= LEAST_FOR_BOOTSTRAP
    outcome = _outcome(loss.value <= limit, enough and loss.high <= limit, thresholds.rule)
    needed = None
    if not enough and loss.value <= limit:
        needed = LEAST_FOR_BOOTSTRAP
    elif loss.value + _NEXT_TO < limit < loss.high:
        # A bootstrap interval narrows with the root of the number of samples.
        needed = math.ceil(comparison.n * ((loss.high - loss.value) / (limit - loss.value)) ** 2)
    measured, at_most = f"mean loss of {name} {loss.value:.4f} on {comparison.n:,} samples", f"at most {limit:.4f}"
    if not enough:
        reason = _reason(measured, at_most, "", outcome, None, f"an interval takes {LEAST_FOR_BOOTSTRAP}")
        return Check("max_regression", limit, loss.value, math.nan, math.nan, comparison.n, outcome, reason, needed)
    interval = f"{_level(thresholds)} interval {loss.low:.4f} to {loss.high:.4f}"
    reason = _reason(measured, at_most, interval, outcome, needed)
    return Check("max_regression", limit, *loss, comparison.n, outcome, reason, needed)


def _outcome(value_keeps: bool, interval_keeps: bool, rule: str) -> str:
    if not value_keeps:
        return "failed"
    return "too few samples" if rule == "upper" and not interval_keeps else "passed"


def _reason(
    measured: str, limit: str, interval: str, outcome: str, needed: int | None, doubt: str | None = None
) -> str:
    within = {"passed": "is within the limit", "failed": "is beyond the limit", "too few samples": "keeps the limit"}
    text = f"{measured} {within[outcome]} of {limit}" + (f"; {interval}" if interval else "")
    if outcome != "too few samples":
        return text
    if doubt is None:
        text += " reaches beyond it"
        doubt = f"it takes about {needed:,}" if needed else "at the limit itself no number of samples can"
    return f"{text}: too few samples to tell ({doubt})"


def _notes(
    comparison: Comparison,
    checks: Sequence[Check],
    found: Sequence[Flip],
    allow: Collection[str],
    accepted: Collection[str],
) -> list[str]:
    notes = []
    for check in checks:
        if check.passed and check.needed:
            notes.append(
                f"{check.name}: the value keeps the limit, its interval reaches beyond it; by --rule upper this would "
                f"fail for too few samples (it takes about {check.needed:,})"
            )
    ids = {flip.sample_id for flip in found}
    for what, named in (("allowed", allow), ("accepted in the baseline", accepted)):
        idle = len(set(named) - ids)
        if idle:
            notes.append(f"{idle:,} of {len(set(named)):,} ids {what} are no negative flips here")
    if comparison.graded_differently:
        notes.append(
            f"{comparison.graded_differently:,} samples have the same answer in both versions, right in one and wrong "
            "in the other: they were not graded by the same rule"
        )
    return notes


def _points(value: float) -> str:
    return f"{100 * value:+.2f} points"


def _level(thresholds: Thresholds) -> str:
    return f"{100 * thresholds.confidence:g} %"
