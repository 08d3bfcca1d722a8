import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import bootstrap, norm

from muscle_core.errors import ConfigError, DataError
from muscle_core.metrics import bootstrap_means, paired_rate_difference
from muscle_core.metrics.bootstrap import bca_limits, counted_limits, percentile_limits


def slow_bca(draws, estimate, left_out, confidence):
    """Efron and Tibshirani (1993), equations 14.9 to 14.15, one number at a time."""
    below = sum(1.0 if draw < estimate else 0.5 if draw == estimate else 0.0 for draw in draws) / len(draws)
    z0 = norm.ppf(below)
    mean = sum(left_out) / len(left_out)
    cubes, squares = sum((mean - x) ** 3 for x in left_out), sum((mean - x) ** 2 for x in left_out)
    a = cubes / (6 * squares**1.5)
    limits = []
    for tail in ((1 - confidence) / 2, (1 + confidence) / 2):
        z = z0 + norm.ppf(tail)
        limits.append(np.quantile(draws, norm.cdf(z0 + z / (1 - a * z))))
    return limits


def test_bca_is_that_of_scipy_on_the_same_draws():
    generator = np.random.default_rng(4)
    for size in (15, 60):
        a, b = generator.exponential(size=size), generator.exponential(1.2, size=size)
        done = bootstrap(
            (a, b), lambda x, y, axis=-1: (x - y).mean(axis=axis), paired=True, method="BCa", rng=1, n_resamples=3000
        )
        difference = a - b
        left_out = (difference.sum() - difference) / (size - 1)
        limits = bca_limits(done.bootstrap_distribution, difference.mean(), left_out, 0.95)
        assert limits == pytest.approx(tuple(done.confidence_interval), abs=1e-12)
        assert limits == pytest.approx(slow_bca(done.bootstrap_distribution, difference.mean(), left_out, 0.95))


@given(
    st.lists(st.integers(0, 25), min_size=3, max_size=3).filter(lambda cells: min(cells[:2]) > 0),
    st.floats(0.8, 0.99),
)
@settings(max_examples=40, deadline=None)
def test_counts_give_the_bca_of_the_rows_they_stand_for(cells, confidence):
    only_a, only_b, _ = cells
    rows = np.repeat([1, -1, 0], cells)
    n = len(rows)
    # A cell without rows is never drawn; asked for, it would change the stream of random numbers.
    present = [cell for cell in cells if cell]
    draws = np.random.default_rng(3).multinomial(n, np.array(present) / n, size=500)
    drawn = (draws[:, 0] - draws[:, 1]) / n
    # The jackknife row by row, of the same statistic: totals over n as it was.
    left_out = [(rows.sum() - row) / n for row in rows]
    flags_a, flags_b = np.repeat([True, False, False], cells), np.repeat([False, True, False], cells)
    result = paired_rate_difference(flags_a, flags_b, seed=3, resamples=500, confidence=confidence, method="bca")
    assert (result.low, result.high) == pytest.approx(tuple(slow_bca(drawn, rows.sum() / n, left_out, confidence)))
    plain = paired_rate_difference(flags_a, flags_b, seed=3, resamples=500, confidence=confidence)
    assert (plain.low, plain.high) == pytest.approx(percentile_limits(drawn, confidence))
    assert plain.value == result.value == (only_a - only_b) / n


def test_bca_of_flags_agrees_with_scipy_drawing_rows():
    a = np.repeat([1, 1, 0, 0], [8, 22, 5, 165])
    b = np.repeat([1, 0, 1, 0], [8, 22, 5, 165])
    theirs = bootstrap(
        (a, b), lambda x, y, axis=-1: x.mean(axis) - y.mean(axis), paired=True, method="BCa", rng=0, n_resamples=9999
    ).confidence_interval
    ours = paired_rate_difference(a, b, seed=0, resamples=9999, method="bca")
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.0051)  # one sample in 200


def test_bca_of_means_agrees_with_scipy_drawing_rows():
    values = np.random.default_rng(2).exponential(size=80)
    theirs = bootstrap((values,), np.mean, method="BCa", rng=5, n_resamples=9999).confidence_interval
    ours = bootstrap_means(values[:, None], seed=1, resamples=9999, method="bca")[0]
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.02)
    percentile = bootstrap_means(values[:, None], seed=1, resamples=9999)[0]
    assert ours.high > percentile.high, "the long tail is on the right"


def test_a_statistic_that_is_not_defined_on_some_draws():
    def share(totals):
        with np.errstate(invalid="ignore", divide="ignore"):
            return totals[..., 0] / totals[..., 1]

    # 3 of 4 among 30: some draws have none of the four.
    for method in ("percentile", "bca"):
        low, high = counted_limits([3, 1, 26], [[1, 1], [0, 1], [0, 0]], share, seed=0, method=method)
        assert 0 <= low < 0.75 < high <= 1
    assert np.isnan(counted_limits([26], [[0, 0]], share, seed=0)).all()


def test_where_bca_is_not_defined_the_percentile_limits_are_taken():
    draws = np.linspace(1, 2, 200)
    assert bca_limits(draws, 0.5, [1.0, 2.0], 0.9) == percentile_limits(draws, 0.9)
    assert bca_limits(draws, 1.5, [1.0, 1.0], 0.9) == percentile_limits(draws, 0.9)
    assert bca_limits(draws, 1.5, [], 0.9) == percentile_limits(draws, 0.9)


def test_impossible_input_is_refused():
    with pytest.raises(DataError, match="no sample to draw"):
        counted_limits([0], [[1]], lambda totals: totals[..., 0], seed=0)
    with pytest.raises(ConfigError, match="'BCA'; known: percentile, bca"):
        paired_rate_difference([True], [False], seed=0, method="BCA")
