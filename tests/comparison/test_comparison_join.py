import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from muscle_core.comparison import JoinReport, compare
from muscle_core.errors import DataError

NAMES = {"task_kind": "math", "old_name": "v1", "new_name": "v2"}


def table(ids, gold=None, correct=True):
    frame = pd.DataFrame({"sample_id": pd.Series(ids, dtype="str")}).assign(prediction="1", correct=correct)
    return frame if gold is None else frame.assign(gold=gold)


ids = st.lists(st.sampled_from("abcdefgh"), max_size=12)


@given(ids, ids)
@settings(max_examples=80, deadline=None)
def test_every_id_is_accounted_for(old_ids, new_ids):
    everything = set(old_ids) | set(new_ids)
    once_old = {i for i in everything if old_ids.count(i) == 1}
    once_new = {i for i in everything if new_ids.count(i) == 1}
    expected = JoinReport(
        matched=len(once_old & once_new),
        only_old=len([i for i in once_old if i not in new_ids]),
        only_new=len([i for i in once_new if i not in old_ids]),
        duplicate_old=len([i for i in everything if old_ids.count(i) > 1]),
        duplicate_new=len([i for i in everything if new_ids.count(i) > 1]),
        conflicting=0,
    )
    if not expected.matched:
        with pytest.raises(DataError, match=r"compare again|same dataset"):
            compare(table(old_ids), table(new_ids), **NAMES)
        return
    result = compare(table(old_ids), table(new_ids), **NAMES)
    assert result.join == expected
    assert set(result.samples["sample_id"]) == once_old & once_new
    assert result.join.left_out == sum(expected) - expected.matched
    assert result.accuracy_new.denominator == expected.matched


def test_rows_are_paired_by_id_and_not_by_place():
    old = pd.DataFrame({"sample_id": ["a", "b", "c"], "prediction": ["1", "2", "3"], "correct": True})
    new = pd.DataFrame({"sample_id": ["c", "x", "a"], "prediction": ["3", "9", "1"], "correct": False})
    samples = compare(old, new, **NAMES).samples
    assert samples["sample_id"].tolist() == ["a", "c"]
    assert samples["old_prediction"].tolist() == samples["new_prediction"].tolist() == ["1", "3"]


def test_samples_with_another_right_answer_are_left_out_and_counted():
    old = table(["a", "b", "c", "d"], gold=["1", "2", None, "4"])
    new = table(["d", "c", "b", "a"], gold=["4", "3", "5", "1"])
    result = compare(old, new, **NAMES)
    assert result.join == JoinReport(3, 0, 0, 0, 0, 1)
    # A right answer that only one table names is no conflict, and is kept.
    assert result.samples.set_index("sample_id")["gold"].to_dict() == {"a": "1", "c": "3", "d": "4"}


def test_gold_in_one_table_only_is_kept():
    assert compare(table(["a"]), table(["a"], gold=["7"]), **NAMES).samples["gold"].tolist() == ["7"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (table([]), table(["a"]), "predictions of v1 hold no row; evaluate that version"),
        (table(["a"]), table([]), "predictions of v2 hold no row"),
        (table(["a"]), table(["b"]), "no sample is in both v1 and v2.*'a' and 'b'.*same dataset and split"),
        (table(["a", "a"]), table(["a"]), "1 and 0 occur more than once"),
        (table(["a"], gold=["1"]), table(["a"], gold=["2"]), "not the right answer"),
        (table(["a", None]), table(["a"]), "1 rows of v1 have no sample_id, the first is row 2"),
        (table(["a"]).drop(columns="prediction"), table(["a"]), "v1 has no column prediction; its columns are"),
    ],
)
def test_tables_that_cannot_be_joined_say_what_to_do(old, new, message):
    with pytest.raises(DataError, match=message):
        compare(old, new, **NAMES)


def test_all_missing_columns_are_named_at_once():
    with pytest.raises(DataError, match=r"2 problems.*\n.*v1 has no column sample_id.*\n.*v2 has no column"):
        compare(pd.DataFrame({"id": [1]}), pd.DataFrame(), **NAMES)


def test_a_column_given_twice_is_refused():
    twice = pd.concat([table(["a"]), table(["a"])[["prediction"]]], axis=1)
    with pytest.raises(DataError, match="more than one column called prediction"):
        compare(twice, table(["a"]), **NAMES)
