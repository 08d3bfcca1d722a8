"""What is marked as shared is exactly what the rouge-score package counts."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer
from rouge_score.tokenizers import DefaultTokenizer

from muscle_core.tasks.math import extract_marked_number, extract_number, normalise_number, number_place
from muscle_core.tasks.shared_words import MOST_CELLS, rouge_words, shared_words
from muscle_core.tasks.summarization import ROUGE_NAMES

SCORER, TOKENIZER = RougeScorer(list(ROUGE_NAMES), use_stemmer=True), DefaultTokenizer(use_stemmer=True)
# Few words, so that they repeat; some that lower-casing lengthens, that are stemmed, and that hold no letter of a word.
TEXTS = st.one_of(
    st.lists(st.sampled_from(["the", "cat", "cats", "running", "runs", "a", "İstanbul", "Σας", "42", "-", "b's"])).map(
        " ".join
    ),
    st.text(max_size=40),
)


def check(answer: str, reference: str) -> None:
    expected = SCORER.score(reference, answer)
    for name in ROUGE_NAMES:
        found = shared_words(answer, reference, name)
        assert found is not None
        assert found.precision == pytest.approx(expected[name].precision, abs=1e-12)
        assert found.recall == pytest.approx(expected[name].recall, abs=1e-12)
        assert found.f1 == pytest.approx(expected[name].fmeasure, abs=1e-12)
        for text, spans in ((answer, found.answer), (reference, found.reference)):
            words = rouge_words(text)
            inside = [[w.stem for w in words if start <= w.start and w.end <= end] for start, end in spans]
            # Every place begins and ends with a word, and the figures can be counted from the places alone.
            assert all(
                any(w.start == start for w in words) and any(w.end == end for w in words) for start, end in spans
            )
            counted = sum(len(stems) - (name == "rouge2") for stems in inside)
            assert counted == found.shared
            assert all(first[1] <= second[0] for first, second in pairwise(spans))
        if name == "rougeL":
            stems = [
                [w.stem for start, end in spans for w in rouge_words(text) if (w.start, w.end) == (start, end)]
                for text, spans in ((answer, found.answer), (reference, found.reference))
            ]
            assert stems[0] == stems[1]


@given(TEXTS, TEXTS)
@settings(max_examples=300)
def test_precision_recall_and_f1_of_the_marks_are_those_of_rouge_score(answer: str, reference: str) -> None:
    check(answer, reference)


@given(TEXTS)
@settings(max_examples=300)
def test_words_are_those_of_rouge_score_and_stand_where_they_are_said_to(text: str) -> None:
    words = rouge_words(text)
    assert [word.stem for word in words] == TOKENIZER.tokenize(text)
    assert all(0 <= word.start < word.end <= len(text) for word in words)
    assert all(first.end <= second.start or first.end - second.start == 1 for first, second in pairwise(words))


@pytest.mark.real
def test_the_marks_are_those_of_real_summaries(real_data: Path) -> None:
    lines = (real_data / "dialogsum" / "test.jsonl").read_text().splitlines()[:300]
    rows = [json.loads(line) for line in lines]
    assert len(rows) == 300
    for row in rows:
        check(row["summary2"], row["summary1"])


def test_a_word_is_counted_as_often_as_both_have_it() -> None:
    found = shared_words("the the the cat", "the cat and the dog", "rouge1")
    assert (found.shared, found.of_answer, found.of_reference) == (3, 4, 5)
    assert found.answer == [(0, 3), (4, 7), (12, 15)]
    pairs = shared_words("a black cat sat", "one black cat sat here", "rouge2")
    assert (pairs.shared, pairs.answer, pairs.reference) == (2, [(2, 15)], [(4, 17)])


def test_what_cannot_be_marked_is_said() -> None:
    long = "word " * (int(MOST_CELLS**0.5) + 1)
    assert shared_words(long, long, "rougeL") is None
    assert shared_words(long, long, "rouge1").f1 == 1.0
    with pytest.raises(ValueError, match="no score 'rouge9'; known: rouge1, rouge2, rougeL"):
        shared_words("a", "a", "rouge9")


@given(st.text(alphabet="0123456789.,-+$# ab\n", max_size=40))
def test_the_number_stands_where_it_is_said_to(text: str) -> None:
    for scoring, extract in (("", extract_number), ("strict", extract_marked_number)):
        place = number_place(text, scoring)
        assert extract(text) == (None if place is None else normalise_number(text[slice(*place)]))
    if (place := number_place(text)) and "####" not in text:
        assert not any(sign.isdigit() for sign in text[place[1] :])


def test_the_number_after_the_last_mark_counts() -> None:
    assert number_place("3 + 4 = 7 #### 7 and 8") == (15, 16)
    assert number_place("3 + 4 = $1,007") == (8, 14)
    assert number_place("#### none") is None
