"""The interval of a change of accuracy against an independent oracle that searches the likelihood itself."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.stats import norm

from muscle_core.errors import ConfigError, DataError
from muscle_core.metrics.paired_change import accuracy_change, samples_to_exclude
from muscle_core.metrics.quadrants import QuadrantCounts


def counts(q1: int, q2: int, q3: int, q4: int) -> QuadrantCounts:
    return QuadrantCounts(q1, q2, q3, q3, 0, q4)


def slow_statistic(gains: int, losses: int, n: int, difference: float) -> float:
    """Score statistic with the share of losses found by maximising the multinomial likelihood numerically."""
    low, high = max(0.0, -difference), (1 - difference) / 2

    def minus_loglikelihood(share: float) -> float:
        cells = ((gains, share + difference), (losses, share), (n - gains - losses, 1 - 2 * share - difference))
        return -sum(k * math.log(max(p, 1e-300)) for k, p in cells if k)

    share = minimize_scalar(minus_loglikelihood, bounds=(low, high), method="bounded", options={"xatol": 1e-12}).x
    variance = max(2 * share + difference - difference**2, 1e-15) / n
    return ((gains - losses) / n - difference) / math.sqrt(variance)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 40), st.integers(0, 40), st.integers(1, 200), st.sampled_from([0.8, 0.95, 0.99]))
def test_the_limits_are_where_the_score_test_just_rejects(q2: int, q4: int, rest: int, confidence: float) -> None:
    interval = accuracy_change(counts(rest, q2, 0, q4), confidence)
    z = norm.ppf(0.5 + confidence / 2)
    n = rest + q2 + q4
    assert interval.value == (q2 - q4) / n
    assert -1 <= interval.low <= interval.value <= interval.high <= 1
    assert slow_statistic(q2, q4, n, interval.low) == pytest.approx(z, abs=2e-3)
    assert slow_statistic(q2, q4, n, interval.high) == pytest.approx(-z, abs=2e-3)


@settings(max_examples=60, deadline=None)
@given(*[st.integers(0, 60)] * 4)
def test_versions_swapped_turn_the_interval_around(q1: int, q2: int, q3: int, q4: int) -> None:
    if q1 + q2 + q3 + q4 == 0:
        return
    one, other = accuracy_change(counts(q1, q2, q3, q4)), accuracy_change(counts(q1, q4, q3, q2))
    assert (one.value, one.low, one.high) == pytest.approx((-other.value, -other.high, -other.low), abs=1e-12)


@pytest.mark.parametrize("n", [1, 5, 100, 10_000])
def test_without_a_flip_the_interval_is_that_of_wilson_at_zero(n: int) -> None:
    z = norm.ppf(0.975)
    interval = accuracy_change(counts(n, 0, 0, 0))
    assert (-interval.low, interval.high) == pytest.approx((z * z / (n + z * z),) * 2)


def test_the_interval_covers_the_true_change_about_as_often_as_it_says() -> None:
    generator = np.random.default_rng(0)
    for n, gain, loss in ((60, 0.1, 0.05), (200, 0.08, 0.08), (1000, 0.12, 0.066)):
        draws = generator.multinomial(n, (gain, loss, 1 - gain - loss), size=1500)
        limits = [accuracy_change(counts(int(rest), int(q2), 0, int(q4))) for q2, q4, rest in draws]
        covered = np.mean([interval.low <= gain - loss <= interval.high for interval in limits])
        assert 0.93 <= covered <= 0.97, (n, covered)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 20), st.integers(0, 20), st.integers(1, 100), st.floats(-0.5, 0.5))
def test_the_number_of_samples_to_exclude_a_difference_does_so(q2: int, q4: int, rest: int, difference: float) -> None:
    start = counts(rest, q2, 0, q4)
    needed = samples_to_exclude(start, difference)
    if abs((q2 - q4) / start.n - difference) < 1e-3:
        return
    assert needed is not None
    times = math.ceil(needed / start.n)
    more = accuracy_change(counts(rest * times, q2 * times, 0, q4 * times))
    assert difference <= more.low + 1e-9 or difference >= more.high - 1e-9
    fewer = math.floor((needed - 1) / start.n)
    if fewer:
        less = accuracy_change(counts(rest * fewer, q2 * fewer, 0, q4 * fewer))
        assert less.low - 1e-9 <= difference <= less.high + 1e-9


def test_at_the_difference_seen_no_number_of_samples_excludes_it() -> None:
    assert samples_to_exclude(counts(9, 1, 0, 1), 0.0) is None


def test_nothing_to_compare_and_impossible_levels_are_refused() -> None:
    with pytest.raises(DataError, match="no sample"):
        accuracy_change(counts(0, 0, 0, 0))
    with pytest.raises(ConfigError, match="between 0 and 1"):
        accuracy_change(counts(1, 0, 0, 0), 1.0)
