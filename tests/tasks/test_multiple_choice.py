import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from muscle_core.datasets import read_rows
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


HELLASWAG = {
    "ind": 24,
    "activity_label": "Baking bread",
    "ctx_a": "[header] How to bake [title] Knead the dough.",
    "ctx_b": "the baker",
    "ctx": "[header] How to bake [title] Knead the dough. the baker",
    "endings": ["waits [substeps] an hour.", "[step] sleeps."],
    "split": "val",
    "label": "1",
}


def test_raw_hellaswag_rows_are_put_together_as_lm_evaluation_harness_does():
    parsed = TASK.parse_row(HELLASWAG)
    # Its own rule, step by step: " [title]" becomes ". ", brackets go, two spaces become one.
    assert parsed.input == "Baking bread: How to bake. Knead the dough. The baker"
    assert (parsed.choices, parsed.gold) == (("waits an hour.", " sleeps."), "1")
    assert parsed.metadata == {"ind": 24, "activity_label": "Baking bread"}


@pytest.mark.parametrize("nothing", ["", None, float("nan")])
def test_a_raw_hellaswag_row_may_lack_the_second_part_of_its_context(nothing):
    assert TASK.parse_row({**HELLASWAG, "ctx_a": "He sits.", "ctx_b": nothing}).input == "Baking bread: He sits."


def test_a_ready_query_wins_over_the_raw_fields_of_hellaswag():
    parsed = TASK.parse_row({**HELLASWAG, "query": "Ready [text]"})
    assert (parsed.input, parsed.choices) == ("Ready [text]", tuple(HELLASWAG["endings"]))


ARC = {
    "question": "Which is a gas?",
    "choices": {"text": ["ice", "steam", "rock", "sand"], "label": ["A", "B", "C", "D"]},
    "answerKey": "B",
}
NUMBERED = {**ARC, "choices": {**ARC["choices"], "label": ["1", "2", "3", "4"]}}
COMMONSENSE = {
    "question": "Where do fish live?",
    "question_concept": "fish",
    "choices": {"label": ["A", "B", "C", "D", "E"], "text": ["tree", "sky", "sea", "sand", "attic"]},
    "answerKey": "C",
}


@pytest.mark.parametrize(
    ("row", "gold", "target"),
    [
        (ARC, "1", "steam"),
        (NUMBERED | {"answerKey": "1"}, "0", "ice"),
        (NUMBERED | {"answerKey": "4"}, "3", "sand"),
        (NUMBERED | {"answerKey": 2}, "1", "steam"),
        (NUMBERED | {"answerKey": np.int64(2)}, "1", "steam"),
        (COMMONSENSE, "2", "sea"),
        ({"question": "Which?", "choices": ["red", "green", "blue"], "answerKey": "C"}, "2", "blue"),
    ],
)
def test_the_answer_key_of_arc_and_commonsenseqa_is_looked_up_among_the_labels(row, gold, target):
    parsed = TASK.parse_row(row)
    assert (parsed.gold, parsed.target) == (gold, target)
    assert parsed.metadata == ({"question_concept": "fish"} if row is COMMONSENSE else {})


@pytest.mark.parametrize("row", [ARC, COMMONSENSE])
def test_the_same_row_is_read_from_every_form_it_is_published_in(row, tmp_path):
    labels, texts = row["choices"]["label"], row["choices"]["text"]
    pairs = [{"label": label, "text": text} for label, text in zip(labels, texts, strict=True)]
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "d.parquet")
    header = ",".join(row)
    cells = ",".join('"' + json.dumps(v).strip('"').replace('"', '""') + '"' for v in row.values())
    (tmp_path / "d.csv").write_text(f"{header}\n{cells}\n")
    [(_, of_parquet)], [(_, of_csv)] = read_rows(tmp_path / "d.parquet"), read_rows(tmp_path / "d.csv")
    of_pandas = pd.read_parquet(tmp_path / "d.parquet").iloc[0].to_dict()
    assert isinstance(of_pandas["choices"]["text"], np.ndarray)
    rest = {key: value for key, value in row.items() if key not in ("question", "choices")}
    forms = [
        of_parquet,
        of_csv,
        of_pandas,
        {**row, "choices": pairs},
        {**row, "choices": np.array(pairs)},
        {**rest, "question": {"stem": row["question"], "choices": pairs}},
    ]
    assert [TASK.parse_row(form) for form in forms] == [TASK.parse_row(row)] * len(forms)


def test_an_array_of_endings_and_a_numpy_label_are_read():
    row = {"query": "He", "endings": np.array(["a", "b"], dtype=object), "label": np.int64(1)}
    assert TASK.parse_row(row).gold == "1"


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (ARC | {"answerKey": "E"}, "answerKey 'E' is none of the labels A, B, C, D"),
        (NUMBERED | {"answerKey": "0"}, "answerKey '0' is none of the labels 1, 2, 3, 4"),
        (NUMBERED | {"answerKey": "A"}, "answerKey 'A' is none of the labels"),
        (ARC | {"answerKey": ""}, "no gold answer"),
        ({**PLAIN, "answer": None, "answerKey": "1"}, "the choices have no labels to look it up in"),
        (ARC | {"choices": {"text": ["a", "b"]}}, "must hold the lists text and label, but holds text"),
        (ARC | {"choices": {}}, "but holds nothing"),
        (ARC | {"choices": {"text": ["a", "b"], "label": ["A"]}}, "each of 2 texts, got A"),
        (ARC | {"choices": {"text": ["a", "b"], "label": ["A", "A"]}}, "each of 2 texts, got A, A"),
        (ARC | {"choices": {"text": ["a", None], "label": ["A", "B"]}}, "not a text"),
        (ARC | {"choices": [{"text": "a"}, {"text": "b"}]}, "got None, None"),
        (ARC | {"question": {"choices": []}}, "no question"),
    ],
)
def test_unusable_labelled_choices_are_refused_with_the_reason(row, words):
    with pytest.raises(ValueError, match=words):
        TASK.parse_row(row)


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
        ({"answer": True}, "True is neither"),
        ({"answer": False}, "False is neither"),
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
