"""The flips that a report spells out: input, right answer, both answers with a word diff, cause."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import pandas as pd

from muscle_core.report.data import ReportData
from muscle_core.report.reviews import said_of
from muscle_core.report.telling import Telling
from muscle_core.report.text import Piece, one_line, score_name, shortened, word_diff

LONGEST_INPUT = 1000
LONGEST_ANSWER = 720
SHORT_GOLD = 60
MOST_CHOICES = 12
MOST_FIELDS = 8
NO_ANSWER = "(no answer found)"


class Answer(NamedTuple):
    """What a version answered.

    Attributes:
        who: "Old version", "New version" or "With the adapter".
        name: of the version.
        right: whether it is right; None where nothing is right or wrong.
        text: the output, or the answer where there is no other output.
        read: the answer that was read in the output, where it is not the output itself.
        facts: scores, margin, and whether it was cut off.
    """

    who: str
    name: str
    right: bool | None
    text: list[Piece]
    read: str
    facts: str


class Choice(NamedTuple):
    """A choice of a sample, and who takes it."""

    text: str
    marks: tuple[str, ...]


class Example(NamedTuple):
    """One sample as a report shows it."""

    number: int
    sample_id: str
    cause: str
    cause_rule: str
    seen: str
    lost: str
    input: list[Piece]
    gold: list[Piece]
    short_gold: bool
    solution: list[Piece]
    choices: list[Choice]
    more_choices: int
    answers: list[Answer]
    fields: str
    said: tuple[str, ...] = ()


def examples_of(data: ReportData, telling: Telling) -> list[Example]:
    """Return the chosen samples, written out."""
    compat = {} if data.compat is None else data.compat.answers.to_dict("index")
    rows = telling.rows.to_dict("records")
    said = said_of(data.reviews)
    return [
        _example(number, row, data, telling, compat)._replace(said=tuple(said.get(row["sample_id"], ())))
        for number, row in enumerate(rows, start=1)
    ]


def _example(
    number: int, row: dict[str, Any], data: ReportData, telling: Telling, compat: Mapping[object, dict[str, Any]]
) -> Example:
    choices = [str(choice) for choice in row["choices"]] if _is_list(row.get("choices")) else []
    comparison = data.comparison
    old, new = (_answer_text(row, side, choices) for side in ("old", "new"))
    old_pieces, new_pieces = word_diff(old, new, LONGEST_ANSWER)
    answers = [
        Answer(
            "Old version",
            comparison.old_name,
            _flag(row["old_correct"]),
            old_pieces,
            *_read(row, "old", old, choices, data),
        ),
        Answer(
            "New version",
            comparison.new_name,
            _flag(row["new_correct"]),
            new_pieces,
            *_read(row, "new", new, choices, data),
        ),
    ]
    other = compat.get(row["sample_id"])
    if data.compat is not None and other is not None:
        side = {f"compat_{name}": value for name, value in other.items()}
        text = _answer_text(side, "compat", choices)
        answers.append(
            Answer(
                "With the adapter",
                data.compat.comparison.new_name,
                _flag(other.get("correct")),
                word_diff(old, text, LONGEST_ANSWER)[1],
                *_read(side, "compat", text, choices, data),
            )
        )
    target = _text(row.get("target"))
    gold = _readable(row.get("gold"), choices) if _text(row.get("gold")) else target
    lost = row.get("loss")
    return Example(
        number=number,
        sample_id=one_line(row["sample_id"]),
        cause=one_line(row["cause"]) if _text(row.get("cause")) else "",
        cause_rule=one_line(row["cause_rule"], 500) if _text(row.get("cause_rule")) else "",
        seen=one_line(row["cause_evidence"], 300) if _text(row.get("cause_evidence")) else "",
        lost=f"{telling.loss_name} {lost:.3f}" if telling.loss_name and not pd.isna(lost) else "",
        input=shortened(_text(row.get("input")), LONGEST_INPUT),
        gold=shortened(gold, LONGEST_ANSWER),
        short_gold=len(gold) <= SHORT_GOLD and "\n" not in gold,
        solution=[] if target.removeprefix("####").strip() in ("", gold) else shortened(target, LONGEST_ANSWER),
        choices=_choices(row, choices, other),
        more_choices=max(0, len(choices) - MOST_CHOICES),
        answers=answers,
        fields=_fields(row),
    )


def _choices(row: dict[str, Any], choices: list[str], compat: dict[str, Any] | None) -> list[Choice]:
    """The choices with who takes each, those that somebody takes among them however many there are."""
    takers = [("right answer", row.get("gold")), ("old", row["old_prediction"]), ("new", row["new_prediction"])]
    if compat is not None:
        takers.append(("adapter", compat.get("prediction")))
    marks = [tuple(who for who, value in takers if _text(value) == str(number)) for number in range(len(choices))]
    order = sorted(range(len(choices)), key=lambda number: (not marks[number], number))[:MOST_CHOICES]
    return [Choice(one_line(choices[number], 300), marks[number]) for number in sorted(order)]


def _answer_text(row: dict[str, Any], side: str, choices: list[str]) -> str:
    output = _text(row.get(f"{side}_output"))
    return output or _readable(row.get(f"{side}_prediction"), choices)


def _readable(value: object, choices: list[str]) -> str:
    """A prediction or gold answer as people read it: the choice's text, or the answer itself."""
    text = _text(value)
    if not text and not isinstance(value, str):
        return NO_ANSWER
    if choices and text.isascii() and text.isdecimal() and int(text) < len(choices):
        return choices[int(text)]
    return text


def _read(row: dict[str, Any], side: str, shown: str, choices: list[str], data: ReportData) -> tuple[str, str]:
    """The answer that was read in the output where that says more, and further facts."""
    prediction = _readable(row.get(f"{side}_prediction"), choices)
    facts = []
    if row.get(f"{side}_finish_reason") == "length":
        facts.append("cut off at the token limit")
    margin = row.get(f"{side}_margin")
    if isinstance(margin, float) and not pd.isna(margin):
        facts.append(f"margin {margin:+.2f}")
    for name in data.comparison.continuous:
        value = row.get(f"{side}_{name}")
        if isinstance(value, int | float) and not pd.isna(value):
            facts.append(f"{score_name(name)} {value:.3f}")
    read = "" if prediction.strip() == shown.strip() else one_line(prediction)
    return read, one_line(" · ".join(facts))


def _fields(row: dict[str, Any]) -> str:
    """Metadata of the sample on one line."""
    known = [(name.removeprefix("meta."), value) for name, value in row.items() if name.startswith("meta.")]
    texts = [f"{one_line(name, 40)}: {one_line(_plain_number(value), 60)}" for name, value in known if _text(value)]
    more = f" · {len(texts) - MOST_FIELDS} more fields" if len(texts) > MOST_FIELDS else ""
    return " · ".join(texts[:MOST_FIELDS]) + more


def _plain_number(value: object) -> object:
    return f"{value:g}" if isinstance(value, float) else value


def _is_list(value: object) -> bool:
    return not isinstance(value, str) and hasattr(value, "__len__")


def _text(value: object) -> str:
    """A value as text; what is missing is empty."""
    if value is None or (not _is_list(value) and not isinstance(value, str) and pd.isna(value)):
        return ""
    return str(value)


def _flag(value: object) -> bool | None:
    return None if value is None or pd.isna(value) else bool(value)
