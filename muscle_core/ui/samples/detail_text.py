"""Texts of models and data as HTML: always escaped, with what was added, left out or shared marked. No Streamlit here.

Marks are elements of their own (`ins`, `del`, `mark`) with a line below, through or around the words, so that they can
be told apart without colour; what a screen reader would not say stands beside them as hidden text.
"""

from __future__ import annotations

import bisect
import html
import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import NamedTuple

from muscle_core.ui.samples import detail_words as words

Span = tuple[int, int]

MOST_WORDS = 4_000  # of one text: the time of a word diff grows with the square
_LONG_CHARACTERS, _LONG_LINES = 700, 14
# Scripts without spaces between words: a sign is a word.
_SIGN = "\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_SIGN}]|[^\s{_SIGN}]+")

STYLE = """<style>
.muscle-text { white-space: pre-wrap; overflow-wrap: anywhere; line-height: 1.55; font-size: 0.95rem; }
.muscle-long { max-height: 24rem; overflow-y: auto; }
.muscle-text ins { text-decoration: underline; text-decoration-thickness: 2px; text-underline-offset: 3px;
  font-weight: 600; background: rgba(0, 114, 178, 0.14); }
.muscle-text del { text-decoration: line-through; text-decoration-thickness: 2px; background: rgba(213, 94, 0, 0.14); }
.muscle-text mark { color: inherit; background: rgba(0, 158, 115, 0.20); border-bottom: 2px dotted currentColor; }
.muscle-text mark.muscle-number { border: 2px solid currentColor; border-radius: 0.3rem; padding: 0 0.2rem; }
.muscle-hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%);
  white-space: nowrap; user-select: none; }
.muscle-table { border-collapse: collapse; font-size: 0.9rem; font-variant-numeric: tabular-nums; }
.muscle-table caption { text-align: left; padding-bottom: 0.3rem; }
.muscle-table th, .muscle-table td { text-align: left; padding: 0.2rem 0.7rem 0.2rem 0; vertical-align: top;
  border-bottom: 1px solid rgba(128, 128, 128, 0.3); overflow-wrap: break-word; max-width: 30rem; }
.muscle-table td.muscle-figure, .muscle-table th.muscle-figure { text-align: right; }
.muscle-scroll { overflow: auto; max-height: 24rem; }
</style>"""


class Difference(NamedTuple):
    """How a text differs from another one.

    Attributes:
        added: places of words that the other text does not have there.
        left_out: where words of the other text are missing, and these words.
    """

    added: list[Span]
    left_out: list[tuple[int, str]]


def word_difference(base: str, text: str) -> Difference | None:
    """Word by word, what `text` has and has not against `base`; None where one is too long for that."""
    first, second = ([match.span() for match in _WORD.finditer(one)] for one in (base, text))
    if max(len(first), len(second)) > MOST_WORDS:
        return None
    old, new = ([one[start:end] for start, end in spans] for one, spans in ((base, first), (text, second)))
    found = Difference([], [])
    for operation, a, b, c, d in SequenceMatcher(a=old, b=new, autojunk=False).get_opcodes():
        if operation == "equal":
            continue
        if b > a:
            at = second[c][0] if c < len(second) else len(text)
            found.left_out.append((at, base[first[a][0] : first[b - 1][1]]))
        if d > c:
            found.added.append((second[c][0], second[d - 1][1]))
    return found


def marked_text(
    text: str,
    *,
    difference: Difference | None = None,
    shared: Sequence[Span] = (),
    number: Span | None = None,
) -> str:
    """HTML of a text with its marks; all of the text is escaped.

    Args:
        text: what is shown.
        difference: from `word_difference`.
        shared: places that are marked as shared with another text, in order and apart from one another.
        number: place of the number that was taken as the answer.
    """
    difference = difference or Difference([], [])
    runs = {"ins": list(difference.added), "mark": list(shared), "number": [number] if number else []}
    left_out: dict[int, list[str]] = {}
    for at, missing in difference.left_out:
        left_out.setdefault(at, []).append(missing)
    cuts = {0, len(text), *left_out, *(edge for spans in runs.values() for span in spans for edge in span)}
    starts = {name: [start for start, _ in spans] for name, spans in runs.items()}
    places = sorted(cuts)
    parts = [_removed(one) for one in left_out.get(0, ())] if len(places) == 1 else []
    for start, end in zip(places, [*places[1:], None], strict=True):
        if len(places) > 1:
            parts += [_removed(one) for one in left_out.get(start, ())]
        if end is None:
            break
        part = html.escape(text[start:end])
        for name, opened, closed in _ELEMENTS:
            at = bisect.bisect_right(starts[name], start) - 1
            if at >= 0 and end <= runs[name][at][1]:
                part = f"{opened}{part}{closed}"
        parts.append(part)
    return "".join(parts)


def _hidden(text: str) -> str:
    return f'<span class="muscle-hidden">{html.escape(text)}</span>'


def _removed(text: str) -> str:
    return f"<del>{_hidden(words.LEFT_OUT_BEFORE)}{html.escape(text)}{_hidden(words.AFTER)}</del> "


_ELEMENTS = (
    ("mark", "<mark>", "</mark>"),
    ("number", f'<mark class="muscle-number">{_hidden(words.NUMBER_BEFORE)}', f"{_hidden(words.AFTER)}</mark>"),
    ("ins", f"<ins>{_hidden(words.ADDED_BEFORE)}", f"{_hidden(words.AFTER)}</ins>"),
)


def is_long(text: str) -> bool:
    """Whether a text is shown with a limited height."""
    return len(text) > _LONG_CHARACTERS or text.count("\n") >= _LONG_LINES


def box(content: str, *, name: str, long: bool) -> str:
    """A block of text; a long one scrolls, and can be reached by keyboard to do so.

    Args:
        content: HTML.
        name: what it is, for screen readers; plain text.
        long: whether its height is limited.
    """
    if not long:
        return f'<div class="muscle-text" dir="auto">{content}</div>'
    reached = f'tabindex="0" role="group" aria-label="{html.escape(name, quote=True)}"'
    return f'<div class="muscle-text muscle-long" dir="auto" {reached}>{content}</div>'


def table(caption: str, head: Sequence[str], rows: Sequence[Sequence[str]], *, figures: Sequence[int] = ()) -> str:
    """A table that a screen reader can read cell by cell; the first cell of a row names it.

    Args:
        caption: what it holds.
        head: names of the columns.
        rows: cells as plain text.
        figures: numbers of columns that hold figures, which are set flush right.
    """
    align = [' class="muscle-figure"' if place in figures else "" for place in range(len(head))]
    top = "".join(f'<th scope="col"{a}>{html.escape(name)}</th>' for name, a in zip(head, align, strict=True))
    body = []
    for row in rows:
        cells = [f"<td{a}>{html.escape(cell)}</td>" for cell, a in zip(row, align, strict=True)]
        cells[0] = f'<th scope="row" dir="auto">{html.escape(row[0])}</th>'
        body.append(f"<tr>{''.join(cells)}</tr>")
    label = html.escape(caption, quote=True)
    region = f'<div class="muscle-scroll" tabindex="0" role="region" aria-label="{label}">'
    inner = f"<caption>{label}</caption><thead><tr>{top}</tr></thead><tbody>{''.join(body)}</tbody>"
    return f'{region}<table class="muscle-table">{inner}</table></div>'
