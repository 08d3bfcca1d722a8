"""Causes of negative flips: each rule where it applies and where not, the order, the counts."""

from __future__ import annotations

import math

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from muscle_core.comparison.causes import cause_table, find_causes, rules
from muscle_core.errors import ConfigError, DataError
from muscle_core.metrics import rate

CHOICES = ["a red bird", "a blue fish", "a green tree"]


def flip(**known: object) -> dict[str, object]:
    row = {
        "input": "Tom has 3 cats and 5 dogs. How many animals?",
        "gold": "8",
        "old_prediction": "8",
        "new_prediction": "9",
        "old_output": "3 + 5 = 8\n#### 8",
        "new_output": "Counting them all gives 9\n#### 9",
        "new_finish_reason": "stop",
    }
    return row | known


def choice(**known: object) -> dict[str, object]:
    row = {"gold": "0", "old_prediction": "0", "new_prediction": "1", "choices": CHOICES, "target": CHOICES[0]}
    return {"old_output": CHOICES[0], "new_output": CHOICES[1], "new_finish_reason": "choice"} | row | known


def cause_of(**row: object) -> str:
    return find_causes(pd.DataFrame([row]))["cause"].iloc[0]


@pytest.mark.parametrize(
    ("row", "cause"),
    [
        (flip(new_output="3 and 5 are", new_finish_reason="length", new_prediction="5"), "truncated"),
        (flip(new_output="3 and 5 are", new_finish_reason="max_tokens", new_prediction=None), "truncated"),
        (flip(new_output='{"reasoning": "3 and', new_finish_reason="imported", new_prediction="3"), "truncated"),
        # The end was reached, or the answer was given before the limit: not the cause.
        (flip(new_output='{"reasoning": "3 and', new_finish_reason="stop", new_prediction=None), "no answer extracted"),
        (flip(new_output="9\n#### 9\nQuestion: What", new_finish_reason="length"), "different reasoning"),
        (flip(new_output="The answer is 8 (in 2 kinds).", new_prediction="2"), "format changed"),
        (flip(new_output="So he has 8 animals of 2 kinds.", new_prediction="2"), "format changed"),
        (flip(new_output='{"answer": "9, 8"}'), "format changed"),
        (flip(new_output="It is 9. The answer is 9, since 8 is one short."), "different reasoning"),
        (flip(new_output='{"answer": {"cats": 3, "dogs": 5}}', new_prediction="5"), "format changed"),
        # Without a mark in the old output, the last sentence proves nothing.
        (flip(old_output="3 + 5 = 8", new_output="Of 8 he has 2.", new_prediction="2"), "different reasoning"),
        (flip(new_output="I do not know.", new_prediction=None), "no answer extracted"),
        (flip(new_output="3 + 5 = 9\n#### 9"), "wrong calculation"),
        (flip(new_output="3 + 5 = 8, and the owner makes 9\n#### 9"), "went past the answer"),
        (flip(new_output="We count all of them.\n#### 9"), "answer not worked out"),
        # Nor did the old one work it out: no change.
        (flip(old_output="7, 6\n#### 8", new_output="7, 6, 5\n#### 9"), "other"),
        # 8 is in the question: that it occurs says nothing.
        (
            flip(input="8 cats", gold="8", old_output="7 is 6", new_output="2 * 4 = 8, then 7 and 9\n#### 9"),
            "different reasoning",
        ),
        (flip(old_output="7, 6\n#### 8", new_output="7, 6\n#### 9"), "other"),
        (flip(old_output="8", new_output="9"), "not known"),
        (flip(old_output=None, new_output=None), "not known"),
        (flip(old_output=None, new_output=None, new_prediction=None), "no answer extracted"),
        (choice(new_margin=-0.02, old_margin=0.5), "near tie"),
        (choice(new_margin=-0.1, old_margin=0.01), "clear preference"),
        (choice(), "not known"),
        (choice(new_output="Surely. The answer is (A), not (B).", new_finish_reason="stop"), "format changed"),
        (choice(new_output="It must be a red bird, of course", new_finish_reason="stop"), "format changed"),
        (
            choice(
                old_output="I think of a red bird.", new_output="A red bird or a blue fish?", new_finish_reason="stop"
            ),
            "different reasoning",
        ),
    ],
)
def test_each_rule_where_it_applies(row: dict[str, object], cause: str) -> None:
    assert cause_of(**row) == cause


def test_the_rule_and_what_was_seen_are_kept_beside_the_cause() -> None:
    found = find_causes(pd.DataFrame([choice(new_margin=-0.02, old_margin=0.5)]), near_tie=0.25, unit="nats a byte")
    assert found.loc[0, "cause_rule"] == "The new version prefers a wrong choice, but by less than 0.25 nats a byte."
    assert found.loc[0, "cause_evidence"] == "margin -0.020 nats a byte, old +0.500"
    assert find_causes(pd.DataFrame([flip(new_output="3 + 5 = 9\n#### 9")])).loc[0, "cause_evidence"] == "3 + 5 = 9"


def test_every_cause_has_a_rule_of_its_own() -> None:
    listed = rules()
    assert len({rule.cause for rule in listed}) == len({rule.text for rule in listed}) == len(listed)


def test_the_threshold_of_a_near_tie_is_an_option() -> None:
    rows = pd.DataFrame([choice(new_margin=-margin) for margin in (0.0, 0.1, 0.2, 0.3)])
    for limit in (0.0, 0.1, 0.15, 0.3, 5.0):
        expected = ["near tie" if margin < limit else "clear preference" for margin in (0.0, 0.1, 0.2, 0.3)]
        assert list(find_causes(rows, near_tie=limit)["cause"]) == expected


def test_the_index_of_the_flips_is_kept_and_none_are_no_problem() -> None:
    rows = pd.DataFrame([flip(), choice(new_margin=-0.5)], index=[17, 4])
    assert list(find_causes(rows).index) == [17, 4]
    empty = find_causes(rows.iloc[:0])
    assert list(empty.columns) == ["cause", "cause_rule", "cause_evidence"]
    assert cause_table(empty).empty


@pytest.mark.parametrize(
    "option", [{"near_tie": -1}, {"near_tie": math.nan}, {"similarity": 1.5}, {"similarity": -0.1}]
)
def test_thresholds_that_cannot_be_are_refused(option: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="it is"):
        find_causes(pd.DataFrame([flip()]), **option)


def test_a_missing_column_is_named() -> None:
    with pytest.raises(DataError, match="new_prediction"):
        find_causes(pd.DataFrame({"gold": ["1"]}))


texts = st.one_of(st.none(), st.text(max_size=40), st.sampled_from(["3 + 5 = 9", "#### 8", "the answer is 8", "{"]))


@given(st.lists(st.tuples(texts, texts, st.sampled_from([None, "9", ""]), st.sampled_from(["stop", "length", None]))))
@settings(max_examples=60, deadline=None)
def test_every_flip_gets_one_cause_whatever_the_texts_and_whatever_their_order(rows: list[tuple]) -> None:
    names = ["old_output", "new_output", "new_prediction", "new_finish_reason"]
    frame = pd.DataFrame([flip(**dict(zip(names, row, strict=True))) for row in rows])
    if frame.empty:
        return
    found = find_causes(frame)
    assert set(found["cause"]) <= {rule.cause for rule in rules()}
    assert found.notna().all(axis=None)
    turned = find_causes(frame.iloc[::-1])
    assert turned.sort_index().equals(found)


@given(st.lists(st.sampled_from(["near tie", "truncated", "other", None]), max_size=30))
@settings(deadline=None)
def test_the_table_counts_as_a_slow_count_does(causes: list[str | None]) -> None:
    frame = pd.DataFrame({"cause": pd.array(causes, dtype="str"), "cause_rule": pd.array(causes, dtype="str")})
    table = cause_table(frame)
    flips = [cause for cause in causes if cause is not None]
    assert table["flips"].sum() == len(flips)
    assert list(table["flips"]) == sorted(table["flips"], reverse=True)
    for row in table.to_dict("records"):
        expected = rate(flips.count(row["cause"]), len(flips))
        assert (row["flips"], row["of"], row["share"], row["low"], row["high"]) == (
            expected.numerator,
            expected.denominator,
            expected.value,
            expected.low,
            expected.high,
        )
