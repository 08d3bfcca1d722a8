import pytest
from hypothesis import given
from hypothesis import strategies as st

from muscle_core.tasks import task_of

TASK = task_of("multiple_choice")
PLAIN = {"question": "Which?", "choices": ["red", "green", "blue"], "answer": 2}


@pytest.mark.parametrize(
    ("row", "text", "choices", "gold"),
    [
        ({"goal": "Open it", "sol1": "pull", "sol2": "push", "label": 1}, "Open it", ("pull", "push"), "1"),
        ({"goal": "Open it", "sol1": "pull", "sol2": "push", "label": "0"}, "Open it", ("pull", "push"), "0"),
        ({"query": "He", "endings": ["a", "b", "c", "d"], "label": "3"}, "He", ("a", "b", "c", "d"), "3"),
        ({"ctx": "He", "endings": ("a", "b"), "label": 0}, "He", ("a", "b"), "0"),
        (PLAIN, "Which?", ("red", "green", "blue"), "2"),
        ({**PLAIN, "answer": "B"}, "Which?", ("red", "green", "blue"), "1"),
        ({**PLAIN, "answer": "b"}, "Which?", ("red", "green", "blue"), "1"),
        ({**PLAIN, "answer": "green"}, "Which?", ("red", "green", "blue"), "1"),
        ({**PLAIN, "answer": " green "}, "Which?", ("red", "green", "blue"), "1"),
        ({**PLAIN, "answer": 2.0}, "Which?", ("red", "green", "blue"), "2"),
    ],
)
def test_original_field_names_and_gold_forms_are_read(row, text, choices, gold):
    parsed = TASK.parse_row(row)
    assert (parsed.input, parsed.choices, parsed.gold) == (text, choices, gold)
    assert parsed.target == choices[int(gold)]
    assert parsed.metadata == {}


def test_gold_text_matches_a_choice_that_has_outer_spaces():
    assert TASK.parse_row({"question": "q", "choices": [" dog", " cat"], "answer": " cat"}).gold == "1"


def test_digits_in_answer_are_a_choice_text_first_but_in_label_always_an_index():
    choices = ["1", "0"]
    assert TASK.parse_row({"question": "q", "choices": choices, "answer": "0"}).gold == "1"
    assert TASK.parse_row({"question": "q", "choices": choices, "label": "0"}).gold == "0"


def test_other_fields_become_metadata_without_id_and_split():
    row = {**PLAIN, "id": "x", "split": "test", "topic": "colours", "hard": True}
    assert TASK.parse_row(row).metadata == {"topic": "colours", "hard": True}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"answer": None}, "no gold answer"),
        ({"answer": 3}, "index from 0 to 2"),
        ({"answer": -1}, "index from 0 to 2"),
        ({"answer": "-1"}, "index from 0 to 2"),
        ({"answer": "--1"}, "nor the text of a choice"),
        ({"answer": "²"}, "nor the text of a choice"),
        ({"answer": "D"}, "'D' is neither"),
        ({"answer": 1.5}, "1.5 is neither"),
        ({"answer": float("nan")}, "nan is neither"),
        ({"answer": True}, "got True"),
        ({"answer": False}, "got False"),
        ({"answer": [1]}, "is neither"),
        ({"choices": ["red"]}, "2 to 26 choices, got 1"),
        ({"choices": [str(i) for i in range(27)]}, "got 27"),
        ({"choices": None}, "got 0"),
        ({"choices": ["red", " ", "blue"]}, "a choice is empty"),
        ({"choices": ["red", None, "blue"]}, "a choice is empty"),
        ({"choices": ["red", 5, "blue"]}, "not a text"),
        ({"question": ""}, "no question"),
        ({"question": 5}, "no question"),
    ],
)
def test_unusable_rows_are_refused_with_the_reason(change, words):
    with pytest.raises(ValueError, match=words):
        TASK.parse_row({**PLAIN, **change})


@given(st.lists(st.text(min_size=1).filter(str.strip), min_size=2, max_size=6), st.data())
def test_an_integer_gold_answer_always_names_its_own_choice(choices, data):
    index = data.draw(st.integers(0, len(choices) - 1))
    parsed = TASK.parse_row({"question": "q", "choices": choices, "answer": index})
    assert parsed.gold == str(index)
    assert parsed.target == choices[index]


def test_judging_compares_indices():
    assert TASK.judge("1", "1").correct is True
    assert TASK.judge("0", "1").correct is False
    assert TASK.judge("0", "1").prediction == "0"
