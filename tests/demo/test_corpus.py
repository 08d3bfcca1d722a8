"""What the bases read: the same texts always, no held-out question among them, slips at the stated rate."""

import dataclasses
import re
from itertools import islice

import pytest

from muscle_core.demo.corpus import corpus
from muscle_core.demo.recipe import CORPORA
from muscle_core.demo.rows import task_rows
from muscle_core.demo.world import TRUTH
from muscle_core.errors import ConfigError


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


def test_unknown_kind_of_document_is_refused():
    with pytest.raises(ConfigError, match="riddle"):
        list(corpus(dataclasses.replace(CORPORA["v1"], documents=1, mix={"riddle": 1.0})))
