"""The noise floor against loops over all ordered pairs, its intervals in simulations, and the words built on it."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from muscle_core.comparison import compare, judge, noise_floor, verdict
from muscle_core.comparison.noise import above_floor, flip_interval, mean_ordered_loss, paired_difference
from muscle_core.comparison.verdict import NO_FLOOR, NO_UPDATE, REGRESSION, TOO_FEW, WITHIN_NOISE
from muscle_core.errors import ConfigError, DataError
from muscle_core.metrics import rate

shapes = st.tuples(st.integers(1, 30), st.integers(2, 6))
right_or_wrong = shapes.flatmap(lambda shape: arrays.arrays(bool, shape))
scores = shapes.flatmap(lambda shape: arrays.arrays(float, shape, elements=st.sampled_from([0, 0.1, 0.25, 0.5, 1])))


def table(right, ids=None, **columns):
    ids = [f"s{i}" for i in range(len(right))] if ids is None else ids
    frame = {"sample_id": ids, "prediction": ["right" if x else "wrong" for x in right], "correct": right}
    return pd.DataFrame({**frame, **columns})


def scored(values):
    ids = [f"s{i}" for i in range(len(values))]
    return pd.DataFrame({"sample_id": ids, "prediction": "text", "correct": None, "rouge1": values})


def update(old, new, **options):
    return compare(old, new, task_kind="math", old_name="v1", new_name="v2", **options)


def drawn(n, rates, seed=0):
    """Runs with so many flips: `rates` are shares of samples that each run has wrong, at random."""
    generator = np.random.default_rng(seed)
    return [generator.random(n) >= share for share in rates]


@given(st.one_of(right_or_wrong, scores))
@settings(max_examples=150, deadline=None)
def test_the_mean_over_ordered_pairs_equals_a_slow_loop(values):
    runs = values.shape[1]
    for sample, mean in zip(values.astype(float), mean_ordered_loss(values), strict=True):
        losses = [max(sample[a] - sample[b], 0) for a in range(runs) for b in range(runs) if a != b]
        assert mean == pytest.approx(sum(losses) / len(losses), abs=1e-12)


@given(right_or_wrong)
@settings(max_examples=60, deadline=None)
def test_the_floor_is_the_mean_nfr_of_all_ordered_pairs(values):
    runs = {f"r{k}": table(values[:, k]) for k in range(values.shape[1])}
    floor = noise_floor([runs])
    rates = {(a, b): update(runs[a], runs[b]).nfr for a in runs for b in runs if a != b}
    assert {(one.first, one.second): one.rate for one in floor.by_pair} == rates
    assert floor.pairs == len(rates)
    assert floor.rate == pytest.approx(np.mean([one.value for one in rates.values()]), abs=1e-12)
    assert floor.flips == pytest.approx(np.mean([one.numerator for one in rates.values()]), abs=1e-9)
    assert floor.low <= floor.rate <= floor.high
    assert floor.names == tuple(runs)
    json.dumps(floor.as_dict(), allow_nan=False)
    shuffled = {name: frame.sample(frac=1, random_state=number) for number, (name, frame) in enumerate(runs.items())}
    assert noise_floor([shuffled])[:6] == pytest.approx(floor[:6])


@given(right_or_wrong.filter(lambda values: values.shape[1] > 3))
@settings(max_examples=40, deadline=None)
def test_two_versions_are_pooled_over_the_pairs_of_each(values):
    first = {f"a{k}": table(values[:, k]) for k in range(2)}
    second = {f"b{k}": table(values[:, k]) for k in range(2, values.shape[1])}
    both, one, two = noise_floor([first, second]), noise_floor([first]), noise_floor([second])
    assert both.pairs == one.pairs + two.pairs
    assert both.rate == pytest.approx((one.rate * one.pairs + two.rate * two.pairs) / both.pairs, abs=1e-12)
    assert both.names == one.names + two.names
    assert {(p.first[0], p.second[0]) for p in both.by_pair} == {("a", "a"), ("b", "b")}, "never from one to the other"


def test_two_runs_have_half_of_wilsons_interval_of_the_share_that_differs():
    for differing, n in ((0, 40), (1, 40), (13, 200), (40, 40)):
        loss = np.repeat([0.5, 0.0], [differing, n - differing])
        wanted = rate(differing, n)
        assert flip_interval(loss, 0.5) == pytest.approx((wanted.value / 2, wanted.low / 2, wanted.high / 2))


def test_the_difference_of_unrelated_samples_is_newcombes_of_statsmodels():
    from statsmodels.stats.proportion import confint_proportions_2indep

    # A floor of flips 0 or 1, on other samples: then both figures are plain rates.
    new = [False] * 9 + [True] * 91
    comparison = update(table([True] * 100), table(new))
    low, high = confint_proportions_2indep(9, 100, 4, 80, method="newcomb")
    other = rate(4, 80)
    floor = noise_floor([{"a": table([True, False]), "b": table([True, True])}])
    floor = floor._replace(n=80, rate=other.value, low=other.low, high=other.high, samples=None)
    found = above_floor(comparison, floor)
    assert not found.paired
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-9)


def _population(kind, n, generator):
    if kind == "few flips":  # nine in ten samples are nearly certain
        return np.where(generator.random(n) < 0.9, 0.999, generator.random(n))
    return generator.beta(2, 1, n)


@pytest.mark.parametrize(("kind", "n", "runs"), [("few flips", 500, 2), ("few flips", 1319, 3), ("many", 300, 4)])
@pytest.mark.parametrize("shift", [0.0, 0.2])
def test_intervals_hold_the_truth_in_a_simulation(kind, n, runs, shift):
    """Samples with a chance each of being right; the update lowers it for a fifth of them by `shift`."""
    generator = np.random.default_rng(7)
    hit = np.zeros(2)
    below = above = 0
    repeats = 600
    chances = _population(kind, 1_000_000, generator)
    lowered = np.clip(chances - shift * (generator.random(len(chances)) < 0.2), 0, 1)
    floor_truth = (chances * (1 - chances)).mean()
    truth = (chances * (1 - lowered)).mean() - floor_truth
    largest = (runs // 2) * (runs - runs // 2) / (runs * (runs - 1))
    for _ in range(repeats):
        rows = generator.integers(0, len(chances), n)
        right = generator.random((n, runs)) < chances[rows, None]
        new = generator.random(n) < lowered[rows]
        loss = mean_ordered_loss(right)
        interval = flip_interval(loss, largest)
        difference = paired_difference((right[:, 0] & ~new).astype(float), loss, largest)
        hit += (interval.low <= floor_truth <= interval.high, difference.low <= truth <= difference.high)
        below += truth < difference.low
        above += truth > difference.high
    # 600 repeats: a true coverage of 95 % comes out between 93 and 97 % but once in 40 times. The outer limits of two
    # intervals hold the truth somewhat more often where flips are few.
    assert 0.93 <= hit[0] / repeats <= 0.97
    assert 0.93 <= hit[1] / repeats <= 0.99
    assert max(below, above) / repeats <= 0.04


def test_samples_that_a_run_lacks_are_in_no_floor():
    one, two = table([True, False, True]), table([False, True], ids=["s2", "s1"])
    floor = noise_floor([{"a": one, "b": two}])
    assert (floor.n, floor.flips) == (2, 1.0)
    with pytest.raises(DataError, match="a, b share no sample that was judged in all"):
        noise_floor([{"a": one, "b": table([True], ids=["elsewhere"])}])
    assert noise_floor([{"a": one}]) is None
    assert noise_floor([]) is None


def test_different_grading_of_one_answer_is_counted():
    one, two = table([True, False, True]), table([True, False, True])
    two.loc[[0, 1], "correct"] = [False, True]
    assert noise_floor([{"a": one, "b": two}]).graded_differently == 2
    assert noise_floor([{"a": one, "b": table([False, True, True])}]).graded_differently == 0


def test_a_floor_of_a_score_is_its_mean_loss():
    generator = np.random.default_rng(1)
    runs = [generator.random(50) for _ in range(3)]
    floor = noise_floor([{f"r{k}": scored(run) for k, run in enumerate(runs)}])
    losses = [np.maximum(a - b, 0).mean() for a in runs for b in runs if a is not b]
    assert floor.score == "rouge1"
    assert floor.rate == pytest.approx(np.mean(losses))
    assert sorted(one.rate.value for one in floor.by_pair) == pytest.approx(sorted(losses))
    assert floor.low < floor.rate < floor.high
    with pytest.raises(DataError, match=r"floor is of the score 'rouge1', the comparison of right and wrong"):
        judge(update(table([True]), table([False])), floor)


# --- what an update is called ------------------------------------------------------------------------------------

N = 2000


def floor_of(share, runs=2, n=N, seed=1):
    return noise_floor([{f"v1-{k}": table(run) for k, run in enumerate(drawn(n, [share] * runs, seed))}])


def flipped(down, up, n=N):
    old = np.ones(n, dtype=bool)
    old[n - up :] = False
    new = np.ones(n, dtype=bool)
    new[:down] = False
    return update(table(old), table(new))


def test_a_fall_of_accuracy_is_a_regression_with_and_without_a_floor():
    # Beside a floor, which is small, the share has two decimals; else one, as everywhere.
    for floor, share, interval in ((None, "4.0 %", "3.2–5.0 %"), (floor_of(0.05), "4.00 %", "3.23–4.95 %")):
        judged = judge(flipped(80, 40), floor)
        assert judged.word == REGRESSION
        assert judged.sentence.startswith(
            f"regression: the accuracy fell by 2.00 points (exact McNemar p < 0.001; n = 2,000); {share} of the inputs "
            f"(80 of 2,000; 95 % interval {interval}) worked with v1 and fail with v2"
        )
        assert ("noise floor" in judged.sentence) == (floor is not None)


def test_flips_above_the_floor_are_a_regression_although_the_accuracy_rose():
    judged = judge(flipped(200, 300), floor_of(0.02))
    assert judged.word == REGRESSION
    assert judged.difference.low > 0
    assert judged.difference.paired
    assert "more than between runs of one version" in judged.sentence


def test_flips_like_those_between_runs_are_within_noise():
    judged = judge(flipped(40, 40), floor_of(0.02))
    assert judged.word == WITHIN_NOISE
    assert judged.difference.low <= 0 < judged.difference.high < 0.01
    assert "less than the 1 point that would count" in judged.sentence
    assert judge(flipped(40, 40), floor_of(0.02), margin=0.001).word == TOO_FEW
    assert judge(flipped(0, 0), floor_of(0.02)).word == WITHIN_NOISE


@pytest.mark.parametrize("flips", [0, 1, 2])
def test_few_samples_tell_nothing_even_where_nothing_flips(flips):
    floor = noise_floor([{"a": table([True] * 20), "b": table([True] * 20)}])
    judged = judge(flipped(flips, 2, n=20), floor)
    assert judged.word == TOO_FEW
    assert judged.difference.high > 0.01


def test_without_a_second_run_the_flips_are_reported_and_not_judged():
    judged = judge(flipped(11, 22))
    assert judged.word == NO_FLOOR
    assert judged.difference is None
    assert judged.sentence.startswith("no noise floor: 0.5 % of the inputs (11 of 2,000; 95 % interval 0.3–1.0 %)")
    assert "how much of them is noise has not been measured: run one version again" in judged.sentence
    assert "models replica NAME OF" in judged.sentence


def test_two_runs_of_one_version_are_no_update_whatever_differs():
    floor = floor_of(0.05)._replace(same_version=True)
    for judged in (judge(flipped(16, 20), same_version=True), judge(flipped(16, 20), floor)):
        assert judged.word == NO_UPDATE
        assert judged.sentence == (
            "no update: 0.80 % (16 of 2,000; 95 % interval 0.49–1.30 %) flip between two runs of the same version, "
            "v1 and v2."
        )
    assert "they may not be the same model" in judge(flipped(80, 20), same_version=True).sentence


def test_a_borrowed_floor_is_called_borrowed():
    judged = judge(flipped(40, 40), floor_of(0.02)._replace(borrowed=True))
    assert judged.word == WITHIN_NOISE
    assert "borrowed from another version, whose noise need not be the same" in judged.sentence


def test_a_floor_on_other_samples_is_not_paired():
    floor = floor_of(0.02)
    away = floor._replace(samples=None)
    paired, unpaired = judge(flipped(40, 40), floor), judge(flipped(40, 40), away)
    assert (paired.difference.paired, unpaired.difference.paired) == (True, False)
    assert "on the same samples, n = 2,000" in paired.sentence
    assert "on other samples, so not paired" in unpaired.sentence
    half = noise_floor([{k: table([True, False], ids=["s0", "elsewhere"]) for k in "ab"}])
    assert not above_floor(flipped(3, 3, n=10), half).paired, "one of ten samples is no ground for a pair"


def test_groups_of_samples_widen_the_difference_as_they_must():
    # Ten copies of every sample tell no more than one of each.
    old, new, *runs = drawn(300, [0.05, 0.06, 0.05, 0.05], seed=5)
    ids = [f"s{i}-{k}" for i in range(300) for k in range(10)]

    def copies(right):
        return table(np.repeat(right, 10), ids=ids)

    alone = above_floor(update(table(old), table(new)), noise_floor([{"a": table(runs[0]), "b": table(runs[1])}]))
    many = noise_floor([{"a": copies(runs[0]), "b": copies(runs[1])}])
    plain = above_floor(update(copies(old), copies(new)), many)
    group_of = {name: name.split("-")[0] for name in ids}
    grouped = above_floor(update(copies(old), copies(new), clusters=group_of), many)
    assert grouped.paired
    assert plain.value == pytest.approx(grouped.value) == pytest.approx(alone.value)
    assert plain.high - plain.low < 0.5 * (grouped.high - grouped.low)
    assert grouped.high - grouped.low == pytest.approx(alone.high - alone.low, rel=0.2)


def test_scores_are_judged_like_flips():
    generator = np.random.default_rng(2)
    level = generator.random(400)
    runs = [np.clip(level + generator.normal(0, 0.02, 400), 0, 1) for _ in range(4)]
    floor = noise_floor([{"a": scored(runs[0]), "b": scored(runs[1])}])

    def word(old, new, noise=floor):
        return judge(update(scored(old), scored(new)), noise).word

    assert word(runs[0], runs[2]) == WITHIN_NOISE
    assert word(runs[0], runs[2], None) == NO_FLOOR
    assert word(runs[0], np.clip(runs[2] - 0.1, 0, 1)) == REGRESSION, "the mean fell"
    swings = np.clip(runs[2] + np.where(np.arange(400) % 2, 0.2, -0.2), 0, 1)
    assert word(runs[0], swings) == REGRESSION, "the mean held, yet samples lost more than between runs"
    few = noise_floor([{"a": scored(runs[0][:9]), "b": scored(runs[1][:9])}])
    assert word(runs[0][:9], runs[2][:9], few) == TOO_FEW
    again = judge(update(scored(runs[0]), scored(runs[1])), floor._replace(same_version=True))
    assert again.sentence.startswith("no update: the mean regression of rouge1 from v1 to v2 is 0.01")


def test_the_verdict_names_the_floor_and_stays_one_sentence():
    comparison, floor = flipped(40, 40), floor_of(0.02)
    plain, text = verdict(comparison), verdict(comparison, floor)
    assert text.startswith(plain.removesuffix("."))
    assert "; the noise floor is 1." in text
    assert "2 runs of v1-0, v1-1, 2 ordered pairs)." in text


def test_unusable_margins_are_refused():
    for margin in (0, -1, 1, math.nan):
        with pytest.raises(ConfigError, match="margin"):
            judge(flipped(1, 1), margin=margin)


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 30), st.booleans())
@settings(max_examples=60, deadline=None)
def test_every_update_has_one_word_and_sound_limits(down, up, noisy, with_floor):
    floor = None
    if with_floor:
        one = np.ones(100, dtype=bool)
        one[:noisy] = False
        floor = noise_floor([{"a": table(np.ones(100, dtype=bool)), "b": table(one)}])
    judged = judge(flipped(down, up, n=100), floor)
    assert judged.sentence.startswith(f"{judged.word}: ")
    assert judged.sentence == f"{judged.word}: {'; '.join(judged.reasons)}."
    if judged.difference is not None:
        assert judged.difference.low <= judged.difference.value <= judged.difference.high
        assert judged.difference.value == pytest.approx(down / 100 - noisy / 200)
    json.dumps(judged.as_dict(), allow_nan=False)
