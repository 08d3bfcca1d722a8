import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from muscle_core.errors import ConfigError, DataError
from muscle_core.metrics import rate


@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.floats(0.5, 0.999))
@settings(deadline=None)
def test_the_interval_is_that_of_scipy(counts, confidence):
    numerator, denominator = counts
    expected = binomtest(numerator, denominator).proportion_ci(confidence, method="wilson")
    result = rate(numerator, denominator, confidence)
    assert result.value == numerator / denominator
    assert result.low == pytest.approx(expected.low, abs=1e-9)
    assert result.high == pytest.approx(expected.high, abs=1e-9)
    assert 0 <= result.low <= result.value <= result.high <= 1


def test_known_interval():
    # 94 of 1,000, worked out by hand from Wilson's formula with z = 1.959964.
    result = rate(94, 1000)
    assert (round(result.low, 4), round(result.high, 4)) == (0.0774, 0.1137)


def test_nothing_counted_and_everything_counted_end_exactly():
    assert rate(0, 10).low == 0.0
    assert rate(10, 10).high == 1.0
    assert rate(0, 10).high > 0.2


def test_no_denominator_is_not_defined_and_never_zero():
    result = rate(0, 0)
    assert math.isnan(result.value)
    assert math.isnan(result.low)
    assert math.isnan(result.high)
    assert result.as_dict() == {"value": None, "numerator": 0, "denominator": 0, "low": None, "high": None}
    json.dumps(result.as_dict(), allow_nan=False)


@pytest.mark.parametrize("counts", [(-1, 5), (6, 5), (1, 0)])
def test_impossible_counts_are_refused(counts):
    with pytest.raises(DataError, match="cannot be"):
        rate(*counts)


@pytest.mark.parametrize("confidence", [0, 1, 95, float("nan")])
def test_impossible_confidence_is_refused(confidence):
    with pytest.raises(ConfigError, match="between 0 and 1"):
        rate(1, 2, confidence)
