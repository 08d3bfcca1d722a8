"""The gate's core against a plain loop over the samples, and all that it refuses."""

from __future__ import annotations

import dataclasses
import json

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from muscle_core.comparison.baseline import ApprovedSample, Baseline
from muscle_core.comparison.gate import GateResult, Thresholds, gate
from muscle_core.errors import ConfigError, DataError, MuscleError
from muscle_core.metrics.rates import rate


def table(flags: list[bool | None], ids: list[str] | None = None, **columns: list) -> pd.DataFrame:
    names = ids or [f"s{n}" for n in range(len(flags))]
    frame = pd.DataFrame({"sample_id": names, "prediction": ["x" if flag else "y" for flag in flags]})
    frame["correct"] = pd.array(flags, dtype="boolean")
    for name, values in columns.items():
        frame[name] = values
    return frame


def run(old: pd.DataFrame, new: pd.DataFrame, limits: Thresholds, **options) -> GateResult:
    return gate(old, new, limits, task_kind="math", old_name="v1", new_name="v2", **options)


flags = st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans(), st.booleans()), min_size=2, max_size=60)


@settings(max_examples=80, deadline=None)
@given(flags, st.floats(0, 0.99), st.integers(0, 60), st.floats(-0.99, 1), st.sampled_from(["point", "upper"]))
def test_it_decides_as_a_plain_loop_does(rows, max_nfr: float, max_flips: int, change: float, rule: str) -> None:
    old, new = table([row[0] for row in rows]), table([row[1] for row in rows]).sample(frac=1, random_state=0)
    allow = [f"s{n}" for n, row in enumerate(rows) if row[2]]
    accepted = [f"s{n}" for n, row in enumerate(rows) if row[3]]
    max_flips = min(max_flips, len(rows) - 1)
    counted, left = [], []
    for n, (was_right, is_right, is_allowed, is_accepted) in enumerate(rows):
        if was_right and not is_right:
            (left if is_allowed or is_accepted else counted).append(f"s{n}")
    result = run(old, new, Thresholds(max_nfr, max_flips, change, rule=rule), allow=allow, accepted=accepted)
    assert [flip.sample_id for flip in result.flips] == counted
    assert sorted(flip.sample_id for flip in (*result.allowed, *result.accepted)) == sorted(left)
    assert not {f.sample_id for f in result.allowed} & {f.sample_id for f in result.accepted}
    nfr, flips, accuracy = result.checks
    wilson = rate(len(counted), len(rows))
    assert (nfr.value, nfr.low, nfr.high, nfr.n) == (wilson.value, wilson.low, wilson.high, len(rows))
    assert nfr.passed == ((wilson.high if rule == "upper" else wilson.value) <= max_nfr)
    assert flips.passed == (len(counted) <= max_flips)
    moved = (sum(row[1] for row in rows) - sum(row[0] for row in rows)) / len(rows)
    assert accuracy.value == pytest.approx(moved)
    assert accuracy.passed == ((accuracy.low if rule == "upper" else accuracy.value) >= change)
    assert result.passed == all(check.passed for check in result.checks)
    assert len(result.reasons) == sum(not check.passed for check in result.checks)
    assert json.loads(json.dumps(result.to_dict(), allow_nan=False))["passed"] == result.passed


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 30), st.integers(1, 400), st.floats(0.001, 0.9))
def test_too_few_samples_fail_as_such_and_the_number_named_would_do(flips: int, rest: int, limit: float) -> None:
    old, new = table([True] * (flips + rest)), table([False] * flips + [True] * rest)
    (check,) = run(old, new, Thresholds(max_nfr=limit, rule="upper")).checks
    share = flips / (flips + rest)
    if check.outcome != "too few samples":
        assert check.passed == (check.high <= limit)
        return
    assert share <= limit < check.high
    assert "too few samples to tell" in check.reason
    if check.needed is None:
        assert share == pytest.approx(limit, abs=2e-9)
        return
    times = -(-check.needed // check.n)
    assert rate(flips * times, check.n * times).high <= limit + 1e-9
    fewer = (check.needed - 1) // check.n
    assert rate(flips * fewer, check.n * fewer).high > limit - 1e-9


def test_within_the_limit_but_with_a_wide_interval_the_usual_rule_passes_and_says_so() -> None:
    result = run(table([True] * 50), table([True] * 50), Thresholds(max_nfr=0.02))
    assert result.passed
    assert "fail for too few samples (it takes about 189)" in result.notes[0]


def test_a_continuous_score_is_held_against_its_mean_loss() -> None:
    old = table([None] * 40, rouge1=[0.5] * 40)
    new = table([None] * 40, rouge1=[0.4] * 10 + [0.7] * 30)
    result = run(old, new, Thresholds(max_regression=0.02))
    assert not result.passed
    assert result.checks[0].value == pytest.approx(0.025)
    assert "mean loss of rouge1 0.0250 on 40 samples is beyond the limit of at most 0.0200" in result.reasons[0]
    assert run(old, new, Thresholds(max_regression=0.025000001)).passed
    doubtful = run(old, new, Thresholds(max_regression=0.03, rule="upper")).checks[0]
    assert doubtful.outcome == "too few samples"
    assert doubtful.needed
    assert doubtful.needed > 40
    assert run(old, new, Thresholds(max_regression=0.05, rule="upper")).passed


def test_a_handful_of_scores_without_a_loss_is_no_proof_by_the_strict_rule() -> None:
    old, new = table([None] * 5, score=[0.5] * 5), table([None] * 5, score=[0.6] * 5)
    assert run(old, new, Thresholds(max_regression=0.01)).passed
    (check,) = run(old, new, Thresholds(max_regression=0.01, rule="upper")).checks
    assert (check.outcome, check.needed) == ("too few samples", 30)


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (Thresholds(), "no limit is given"),
        (Thresholds(max_nfr=2), "2 % is 0.02"),
        (Thresholds(max_nfr=float("nan")), "max_nfr must be a share"),
        (Thresholds(max_nfr=-0.1), "max_nfr must be a share"),
        (Thresholds(max_flips=-1), "max_flips must be 0 or more"),
        (Thresholds(min_accuracy_change=-1), "min_accuracy_change"),
        (Thresholds(min_accuracy_change=float("nan")), "min_accuracy_change"),
        (Thresholds(max_regression=float("inf")), "max_regression"),
        (Thresholds(max_nfr=0.1, confidence=1), "confidence"),
        (Thresholds(max_nfr=0.1, confidence=float("nan")), "confidence"),
        (Thresholds(max_nfr=0.1, rule="lower"), "rule must be one of point, upper"),
        (Thresholds(max_flips=2), "can never fail on 2 samples"),
        (Thresholds(max_regression=0.1), "both versions share none"),
    ],
)
def test_thresholds_that_cannot_be_meant_are_refused(limits: Thresholds, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        run(table([True, False]), table([True, True]), limits)


def test_all_problems_with_the_samples_are_told_at_once() -> None:
    old = table([True, True, None, True, True], ["a", "a", "b", "c", ""], gold=["1", "1", "2", "3", "4"])
    new = table([True, False, True], ["a", "c", "z"], gold=["1", "9", "5"])
    with pytest.raises(DataError) as refusal:
        run(old, new, Thresholds(max_flips=0), golds={"a": "1", "b": "2", "c": "3", "d": "4"}, allow=["q"])
    for words in (
        "v1 has 1 rows without an id",
        "v1 holds more than once: 1 sample ('a')",
        "v1 lacks 1 sample ('d')",
        "v1 has neither right nor wrong for 1 sample ('b')",
        "v2 lacks 2 samples ('b', 'd')",
        "v2 holds what the dataset does not: 1 sample ('z')",
        "v2 has another right answer than the dataset for 1 sample ('c')",
        "allowed, but not among the samples: 1 sample ('q')",
    ):
        assert words in str(refusal.value)


def test_scores_and_right_and_wrong_are_not_taken_for_each_other() -> None:
    scored = table([None] * 3, score=[0.1, 0.2, 0.3])
    with pytest.raises(ConfigError, match="have a score only: set max_regression"):
        run(scored, scored, Thresholds(max_nfr=0.1))
    with pytest.raises(ConfigError, match="no negative flip"):
        run(scored, scored, Thresholds(max_regression=0.1), allow=["s0"])


def test_the_same_answer_graded_in_two_ways_is_told() -> None:
    old, new = table([True] * 4), table([True] * 3 + [False]).assign(prediction="x")
    assert "not graded by the same rule" in run(old, new, Thresholds(max_flips=1)).notes[-1]


# The baseline's file ---------------------------------------------------------

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
approved_samples = st.builds(
    ApprovedSample,
    id=texts.filter(bool),
    content=texts,
    gold=st.none() | texts,
    correct=st.booleans(),
    prediction=st.none() | texts,
    scores=st.fixed_dictionaries({"score": st.floats(allow_nan=False, allow_infinity=False)}),
)


def baseline(samples: list[ApprovedSample], accepted: tuple[str, ...] = ()) -> Baseline:
    return Baseline(
        version={"name": "v1", "fingerprint": None},
        task_kind="math",
        dataset={"name": "d", "fingerprint": "f", "split": "test"},
        evaluation=None,
        samples=tuple(samples),
        accepted=accepted,
        candidate=None,
        thresholds=Thresholds(max_nfr=0.02),
        approved_by="Ana",
        approved_at="2026-11-25T00:00:00+00:00",
        made_by={},
    )


@settings(max_examples=60, deadline=None)
@given(st.lists(approved_samples, min_size=1, max_size=6, unique_by=lambda sample: sample.id))
def test_a_baseline_is_read_back_as_it_was_written(samples: list[ApprovedSample]) -> None:
    written = baseline(samples, (samples[0].id,))
    text = written.to_text()
    assert Baseline.from_text(text, "b.json") == written
    assert text.count("\n") == len(samples) + 16
    assert list(written.predictions()["score"]) == [sample.scores["score"] for sample in samples]


GOOD = baseline(
    [ApprovedSample("a", "c", "1", True, "1", {}), ApprovedSample("b", "c", "1", False, None, {})]
).to_text()


@settings(max_examples=200, deadline=None)
@given(st.integers(0, len(GOOD) - 1), st.sampled_from(list('0x"{}[],: \n\0')), st.sampled_from(["cut", "put", "del"]))
def test_damage_anywhere_is_refused_or_changes_nothing(at: int, letter: str, way: str) -> None:
    damaged = {"cut": GOOD[:at], "put": GOOD[:at] + letter + GOOD[at + 1 :], "del": GOOD[:at] + GOOD[at + 1 :]}[way]
    if _same_json(damaged):  # only white space between the fields
        assert Baseline.from_text(damaged, "b.json") == Baseline.from_text(GOOD, "b.json")
    else:
        with pytest.raises(MuscleError, match=r"b\.json"):
            Baseline.from_text(damaged, "b.json")


def _same_json(text: str) -> bool:
    try:
        return json.loads(text) == json.loads(GOOD)
    except ValueError:
        return False


def forged(**changes: object) -> str:
    """A file with another content and the digest that fits it."""
    data = {**json.loads(GOOD), **changes}
    del data["digest"]
    from muscle_core.comparison.baseline import _digest

    return json.dumps({**data, "digest": _digest(data)})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no approved baseline"),
        ("[]", "no approved baseline"),
        ('{"muscle_baseline": 1, "samples": [NaN]}', "NaN is no number"),
        (GOOD.replace('"correct": false', '"correct": true'), "edited by hand"),
        (GOOD.replace('"muscle_baseline": 1', '"muscle_baseline": 2'), "another format"),
        (GOOD.replace('"task_kind": "math"', '"task_kind": "math", "task_kind": "math"'), "a key occurs twice"),
        (forged(samples=[]), "holds no sample"),
        (forged(samples=[{"id": "a"}]), "lacks a field"),
        (forged(accepted=["zz"]), "accepted, but not among the samples"),
        (forged(extra=1), "lacks a field, or has one too many"),
        (forged(thresholds={"max_nfr": 7}), "max_nfr must be a share"),
        (forged(thresholds={"max_nfr": "x"}), "lacks a field, or has one too many"),
        (forged(samples=json.loads(GOOD)["samples"] * 2), "holds more than once: 2 samples"),
        (forged(samples=[{**json.loads(GOOD)["samples"][0], "correct": "yes"}]), "of a wrong kind in 1 sample"),
        (forged(samples=[{**json.loads(GOOD)["samples"][0], "correct": None}]), "of a wrong kind in 1 sample"),
    ],
)
def test_a_baseline_that_cannot_be_trusted_is_refused(text: str, words: str) -> None:
    with pytest.raises(MuscleError, match=words):
        Baseline.from_text(text, "b.json")


def test_samples_added_removed_or_changed_are_named() -> None:
    approved = baseline([dataclasses.replace(ApprovedSample(i, i, "1", True, "1", {})) for i in "abc"])
    approved.check_contents({"a": "a", "b": "b", "c": "c"}, "b.json")
    with pytest.raises(DataError) as refusal:
        approved.check_contents({"a": "a", "b": "B", "d": "d"}, "b.json")
    for words in ("added since: 1 sample ('d')", "no longer there: 1 sample ('c')", "changed since: 1 sample ('b')"):
        assert words in str(refusal.value)
