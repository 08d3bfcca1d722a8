import pytest

from muscle_core.errors import DataError
from muscle_core.interchange import ImportColumns, read_outputs, read_texts
from muscle_core.tasks import Sample, task_of

MATH, CHOICE, SUMMARY = task_of("math"), task_of("multiple_choice"), task_of("summarization")
GOLD = {"a": "1", "b": "2", "c": "3"}
PREDICTION = ImportColumns(prediction="prediction")


def placed(rows):
    return [(f"f.csv:{n}", row) for n, row in enumerate(rows, start=2)]


def outputs(rows, columns=PREDICTION, task=MATH, gold=GOLD, **options):
    choices = ("cat", "dog", "a bird") if task is CHOICE else ()
    samples = [Sample(identity, "test", "q", value, "t", choices) for identity, value in gold.items()]
    return read_outputs(task, placed(rows), columns, samples, **options)


def test_columns_are_mapped_by_name():
    columns = ImportColumns(id="key", prediction="guess", correct="ok", output="said")
    [row] = outputs([{"key": "a", "guess": "1", "ok": "0", "said": "It is 1", "other": 5}], columns)
    assert row["sample_id"] == "a"
    assert row["prediction"] == "1"
    assert row["correct"] is False  # the file's own verdict wins
    assert row["gold"] == "1"
    assert row["output"] == "It is 1"
    assert row["finish_reason"] == "imported"


def test_without_a_flag_the_prediction_is_compared_with_the_gold_answer():
    rows = outputs([{"id": "a", "prediction": "1"}, {"id": "b", "prediction": "5"}])
    assert [row["correct"] for row in rows] == [True, False]


@pytest.mark.parametrize("prediction", ["1234", 1234, 1234.0, "1,234", "1234.00", "$1,234"])
def test_a_number_is_compared_by_value_and_stored_as_the_gold_answer_is_written(prediction):
    [row] = outputs([{"id": "a", "prediction": prediction}], gold={"a": "1234"})
    assert (row["prediction"], row["correct"]) == ("1234", True)


@pytest.mark.parametrize("prediction", [1, "1", 1.0, " 1 ", "1.0", "B", "b", "dog", " dog "])
@pytest.mark.parametrize("columns", [PREDICTION, ImportColumns(output="prediction")])
def test_a_choice_may_be_named_by_index_letter_or_text(prediction, columns):
    rows = outputs([{"id": "a", "prediction": prediction}, {"id": "b", "prediction": prediction}], columns, CHOICE)
    assert [(row["prediction"], row["correct"]) for row in rows] == [("1", True), ("1", False)]


@pytest.mark.parametrize("prediction", [3, -1, "3", "D", "fish", 0.5, True])
def test_an_answer_that_is_none_of_the_choices_is_refused_with_its_row(prediction):
    with pytest.raises(DataError, match=r"f\.csv:2: the answer in 'prediction'"):
        outputs([{"id": "a", "prediction": prediction}], task=CHOICE)


@pytest.mark.parametrize("nothing", [None, "", float("nan")])
def test_a_missing_choice_is_no_answer(nothing):
    [row] = outputs([{"id": "a", "prediction": nothing}], task=CHOICE)
    assert (row["prediction"], row["correct"], row["finish_reason"]) == (None, None, "imported")


def test_a_prediction_that_is_no_number_is_kept_as_written():
    [row] = outputs([{"id": "b", "prediction": "1/2"}])
    assert (row["prediction"], row["correct"]) == ("1/2", False)


@pytest.mark.parametrize(
    ("flag", "correct"),
    [
        *[(1, True), (1.0, True), (True, True), ("1", True), ("true", True), (" Yes ", True)],
        *[(0, False), ("0", False), ("0.0", False), (False, False), ("FALSE", False), ("no", False)],
    ],
)
def test_correct_flags_are_read(flag, correct):
    columns = ImportColumns(prediction="prediction", correct="correct")
    assert outputs([{"id": "a", "prediction": "x", "correct": flag}], columns)[0]["correct"] is correct


@pytest.mark.parametrize("flag", ["maybe", "", None, 2, 0.5, "10"])
def test_a_flag_that_is_neither_right_nor_wrong_is_refused(flag):
    columns = ImportColumns(prediction="prediction", correct="correct")
    with pytest.raises(DataError, match=r"f\.csv:2: the value .* in 'correct' is neither right"):
        outputs([{"id": "a", "prediction": "x", "correct": flag}], columns)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([{"id": "z", "prediction": "1"}], r"f\.csv:2: the id 'z' is not in the dataset"),
        ([{"id": "a", "prediction": "1"}] * 2, r"f\.csv:3: the id 'a' was already used at f\.csv:2"),
        ([{"id": "a", "guess": "1"}], r"f\.csv:2: no column 'prediction'; the row has id, guess"),
        ([{"id": "a", "prediction": "1"}, {"id": "b"}], r"f\.csv:3: no column 'prediction'; the row has id"),
        ([{"key": "a", "prediction": "1"}], r"f\.csv:2: no value in the id column 'id'; the row has key, prediction"),
        ([{"id": "", "prediction": "1"}], "no value in the id column"),
        ([{"id": None, "prediction": "1"}], "no value in the id column"),
    ],
)
def test_rows_that_cannot_be_joined_are_refused(rows, words):
    with pytest.raises(DataError, match=words):
        outputs(rows)


def test_all_problems_are_reported_at_once():
    with pytest.raises(DataError, match=r"(?s)mine\.csv cannot be imported \(3 problems\).*'z'.*'y'.*no column"):
        outputs([{"id": "z", "prediction": 1}, {"id": "y", "prediction": 1}, {"id": "a"}], what="mine.csv")


def test_a_mapping_without_prediction_and_output_is_refused():
    with pytest.raises(DataError, match="name the column of the prediction or of the output text"):
        outputs([{"id": "a"}], ImportColumns())


def test_zero_is_an_id():
    assert outputs([{"id": 0, "prediction": "5"}], gold={"0": "5"})[0]["correct"] is True


@pytest.mark.parametrize("nothing", [None, "", "  ", float("nan")])
def test_a_null_prediction_is_no_answer_and_wrong(nothing):
    [row] = outputs([{"id": "a", "prediction": nothing}])
    assert (row["prediction"], row["correct"], row["finish_reason"]) == (None, False, "imported")


def test_texts_are_judged_by_the_task():
    columns = ImportColumns(output="text")
    rows = outputs(
        [{"id": "a", "text": "so #### 1.0"}, {"id": "b", "text": "#### 7"}, {"id": "c", "text": "who knows"}], columns
    )
    assert [row["prediction"] for row in rows] == ["1", "7", None]
    assert [row["correct"] for row in rows] == [True, False, False]
    assert {row["finish_reason"] for row in rows} == {"imported"}
    assert [row["output"] for row in rows] == ["so #### 1.0", "#### 7", "who knows"]


@pytest.mark.parametrize("nothing", [None, float("nan"), " "])
def test_a_null_text_is_no_answer_and_not_the_word_none(nothing):
    [row] = outputs([{"id": "a", "text": nothing}], ImportColumns(output="text"), SUMMARY, {"a": "none nan"})
    assert (row["prediction"], row["finish_reason"], row["rouge1"]) == (None, "imported", 0.0)


@pytest.mark.parametrize("columns", [ImportColumns(output="text"), ImportColumns(prediction="text")])
def test_summaries_get_their_scores_and_no_right_or_wrong(columns):
    [row] = outputs([{"id": "a", "text": "red dog"}], columns, SUMMARY, {"a": "red dog"})
    assert row["correct"] is None
    assert row["rouge1"] == row["rougeL"] == 1.0


def test_texts_of_a_second_file_are_joined_by_id():
    columns = ImportColumns(prediction="prediction", output="text")
    texts = read_texts(placed([{"id": "b", "text": "two"}, {"id": "a", "text": "one"}]), columns)
    rows = outputs([{"id": "a", "prediction": "1"}, {"id": "b", "prediction": "2"}], columns, texts=texts)
    assert [row["output"] for row in rows] == ["one", "two"]


def test_a_second_file_without_the_columns_is_refused():
    columns = ImportColumns(output="text")
    with pytest.raises(DataError, match=r"f\.csv:2: needs the columns 'id' and 'text', has id, said"):
        read_texts(placed([{"id": "a", "said": "x"}]), columns)
