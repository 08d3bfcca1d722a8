import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from muscle_core.tasks.classification import Classification, distinct_labels, label_index, label_names_problem

NAMES = ("negative", "positive")
TASK = Classification(NAMES)
ROW = {"text": "Lovely film.", "label": 1}


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ({"text": "One."}, "One."),
        ({"sentence": "One."}, "One."),
        ({"input": "One."}, "One."),
        ({"question": "One?"}, "One?"),
        ({"premise": "It rains.", "hypothesis": "It is wet."}, "It rains.\nIt is wet."),
        ({"sentence1": "It rains.", "sentence2": "It is wet."}, "It rains.\nIt is wet."),
        ({"question1": "Why?", "question2": "How?"}, "Why?\nHow?"),
        ({"question": "Why?", "sentence": "So."}, "Why?\nSo."),
        ({"text": "One.", "premise": "", "hypothesis": None}, "One."),
    ],
)
def test_texts_and_pairs_of_texts_are_read(row, text):
    parsed = TASK.parse_row({**row, "label": 0})
    assert parsed.input == text
    assert set(parsed.metadata) == ({"premise", "hypothesis"} if "text" in row and len(row) > 1 else set())


@pytest.mark.parametrize("label", [1, "1", 1.0, "1.0", "positive", " positive ", np.int64(1)])
def test_a_label_is_an_index_or_a_name(label):
    parsed = TASK.parse_row({**ROW, "label": label})
    assert (parsed.gold, parsed.target, parsed.choices) == ("1", "positive", NAMES)


@pytest.mark.parametrize("field", ["labels", "label_names", "choices"])
@pytest.mark.parametrize("names", [list(NAMES), NAMES, np.array(NAMES)])
def test_a_row_may_bring_the_names(field, names):
    parsed = Classification().parse_row({**ROW, field: names, "topic": "film"})
    assert (parsed.target, parsed.choices, parsed.metadata) == ("positive", NAMES, {"topic": "film"})


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"label": 1}, "no text .*premise and hypothesis"),
        ({"premise": "It rains.", "label": 1}, "no text"),
        ({"text": "t"}, "no label"),
        (ROW | {"label": float("nan")}, "no label"),
        (ROW | {"label": " "}, "no label"),
        (ROW | {"label": 2}, "the label 2 is neither an index from 0 to 1 nor"),
        (ROW | {"label": -1}, "the label -1 is neither"),
        (ROW | {"label": "neutral"}, "the label 'neutral' is neither"),
        (ROW | {"label": "B"}, "the label 'B' is neither"),  # letters name choices, not labels
        (ROW | {"label": True}, "the label True is neither"),
        (ROW | {"labels": ["positive", "negative"]}, "but the labels of the dataset are"),
        (ROW | {"labels": "negative,positive"}, "labels must be a list of label names, got 'negative,positive'"),
    ],
)
def test_unusable_rows_are_refused_with_the_reason(row, words):
    with pytest.raises(ValueError, match=words):
        TASK.parse_row(row)


@pytest.mark.parametrize("label", [0, 1.0, "1", np.int64(0)])
def test_a_number_without_names_is_refused_with_what_to_do(label):
    with pytest.raises(ValueError, match=r"is a number, and nothing says what it stands for; name the labels"):
        Classification().parse_row({**ROW, "label": label})


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ((), "at least 2 labels, got none"),
        (("good",), "at least 2 labels, got 'good'"),
        (("good", " "), "empty"),
        (("good", 5), "not a text: 'good', 5"),
        (("good", "bad", " good"), "named twice"),
        (("good", "bad"), None),
    ],
)
def test_problems_of_label_names_are_said(names, words):
    problem = label_names_problem(names)
    assert problem is None if words is None else words in problem


def test_names_of_digits_are_never_mistaken_for_indices():
    stars = ("1", "2", "3")
    assert label_index("2", stars) == 1
    assert label_index(0, ("0", "1")) == 0
    for unclear in (2, 2.0, "2.0"):
        with pytest.raises(ValueError, match="may be an index or a name"):
            label_index(unclear, stars)


@given(st.lists(st.text(min_size=1).filter(str.strip), min_size=2, max_size=40, unique_by=str.strip), st.data())
def test_every_name_is_found_again(names, data):
    index = data.draw(st.integers(0, len(names) - 1))
    assert label_index(names[index], names) == index


def test_distinct_labels_are_sorted_names_of_rows_that_bring_none():
    rows = [
        *({"label": label} for label in ("b", "a ", "c", "a", "", 1, "2", None)),
        {"label": "own", "labels": ["own", "other"]},
    ]
    assert distinct_labels(rows) == ("a", "b", "c")
    assert distinct_labels(reversed(rows)) == ("a", "b", "c")


def test_judging_compares_indices():
    assert TASK.judge("1", "1").correct is True
    assert TASK.judge("0", "1").correct is False
