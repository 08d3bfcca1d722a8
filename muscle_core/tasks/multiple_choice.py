"""Multiple choice: the answer is the choice with the highest log-likelihood after the prompt.

Reads the field names of PIQA (goal, sol1, sol2, label), HellaSwag (query, or its raw activity_label, ctx_a, ctx_b and
endings), ARC and CommonsenseQA (question, choices with text and label, answerKey) and the plain form (question,
choices, answer). What this task does not tell: how sure the model is; see `margin` in the predictions for that.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from muscle_core.tasks.base import Judgement, ParsedRow, field_text, first_present, plain_value, rest_of

WHOLE = re.compile(r"-?\d+(\.0+)?")  # "1.0" is how tools write a column of indices that has gaps
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_BRACKETS = re.compile(r"\[.*?\]")


class MultipleChoice:
    """Choose one of 2 to 26 answers by log-likelihood."""

    kind = "multiple_choice"
    generates = False
    default_template = "Question: {input}\nAnswer:"
    max_new_tokens = 0
    stop: tuple[str, ...] = ()
    # By the answer's whole log-likelihood, or by that a byte of its text (acc and acc_norm of lm-evaluation-harness).
    scorings: tuple[str, ...] = ("sum", "per_byte")
    right_or_wrong = True

    def parse_row(self, row: dict[str, Any]) -> ParsedRow:
        """Read PIQA, HellaSwag, ARC, CommonsenseQA or plain field names.

        Raises:
            ValueError: no question, fewer than 2 choices, or no usable gold answer.
        """
        row = _with_clean_context(_with_flat_question(row))
        question = field_text(row, "question", "goal", "query", "ctx", "input")
        if question is None:
            raise ValueError("no question (looked for the fields question, goal, query, ctx_a, ctx, input)")
        choices = _choices(row)
        if len(choices.texts) < 2 or len(choices.texts) > len(_LETTERS):
            raise ValueError(f"needs 2 to {len(_LETTERS)} choices, got {len(choices.texts)}")
        if any(not isinstance(text, str) or not text.strip() for text in choices.texts):
            raise ValueError("a choice is empty or not a text")
        gold_field = first_present(row, "answer", "answerKey", "label", "gold")
        if gold_field is None:
            raise ValueError("no gold answer (looked for the fields answer, answerKey, label, gold)")
        index = _gold_index(row[gold_field], gold_field, choices)
        return ParsedRow(
            input=question[1],
            gold=str(index),
            target=choices.texts[index],
            choices=tuple(choices.texts),
            metadata=rest_of(row, question[0], gold_field, *choices.fields),
        )

    def judge(self, output: str, gold: str, scoring: str = "") -> Judgement:
        """Judge a choice index given as text; the scoring has decided which index that is."""
        return Judgement(prediction=output, correct=output == gold)


class _Choices(NamedTuple):
    texts: list[Any]
    labels: list[str]  # "A", "B", … or "1", "2", …; empty where the row names none
    fields: tuple[str, ...]


def _with_flat_question(row: dict[str, Any]) -> dict[str, Any]:
    """ARC's and CommonsenseQA's own JSON files keep stem and choices inside `question`."""
    question = row.get("question")
    if not isinstance(question, dict):
        return row
    rest = {key: value for key, value in question.items() if key != "stem"}
    return {**row, **rest, "question": question.get("stem")}


def _with_clean_context(row: dict[str, Any]) -> dict[str, Any]:
    """Put HellaSwag's raw fields together as lm-evaluation-harness does; a row with a ready `query` stays as it is."""
    context = field_text(row, "ctx_a")
    if context is None or not isinstance(row.get("activity_label"), str) or field_text(row, "query") is not None:
        return row
    following = field_text(row, "ctx_b")
    end = following[1] if following else ""
    kept = {key: value for key, value in row.items() if key not in ("ctx", "ctx_a", "ctx_b")}
    endings = plain_value(row.get("endings"))
    if isinstance(endings, list):
        kept["endings"] = [_without_brackets(text) if isinstance(text, str) else text for text in endings]
    return {**kept, "query": _without_brackets(f"{row['activity_label']}: {context[1]} {end.capitalize()}")}


def _without_brackets(text: str) -> str:
    # [header], [title], [step] and [substeps] are left over from the WikiHow pages that HellaSwag was made of.
    return _BRACKETS.sub("", text.strip().replace(" [title]", ". ")).replace("  ", " ")


def _choices(row: dict[str, Any]) -> _Choices:
    if "sol1" in row and "sol2" in row:
        return _Choices([row["sol1"], row["sol2"]], [], ("sol1", "sol2"))
    for name in ("choices", "endings", "options"):
        value = plain_value(row.get(name))
        if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
            value = {part: [item.get(part) for item in value] for part in ("text", "label")}
        if isinstance(value, dict):
            return _labelled(value, name)
        if isinstance(value, list):
            return _Choices(value, [], (name,))
    return _Choices([], [], ())


def _labelled(value: dict[str, Any], name: str) -> _Choices:
    texts, labels = value.get("text"), value.get("label")
    if not isinstance(texts, list) or not isinstance(labels, list):
        raise ValueError(f"{name} must hold the lists text and label, but holds {', '.join(value) or 'nothing'}")
    names = [str(label).strip() for label in labels]
    if len(names) != len(texts) or len(set(names)) < len(names):
        raise ValueError(f"{name} needs one label of its own for each of {len(texts)} texts, got {', '.join(names)}")
    return _Choices(texts, names, (name,))


def _gold_index(value: Any, field: str, choices: _Choices) -> int:
    value = plain_value(value)
    text = str(value).strip()
    # Before the index: the labels of ARC may be digits, which count from 1.
    if text in choices.labels and (isinstance(value, str) or field == "answerKey"):
        return choices.labels.index(text)
    if field == "answerKey":
        if choices.labels:
            raise ValueError(f"the answerKey {value!r} is none of the labels {', '.join(choices.labels)}")
        if WHOLE.fullmatch(text):
            raise ValueError(f"the answerKey {value!r} is a number, but the choices have no labels to look it up in")
    return choice_index(value, choices.texts, digits_are_indices=field == "label")


def choice_index(
    value: Any,
    choices: Sequence[str],
    *,
    digits_are_indices: bool = False,
    letters: bool = True,
    what: str = "the gold answer",
) -> int:
    """Index of the choice that a value names: by index, by letter, or by the choice's text.

    Args:
        value: a whole number is an index; so are digits in a text, unless they are the text of a choice.
        choices: texts of the choices.
        digits_are_indices: digits in a text are an index even where they are the text of a choice.
        letters: A, B, … name the choices in their order.
        what: names the value in messages.

    Raises:
        ValueError: the value names none of the choices.
    """
    value = plain_value(value)
    forms = f"an index from 0 to {len(choices) - 1}" + (", a letter," if letters else "")
    refusal = ValueError(f"{what} {value!r} is neither {forms} nor the text of a choice")
    if isinstance(value, bool):
        raise refusal
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, str):
        text, stripped = value.strip(), [choice.strip() for choice in choices]
        is_number = WHOLE.fullmatch(text) is not None
        if text in stripped and not (digits_are_indices and is_number):
            return stripped.index(text)
        if is_number:
            value = int(text.partition(".")[0])
        elif letters and len(text) == 1 and text.upper() in _LETTERS[: len(choices)]:
            return _LETTERS.index(text.upper())
    if not isinstance(value, int) or not 0 <= value < len(choices):
        raise refusal
    return value
