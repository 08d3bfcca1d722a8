import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from muscle_core.errors import ConfigError
from muscle_core.metrics import mcnemar_p, mcnemar_power, required_samples
from muscle_core.metrics.power import connor_samples, samples_needed


def pmf(count, n, share):
    """Binomial, as it is defined; SciPy's overflows at the smallest shares."""
    return math.comb(n, count) * share**count * (1 - share) ** (n - count)


@given(st.integers(1, 60), st.floats(0, 0.5), st.floats(0, 0.5), st.sampled_from([0.01, 0.05, 0.2]))
@example(4, 2.225073858507203e-309, 0.25, 0.2)
@settings(max_examples=40, deadline=None)
def test_power_is_the_sum_over_all_outcomes(n, only_first, only_second, alpha):
    total, discordant = 0.0, only_first + only_second
    for count in range(n + 1):
        for first in range(count + 1):
            if count and mcnemar_p(first, count - first) <= alpha:
                split = pmf(first, count, only_first / discordant) if discordant else 0.0
                total += pmf(count, n, discordant) * split
    assert mcnemar_power(n, only_first, only_second, alpha) == pytest.approx(total, abs=1e-9)


@pytest.mark.parametrize(
    ("only_first", "only_second", "power"), [(0.03, 0.01, 0.8), (0.02, 0.0, 0.9), (0.12, 0.07, 0.8)]
)
def test_simulated_tests_find_the_difference_as_often_as_wished(only_first, only_second, power):
    n = required_samples(only_first, only_second, power=power)
    runs = 4000
    drawn = np.random.default_rng(8).multinomial(n, [only_first, only_second, 1 - only_first - only_second], size=runs)
    found = np.mean([mcnemar_p(first, second) <= 0.05 for first, second, _ in drawn])
    assert found == pytest.approx(power, abs=4 * math.sqrt(power * (1 - power) / runs))
    assert mcnemar_power(n, only_first, only_second) >= power > mcnemar_power(int(n * 0.97), only_first, only_second)
    assert n == pytest.approx(connor_samples(only_first, only_second, power=power), rel=0.25)


def test_connor_by_hand():
    # (1.959964 * sqrt(0.04) + 0.841621 * sqrt(0.04 - 0.0004))^2 / 0.0004
    root = 1.9599640 * 0.2 + 0.8416212 * math.sqrt(0.0396)
    assert connor_samples(0.03, 0.01) == pytest.approx(root**2 / 0.0004, rel=1e-6)


def test_an_effect_of_the_size_of_the_paper_needs_thousands_of_samples():
    # 8.49 % -> 7.58 % (Llama 1 -> 2), if the adapter also adds flips on 2 % of the samples.
    (row,) = samples_needed([0.0849], [0.0091], added=0.02)
    assert 4000 < row.samples < 6000
    assert row.removed == pytest.approx(0.0291)


def test_more_noise_and_smaller_differences_need_more_samples():
    few, more = samples_needed([0.1], [0.02, 0.01])
    assert few.samples < more.samples
    assert samples_needed([0.1], [0.02], added=0.02)[0].samples > few.samples
    assert samples_needed([0.1], [0.02], power=0.9)[0].samples > few.samples


def test_a_rate_cannot_fall_by_more_than_it_is():
    assert samples_needed([0.01], [0.02])[0].samples is None
    assert samples_needed([0.02], [0.02], added=0.001)[0].samples is None
    assert samples_needed([0.02], [0.02])[0].samples > 100


def test_large_numbers_are_quick_and_exact_enough():
    n = required_samples(0.0041, 0.004)
    assert n == pytest.approx(connor_samples(0.0041, 0.004), rel=0.01)
    assert mcnemar_power(n, 0.0041, 0.004) == pytest.approx(0.8, abs=1e-4)


def test_impossible_requests_are_refused():
    with pytest.raises(ConfigError, match="difference of 0"):
        required_samples(0.02, 0.02)
    with pytest.raises(ConfigError, match="at most 1 together"):
        required_samples(0.7, 0.5)
    with pytest.raises(ConfigError, match="at most 1 together"):
        mcnemar_power(10, -0.1, 0.5)
    with pytest.raises(ConfigError, match="1 or more"):
        mcnemar_power(0, 0.1, 0.0)
    with pytest.raises(ConfigError, match=r"2 problems.*\n.*not 1.5.*\n.*power"):
        samples_needed([1.5], [0.01], power=1.0)
    assert mcnemar_power(100, 0.0, 0.0) == 0.0
