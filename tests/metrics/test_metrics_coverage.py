"""Do 95 % intervals hold the true value in 93 to 97 % of repetitions? Simulated at sizes and rates as they occur."""

import numpy as np
import pytest
from scipy.stats import binom

from muscle_core.comparison.flip_figures import clustered_flip_figures, flip_figures, group_cells
from muscle_core.metrics import QuadrantCounts, bootstrap_means, cluster_rate, paired_rate_difference, rate
from muscle_core.metrics.statistics import difference_of_counts

# Of 1,319 samples as in GSM8K and 1,000 as in the demo: Q1, Q2, Q3 same, Q3 changed, Q4.
LLAMA = np.array([0.72, 0.12, 0.04, 0.054, 0.066])
DEMO = np.array([0.43, 0.15, 0.14, 0.146, 0.134])


def covers(low, high, truth):
    return low <= truth <= high


def check(share, what=""):
    assert 0.93 <= share <= 0.97, f"{what} covers {share:.3f}"


def wilson_coverage(n, p):
    """Exact: every possible count, weighed by its chance."""
    counts = np.arange(n + 1)
    chances = binom.pmf(counts, n, p)
    likely = counts[chances > 1e-9]
    return sum(chances[k] for k in likely if covers(*rate(int(k), n)[3:], p))


@pytest.mark.parametrize(("n", "p"), [(1319, 0.066), (1000, 0.134), (500, 0.05), (1000, 0.582), (200, 0.1)])
def test_wilson(n, p):
    check(wilson_coverage(n, p))


def difference_coverage(n, removed, added, method, runs, seed=0):
    drawn = np.random.default_rng(seed).multinomial(n, [added, removed, 1 - removed - added], size=runs)
    truth = added - removed
    limits = (difference_of_counts(a, b, n, seed=run, method=method) for run, (a, b, _) in enumerate(drawn.tolist()))
    return np.mean([covers(found.low, found.high, truth) for found in limits])


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_paired_difference(method):
    check(difference_coverage(1000, 0.072, 0.02, method, runs=1500))


def figures_coverage(cells, n, runs, seed=0):
    drawn = np.random.default_rng(seed).multinomial(n, cells, size=runs)
    change = cells[1] - cells[4]
    relative = cells[4] / ((cells[0] + cells[4]) * cells[2:].sum())
    hits = []
    for run, (q1, q2, same, changed, q4) in enumerate(drawn.tolist()):
        found = flip_figures(QuadrantCounts(q1, q2, same + changed, same, changed, q4), seed=run)
        hits.append(
            (
                covers(found.accuracy_change.low, found.accuracy_change.high, change),
                covers(found.relative_nfr.low, found.relative_nfr.high, relative),
            )
        )
    return np.mean(hits, axis=0)


def test_accuracy_change_and_relative_nfr():
    for share in figures_coverage(LLAMA, 1319, runs=1000):
        check(share)


def skewed_changes(generator, n):
    """Two thirds unchanged, the rest losses with a tail and smaller gains, as changes of ROUGE are."""
    kind = generator.random(n)
    return np.where(kind < 0.2, -0.1 * generator.exponential(size=n), np.where(kind > 0.87, 0.1, 0.0))


def mean_coverage(n, method, runs, resamples=400, first=0):
    truth = np.array([-0.2 * 0.1 + 0.13 * 0.1, 0.2 * 0.1])
    hits = []
    for run in range(first, first + runs):
        change = skewed_changes(np.random.default_rng(run), n)
        parts = np.column_stack([change, np.maximum(-change, 0.0)])
        found = bootstrap_means(parts, seed=run, resamples=resamples, method=method)
        hits.append([covers(interval.low, interval.high, value) for interval, value in zip(found, truth, strict=True)])
    return np.mean(hits, axis=0)


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_mean_change_and_regression_of_a_score(method):
    for share in mean_coverage(300, method, runs=500):
        check(share)


def clustered_flips(generator, prompts, rows, mean=0.1, likeness=4.0):
    """Flips of two versions on several rows of each prompt; some prompts are prone to them."""
    prone = generator.beta(mean * likeness, (1 - mean) * likeness, size=prompts)[:, None]
    a, b = (generator.random((prompts, rows)) < prone * share for share in (1.0, 0.7))
    return a.ravel(), b.ravel(), np.repeat(np.arange(prompts), rows)


def cluster_coverage(prompts, rows, runs, method="percentile"):
    hits = []
    for run in range(runs):
        a, b, labels = clustered_flips(np.random.default_rng(run), prompts, rows)
        robust = cluster_rate(a, labels, seed=run, resamples=600, method=method)
        naive = rate(int(a.sum()), len(a))
        change = paired_rate_difference(b, a, seed=run, resamples=600, clusters=labels, method=method)
        naive_change = paired_rate_difference(b, a, seed=run, resamples=600)
        hits.append(
            (
                covers(robust.low, robust.high, 0.1),
                covers(change.low, change.high, -0.03),
                covers(naive.low, naive.high, 0.1),
                covers(naive_change.low, naive_change.high, -0.03),
            )
        )
    return np.mean(hits, axis=0)


def test_groups_of_rows_need_the_cluster_bootstrap():
    robust, change, naive, _ = cluster_coverage(prompts=200, rows=6, runs=600)
    check(robust, "cluster bootstrap of a rate")
    check(change, "cluster bootstrap of a difference")
    assert naive < 0.88, "rows taken for independent samples give an interval that is too narrow"


def test_the_test_by_group_is_wrong_as_often_as_it_says_and_mcnemar_more_often():
    generator = np.random.default_rng(9)
    by_group, by_row = [], []
    for _ in range(600):  # two versions of equal accuracy that differ prompt by prompt
        old, new = (np.repeat(generator.random(150) < 0.5, 5) for _ in range(2))
        noise = generator.random(750) < 0.1
        new = new ^ noise
        old = old ^ (generator.random(750) < 0.1)
        labels = np.repeat(np.arange(150), 5)
        by_group.append(paired_rate_difference(new, old, seed=0, resamples=100, clusters=labels).p < 0.05)
        by_row.append(paired_rate_difference(new, old, seed=0, resamples=100).p < 0.05)
    assert 0.02 <= np.mean(by_group) <= 0.07
    assert np.mean(by_row) > 0.2


@pytest.mark.slow
@pytest.mark.parametrize("n", [300, 1000, 5000])
@pytest.mark.parametrize("cells", [LLAMA, DEMO], ids=["llama", "demo"])
def test_many_repetitions_of_rates(n, cells):
    for p in (cells[4], cells[0] + cells[1], cells[3] + cells[4]):
        check(wilson_coverage(n, p), f"Wilson, n {n}, rate {p:.3f}")
    for name, share in zip(("change", "relative"), figures_coverage(cells, n, runs=5000), strict=True):
        check(share, f"{name}, n {n}")
    for method in ("percentile", "bca"):
        check(difference_coverage(n, cells[4], cells[4] / 2, method, runs=5000), f"{method}, n {n}")


@pytest.mark.slow
def test_many_repetitions_of_means_and_groups():
    for method in ("percentile", "bca"):
        # 4,000 repetitions, since the coverage of a skewed mean is near 93.5 %: with 2,000, chance alone goes below 93.
        # At 200 samples it is 93.3 % (docs/statistics.md), too near the limit to be told from it here.
        for n in (300, 1000):
            for share in mean_coverage(n, method, runs=4000, resamples=600, first=10_000):
                check(share, f"{method} of a mean, n {n}")
        for prompts, rows in ((100, 10), (300, 3), (1000, 2)):
            for share in cluster_coverage(prompts, rows, 2000, method)[:2]:
                check(share, f"{method} of {prompts} groups of {rows}")


@pytest.mark.slow
def test_many_repetitions_of_all_rates_in_groups():
    truth = None
    hits = []
    for run in range(2500):
        generator = np.random.default_rng(run)
        hard = generator.beta(1.5, 1.0, size=250)[:, None]
        old, new = (generator.random((250, 4)) < np.clip(hard + shift, 0, 1) for shift in (0.0, 0.05))
        same = generator.random((250, 4)) < 0.5
        codes = np.repeat(np.arange(250), 4)
        cells = group_cells(codes, old.ravel(), new.ravel(), same.ravel())
        totals = cells.sum(axis=0).astype(int)
        counts = QuadrantCounts(*totals[:2].tolist(), int(totals[2:4].sum()), *totals[2:].tolist())
        found = clustered_flip_figures(counts, cells, seed=run)
        if truth is None:
            truth = _truth_of_groups()
        hits.append([covers(found.rates[name].low, found.rates[name].high, value) for name, value in truth.items()])
    for name, share in zip(truth, np.mean(hits, axis=0), strict=True):
        check(share, name)


def _truth_of_groups():
    """The rates of the population above, from eight million samples."""
    generator = np.random.default_rng(123)
    hard = generator.beta(1.5, 1.0, size=2_000_000)[:, None]
    old, new = (generator.random((2_000_000, 4)) < np.clip(hard + shift, 0, 1) for shift in (0.0, 0.05))
    q4, both, wrong = (old & ~new).mean(), (old & new).mean(), (~old & ~new).mean()
    return {"accuracy_old": old.mean(), "nfr": q4, "btc": both / old.mean(), "bec": wrong / (1 - new.mean())}
