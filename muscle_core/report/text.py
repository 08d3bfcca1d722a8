"""Texts of models and data sets as a page can show them: harmless, cut with a count, and with a word diff.

Nothing here is HTML: the template escapes every text. What HTML cannot make harmless is made visible here.
"""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from typing import NamedTuple

from muscle_core.figures.text import SCORE_NAMES

# Control characters, lone surrogates, line separators, and what changes the direction of the text around it: they would
# vanish, break the page or reorder it. Joiners stay: Indic and Persian words and emoji need them.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufffe\uffff\ud800-\udfff"
    "\U000e0000-\U000e007f]"
)
_WORDS = re.compile(r"\s*\S+|\s+$")
LEAST_ALIKE = 0.25  # share of words in common below which a word diff would mark nearly everything
KEPT_SHARE = 5 / 6  # of the limit is shown of a text above it, so that a cut is never a word or two
HEAD_SHARE = 2 / 3  # of what is shown; the rest shows the text's end, where answers often stand
_TO_A_SPACE = 24  # characters given up so that a cut falls between words


class Piece(NamedTuple):
    """A part of a text.

    Attributes:
        text: what to show.
        kind: "same", "changed" (not in the other text), or "cut" (says what was left out).
    """

    text: str
    kind: str = "same"


def visible(text: object) -> str:
    """Return any value as text in which characters that act instead of showing are written as "[U+202E]"."""
    plain = str(text).replace("\r\n", "\n").replace("\r", "\n")
    return _UNSAFE.sub(lambda found: f"[U+{ord(found[0]):04X}]", plain)


def score_name(score: str) -> str:
    """Return the name of a score as people write it."""
    return SCORE_NAMES.get(score, score)


def one_line(text: object, longest: int = 200) -> str:
    """Return any value as one line, with how many characters were cut."""
    line = " ".join(str(text).split())
    if len(line) <= longest:
        return visible(line)
    return f"{visible(line[:longest].rstrip())} … ({len(line) - longest:,} more characters)"


def shortened(text: object, longest: int) -> list[Piece]:
    """Return the beginning and the end of a text, and between them how much was left out.

    Args:
        text: any value.
        longest: number of characters above which it is cut.
    """
    whole = str(text)
    if len(whole) <= longest:
        return [Piece(visible(whole))]
    kept = int(longest * KEPT_SHARE)
    head = whole[: int(kept * HEAD_SHARE)]
    tail = whole[len(whole) - (kept - len(head)) :]
    spaces = [match.start() for match in re.finditer(r"\s", head)]
    if spaces and len(head) - spaces[-1] <= _TO_A_SPACE:
        head = head[: spaces[-1] + 1]
    space = re.search(r"\s", tail[:_TO_A_SPACE])
    if space is not None:
        tail = tail[space.start() :]
    left_out = Piece(f"… {len(whole) - len(head) - len(tail):,} characters left out …", "cut")
    return [Piece(visible(head)), left_out, Piece(visible(tail))]


def word_diff(old: object, new: object, longest: int) -> tuple[list[Piece], list[Piece]]:
    """Return two texts as pieces; words of one that the other does not have at that place are "changed".

    Only what is shown of the texts is compared. Where hardly any word agrees, none is marked.

    Args:
        old: first text.
        new: second text.
        longest: number of characters above which a text is cut, as by `shortened`.
    """
    first, second = _tokens(shortened(old, longest)), _tokens(shortened(new, longest))
    keys = [[(piece.text.strip(), piece.kind) for piece in tokens] for tokens in (first, second)]
    before: list[Piece] = []
    after: list[Piece] = []
    matcher = SequenceMatcher(a=keys[0], b=keys[1], autojunk=False)
    if matcher.ratio() < LEAST_ALIKE:
        return _merged(first), _merged(second)
    for operation, a, b, c, d in matcher.get_opcodes():
        same = operation == "equal"
        before += first[a:b] if same else _changed(first[a:b])
        after += second[c:d] if same else _changed(second[c:d])
    return _merged(before), _merged(after)


def _tokens(pieces: list[Piece]) -> list[Piece]:
    return [
        token
        for piece in pieces
        for token in ([piece] if piece.kind == "cut" else [Piece(word) for word in _WORDS.findall(piece.text)])
    ]


def _changed(pieces: list[Piece]) -> list[Piece]:
    return [piece if piece.kind == "cut" else Piece(piece.text, "changed") for piece in pieces]


def _merged(pieces: list[Piece]) -> list[Piece]:
    """Neighbours of one kind as one piece; the space in front of a changed word is not marked."""
    merged: list[Piece] = []
    for piece in pieces:
        text = piece.text
        last = merged[-1] if merged else None
        if last is not None and last.kind == piece.kind != "cut":
            merged[-1] = Piece(last.text + text, piece.kind)
            continue
        space = text[: len(text) - len(text.lstrip())]
        if piece.kind == "changed" and space:
            if last is not None and last.kind == "same":
                merged[-1] = Piece(last.text + space)
            else:
                merged.append(Piece(space))
            text = text[len(space) :]
        if text:
            merged.append(Piece(text, piece.kind))
    return merged
