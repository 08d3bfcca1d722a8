"""Multiple choice: the answer is the choice with the highest log-likelihood after the prompt.

Reads the field names of PIQA (goal, sol1, sol2, label), HellaSwag (query or ctx, endings, label) and the plain
form (question, choices, answer). What this task does not tell: how sure the model is; see `margin` in the
predictions for that.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from muscle_core.tasks.base import Judgement, ParsedRow, field_text, rest_of

_WHOLE = re.compile(r"-?\d+(\.0+)?")  # "1.0" is how tools write a column of indices that has gaps
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class MultipleChoice:
    """Choose one of 2 to 26 answers by log-likelihood."""

    kind = "multiple_choice"
    generates = False
    default_template = "Question: {input}\nAnswer:"
    max_new_tokens = 0
    stop: tuple[str, ...] = ()

    def parse_row(self, row: dict[str, Any]) -> ParsedRow:
        """Read PIQA, HellaSwag or plain field names.

        Raises:
            ValueError: no question, fewer than 2 choices, or no usable gold answer.
        """
        question = field_text(row, "question", "goal", "query", "ctx", "input")
        if question is None:
            raise ValueError("no question (looked for the fields question, goal, query, ctx, input)")
        choices, used = _choices(row)
        if len(choices) < 2 or len(choices) > len(_LETTERS):
            raise ValueError(f"needs 2 to {len(_LETTERS)} choices, got {len(choices)}")
        if any(not isinstance(choice, str) or not choice.strip() for choice in choices):
            raise ValueError("a choice is empty or not a text")
        gold_field = next((name for name in ("answer", "label", "gold") if row.get(name) is not None), None)
        if gold_field is None:
            raise ValueError("no gold answer (looked for the fields answer, label, gold)")
        index = choice_index(row[gold_field], choices, is_label=gold_field == "label")
        return ParsedRow(
            input=question[1],
            gold=str(index),
            target=choices[index],
            choices=tuple(choices),
            metadata=rest_of(row, question[0], gold_field, *used),
        )

    def judge(self, output: str, gold: str) -> Judgement:
        """Judge a choice index given as text."""
        return Judgement(prediction=output, correct=output == gold)


def _choices(row: dict[str, Any]) -> tuple[list[str], tuple[str, ...]]:
    if "sol1" in row and "sol2" in row:
        return [row["sol1"], row["sol2"]], ("sol1", "sol2")
    for name in ("choices", "endings", "options"):
        value = row.get(name)
        if isinstance(value, list | tuple):
            return list(value), (name,)
        if value is not None and hasattr(value, "tolist"):  # a list column read from Parquet
            return list(value.tolist()), (name,)
    return [], ()


def choice_index(value: Any, choices: Sequence[str], *, is_label: bool = False, what: str = "the gold answer") -> int:
    """Index of the choice that a value names: by index, by letter, or by the choice's text.

    Args:
        value: a whole number is an index; so are digits in a text, unless they are the text of a choice.
        choices: texts of the choices.
        is_label: digits are always an index.
        what: names the value in messages.

    Raises:
        ValueError: the value names none of the choices.
    """
    if isinstance(value, bool):
        raise ValueError(f"{what} must be an index, a letter or a choice's text, got {value!r}")
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, str):
        text, stripped = value.strip(), [choice.strip() for choice in choices]
        is_number = _WHOLE.fullmatch(text) is not None
        if text in stripped and not (is_label and is_number):
            return stripped.index(text)
        if is_number:
            value = int(text.partition(".")[0])
        elif len(text) == 1 and text.upper() in _LETTERS[: len(choices)]:
            return _LETTERS.index(text.upper())
    if not isinstance(value, int) or not 0 <= value < len(choices):
        raise ValueError(
            f"{what} {value!r} is neither an index from 0 to {len(choices) - 1}, a letter, nor the text of a choice"
        )
    return value
