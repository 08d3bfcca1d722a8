import itertools
import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import bootstrap

from muscle_core.errors import DataError
from muscle_core.metrics import bootstrap_means, cluster_rate, mcnemar_p, paired_rate_difference, rate, sign_flip_p
from muscle_core.metrics.clusters import cluster_codes, cluster_limits, cluster_sums, share_of_totals
from muscle_core.metrics.continuous import BOOTSTRAP_LIMIT, score_change


def slow_cluster_interval(values, labels, draws, seed):
    """The percentile cluster bootstrap of a mean: draw groups one by one, gather their rows, average."""
    generator = random.Random(seed)
    groups = {label: [v for v, other in zip(values, labels, strict=True) if other == label] for label in set(labels)}
    names, means = sorted(groups), []
    for _ in range(draws):
        rows = [value for name in generator.choices(names, k=len(names)) for value in groups[name]]
        means.append(sum(rows) / len(rows))
    return np.quantile(means, [0.025, 0.975])


@pytest.fixture(scope="module")
def grouped():
    """60 prompts of 1 to 6 rows; rows of a prompt resemble each other."""
    generator = np.random.default_rng(11)
    labels = np.repeat([f"prompt {n}" for n in range(60)], generator.integers(1, 7, size=60))
    hard = dict(zip(np.unique(labels), generator.beta(0.5, 0.8, size=60), strict=True))
    a, b = (generator.random(len(labels)) < [hard[label] for label in labels] for _ in range(2))
    return labels, a, b & (generator.random(len(b)) < 0.8), generator


def test_a_rate_agrees_with_a_slow_loop_over_groups(grouped):
    labels, a, *_ = grouped
    expected = slow_cluster_interval(a.astype(int).tolist(), labels.tolist(), 6000, 1)
    for method, tolerance in (("percentile", 0.01), ("bca", 0.03)):
        result = cluster_rate(a, labels, resamples=6000, method=method)
        assert (result.numerator, result.denominator) == (a.sum(), len(a))
        assert [result.low, result.high] == pytest.approx(list(expected), abs=tolerance)
    naive = rate(int(a.sum()), len(a))
    assert result.high - result.low > 1.2 * (naive.high - naive.low)


def test_a_difference_agrees_with_a_slow_loop_over_groups(grouped):
    labels, a, b, _ = grouped
    difference = (a.astype(int) - b.astype(int)).tolist()
    expected = slow_cluster_interval(difference, labels.tolist(), 6000, 2)
    result = paired_rate_difference(a, b, seed=0, resamples=6000, clusters=labels)
    assert [result.low, result.high] == pytest.approx(list(expected), abs=0.01)
    assert result.value == pytest.approx(sum(difference) / len(difference))


def test_means_agree_with_a_slow_loop_over_groups(grouped):
    labels, *_, generator = grouped
    values = generator.random(len(labels)) + cluster_codes(labels) % 7
    expected = slow_cluster_interval(values.tolist(), labels.tolist(), 6000, 3)
    result = bootstrap_means(values[:, None], seed=0, resamples=6000, clusters=labels)[0]
    assert [result.low, result.high] == pytest.approx(list(expected), abs=0.06)
    assert result.value == pytest.approx(values.mean())


def test_bca_by_group_is_that_of_scipy_on_group_sums(grouped):
    labels, a, *_ = grouped
    sums = cluster_sums(cluster_codes(labels), [a, np.ones(len(a))])
    theirs = bootstrap(
        (sums[:, 0], sums[:, 1]), lambda x, y, axis=-1: x.sum(axis) / y.sum(axis), paired=True, method="BCa", rng=0
    ).confidence_interval
    ours = cluster_limits(sums, share_of_totals, seed=0, resamples=9999, method="bca")
    assert ours == pytest.approx((theirs.low, theirs.high), abs=0.012)


def test_groups_of_one_are_the_plain_bootstrap():
    generator = np.random.default_rng(0)
    a, b = generator.random((2, 300)) < [[0.3], [0.25]]
    alone = np.arange(300)
    grouped, plain = (paired_rate_difference(a, b, seed=1, resamples=9000, clusters=c) for c in (alone, None))
    assert (grouped.value, grouped.n) == (plain.value, plain.n)
    assert grouped.p == pytest.approx(plain.p, rel=1e-9)
    assert (grouped.low, grouped.high) == pytest.approx((plain.low, plain.high), abs=0.008)


def test_names_and_order_of_groups_do_not_matter(grouped):
    labels, a, *_ = grouped
    order = np.random.default_rng(0).permutation(len(a))
    renamed = np.unique(labels, return_inverse=True)[1] + 100
    assert cluster_rate(a, labels) == cluster_rate(a[order], labels[order]) == cluster_rate(a, renamed)


def test_nothing_and_everything_keep_a_width():
    labels = np.repeat(np.arange(10), 5)
    nothing, everything = cluster_rate(np.zeros(50, bool), labels), cluster_rate(np.ones(50, bool), labels)
    assert nothing[:3] == (0.0, 0, 50)
    assert (nothing.low, nothing.high) == rate(0, 10)[3:]
    assert (everything.low, everything.high) == rate(10, 10)[3:]
    part = cluster_rate(np.zeros(50, bool), labels, among=labels < 4)
    assert (part.denominator, part.high) == (20, rate(0, 4).high)


@given(st.lists(st.integers(-4, 4), max_size=9))
@settings(deadline=None)
def test_sign_flips_are_every_combination_of_signs(values):
    observed = abs(sum(values))
    signs = itertools.product((-1, 1), repeat=len(values))
    sums = [abs(sum(s * v for s, v in zip(one, values, strict=True))) for one in signs]
    assert sign_flip_p(values) == pytest.approx(sum(s >= observed for s in sums) / len(sums))


@given(st.integers(0, 300), st.integers(0, 300))
@settings(deadline=None)
def test_sign_flips_of_single_samples_are_mcnemar(gained, lost):
    assert sign_flip_p([1] * gained + [-1] * lost + [0] * 5) == pytest.approx(mcnemar_p(gained, lost), rel=1e-7)


def test_many_groups_take_the_normal_limit_which_the_exact_test_meets():
    generator = np.random.default_rng(5)
    small = generator.integers(-3, 4, size=9000)
    large = np.concatenate([small, small[:3000]])  # beyond what is worked out exactly
    assert np.abs(large).sum() > 20_000 > np.abs(small).sum()
    small[:60] = large[:60] = 3
    z = abs(small.sum()) / np.sqrt((small**2).sum())
    assert sign_flip_p(small) == pytest.approx(math.erfc(z / math.sqrt(2)), rel=0.02)
    assert 0 < sign_flip_p(large) < 1


def test_many_groups_of_scores_take_the_linearised_interval_which_the_bootstrap_meets():
    generator = np.random.default_rng(1)
    groups = BOOTSTRAP_LIMIT + 1
    labels = np.repeat(np.arange(groups), 2)
    values = np.repeat(generator.random(groups), 2) + 0.1 * generator.random(2 * groups)
    linear = bootstrap_means(values[:, None], seed=0, clusters=labels)[0]
    drawn = bootstrap_means(values[2:, None], seed=0, resamples=400, clusters=labels[2:])[0]
    assert linear.high - linear.low == pytest.approx(drawn.high - drawn.low, rel=0.15)
    naive = bootstrap_means(values[:, None], seed=0)[0]
    assert linear.high - linear.low > 1.3 * (naive.high - naive.low)


def test_score_changes_by_group_are_wider():
    generator = np.random.default_rng(3)
    labels = np.repeat(np.arange(50), 4)
    old = np.zeros(200)
    new = np.repeat(generator.normal(size=50), 4)
    plain, grouped = score_change(old, new), score_change(old, new, clusters=labels)
    assert plain.mean_change.value == pytest.approx(grouped.mean_change.value)
    for name in ("mean_change", "gain", "regression", "gain_rate", "regression_rate"):
        narrow, wide = getattr(plain, name), getattr(grouped, name)
        assert wide.high - wide.low > 1.5 * (narrow.high - narrow.low), name


def test_samples_without_a_group_are_refused():
    with pytest.raises(DataError, match=r"1 of 3 samples have no cluster, the first is entry 1"):
        cluster_rate([True, False, True], ["a", None, "b"])
    with pytest.raises(DataError, match="same samples"):
        paired_rate_difference([True, False], [True, False], seed=0, clusters=["a"])
    with pytest.raises(DataError, match="whole number"):
        sign_flip_p([0.5])
