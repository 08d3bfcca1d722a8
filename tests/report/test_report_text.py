"""Texts of the data in a report: nothing is lost or hidden, and differences are where they are."""

from __future__ import annotations

import re
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from muscle_core.report.text import Piece, one_line, shortened, visible, word_diff

WORDS = st.lists(st.sampled_from(["a", "b", "cc", "d."]), max_size=12)


def joined(pieces: list[Piece]) -> str:
    return "".join(piece.text for piece in pieces)


@given(st.text(max_size=80))
def test_no_acting_character_is_left_and_every_other_stays(text: str) -> None:
    shown = visible(text)
    for character in shown:
        assert unicodedata.category(character) not in ("Cc", "Cs", "Zl", "Zp") or character in "\n\t"
        assert unicodedata.bidirectional(character) not in {
            "LRE",
            "RLE",
            "LRO",
            "RLO",
            "PDF",
            "LRI",
            "RLI",
            "FSI",
            "PDI",
        }
    harmless = [c for c in text if unicodedata.category(c) not in ("Cc", "Cs", "Zl", "Zp", "Cf", "Cn")]
    assert [c for c in re.sub(r"\[U\+[0-9A-F]{4,6}\]", "", shown) if c in harmless] == harmless or "[" in text


def test_control_and_direction_characters_are_written_out() -> None:
    assert visible("a\x00b\u202ec\u2028d\ud800e") == "a[U+0000]b[U+202E]c[U+2028]d[U+D800]e"
    assert visible("one\r\ntwo\rthree\tfour") == "one\ntwo\nthree\tfour"
    assert visible("مرحبا שלום \U0001f468\u200d\U0001f469") == "مرحبا שלום \U0001f468\u200d\U0001f469"


@given(st.text(alphabet="abc \n", max_size=200), st.integers(3, 60))
def test_what_is_cut_is_counted(text: str, longest: int) -> None:
    pieces = shortened(text, longest)
    shown = sum(len(piece.text) for piece in pieces if piece.kind != "cut")
    left_out = [int(re.search(r"([\d,]+) characters", p.text)[1].replace(",", "")) for p in pieces if p.kind == "cut"]
    assert shown + sum(left_out) == len(text)
    assert shown <= longest
    assert text.startswith(pieces[0].text)
    assert text.endswith(pieces[-1].text)


def test_one_line_says_how_much_is_missing() -> None:
    assert one_line("a\n b", 10) == "a b"
    assert one_line("x" * 30, 10) == "x" * 10 + " … (20 more characters)"


@given(WORDS, WORDS)
def test_the_diff_keeps_both_texts_and_what_is_unmarked_is_common(old: list[str], new: list[str]) -> None:
    before, after = word_diff(" ".join(old), " ".join(new), 500)
    assert joined(before) == " ".join(old)
    assert joined(after) == " ".join(new)
    if any(piece.kind == "changed" for piece in before + after):
        same = [" ".join(p.text for p in side if p.kind == "same").split() for side in (before, after)]
        assert same[0] == same[1]


@given(WORDS)
def test_equal_texts_have_no_mark(words: list[str]) -> None:
    text = " ".join(words)
    assert {piece.kind for side in word_diff(text, text, 500) for piece in side} <= {"same"}


def test_the_marks_are_on_the_words_that_differ() -> None:
    before, after = word_diff("12 * 9 = 108 so 157", "12 * 9 = 108 so 147", 500)
    assert before == [Piece("12 * 9 = 108 so "), Piece("157", "changed")]
    assert after == [Piece("12 * 9 = 108 so "), Piece("147", "changed")]


def test_texts_that_share_hardly_a_word_are_not_marked() -> None:
    before, after = word_diff("one two three four", "five six seven eight", 500)
    assert {piece.kind for piece in before + after} == {"same"}
