from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muscle_core.tasks import task_of
from muscle_core.tasks.math import extract_number, normalise_number

TASK = task_of("math")


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1,234", "1234"),
        ("1,234,567.50", "1234567.5"),
        ("$5.00", "5"),
        ("€1,000", "1000"),
        ("£2", "2"),
        ("-$3", "-3"),
        ("$-3", "-3"),
        ("-3", "-3"),
        ("+7", "7"),
        ("-0", "0"),
        ("-0.00", "0"),
        (".5", "0.5"),
        ("-.5", "-0.5"),
        ("0.50", "0.5"),
        ("50%", "50"),
        ("12.", "12"),
        ("100", "100"),
        ("1000000", "1000000"),
        (" 42 ", "42"),
        ("007", "7"),
        ("", None),
        ("abc", None),
        ("1/2", None),
        ("nan", None),
        ("inf", None),
        ("-", None),
        ("1.2.3", None),
    ],
)
def test_numbers_are_normalised(text, number):
    assert normalise_number(text) == number


@given(st.integers(-(10**12), 10**12), st.integers(0, 4))
def test_commas_currency_and_trailing_zeros_never_change_a_number(value, zeros):
    plain = normalise_number(str(value))
    decorated = f"{value:,}" + ("." + "0" * zeros if zeros else "")
    assert normalise_number(decorated) == plain == str(value)
    assert normalise_number("$" + decorated) == plain


@given(st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-(10**9), max_value=10**9))
def test_normalising_keeps_the_value_and_is_idempotent(value):
    once = normalise_number(f"{value:f}")
    assert Decimal(once) == value
    assert normalise_number(once) == once


@pytest.mark.parametrize(
    ("output", "number"),
    [
        ("2+2 = 4\n#### 4", "4"),
        ("#### 3\nwait\n#### 1,234", "1234"),
        ("so 5 of 7\n#### $1,234.50", "1234.5"),
        ("#### -$3", "-3"),
        ("#### 42 apples of 50", "42"),
        ("#### 1,234.", "1234"),
        ("text with 7\n####", None),
        ("text with 7\n#### none", None),
        ("The answer is 42", "42"),
        ("The answer is 42.", "42"),
        ("first 5, then 6, done", "6"),
        ("she lost -$12", "-12"),
        ("temperature: -5", "-5"),
        ("5-3=2", "2"),
        ("a range of 10-15", "15"),
        ("that is 10 - 15", "15"),
        ("about .5", "0.5"),
        ("75%", "75"),
        ("no digits", None),
        ("", None),
    ],
)
def test_the_final_number_is_extracted(output, number):
    assert extract_number(output) == number


def test_gsm8k_fields_are_read_and_calculation_marks_removed_from_the_target():
    row = {
        "question": "How many?",
        "answer": "She has 1000+234=<<1000+234=1234>>1,234 eggs.\n#### 1,234",
        "source_row": 7,
    }
    parsed = TASK.parse_row(row)
    assert (parsed.input, parsed.gold) == ("How many?", "1234")
    assert parsed.target == "She has 1000+234=1,234 eggs.\n#### 1,234"
    assert parsed.metadata == {"source_row": 7}
    assert TASK.judge(parsed.target, parsed.gold).correct is True


@pytest.mark.parametrize(("answer", "target"), [(42, "#### 42"), ("42", "#### 42"), ("It is 42", "It is 42 #### 42")])
def test_a_gold_answer_without_mark_gets_one_in_the_target(answer, target):
    parsed = TASK.parse_row({"problem": "q", "gold": answer})
    assert (parsed.gold, parsed.target) == ("42", target)


def test_a_gold_answer_of_zero_is_an_answer():
    assert TASK.parse_row({"question": "q", "answer": 0}).gold == "0"


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"question": "q"}, "no gold answer"),
        ({"question": "q", "answer": ""}, "no gold answer"),
        ({"question": "q", "answer": "many"}, "no number in the gold answer 'many'"),
        ({"question": "q", "answer": True}, "no number"),
        ({"question": "  ", "answer": "1"}, "no question"),
        ({"answer": "1"}, "no question"),
    ],
)
def test_unusable_rows_are_refused_with_the_reason(row, words):
    with pytest.raises(ValueError, match=words):
        TASK.parse_row(row)


@pytest.mark.parametrize(
    ("output", "prediction", "correct"),
    [("#### 18.00", "18", True), ("#### 19", "19", False), ("I do not know", None, False)],
)
def test_judging_is_exact_match_of_the_final_number(output, prediction, correct):
    judgement = TASK.judge(output, "18")
    assert (judgement.prediction, judgement.correct, judgement.scores) == (prediction, correct, {})


@pytest.mark.parametrize(
    ("output", "number"),
    [
        ("2+2 = 4\n#### 4", "4"),
        ("#### 1,234.50 more 7", "1234.5"),
        ("#### $18", "18"),
        ("#### -3", "-3"),
        ("####5", "5"),
        ("#### 3\nwait\n#### 4", "3"),  # the official evaluation searches from the front
        ("#### none\n#### 4", "4"),
        ("#### the answer is 5", None),
        ("The answer is 42", None),
        ("####", None),
        ("", None),
    ],
)
def test_strict_scoring_takes_only_a_number_straight_after_the_mark(output, number):
    judgement = TASK.judge(output, "4", "strict")
    assert (judgement.prediction, judgement.correct) == (number, number == "4")


@pytest.mark.parametrize("text", ["1e9999999", "1e-9999999", "-1e999999", "1e1001"])
def test_an_absurd_exponent_is_no_number(text):
    assert normalise_number(text) is None
