"""Cohen's kappa against scikit-learn, against a slow oracle, and where it is not defined."""

from __future__ import annotations

import math
import warnings
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from muscle_core.errors import ConfigError, DataError
from muscle_core.metrics.agreement import cohen_kappa
from muscle_core.metrics.rates import rate

LABELS = st.sampled_from(["arithmetic", "format", "gold", "other"])
PAIRS = st.lists(st.tuples(LABELS, LABELS), min_size=1, max_size=60)


def _slow_kappa(first: list, second: list) -> Fraction | None:
    """By the definition, label by label, in fractions."""
    n = len(first)
    observed = Fraction(sum(a == b for a, b in zip(first, second, strict=True)), n)
    expected = sum(Fraction(first.count(label), n) * Fraction(second.count(label), n) for label in {*first, *second})
    return None if expected == 1 else (observed - expected) / (1 - expected)


@given(PAIRS)
@settings(deadline=None)
def test_it_is_the_definition_and_what_scikit_learn_says(pairs: list[tuple[str, str]]) -> None:
    from sklearn.metrics import cohen_kappa_score

    first, second = [a for a, _ in pairs], [b for _, b in pairs]
    found = cohen_kappa(first, second, resamples=100)
    slow = _slow_kappa(first, second)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = cohen_kappa_score(first, second)
    if slow is None:
        assert math.isnan(found.kappa)
        assert math.isnan(theirs)
        assert "one and the same label" in found.why
    else:
        assert found.kappa == float(slow)
        assert found.kappa == pytest.approx(theirs, abs=1e-12)
    assert found.exact == rate(sum(a == b for a, b in pairs), len(pairs))


@given(PAIRS)
@settings(max_examples=50, deadline=None)
def test_it_does_not_depend_on_who_is_first_nor_on_the_names_of_labels(pairs: list[tuple[str, str]]) -> None:
    first, second = [a for a, _ in pairs], [b for _, b in pairs]
    found = cohen_kappa(first, second, resamples=100)
    for other in (
        cohen_kappa(second, first, resamples=100),
        cohen_kappa([len(label) for label in first], [len(label) for label in second], resamples=100),
    ):
        assert other.kappa == found.kappa or (math.isnan(other.kappa) and math.isnan(found.kappa))
        assert other.exact == found.exact
    if not math.isnan(found.kappa):
        assert -1 <= found.kappa <= 1
        if first == second:
            assert found.kappa == 1
    if not math.isnan(found.low):
        assert -1 <= found.low <= found.high <= 1


def test_the_interval_is_that_of_drawing_samples_with_replacement() -> None:
    random = np.random.default_rng(3)
    first = random.integers(0, 3, 80)
    second = np.where(random.random(80) < 0.7, first, random.integers(0, 3, 80))
    found = cohen_kappa(first.tolist(), second.tolist(), seed=1, resamples=20_000)
    drawn = []
    for _ in range(4000):
        rows = random.integers(0, 80, 80)
        drawn.append(float(_slow_kappa(first[rows].tolist(), second[rows].tolist())))
    low, high = np.quantile(drawn, (0.025, 0.975))
    assert found.low == pytest.approx(low, abs=0.015)
    assert found.high == pytest.approx(high, abs=0.015)
    assert cohen_kappa(first.tolist(), second.tolist(), seed=1, resamples=20_000) == found


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    random = np.random.default_rng(5)
    joint = np.array([[0.4, 0.1], [0.1, 0.4]])  # p_o 0.8, p_e 0.5: kappa 0.6
    hits = 0
    for trial in range(300):
        cells = random.choice(4, size=100, p=joint.ravel())
        found = cohen_kappa((cells // 2).tolist(), (cells % 2).tolist(), seed=trial, resamples=400)
        hits += found.low <= 0.6 <= found.high
    assert 0.90 <= hits / 300 <= 0.985


def test_where_it_is_not_defined_it_says_why() -> None:
    nothing = cohen_kappa([], [])
    assert (nothing.n, math.isnan(nothing.kappa), nothing.exact.denominator) == (0, True, 0)
    assert "no sample" in nothing.why
    one_label = cohen_kappa(["a"] * 9, ["a"] * 9)
    assert math.isnan(one_label.kappa)
    assert one_label.exact.value == 1
    assert one_label.chance == 1
    # Two labels, but nearly always the same one: a kappa, and too many draws without one for an interval.
    rare = cohen_kappa(["a"] * 19 + ["b"], ["a"] * 19 + ["b"])
    assert rare.kappa == 1
    assert math.isnan(rare.low)
    assert rare.undefined_draws > 500
    assert "no interval" in rare.why
    assert rare.as_dict()["low"] is None


def test_full_disagreement_is_below_chance() -> None:
    found = cohen_kappa(["a", "b"] * 10, ["b", "a"] * 10)
    assert found.kappa == -1
    assert found.exact.numerator == 0


def test_bad_input_is_refused() -> None:
    with pytest.raises(DataError, match="the first rater has 1 labels and the second 2"):
        cohen_kappa(["a"], ["a", "b"])
    with pytest.raises(ConfigError, match="confidence"):
        cohen_kappa(["a"], ["a"], confidence=1.0)
    with pytest.raises(ConfigError, match="resamples is 5"):
        cohen_kappa(["a"], ["a"], resamples=5)
