import pytest

from muscle_core.tasks import task_of

TASK = task_of("instruction")


@pytest.mark.parametrize(
    ("row", "text", "gold"),
    [
        ({"instruction": "Name a fruit."}, "Name a fruit.", ""),
        ({"instruction": "Name a fruit.", "output": "Pear."}, "Name a fruit.", "Pear."),
        ({"instruction": "Translate.", "input": "Hund", "output": "dog"}, "Translate.\nHund", "dog"),
        ({"instruction": "Name a fruit.", "input": "", "output": "Pear."}, "Name a fruit.", "Pear."),
        ({"prompt": "Hello", "response": "Hi"}, "Hello", "Hi"),
        ({"question": "Why?", "answer": "So."}, "Why?", "So."),
        ({"question": "Why?", "reference": "So.", "answer": ""}, "Why?", "So."),
        ({"input": "Hello"}, "Hello", ""),
    ],
)
def test_original_field_names_are_read_and_a_reference_is_kept_where_there_is_one(row, text, gold):
    parsed = TASK.parse_row(row)
    assert (parsed.input, parsed.gold, parsed.target, parsed.choices) == (text, gold, gold, ())
    assert parsed.metadata == {}


def test_other_fields_become_metadata():
    parsed = TASK.parse_row({"instruction": "i", "output": " o ", "dataset": "koala", "answer": "second"})
    assert (parsed.gold, parsed.target) == (" o ", "o")
    assert parsed.metadata == {"dataset": "koala", "answer": "second"}


@pytest.mark.parametrize("row", [{}, {"output": "o"}, {"instruction": " "}, {"prompt": 5}])
def test_a_row_without_instruction_is_refused(row):
    with pytest.raises(ValueError, match="no instruction"):
        TASK.parse_row(row)


@pytest.mark.parametrize(("output", "prediction"), [(" a \n b ", "a b"), (" \n", None), ("", None)])
def test_an_answer_is_neither_right_nor_wrong(output, prediction):
    judgement = TASK.judge(output, "gold")
    assert (judgement.prediction, judgement.correct, judgement.scores) == (prediction, None, {})
