import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from muscle_core.errors import ConfigError, DataError
from muscle_core.metrics import mcnemar_p, paired_rate_difference


@given(st.integers(0, 400), st.integers(0, 400))
@settings(deadline=None)
def test_mcnemar_is_the_exact_binomial_test(q4, q2):
    expected = binomtest(q4, q4 + q2, 0.5).pvalue if q4 + q2 else 1.0
    assert mcnemar_p(q4, q2) == pytest.approx(expected, rel=1e-9)


def test_mcnemar_by_hand():
    # 1 against 5: 2 * (1 + 6) / 2**6.
    assert mcnemar_p(1, 5) == pytest.approx(14 / 64)
    assert mcnemar_p(5, 1) == mcnemar_p(1, 5)


def test_mcnemar_refuses_negative_counts():
    with pytest.raises(DataError, match="negative"):
        mcnemar_p(-1, 3)


def flags(both, only_a, only_b, neither):
    a = np.repeat([True, True, False, False], [both, only_a, only_b, neither])
    b = np.repeat([True, False, True, False], [both, only_a, only_b, neither])
    return a, b


def test_hand_case_of_the_paired_difference():
    a, b = flags(both=30, only_a=10, only_b=40, neither=920)
    result = paired_rate_difference(a, b, seed=7)
    assert result.value == pytest.approx(-0.03)
    assert result.n == 1000
    assert result.p == pytest.approx(binomtest(10, 50).pvalue)
    # Normal limits: -0.03 -+ 1.96 * sqrt((0.05 - 0.03 ** 2) / 1000).
    assert result.low == pytest.approx(-0.0437, abs=0.002)
    assert result.high == pytest.approx(-0.0163, abs=0.002)


def test_multinomial_draws_agree_with_resampling_rows():
    a, b = flags(both=8, only_a=12, only_b=20, neither=60)
    result = paired_rate_difference(a, b, seed=1, resamples=4000)
    generator = random.Random(5)
    differences = [int(x) - int(y) for x, y in zip(a, b, strict=True)]
    draws = sorted(sum(generator.choices(differences, k=100)) / 100 for _ in range(4000))
    assert result.low == pytest.approx(draws[100], abs=0.015)
    assert result.high == pytest.approx(draws[3899], abs=0.015)


def test_the_same_seed_gives_the_same_interval_in_any_order_of_samples():
    a, b = flags(both=500, only_a=900, only_b=400, neither=5000)
    order = np.random.default_rng(0).permutation(len(a))
    assert paired_rate_difference(a, b, seed=3) == paired_rate_difference(a[order], b[order], seed=3)
    assert paired_rate_difference(a, b, seed=3) != paired_rate_difference(a, b, seed=4)


def test_equal_flags_show_no_difference():
    result = paired_rate_difference([True, False], [True, False], seed=0)
    assert result == (0.0, 0.0, 0.0, 2, 1.0)


def test_impossible_input_is_refused():
    with pytest.raises(DataError, match="no sample"):
        paired_rate_difference([], [], seed=0)
    with pytest.raises(DataError, match="same samples"):
        paired_rate_difference([True], [True, False], seed=0)
    with pytest.raises(ConfigError, match="at least 100"):
        paired_rate_difference([True], [True], seed=0, resamples=10)
