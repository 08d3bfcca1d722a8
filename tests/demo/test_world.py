"""The demo's world: the same rows always, no row in two splits, and gold answers that hold."""

import dataclasses
import hashlib
import json
import math
import re
import subprocess
import sys
from itertools import islice

import pytest

from muscle_core.demo import world
from muscle_core.demo.recipe import CORPORA, SPLIT_SIZES, TASKS
from muscle_core.demo.world import OBJECTS, SMALLEST_FACTOR, TRUTH, corpus, task_rows
from muscle_core.errors import ConfigError, DataError

SPLITS = ("train", "validation", "test")


def _digest(rows):
    return hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()


def _all(task):
    return [row for split in SPLITS for row in task_rows(task, split)]


@pytest.mark.parametrize("task", TASKS)
def test_sizes_and_unique_ids(task):
    rows = {split: task_rows(task, split) for split in SPLITS}
    assert {split: len(part) for split, part in rows.items()} == SPLIT_SIZES[task]
    ids = [row["id"] for part in rows.values() for row in part]
    assert len(set(ids)) == len(ids)


def test_rows_are_the_same_in_a_fresh_process_with_another_hash_seed():
    program = (
        "import hashlib, json; from muscle_core.demo.world import task_rows;"
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
            cwd=world.__file__.rsplit("/muscle_core/", 1)[0],
        )
        assert done.stdout.strip() == here


def test_rows_do_not_depend_on_the_order_of_the_calls():
    first = _digest(task_rows("math", "train"))
    world._all_rows.cache_clear()
    task_rows("dialogue", "validation")
    assert _digest(task_rows("math", "train")) == first


def test_a_caller_may_change_its_rows():
    task_rows("choice", "test")[0]["choices"].append("nothing")
    assert len(task_rows("choice", "test")[0]["choices"]) == 4


@pytest.mark.parametrize("task", TASKS)
def test_no_question_is_in_two_splits_or_twice_in_one(task):
    keys = [world._content_key(task, row) for row in _all(task)]
    assert len(set(keys)) == len(keys)
    texts = [row.get("question") or row["dialogue"] for row in _all(task)]
    assert len(set(texts)) == len(texts)


def test_choice_rows_have_the_right_shape_and_gold():
    meaning = {
        "heaviest": ("weight", max),
        "lightest": ("weight", min),
        "longest": ("length", max),
        "shortest": ("length", min),
        "costliest": ("price", max),
        "cheapest": ("price", min),
    }
    for row in _all("choice"):
        assert list(row) == ["id", "question", "choices", "answer", "attribute", "direction", "gap"]
        superlative, listed = re.fullmatch(r"Which is the (\w+): (.+)\?", row["question"]).groups()
        assert re.split(r", | or ", listed) == row["choices"]
        assert len(set(row["choices"])) == 4
        attribute, extreme = meaning[superlative]
        values = [TRUTH[attribute][choice.removeprefix("the ")] for choice in row["choices"]]
        assert row["answer"] == values.index(extreme(values))
        best, second = sorted(values, reverse=extreme is max)[:2]
        assert math.exp(abs(best - second)) >= SMALLEST_FACTOR - 1e-6
        assert row["attribute"] == attribute
        assert row["direction"] == ("most" if extreme is max else "least")
        assert row["gap"] in {"close", "medium", "wide"}


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


def test_math_gold_answers_hold():
    for row in _all("math"):
        assert list(row) == ["id", "question", "answer", "operation", "digits"]
        steps, final = row["answer"].split(" #### ")
        assert int(final) == _solve(row["question"]) >= 0
        equations = re.findall(r"(\d+) ([-+*]) (\d+) = (\d+)\.", steps)
        assert len(equations) == 2
        for left, sign, right, result in equations:
            outcome = {"+": int(left) + int(right), "-": int(left) - int(right), "*": int(left) * int(right)}
            assert outcome[sign] == int(result)
        assert equations[1][0] == equations[0][3]
        assert equations[1][3] == final
        assert row["digits"] == max(len(number) for number in re.findall(r"\d+", row["answer"]))


def test_dialogue_summaries_name_only_what_was_said():
    for row in _all("dialogue"):
        assert list(row) == ["id", "dialogue", "summary", "scene"]
        said = set(re.findall(r"[A-Z]\w+|\d+", row["dialogue"]))
        assert set(re.findall(r"[A-Z]\w+|\d+", row["summary"])) <= said
        said_objects = {name for name in OBJECTS if re.search(rf"\b{name}\b", row["dialogue"])}
        assert {name for name in OBJECTS if re.search(rf"\b{name}\b", row["summary"])} <= said_objects
        speakers = re.findall(r"(\w+):", row["dialogue"])
        assert len(set(speakers)) == 2
        assert len(speakers) in (3, 4)


def test_no_object_name_starts_another():
    # Else a choice's log-likelihood could never fall below that of the longer name.
    assert not [(one, two) for one in OBJECTS for two in OBJECTS if one != two and two.startswith(one)]
    assert all(all(math.isfinite(value) for value in values.values()) for values in TRUTH.values())


@pytest.mark.parametrize("version", CORPORA)
def test_corpora_are_deterministic_and_free_of_held_out_texts(version):
    short = dataclasses.replace(CORPORA[version], documents=3000)
    documents = list(corpus(short))
    assert documents == list(corpus(short))
    held_texts = {
        row.get("question") or row["dialogue"]
        for task in ("math", "dialogue")
        for split in ("validation", "test")
        for row in task_rows(task, split)
    }
    assert not [text for text in documents if any(text.startswith(held) for held in held_texts)]


def test_no_corpus_sentence_asks_a_held_out_comparison():
    held_out = {
        (row["question"].split(":")[0], frozenset(row["choices"]))
        for split in ("validation", "test")
        for row in task_rows("choice", split)
    }
    recipe = dataclasses.replace(CORPORA["v2"], documents=10_000, mix={"comparison": 1.0})
    asked = [
        (f"Which is the {superlative}", frozenset(re.split(r", | or | and ", listed)))
        for text in corpus(recipe)
        for listed, superlative in [
            *[(b, a) for a, b in re.findall(r"Which is the (\w+): ([^?]+)\?", text)],
            *re.findall(r"Of ([^.]+), the (\w+) is", text),
        ]
    ]
    assert len(asked) > 15_000
    assert not held_out.intersection(asked)


def test_the_two_corpora_differ():
    first = set(islice(corpus(CORPORA["v1"]), 2000))
    assert len(first & set(islice(corpus(CORPORA["v2"]), 2000))) < 20


def test_corpus_sums_slip_at_about_the_stated_rate():
    recipe = dataclasses.replace(CORPORA["v1"], documents=2000, sum_slips=0.1, mix={"sums": 1.0})
    checked = [
        {"+": int(one) + int(two), "-": int(one) - int(two), "*": int(one) * int(two)}[sign] == int(result)
        for text in corpus(recipe)
        for one, sign, two, result in re.findall(r"(\d+) ([-+*]) (\d+) = (\d+)\.", text)
    ]
    assert len(checked) == 8000
    assert 0.08 < checked.count(False) / len(checked) < 0.12


def test_authors_without_error_write_only_the_truth():
    recipe = dataclasses.replace(CORPORA["v1"], documents=500, judgement_error=0.0, mix={"comparison": 1.0})
    words = {
        "heavier": ("weight", 1),
        "lighter": ("weight", -1),
        "longer": ("length", 1),
        "shorter": ("length", -1),
        "costlier": ("price", 1),
        "cheaper": ("price", -1),
    }
    found = 0
    for text in corpus(recipe):
        for one, word, two in re.findall(r"The (\w+) is (\w+) than the (\w+)\.", text):
            attribute, sign = words[word]
            assert sign * (TRUTH[attribute][one] - TRUTH[attribute][two]) >= 0
            found += 1
    assert found > 200


@pytest.mark.parametrize(("task", "split"), [("choice", "dev"), ("piqa", "test"), ("", "")])
def test_unknown_task_or_split_is_refused_with_the_known_ones(task, split):
    with pytest.raises(DataError, match="choice: train, validation, test"):
        task_rows(task, split)


def test_unknown_kind_of_document_is_refused():
    with pytest.raises(ConfigError, match="riddle"):
        list(corpus(dataclasses.replace(CORPORA["v1"], documents=1, mix={"riddle": 1.0})))
