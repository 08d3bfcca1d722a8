import math

import numpy as np
import pandas as pd
import pytest

from muscle_core.comparison import compare_strategies, pool_seeds
from muscle_core.comparison.table_text import readable_variants
from muscle_core.errors import DataError
from muscle_core.metrics.rates import rate

NAMES = {"task_kind": "multiple_choice", "old_name": "v1", "new_name": "plain"}
ENDS = ("", "_low", "_high")


def table(correct, ids=None):
    ids = [f"s{i}" for i in range(len(correct))] if ids is None else ids
    answers = np.where(correct, "0", "1")
    return pd.DataFrame({"sample_id": ids, "prediction": answers, "correct": correct})


def scored(values):
    return pd.DataFrame({"sample_id": [f"s{i}" for i in range(len(values))], "prediction": "x", "rouge1": values})


OLD = table([True] * 60 + [False] * 40)
PLAIN = table([True] * 40 + [False] * 20 + [True] * 30 + [False] * 10)
MUSCLE = table([True] * 52 + [False] * 8 + [True] * 30 + [False] * 10)


def test_each_variant_against_the_plain_new_version():
    result = compare_strategies(OLD, PLAIN, {"muscle": MUSCLE, "same": PLAIN}, **NAMES).set_index("strategy")
    assert result.index.tolist() == ["plain", "muscle", "same"]
    assert result["is_plain_new"].tolist() == [True, False, False]
    assert result["nfr"].tolist() == [0.2, 0.08, 0.2]
    assert result["nfr_numerator"].tolist() == [20, 8, 20]
    assert result["nfr_denominator"].tolist() == [100] * 3
    assert result["accuracy"].tolist() == [0.7, 0.82, 0.7]
    muscle = result.loc["muscle"]
    assert muscle["nfr_change"] == pytest.approx(-0.12)
    assert muscle["nfr_change_low"] < -0.12 < muscle["nfr_change_high"] < 0
    assert muscle["nfr_change_p"] == pytest.approx(2 / 2**12)
    assert muscle["nfr_relative_change"] == pytest.approx(-0.6)
    assert muscle["accuracy_change"] == pytest.approx(0.12)
    assert muscle["nfr_low"] < 0.08 < muscle["nfr_high"]
    for same in ("plain", "same"):
        assert result.loc[same, "nfr_change"] == 0
        assert result.loc[same, "nfr_change_p"] == 1


def test_p_values_are_adjusted_for_the_number_of_variants():
    generator = np.random.default_rng(1)
    variants = {f"v{n}": table(MUSCLE["correct"] ^ (generator.random(100) < n / 60)) for n in range(4)}
    result = compare_strategies(OLD, PLAIN, variants, **NAMES)
    for name in ("nfr_change_p", "accuracy_change_p"):
        p, adjusted = result[name].to_numpy()[1:], result[f"{name}_adjusted"].to_numpy()
        assert math.isnan(adjusted[0]), "the plain new version is no test"
        # Benjamini and Hochberg by hand: the least of p * tests / rank over this and all larger ones.
        rank = {value: sum(p <= value) for value in p}
        expected = [min(min(1.0, other * 4 / rank[other]) for other in p if other >= value) for value in p]
        assert adjusted[1:] == pytest.approx(expected)
        assert (adjusted[1:] >= p).all()
    alone = compare_strategies(OLD, PLAIN, {"v0": variants["v0"]}, **NAMES)
    assert alone.loc[1, "nfr_change_p_adjusted"] == alone.loc[1, "nfr_change_p"]


def test_pooled_seeds_are_tested_by_the_signs_of_their_summed_changes():
    generator = np.random.default_rng(4)
    seeds = [table(MUSCLE["correct"] ^ (generator.random(100) < 0.05)) for _ in range(3)]
    result = pool_seeds(OLD, PLAIN, {"m": seeds, "one": seeds[:1]}, **NAMES).set_index("strategy")
    plain = (OLD["correct"] & ~PLAIN["correct"]).astype(int)
    change = sum((OLD["correct"] & ~one["correct"]).astype(int) for one in seeds) - 3 * plain
    drawn = generator.choice([-1, 1], size=(20_000, 100)) @ change.to_numpy()
    assert result.loc["m", "nfr_change_p"] == pytest.approx(np.mean(abs(drawn) >= abs(change.sum())), abs=0.006)
    assert result.loc["m", "nfr_change_p_adjusted"] >= result.loc["m", "nfr_change_p"]
    assert math.isnan(result.loc["plain", "nfr_change_p_adjusted"])
    alone = compare_strategies(OLD, PLAIN, {"one": seeds[0]}, **NAMES).loc[1, "nfr_change_p"]
    assert result.loc["one", "nfr_change_p"] == alone


def test_tables_for_people_show_the_adjusted_p_value_where_it_is_another():
    row = {"is_plain_new": False, "n": 100, "version": "m", "strategy": "s", "seed": 0, "initialisation": "old"}
    row |= {"old_share": None, "steps": 1, "seconds": 1.0, "accuracy": 0.5, "accuracy_low": 0.4, "accuracy_high": 0.6}
    row |= {f"{name}{end}": 0.1 for name in ("nfr", "nfr_mc", "nfr_change", "accuracy_change") for end in ENDS}
    row |= {"nfr_change_p": 0.01, "nfr_change_p_adjusted": 0.03, "accuracy_change_p": 0.2}
    cells = readable_variants(pd.DataFrame([row]), time_text=str).iloc[0]
    assert cells["NFR change"].endswith("p = 0.01 (0.03 adjusted)")
    assert cells["accuracy change"].endswith("p = 0.2")


def test_change_is_measured_on_the_samples_all_three_hold():
    part = MUSCLE.iloc[::-1].iloc[:50]
    result = compare_strategies(OLD, PLAIN, {"part": part}, **NAMES).set_index("strategy")
    assert result.loc["part", ["n", "paired_n"]].tolist() == [50, 50]
    # Of the last 50 samples the plain version flips 10 (50-59 without 40-49), this one 8.
    assert result.loc["part", "nfr_change"] == pytest.approx((8 - 10) / 50)


def test_equal_seeds_give_equal_tables():
    first = compare_strategies(OLD, PLAIN, {"m": MUSCLE}, seed=3, **NAMES)
    pd.testing.assert_frame_equal(first, compare_strategies(OLD, PLAIN, {"m": MUSCLE}, seed=3, **NAMES))


def test_no_flip_to_remove_has_no_relative_change():
    result = compare_strategies(OLD, OLD, {"m": PLAIN}, **NAMES)
    assert math.isnan(result.loc[1, "nfr_relative_change"])


def test_scores_without_right_and_wrong():
    old, plain, variant = scored([0.5, 0.5, 0.5]), scored([0.3, 0.9, 0.5]), scored([0.4, 0.8, 0.6])
    result = compare_strategies(old, plain, {"m": variant}, **NAMES)
    assert "nfr" not in result
    assert result["score"].tolist() == ["rouge1", "rouge1"]
    assert result["regression"].tolist() == pytest.approx([0.2 / 3, 0.1 / 3])
    assert result["gain"].tolist() == pytest.approx([0.4 / 3, 0.4 / 3])
    assert result.loc[1, "regression_change"] == pytest.approx(-0.1 / 3)
    assert result.loc[1, "regression_relative_change"] == pytest.approx(-0.5)
    assert result.loc[1, "regression_change_low"] <= result.loc[1, "regression_change_high"]
    assert result["mean_score"].tolist() == pytest.approx([1.7 / 3, 1.8 / 3])


def test_no_variant_is_just_the_plain_version():
    assert len(compare_strategies(OLD, PLAIN, {}, **NAMES)) == 1


def test_unusable_variants_are_refused():
    with pytest.raises(DataError, match="its own name"):
        compare_strategies(OLD, PLAIN, {"plain": MUSCLE}, **NAMES)
    with pytest.raises(DataError, match="no sample in common"):
        compare_strategies(OLD, PLAIN.iloc[:50], {"m": MUSCLE.iloc[50:]}, **NAMES)


def slow_interval(values, seed):
    """The percentile bootstrap of a mean, by gathering the drawn rows one draw at a time."""
    generator, n = np.random.default_rng(seed), len(values)
    draws = sorted(sum(values[i] for i in generator.integers(0, n, size=n)) / n for _ in range(2000))
    return np.quantile(draws, [0.025, 0.975])


def test_pooling_over_seeds_agrees_with_a_slow_oracle():
    generator = np.random.default_rng(5)
    old, plain, *seeds = (generator.random(40) < share for share in (0.6, 0.7, 0.75, 0.8, 0.7))
    shuffled = [table(flags).sample(frac=1, random_state=n) for n, flags in enumerate(seeds)]
    result = pool_seeds(table(old), table(plain), {"m": shuffled}, seed=7, **NAMES).set_index("strategy")
    row, count = result.loc["m"], len(seeds)
    right = [sum(bool(flags[i]) for flags in seeds) / count for i in range(40)]
    flips = [sum(bool(old[i] and not flags[i]) for flags in seeds) / count for i in range(40)]
    flips_before = [float(old[i] and not plain[i]) for i in range(40)]
    changes = [now - before for now, before in zip(flips, flips_before, strict=True)]
    for name, values in (("accuracy", right), ("nfr", flips), ("nfr_change", changes)):
        assert row[name] == pytest.approx(sum(values) / 40)
        assert row[[f"{name}_low", f"{name}_high"]].tolist() == pytest.approx(slow_interval(values, 7).tolist())
    by_seed = [sum(old & ~flags) / 40 for flags in seeds]
    assert row[["nfr_min", "nfr_max"]].tolist() == pytest.approx([min(by_seed), max(by_seed)])
    assert row["nfr_relative_change"] == pytest.approx(sum(changes) / sum(flips_before))
    assert row[["seeds", "n"]].tolist() == [3, 40]
    assert result.loc["plain", "seeds"] is None
    assert result.loc["plain", "nfr_change"] == 0


def test_one_seed_pooled_equals_the_row_of_that_variant():
    pooled = pool_seeds(OLD, PLAIN, {"m": [MUSCLE]}, **NAMES)
    alone = compare_strategies(OLD, PLAIN, {"m": MUSCLE}, **NAMES)
    shared = [name for name in pooled.columns if name in alone.columns]
    assert {"accuracy_low", "nfr_high", "nfr_change_low", "accuracy_change_high"} <= set(shared)
    pd.testing.assert_frame_equal(pooled[shared], alone[shared])
    old, plain, variant = scored([0.5, 0.5, 0.5]), scored([0.3, 0.9, 0.5]), scored([0.4, 0.8, 0.6])
    pooled, alone = (
        pool_seeds(old, plain, {"m": [variant]}, **NAMES),
        compare_strategies(old, plain, {"m": variant}, **NAMES),
    )
    shared = [name for name in pooled.columns if name in alone.columns]
    assert {"regression_low", "mean_change", "score_change_high"} <= set(shared)
    pd.testing.assert_frame_equal(pooled[shared], alone[shared])


def test_scores_are_pooled_sample_by_sample():
    old, plain = [0.5, 0.5, 0.5, 0.2], [0.3, 0.9, 0.5, 0.1]
    seeds = [[0.4, 0.8, 0.6, 0.1], [0.6, 0.2, 0.5, 0.3]]
    row = pool_seeds(scored(old), scored(plain), {"m": [scored(s) for s in seeds]}, **NAMES).iloc[1]
    lost = [sum(max(old[i] - s[i], 0) for s in seeds) / 2 for i in range(4)]
    change = [lost[i] - max(old[i] - plain[i], 0) for i in range(4)]
    assert row["regression"] == pytest.approx(sum(lost) / 4)
    assert row["regression_change"] == pytest.approx(sum(change) / 4)
    assert row[["regression_change_low", "regression_change_high"]].tolist() == pytest.approx(
        slow_interval(change, 0).tolist()
    )
    assert row["mean_score"] == pytest.approx((1.9 + 1.6) / 8)
    assert row[["mean_score_min", "mean_score_max"]].tolist() == pytest.approx([1.6 / 4, 1.9 / 4])


def test_seeds_are_pooled_on_the_samples_that_all_hold():
    row = pool_seeds(OLD, PLAIN, {"m": [MUSCLE, MUSCLE.iloc[50:]]}, **NAMES).iloc[1]
    assert row["n"] == 50
    # All seeds agree on every sample: two of the last 50 flip, with the interval of Wilson.
    assert row["nfr"] == pytest.approx(8 / 50)
    assert row["nfr_low"] == pytest.approx(rate(8, 50).low)


def test_what_cannot_be_pooled_is_refused():
    with pytest.raises(DataError, match="no seed to pool"):
        pool_seeds(OLD, PLAIN, {"m": []}, **NAMES)
    with pytest.raises(DataError, match="share no sample"):
        pool_seeds(OLD, PLAIN, {"m": [MUSCLE.iloc[:50], MUSCLE.iloc[50:]]}, **NAMES)
    with pytest.raises(DataError, match="its own name"):
        pool_seeds(OLD, PLAIN, {"plain": [MUSCLE]}, **NAMES)
