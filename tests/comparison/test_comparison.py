import json
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from muscle_core.comparison import compare
from muscle_core.errors import ConfigError, DataError

NAMES = {"task_kind": "multiple_choice", "old_name": "v1", "new_name": "v2"}
rows = st.lists(
    st.tuples(st.sampled_from(["0", "1", "2", None]), st.sampled_from(["0", "1", "2", None])),
    min_size=1,
    max_size=40,
)


def table(predictions, gold="0", ids=None, **columns):
    """A prediction table; an answer is right if it equals `gold`."""
    ids = [f"s{index}" for index in range(len(predictions))] if ids is None else ids
    frame = {
        "sample_id": pd.Series(ids, dtype="str"),
        "prediction": pd.Series(predictions, dtype="str"),
        "correct": [prediction == gold for prediction in predictions],
    }
    return pd.DataFrame(frame | columns)


def scored(values, name="rouge1", ids=None):
    frame = table(["text"] * len(values), ids=ids).assign(correct=None)
    return frame.assign(**{name: values})


@given(rows, st.randoms())
@settings(max_examples=60, deadline=None)
def test_figures_follow_the_answers_whatever_the_row_order(pairs, random):
    old, new = table([a for a, _ in pairs]), table([b for _, b in pairs])
    order = list(range(len(pairs)))
    random.shuffle(order)
    result = compare(old, new.iloc[order], **NAMES)
    n = len(pairs)
    assert result.n == n
    assert result.nfr.numerator == sum(a == "0" and b != "0" for a, b in pairs)
    assert result.pfr.numerator == sum(a != "0" and b == "0" for a, b in pairs)
    assert result.nfr_mc.numerator == sum(b != "0" and a != b for a, b in pairs)
    assert result.counts.q3_same == sum(a == b != "0" for a, b in pairs)
    assert result.accuracy_new.value - result.accuracy_old.value == pytest.approx(
        result.pfr.value - result.nfr.value, abs=1e-12
    )
    assert result.samples["sample_id"].tolist() == old["sample_id"].tolist()
    assert result.samples["same_answer"].tolist() == [a == b for a, b in pairs]
    assert result.graded_differently == 0
    json.dumps(result.to_dict(), allow_nan=False)


def test_hand_case():
    old = table(["0", "0", "1", "1", "1", "0"], gold="0", margin=[0.5, 1, 2, 3, 4, 5.0])
    new = table(["0", "2", "0", "1", "2", "0"], gold="0", margin=[1.0] * 6)
    result = compare(old, new, **NAMES)
    assert result.counts == (2, 1, 2, 1, 1, 1)
    assert (result.accuracy_old.value, result.accuracy_new.value) == (0.5, 0.5)
    assert result.nfr.value == pytest.approx(1 / 6)
    assert result.nfr_mc.value == pytest.approx(2 / 6)
    assert result.btc.value == pytest.approx(2 / 3)
    assert result.bec.value == pytest.approx(2 / 3)
    assert result.inconsistency.value == 0.5
    assert result.relative_nfr == pytest.approx((1 / 6) / (0.5 * 0.5))
    assert result.mcnemar_p == 1.0
    assert result.samples["quadrant"].tolist() == ["Q1", "Q4", "Q2", "Q3", "Q3", "Q1"]
    assert result.samples["old_margin"].tolist() == [0.5, 1, 2, 3, 4, 5]
    assert list(result.samples["old_correct"]) == [True, True, False, False, False, True]
    assert set(result.rates) == {
        "accuracy_old",
        "accuracy_new",
        "nfr",
        "pfr",
        "nfr_mc",
        "btc",
        "bec",
        "inconsistency",
    }


def test_dictionary_form():
    result = compare(table(["0", "1", "0"]), table(["0", "0", "1"]), **NAMES).to_dict()
    assert result["old"], result["new"] == ("v1", "v2")
    assert result["n"] == 3
    assert result["nfr"] == pytest.approx(1 / 3)
    assert result["quadrants"] == {"q1": 1, "q2": 1, "q3": 0, "q3_same": 0, "q3_changed": 0, "q4": 1}
    assert set(result["intervals"]["nfr"]) == {"low", "high", "numerator", "denominator"}
    assert result["intervals"]["nfr"]["denominator"] == 3
    assert result["inconsistency"] is None
    assert result["intervals"]["inconsistency"] == {
        "numerator": 0,
        "denominator": 0,
        "low": None,
        "high": None,
    }
    assert result["join"]["matched"] == 3
    assert json.loads(json.dumps(result, allow_nan=False)) == result


def test_two_missing_answers_are_the_same_answer():
    result = compare(table([None, None]), table([None, "1"]), **NAMES)
    assert result.samples["same_answer"].tolist() == [True, False]
    assert (result.counts.q3_same, result.counts.q3_changed) == (1, 1)


def test_samples_without_a_verdict_are_counted_and_in_no_quadrant():
    old = table(["0", "0", "1"]).assign(correct=[True, None, False])
    new = table(["0", "1", "1"])
    result = compare(old, new, **NAMES)
    assert (result.n, result.unjudged, result.counts.n) == (3, 1, 2)
    assert result.samples["quadrant"].isna().tolist() == [False, True, False]
    assert result.to_dict()["unjudged"] == 1


def test_one_answer_graded_by_two_rules_is_shown():
    old, new = table(["1", "0"]), table(["1", "0"], gold="1")
    assert compare(old, new, **NAMES).graded_differently == 2


def test_one_version_run_twice_can_be_compared():
    result = compare(table(["0"]), table(["1"]), task_kind="math", old_name="v1", new_name="v1")
    assert result.nfr.value == 1.0


def test_continuous_task_has_scores_and_no_quadrants():
    old = scored([0.5, 0.2, 0.4]).assign(rouge2=[0.1, 0.1, 0.1], gold_loglikelihood=[-1.0, -2.0, -3.0])
    new = scored([0.1, 0.9], ids=["s2", "s0"]).assign(rouge2=[0.2, 0.2], gold_loglikelihood=[-1.0, -2.0])
    result = compare(old, new, task_kind="summarization", old_name="v1", new_name="v2", tau=0.35)
    assert result.counts is None
    assert result.nfr is None
    assert list(result.continuous) == ["rouge1", "rouge2"]
    assert result.score == "rouge1"
    assert result.samples["delta_rouge1"].tolist() == pytest.approx([0.4, -0.3])
    assert result.continuous["rouge1"].gain.value == pytest.approx(0.2)
    assert result.continuous["rouge1"].regression.value == pytest.approx(0.15)
    assert result.continuous["rouge1"].regression_rate.numerator == 0
    assert result.samples["quadrant"].isna().all()
    figures = result.to_dict()
    assert figures["quadrants"] is None
    assert figures["nfr"] is None
    assert figures["intervals"] == {}
    assert figures["continuous"]["rouge1"]["regression_rate"]["denominator"] == 2
    json.dumps(figures, allow_nan=False)


def test_exact_match_gives_a_continuous_task_quadrants_too():
    old = scored([0.5, 1.0]).assign(correct=[False, True])
    new = scored([0.4, 1.0]).assign(correct=[False, True])
    result = compare(old, new, **NAMES)
    assert result.counts.q1 == 1
    assert result.continuous["rouge1"].regression_rate.numerator == 1


def test_gaps_in_a_known_score_are_refused_and_in_another_column_reported():
    gap = scored([0.5, math.nan])
    with pytest.raises(DataError, match=r"'rouge1' is missing or infinite for 0 samples of v1 and 1 of v2.*'s1'"):
        compare(scored([0.1, 0.2]), gap, **NAMES)
    old = scored([0.1, 0.2]).assign(helpfulness=[0.5, math.nan])
    new = scored([0.1, 0.2]).assign(helpfulness=[0.5, 0.6])
    result = compare(old, new, **NAMES)
    assert result.incomplete_scores == ("helpfulness",)
    assert list(result.continuous) == ["rouge1"]
    with pytest.raises(DataError, match="'helpfulness' is missing"):
        compare(old, new, score="helpfulness", **NAMES)


def test_a_gap_of_a_sample_that_is_not_compared_does_not_matter():
    assert compare(scored([0.1, math.nan]), scored([0.2], ids=["s0"]), **NAMES).n == 1


def test_the_score_asked_for_leads_even_if_it_holds_whole_numbers():
    old = scored([0.1]).assign(grade=[3])
    new = scored([0.1]).assign(grade=[5])
    result = compare(old, new, score="grade", **NAMES)
    assert result.score == "grade"
    assert result.continuous["grade"].mean_change.value == 2
    with pytest.raises(ConfigError, match="'bleu' is not in both tables; they share these: rouge1"):
        compare(old, new, score="bleu", **NAMES)


def test_an_empty_score_column_is_no_score():
    old = table(["0"]).assign(rouge1=[math.nan])
    assert compare(old, old, **NAMES).continuous == {}


def test_nothing_to_compare_by_is_refused():
    blank = table(["0"]).assign(correct=None)
    with pytest.raises(DataError, match="none of them has a right or wrong"):
        compare(blank, blank, **NAMES)
    with pytest.raises(ConfigError, match="tau"):
        compare(table(["0"]), table(["0"]), tau=-1, **NAMES)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"prediction": [1.5, 2.0]}, "'prediction' of the v2 table must hold text"),
        ({"prediction": ["a", 1]}, "'prediction' of the v2 table mixes kinds"),
        ({"correct": ["yes", "no"]}, "'correct' of the v2 table must hold true, false or nothing"),
        ({"correct": [0.5, 1.0]}, "'correct' of the v2 table must hold true, false or nothing"),
        ({"rouge1": ["high", "low"]}, "'rouge1' of the v2 table must hold numbers"),
    ],
)
def test_columns_of_the_wrong_kind_are_refused(columns, message):
    old = table(["0", "1"]).assign(rouge1=[0.1, 0.2])
    new = table(["0", "1"]).assign(rouge1=[0.1, 0.2]).assign(**columns)
    with pytest.raises(DataError, match=message):
        compare(old, new, **NAMES)


def test_other_storage_of_the_same_values_gives_the_same_figures(tmp_path):
    plain = compare(table(["0", "1", None]), table(["1", "0", None]), **NAMES)
    old = table(["0", "1", None]).assign(correct=[1.0, 0.0, 0.0]).astype({"sample_id": "category"})
    new = table(["1", "0", None]).assign(correct=pd.array([False, True, False], dtype="boolean"))
    new["prediction"] = new["prediction"].astype(object).where(new["prediction"].notna(), None)
    assert compare(old, new, **NAMES).to_dict() == plain.to_dict()
    table(["0", "1", None]).to_parquet(tmp_path / "old.parquet")
    for backend in ("pyarrow", "numpy_nullable"):
        read = pd.read_parquet(tmp_path / "old.parquet", dtype_backend=backend)
        assert compare(read, new, **NAMES).to_dict() == plain.to_dict()


def test_whole_numbers_as_ids_and_answers_match_their_text():
    old = table(["0", "1"], ids=["0", "1"])
    new = old.assign(sample_id=np.arange(2), prediction=np.arange(2))
    result = compare(old, new, **NAMES)
    assert result.samples["same_answer"].all()


def test_input_tables_are_left_alone():
    old, new = table(["0", "1"]), table(["1", "0"])
    before = old.copy(), new.copy()
    compare(old, new, **NAMES)
    pd.testing.assert_frame_equal(old, before[0])
    pd.testing.assert_frame_equal(new, before[1])
