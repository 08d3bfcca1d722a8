"""What is read in a generated text besides the extracted answer."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from muscle_core.comparison.answers_in_text import (
    false_equation,
    is_open,
    last_sentence,
    letter_in,
    markers_in,
    numbers_in,
    overlap,
    steps_of,
)


@pytest.mark.parametrize(
    "text",
    [
        "5 + 3 = 8",
        "The total is 33 * 15 = 495 students.",
        "$1,090 + $157 = $1,247.",
        "2000 x 52 = $104,000",
        "It is 100 ÷ 8 = 12.5",
        "3 × 4 − 2 = 10",
        "50% - 25% = 25%",
        "(32 / 96) * 100 = 33.33%",
        "20% * 50 = 10",
        "100 / 3 = 33",  # rounded down
        "16 / 3 = 6 pizzas",  # rounded up
        "33.33 * 3 = 100",
        "5400 + 10000 = 15400 and 15400 - 400 = 15000",
        "3 + 4 = 7 = 14 / 2",
        "x + 40 - 8 = 72",  # the sum begins in letters
        "1 + 1 + unknown + 1.5 + 2 = 5.5",
        "40000 - 30% of 40000 = 40000 - 12000 = 28000",
        "Subtracting 12 gives 2y = 18 - 6x",
        "8 packs * $4 per pack = $32",  # units in between: not read
        "C = S + 12 = 9 + 12 = 21",
        "at 10:30 - 11:45 = 2 hours",
        "from 2010-2015 = five years",
        "4 / 0 = 3",
        "007 + 1 = 8",
        "20 (Ophelia's sofas) + 22 (chairs) = 42",
        "= = = 3 =",
        "",
    ],
)
def test_what_holds_or_cannot_be_read_is_no_false_equation(text: str) -> None:
    assert false_equation(text) is None


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("the time is 60 + 57 + 54 + 51 = 162 seconds", "60 + 57 + 54 + 51 = 162"),
        ("a week is 495 * $15 = $7350.", "495 * 15 = 7350"),
        ("which is (40 - 20) / 4 = 10 pupils", "(40 - 20) / 4 = 10"),
        ("Total = €1090 (computer) + €157 (scanner) = €1300", "1090 + 157 = 1300"),
        ("5 + 3 = 8. Then 8 + 3 = 12.", "8 + 3 = 12"),
        ("3 + 4 = 2 * 4", "3 + 4 = 2 * 4"),
        ("2 + (2 * 1.5) = 7", "2 + (2 * 1.5) = 7"),
        ("100 / 3 = 35", "100 / 3 = 35"),
    ],
)
def test_an_equation_that_does_not_hold_is_found(text: str, found: str) -> None:
    assert false_equation(text) == found


@given(st.lists(st.integers(0, 999), min_size=2, max_size=5), st.integers(-5, 5))
def test_a_sum_is_false_exactly_where_it_is_wrong(terms: list[int], off: int) -> None:
    # A plain whole number may be off by less than one unit: 0 here.
    claimed = sum(terms) + off
    assume(claimed >= 0)
    text = f"so {' + '.join(map(str, terms))} = {claimed} in all"
    assert (false_equation(text) is not None) == (off != 0)


@given(st.integers(1, 500), st.integers(1, 500), st.integers(0, 3))
def test_a_quotient_may_be_rounded_up_or_down(first: int, second: int, decimals: int) -> None:
    exact = Fraction(first, second)
    unit = Fraction(1, 10**decimals)
    down = (exact // unit) * unit
    for claimed in {down, down if down == exact else down + unit}:
        assert false_equation(f"{first} / {second} = {float(claimed):.{decimals}f}") is None


@given(st.text(alphabet="0123456789+-*/=().%x $", max_size=80))
def test_any_text_is_read_without_an_error(text: str) -> None:
    false_equation(text)
    numbers_in(text)
    steps_of(text, set(), None)


def test_a_marked_answer_is_found_by_each_mark() -> None:
    assert markers_in("so it is 5.\n#### 18") == {"####": "18"}
    assert markers_in('{"reasoning": "no", "answer": "18"}') == {'"answer":': '"18"'}
    assert markers_in(r"thus \boxed{18}.") == {"\\boxed": "18"}
    assert markers_in("The answer is 3.\nNo, the answer is 18.") == {"answer is": "18."}
    assert markers_in("She has 18.") == {}


def test_numbers_are_canonical() -> None:
    assert numbers_in("$1,234.50 and -3, 20% of .5, 7.") == ["1234.5", "-3", "20", "0.5", "7"]


def test_steps_leave_out_the_question_the_answer_and_the_numbers_of_steps() -> None:
    text = "## Step 1: double\n2 * 8 = 16\n2. add\n16 + 5 = 21\nStep 3 is the end: 21"
    assert steps_of(text, {"8", "2"}, "21") == {"16", "5"}


def test_the_last_sentence_with_a_number() -> None:
    assert last_sentence("It costs 3.50 a day. So 7 in all! Good.") == "So 7 in all!"
    assert last_sentence("none at all") == ""


@pytest.mark.parametrize(
    ("tail", "letter"), [("(B) because", "B"), ("B", "B"), ("**C**.", "C"), ("Because", None), ("A's", None)]
)
def test_a_letter_stands_alone(tail: str, letter: str | None) -> None:
    assert letter_in(tail) == letter


def test_overlap_is_jaccard_and_open_braces_are_counted() -> None:
    assert overlap(set(), set()) == 1.0
    assert overlap({"a", "b"}, {"b", "c"}) == pytest.approx(1 / 3)
    assert is_open('{"a": 1')
    assert not is_open('{"a": 1}')
