"""Which words of an answer its ROUGE score counts: the places in both texts, to be marked for a reader.

The words are those of the rouge-score package with stemming, so that precision, recall and F1 of what is marked are
exactly the scores (Lin 2004; tested against the package). What the marks do not tell: where a word occurs more often in
one text than in the other, the score only counts how often both have it; the first ones are marked. Of several longest
common subsequences one is marked.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from muscle_core.tasks.summarization import ROUGE_NAMES

Span = tuple[int, int]
MOST_CELLS = 16_000_000  # of the table of ROUGE-L: 64 MB
_WORD = re.compile(r"[a-z0-9]+")
_LONGEST_UNSTEMMED = 3


class Word(NamedTuple):
    """One word as ROUGE sees it, and where it stands in the text."""

    stem: str
    start: int
    end: int


class SharedWords(NamedTuple):
    """What an answer and a reference share.

    Attributes:
        answer: places (start, end) in the answer that are counted; a run of shared pairs is one place.
        reference: the same in the reference.
        shared: words (ROUGE-1, ROUGE-L) or pairs of neighbouring words (ROUGE-2) that both have.
        of_answer: all of the answer.
        of_reference: all of the reference.
    """

    answer: list[Span]
    reference: list[Span]
    shared: int
    of_answer: int
    of_reference: int

    @property
    def precision(self) -> float:
        """Share of the answer that the reference has; 0 where the answer has no words."""
        return self.shared / max(self.of_answer, 1)

    @property
    def recall(self) -> float:
        """Share of the reference that the answer has; 0 where the reference has no words."""
        return self.shared / max(self.of_reference, 1)

    @property
    def f1(self) -> float:
        """Harmonic mean of both: the score."""
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total else 0.0


@lru_cache(maxsize=1)
def _stem() -> Callable[[str], str]:
    # Imported late: nltk takes a second, and only ROUGE needs it.
    from nltk.stem.porter import PorterStemmer

    return lru_cache(maxsize=50_000)(PorterStemmer().stem)


def rouge_words(text: str) -> list[Word]:
    """The words of a text as the rouge-score package finds them, with their places."""
    # Letter by letter: lower-casing may lengthen a text, and the places must be those of the text itself.
    lowered = [letter.lower() for letter in text]
    places = [index for index, letters in enumerate(lowered) for _ in letters]
    words = []
    for match in _WORD.finditer("".join(lowered)):
        word = match.group()
        stem = str(_stem()(word)) if len(word) > _LONGEST_UNSTEMMED else word
        if _WORD.fullmatch(stem):
            words.append(Word(stem, places[match.start()], places[match.end() - 1] + 1))
    return words


def shared_words(answer: str, reference: str, score: str) -> SharedWords | None:
    """Find what a ROUGE score counts.

    Args:
        answer: text of a model.
        reference: text that it is held against.
        score: "rouge1", "rouge2" or "rougeL".

    Returns:
        What both share; None where both are so long that the table of ROUGE-L would not fit into memory.

    Raises:
        ValueError: there is no such score.
    """
    if score not in ROUGE_NAMES:
        raise ValueError(f"no score {score!r}; known: {', '.join(ROUGE_NAMES)}")
    own, wanted = rouge_words(answer), rouge_words(reference)
    stems, wanted_stems = [word.stem for word in own], [word.stem for word in wanted]
    if score == "rougeL":
        if len(own) * len(wanted) > MOST_CELLS:
            return None
        pairs = _common_subsequence(stems, wanted_stems)
        first, second = [i for i, _ in pairs], [j for _, j in pairs]
        return SharedWords(_places(own, first, 1), _places(wanted, second, 1), len(pairs), len(own), len(wanted))
    size = 1 if score == "rouge1" else 2
    units = [list(zip(*(names[shift:] for shift in range(size)), strict=False)) for names in (stems, wanted_stems)]
    both = Counter(units[0]) & Counter(units[1])
    first, second = (_first_ones(of_text, both) for of_text in units)
    return SharedWords(
        _places(own, first, size), _places(wanted, second, size), len(first), len(units[0]), len(units[1])
    )


def _first_ones(units: Sequence[tuple[str, ...]], most: Counter[tuple[str, ...]]) -> list[int]:
    """Places of the units, each as often as `most` says, from the beginning."""
    left, found = Counter(most), []
    for place, unit in enumerate(units):
        if left[unit] > 0:
            left[unit] -= 1
            found.append(place)
    return found


def _places(words: Sequence[Word], starts: Sequence[int], size: int) -> list[Span]:
    """Places of units of `size` words in the text; units that share a word are one place."""
    spans: list[Span] = []
    last = -1  # the last word that is in a span
    for start in starts:
        end = words[start + size - 1].end
        if start <= last:
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((words[start].start, end))
        last = start + size - 1
    return spans


def _common_subsequence(first: Sequence[str], second: Sequence[str]) -> list[tuple[int, int]]:
    """Places of one longest common subsequence in both, in order."""
    if not first or not second:
        return []
    numbers: dict[str, int] = {}
    own, other = (np.array([numbers.setdefault(word, len(numbers)) for word in words]) for words in (first, second))
    table = np.zeros((len(first) + 1, len(second) + 1), dtype=np.int32)
    for row, word in enumerate(own):
        above = table[row]
        table[row + 1, 1:] = np.maximum.accumulate(np.maximum(above[1:], above[:-1] + (other == word)))
    pairs = []
    i, j = len(first), len(second)
    while i and j:
        if own[i - 1] == other[j - 1]:
            i, j = i - 1, j - 1
            pairs.append((i, j))
        elif table[i - 1, j] >= table[i, j - 1]:
            i -= 1
        else:
            j -= 1
    return pairs[::-1]
