import json
import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from muscle_core.errors import ConfigError, DataError
from muscle_core.metrics import bootstrap_means, score_change
from muscle_core.metrics.continuous import BOOTSTRAP_LIMIT

scores = st.floats(0, 1, allow_nan=False)
pairs = st.lists(st.tuples(scores, scores), min_size=1, max_size=30)


@given(pairs, st.floats(0, 0.5))
@settings(deadline=None)
def test_every_figure_follows_its_formula(samples, tau):
    old, new = zip(*samples, strict=True)
    n = len(samples)
    change = [b - a for a, b in samples]
    result = score_change(old, new, tau, resamples=100)
    assert result.gain.value == pytest.approx(sum(max(d, 0) for d in change) / n)
    assert result.regression.value == pytest.approx(sum(max(-d, 0) for d in change) / n)
    assert result.mean_change.value == pytest.approx(sum(change) / n, abs=1e-12)
    assert result.mean_change.value == pytest.approx(result.gain.value - result.regression.value, abs=1e-12)
    assert result.gain_rate.numerator == sum(d > tau for d in change)
    assert result.regression_rate.numerator == sum(d < -tau for d in change)
    assert result.gain_rate.denominator == result.n == n
    assert result.mean_new - result.mean_old == pytest.approx(result.mean_change.value, abs=1e-12)


@given(pairs)
@settings(deadline=None)
def test_swapping_the_versions_swaps_gain_and_regression(samples):
    old, new = zip(*samples, strict=True)
    forward, backward = score_change(old, new, resamples=100), score_change(new, old, resamples=100)
    assert forward.gain.value == pytest.approx(backward.regression.value)
    assert forward.regression_rate == backward.gain_rate


def test_interval_agrees_with_a_plain_bootstrap():
    generator = random.Random(2)
    old = [generator.random() for _ in range(80)]
    new = [generator.random() + 0.1 for _ in range(80)]
    change = [b - a for a, b in zip(old, new, strict=True)]
    draws = sorted(sum(generator.choices(change, k=80)) / 80 for _ in range(4000))
    result = score_change(old, new, resamples=4000).mean_change
    assert result.low == pytest.approx(draws[100], abs=0.01)
    assert result.high == pytest.approx(draws[3899], abs=0.01)
    assert result.low < result.value < result.high


def test_the_same_seed_gives_the_same_interval():
    old, new = np.random.default_rng(0).random((2, 50))
    assert score_change(old, new, seed=1) == score_change(old, new, seed=1)
    assert score_change(old, new, seed=1) != score_change(old, new, seed=2)


def test_large_samples_use_the_normal_interval_which_the_bootstrap_meets():
    column = np.random.default_rng(0).random((BOOTSTRAP_LIMIT + 1, 1))
    large = bootstrap_means(column, seed=0)[0]
    drawn = bootstrap_means(column[:-1], seed=0)[0]
    assert large.high - large.low == pytest.approx(drawn.high - drawn.low, rel=0.1)
    half = 1.959964 * column.std(ddof=1) / math.sqrt(len(column))
    assert large.high - large.value == pytest.approx(half, rel=1e-6)


def test_one_sample_has_a_point_as_interval():
    assert score_change([0.2], [0.5]).mean_change == pytest.approx((0.3, 0.3, 0.3))


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), None])
def test_missing_and_infinite_scores_are_refused(bad):
    with pytest.raises(DataError, match=r"the new version's scores must be finite.*1 of 2.*entry 1"):
        score_change([0.1, 0.2], [0.1, bad])


def test_other_impossible_input_is_refused():
    with pytest.raises(DataError, match="no score"):
        score_change([], [])
    with pytest.raises(DataError, match="same samples"):
        score_change([1.0], [1.0, 2.0])
    with pytest.raises(DataError, match="must be numbers"):
        score_change(["high"], [1.0])
    with pytest.raises(DataError, match="flat list"):
        score_change([[1.0]], [[1.0]])
    for tau in (-0.1, float("nan"), float("inf")):
        with pytest.raises(ConfigError, match="tau"):
            score_change([1.0], [1.0], tau)


def test_figures_are_strict_json():
    json.dumps(score_change([0.1, 0.5], [0.3, 0.2]).as_dict(), allow_nan=False)
