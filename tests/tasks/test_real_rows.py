"""Extraction and scores on the real data sets (MUSCLE_REAL_DATA)."""

import csv
import json
import re
from decimal import Decimal

import pytest
from rouge_score.rouge_scorer import RougeScorer

from muscle_core.tasks import task_of
from muscle_core.tasks.summarization import ROUGE_NAMES

pytestmark = pytest.mark.real

# The models of this log answer in JSON: {"reasoning": …, "answer": …}. scores.csv takes the first number of the field
# "answer", and none where the field is missing (SOURCE.md of gsm8k_zeroeval_matrix). This project knows no such field:
# it takes the last number of the text. That is another number on these rows only: (file, row) -> (scores.csv, here).
NO_ANSWER_FIELD = {  # cut off in an endless calculation: the last number of it counts here
    ("new", 8): ("", "-45"),
    ("new", 213): ("", "500"),
    ("new", 357): ("", "1"),
    ("new", 979): ("", "2"),
    ("new", 1258): ("", "6"),
}
TEXT_AFTER_THE_JSON = {("old", 1048): ("14400", "9867.52")}  # a correction after the JSON object counts here
SEVERAL_NUMBERS_IN_THE_FIELD = {  # the first there, the last here: "86, 42", "2:10 pm", "1,360 - … = 1,218", …
    ("old", 753): ("86", "42"),
    ("old", 1001): ("2", "10"),
    ("old", 1285): ("1360", "1218"),
    ("new", 753): ("86", "42"),
    ("new", 906): ("4", "6"),
    ("new", 1001): ("2", "0"),
}
FRACTION = {  # divided there; here the number below the line
    ("old", 504): ("0.6666666666666666", "3"),
    ("old", 999): ("0.6666666666666666", "3"),
    ("new", 815): ("2.857142857142857", "7"),
}
# Of all these rows, the verdict differs on three: (file, row) -> (right by scores.csv, right here).
OTHER_VERDICT = {("old", 1001): (True, False), ("old", 1285): (False, True), ("new", 1001): (True, False)}


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_numbers_extracted_from_real_outputs_are_those_of_the_published_scores(real_data):
    folder = real_data / "gsm8k_llama3_8b_to_3.1_8b"
    with (folder / "scores.csv").open(encoding="utf-8", newline="") as file:
        published = {row["id"]: row for row in csv.DictReader(file)}
    answers, verdicts, judged = {}, {}, 0
    for side in ("old", "new"):
        for row in lines(folder / f"{side}.jsonl"):
            scores, place = published[row["id"]], (side, int(row["id"].partition("#")[2]))
            judgement = task_of("math").judge(row["output"], scores["gold"])
            judged += 1
            if (judgement.prediction or "") != scores[f"{side}_answer"]:
                answers[place] = (scores[f"{side}_answer"], judgement.prediction)
            if judgement.correct != (scores[f"{side}_correct"] == "1"):
                verdicts[place] = (scores[f"{side}_correct"] == "1", judgement.correct)
    assert judged == 2 * 1319
    assert answers == NO_ANSWER_FIELD | TEXT_AFTER_THE_JSON | SEVERAL_NUMBERS_IN_THE_FIELD | FRACTION
    assert verdicts == OTHER_VERDICT


def test_gold_numbers_of_gsm8k_are_those_of_its_own_evaluation(real_data):
    task, rows = task_of("math"), [row for n in ("train", "test") for row in lines(real_data / "gsm8k" / f"{n}.jsonl")]
    assert len(rows) == 3319
    for row in rows:
        # grade_school_math/dataset.py: the first such text, without commas.
        official = re.search(r"#### (\-?[0-9\.\,]+)", row["answer"]).group(1).replace(",", "")
        gold = task.parse_row(row).gold
        assert Decimal(gold) == Decimal(official), row["question"]
        assert task.judge(row["answer"], gold, "strict").correct


def test_rouge_on_real_summaries_is_that_of_the_rouge_score_package(real_data):
    expected = RougeScorer(list(ROUGE_NAMES), use_stemmer=True)
    task, rows = task_of("summarization"), lines(real_data / "dialogsum" / "test.jsonl")
    assert len(rows) == 500
    for row in rows:
        gold = task.parse_row(row).gold
        assert gold == row["summary1"]
        for output in (row["summary2"], row["summary3"], row["dialogue"].partition("\n")[0]):
            scores = task.judge(output, gold).scores
            wanted = expected.score(target=gold, prediction=output)
            assert set(scores) == set(ROUGE_NAMES)
            assert all(abs(scores[name] - wanted[name].fmeasure) <= 1e-12 for name in ROUGE_NAMES), row["fname"]
