"""Every rate against a slow oracle that follows the formula sample by sample."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from muscle_core.errors import DataError
from muscle_core.metrics import (
    Quadrant,
    QuadrantCounts,
    accuracy_new,
    accuracy_old,
    bec,
    btc,
    count_quadrants,
    inconsistency,
    nfr,
    nfr_mc,
    pfr,
    quadrants,
    relative_nfr,
)

GOLD = 0
# A sample is the pair of answers (old, new); answer 0 is right.
answers = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=60)


def count(pairs):
    old, new = np.array(pairs).T
    return count_quadrants(old == GOLD, new == GOLD, old == new)


def mean(flags):
    flags = list(flags)
    return sum(flags) / len(flags)


@given(answers)
@settings(deadline=None)
def test_every_rate_follows_its_formula(pairs):
    counts = count(pairs)
    assert nfr(counts).value == pytest.approx(mean(old == GOLD and new != GOLD for old, new in pairs))
    assert pfr(counts).value == pytest.approx(mean(old != GOLD and new == GOLD for old, new in pairs))
    assert nfr_mc(counts).value == pytest.approx(mean(new != GOLD and old != new for old, new in pairs))
    assert accuracy_old(counts).value == pytest.approx(mean(old == GOLD for old, _ in pairs))
    assert accuracy_new(counts).value == pytest.approx(mean(new == GOLD for _, new in pairs))


@given(answers)
@settings(deadline=None)
def test_conditional_rates_follow_their_formula(pairs):
    counts = count(pairs)
    old_right = [new for old, new in pairs if old == GOLD]
    new_wrong = [old for old, new in pairs if new != GOLD]
    both_wrong = [(old, new) for old, new in pairs if old != GOLD and new != GOLD]
    for result, flags in [
        (btc(counts), [new == GOLD for new in old_right]),
        (bec(counts), [old != GOLD for old in new_wrong]),
        (inconsistency(counts), [old != new for old, new in both_wrong]),
    ]:
        assert result.denominator == len(flags)
        assert result.numerator == sum(flags)
    error_old = mean(old != GOLD for old, _ in pairs)
    error_new = mean(new != GOLD for _, new in pairs)
    expected = (1 - error_old) * error_new
    if not old_right or not new_wrong:
        assert relative_nfr(counts) is None
    else:
        assert relative_nfr(counts) == pytest.approx(nfr(counts).value / expected)


@given(answers)
@settings(deadline=None)
def test_change_of_accuracy_is_gains_minus_flips(pairs):
    counts = count(pairs)
    change = accuracy_new(counts).value - accuracy_old(counts).value
    assert abs(change - (pfr(counts).value - nfr(counts).value)) < 1e-12
    assert nfr_mc(counts).value >= nfr(counts).value
    assert counts.n == len(pairs)
    assert counts.q3_same + counts.q3_changed == counts.q3


@given(answers)
@settings(deadline=None)
def test_swapping_the_versions_swaps_the_flips(pairs):
    counts, swapped = count(pairs), count([(new, old) for old, new in pairs])
    assert nfr(counts) == pfr(swapped)
    assert pfr(counts) == nfr(swapped)
    assert inconsistency(counts).as_dict() == inconsistency(swapped).as_dict()


@given(answers, st.randoms())
@settings(deadline=None)
def test_the_order_of_the_samples_does_not_matter(pairs, random):
    shuffled = list(pairs)
    random.shuffle(shuffled)
    assert count(shuffled) == count(pairs)


def test_unrelated_versions_have_a_relative_rate_of_one():
    # Old right on 60 %, new wrong on 50 %, independent: 30 flips in 100.
    assert relative_nfr(QuadrantCounts(q1=30, q2=20, q3=20, q3_same=20, q3_changed=0, q4=30)) == 1.0


def test_quadrant_of_each_sample():
    result = quadrants([True, False, False, True], [True, True, False, False])
    assert result.tolist() == ["Q1", "Q2", "Q3", "Q4"]
    assert [Quadrant(key).label for key in result] == [
        "both right",
        "positive flip",
        "both wrong",
        "negative flip",
    ]


def test_numbers_and_objects_that_mean_yes_or_no_are_accepted():
    expected = ["Q4", "Q2"]
    assert quadrants([1, 0], [0, 1]).tolist() == expected
    assert quadrants(np.array([True, False], dtype=object), np.array([0.0, 1.0])).tolist() == expected


def test_no_sample_gives_undefined_rates():
    counts = count_quadrants([], [], [])
    assert counts.n == 0
    assert nfr(counts).as_dict()["value"] is None
    assert relative_nfr(counts) is None


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ([True], [True, False], "1 entries"),
        ([2], [1], "entry 0 is"),
        ([True, None], [True, True], "entry 1 is None"),
        ([0.0, float("nan")], [1, 1], "entry 1 is"),
        ([[True]], [[True]], "flat list"),
        (["yes"], [True], "entry 0"),
    ],
)
def test_anything_but_one_yes_or_no_a_sample_is_refused(old, new, message):
    with pytest.raises(DataError, match=message):
        quadrants(old, new)
