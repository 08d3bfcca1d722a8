import math

import numpy as np
import pandas as pd
import pytest

from muscle_core.comparison import compare_strategies
from muscle_core.errors import DataError

NAMES = {"task_kind": "multiple_choice", "old_name": "v1", "new_name": "plain"}


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
