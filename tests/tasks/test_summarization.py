import pytest
from rouge_score.rouge_scorer import RougeScorer

from muscle_core.tasks import task_of

TASK = task_of("summarization")


@pytest.mark.parametrize(
    ("row", "text", "gold"),
    [
        ({"dialogue": "A: hi", "summary": "A greets."}, "A: hi", "A greets."),
        ({"article": "Long.", "highlights": "Short."}, "Long.", "Short."),
        ({"dialogue": "A: hi", "summary1": "One.", "summary2": "Two."}, "A: hi", "One."),
    ],
)
def test_original_field_names_are_read(row, text, gold):
    parsed = TASK.parse_row(row)
    assert (parsed.input, parsed.gold, parsed.target) == (text, gold, gold)


def test_further_references_are_kept_as_metadata():
    parsed = TASK.parse_row({"dialogue": "A: hi", "summary1": "One.", "summary2": "Two.", "topic": "t"})
    assert parsed.metadata == {"summary2": "Two.", "topic": "t"}


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"dialogue": "A: hi"}, "no gold summary"),
        ({"dialogue": "A: hi", "summary": " "}, "no gold summary"),
        ({"summary": "s"}, "no text to summarise"),
    ],
)
def test_unusable_rows_are_refused_with_the_reason(row, words):
    with pytest.raises(ValueError, match=words):
        TASK.parse_row(row)


@pytest.mark.parametrize(
    ("output", "gold"),
    [
        ("Tom runs home to his houses", "Tom ran to the house and is home"),
        ("the cat sat on the mat", "on the mat the cat sat"),
        ("", "something"),
        ("nothing shared here", "Tom went away"),
        ("Same words.", "same words"),
        ("line one\nline two", "line two line one"),
    ],
)
def test_rouge_is_identical_to_the_rouge_score_package(output, gold):
    expected = RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=True).score(target=gold, prediction=output)
    judgement = TASK.judge(output, gold)
    assert judgement.scores == {name: value.fmeasure for name, value in expected.items()}
    assert judgement.correct is None


def test_rouge_of_a_hand_computed_example():
    # 4 words against 2; 2 shared: precision 1/2, recall 1.
    scores = TASK.judge("red dog big cat", "red dog").scores
    assert scores["rouge1"] == pytest.approx(2 / 3)
    assert scores["rouge2"] == pytest.approx(2 * (1 / 3) / (4 / 3))
    assert scores["rougeL"] == pytest.approx(2 / 3)


def test_an_empty_output_is_no_answer_and_spaces_are_collapsed():
    assert TASK.judge(" \n ", "gold").prediction is None
    assert TASK.judge(" a \n b ", "gold").prediction == "a b"
