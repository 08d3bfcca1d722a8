"""The demo's rows: the same always, none in two splits, gold answers as people with small misjudgements write them."""

import hashlib
import json
import re
import subprocess
import sys

import pytest

from muscle_core.demo import rows
from muscle_core.demo.recipe import SPLIT_SIZES, TASKS
from muscle_core.demo.rows import task_rows
from muscle_core.demo.world import OBJECTS, TRUTH
from muscle_core.errors import DataError

SPLITS = ("train", "validation", "test")
MOST = {"heav": "weight", "long": "length", "costl": "price"}
LEAST = {"light": "weight", "short": "length", "cheap": "price"}


def _asked(word):
    """Attribute and direction of a comparative or superlative."""
    return next(
        (attribute, upwards)
        for stems, upwards in ((MOST, True), (LEAST, False))
        for stem, attribute in stems.items()
        if word.startswith(stem)
    )


def _digest(rows):
    return hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()


def _all(task):
    return [row for split in SPLITS for row in task_rows(task, split)]


@pytest.mark.parametrize("task", TASKS)
def test_sizes_and_unique_ids(task):
    parts = {split: task_rows(task, split) for split in SPLITS}
    assert {split: len(part) for split, part in parts.items()} == SPLIT_SIZES[task]
    ids = [row["id"] for part in parts.values() for row in part]
    assert len(set(ids)) == len(ids)


def test_rows_are_the_same_in_a_fresh_process_with_another_hash_seed():
    program = (
        "import hashlib, json; from muscle_core.demo.rows import task_rows;"
        "rows = [task_rows(task, 'test') for task in ('choice', 'math', 'dialogue')];"
        "print(hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest())"
    )
    here = _digest([task_rows(task, "test") for task in TASKS])
    for hash_seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": hash_seed, "PYTHONPATH": "."},
            cwd=rows.__file__.rsplit("/muscle_core/", 1)[0],
        )
        assert done.stdout.strip() == here


def test_rows_do_not_depend_on_the_order_of_the_calls():
    first = _digest(task_rows("math", "train"))
    rows._all_rows.cache_clear()
    task_rows("dialogue", "validation")
    assert _digest(task_rows("math", "train")) == first


def test_a_caller_may_change_its_rows():
    task_rows("choice", "test")[0]["choices"].append("nothing")
    assert len(task_rows("choice", "test")[0]["choices"]) == 4


@pytest.mark.parametrize("task", TASKS)
def test_no_question_is_in_two_splits_or_twice_in_one(task):
    keys = [rows.content_key(task, row) for row in _all(task)]
    assert len(set(keys)) == len(keys)
    texts = [row.get("question") or row["dialogue"] for row in _all(task)]
    assert len(set(texts)) == len(texts)


def test_choice_rows_have_the_right_shape_and_their_gold_is_mostly_true():
    wrong = {"close": [], "medium": [], "wide": []}
    for row in _all("choice"):
        assert list(row) == ["id", "question", "choices", "answer", "attribute", "direction", "gap"]
        superlative, listed = re.fullmatch(r"Which is the (\w+): (.+)\?", row["question"]).groups()
        assert re.split(r", | or ", listed) == row["choices"]
        assert len(set(row["choices"])) == 4
        attribute, upwards = _asked(superlative)
        values = [TRUTH[attribute][choice.removeprefix("the ")] for choice in row["choices"]]
        wrong[row["gap"]].append(row["answer"] != values.index((max if upwards else min)(values)))
        assert row["attribute"] == attribute
        assert row["direction"] == ("most" if upwards else "least")
    shares = {gap: sum(found) / len(found) for gap, found in wrong.items()}
    assert 0.2 < shares["close"] < 0.45
    assert shares["wide"] < shares["medium"] < shares["close"]
    assert shares["wide"] < 0.1


def test_every_position_of_the_gold_choice_is_about_as_frequent():
    answers = [row["answer"] for row in _all("choice")]
    assert all(abs(answers.count(position) / len(answers) - 0.25) < 0.03 for position in range(4))


def _solve(question):
    """Solves a word problem from its words alone."""
    numbers = [int(number) for number in re.findall(r"\d+", question)]
    one, two, three = numbers
    if "gives" in question and "more, then" in question:
        return one + two + three
    if "and finds" in question:
        return one + two - three
    if "sold" in question:
        return one - two + three
    if "single" in question:
        return one * two + three
    assert "boxes of" in question
    return one * two - three


def test_word_problems_with_numbers_alone_are_solved_right():
    found = [row for row in _all("math") if row["operation"] != "choose, add"]
    assert len(found) > 1500
    for row in found:
        steps, final = row["answer"].split(" #### ")
        assert int(final) == _solve(row["question"]) >= 0
        equations = re.findall(r"(\d+) ([-+*]) (\d+) = (\d+)\.", steps)
        assert len(equations) == 2
        for left, sign, right, result in equations:
            outcome = {"+": int(left) + int(right), "-": int(left) - int(right), "*": int(left) * int(right)}
            assert outcome[sign] == int(result)
        assert equations[1][0] == equations[0][3]
        assert equations[1][3] == final


def test_word_problems_that_need_objects_follow_the_choice_that_they_state():
    found = [row for row in _all("math") if row["operation"] == "choose, add"]
    mistaken = 0
    for row in found:
        word, one, two = re.search(r"buys the (\w+) one of the (\w+) and the (\w+)\.", row["question"]).groups()
        price = dict(re.findall(r"he (\w+) costs (\d+)", row["question"]))
        bag = int(re.search(r"a bag costs (\d+) more", row["question"])[1])
        taken, stated, left = re.match(r"The (\w+) is (\w+) than the (\w+)\. ", row["answer"]).groups()
        assert {taken, left} == {one, two}
        assert stated == word
        total = int(price[taken]) + bag
        assert row["answer"].endswith(f". {price[taken]} + {bag} = {total}. #### {total}")
        assert price[one] != price[two]  # else both choices would be right
        attribute, upwards = _asked(word)
        mistaken += (TRUTH[attribute][taken] > TRUTH[attribute][left]) != upwards
    assert 0.4 < len(found) / len(_all("math")) < 0.6
    assert 0.05 < mistaken / len(found) < 0.25


def test_digits_are_those_of_the_largest_number():
    for row in _all("math"):
        assert list(row) == ["id", "question", "answer", "operation", "digits"]
        assert row["digits"] == max(len(number) for number in re.findall(r"\d+", row["answer"]))


def test_summaries_name_only_what_was_said_and_each_writer_has_a_way_of_their_own():
    writers = {}
    for row in _all("dialogue"):
        assert list(row) == ["id", "dialogue", "summary", "scene", "writer"]
        said = set(re.findall(r"[A-Z]\w+|\d+", row["dialogue"])) | {"The", "On"}
        assert set(re.findall(r"[A-Z]\w+|\d+", row["summary"])) <= said
        said_objects = {name for name in OBJECTS if re.search(rf"\b{name}\b", row["dialogue"])}
        assert {name for name in OBJECTS if re.search(rf"\b{name}\b", row["summary"])} <= said_objects
        speakers = re.findall(r"(\w+):", row["dialogue"])
        assert len(set(speakers)) == 2
        assert len(speakers) in (3, 4)
        words = set(re.findall(r"\b[a-z]{3,}\b", row["summary"]))
        key = (row["scene"], row["writer"])
        writers[key] = writers.get(key, words) & words
    assert len(writers) == 15
    assert len({frozenset(common) for common in writers.values()}) == 15
    counts = [sum(row["writer"] == writer for row in _all("dialogue")) for writer in ("first", "second", "third")]
    assert min(counts) > 0.3 * sum(counts)


@pytest.mark.parametrize(("task", "split"), [("choice", "dev"), ("piqa", "test"), ("", "")])
def test_unknown_task_or_split_is_refused_with_the_known_ones(task, split):
    with pytest.raises(DataError, match="choice: train, validation, test"):
        task_rows(task, split)
