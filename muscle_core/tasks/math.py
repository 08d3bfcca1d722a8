"""Word problems: the final number of the generated solution must equal the gold number.

Field names of GSM8K (question, answer with a last line `#### 42`) are read as they are. The number is taken after
the last `####`; without one, the last number of the text counts (`answer is 42` styles). The scoring "strict" is that
of GSM8K's own evaluation. What this task does not tell: whether the steps are right.
"""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import Any

from muscle_core.tasks.base import Judgement, ParsedRow, field_text, first_present, rest_of

# A sign right after a digit is a minus or a range ("10-15"), not a part of the number.
_NUMBER = re.compile(r"(?:(?<!\d)[-+])?[$€£]?(?:\d[\d,]*)?\.?\d+")
# GSM8K's own evaluation takes the first number that comes straight after ####; a currency sign is skipped here.
_STRICT = re.compile(rf"#### ?({_NUMBER.pattern})")
_CURRENCY = re.compile(r"^([-+]?)[$€£]")
_MOST_DIGITS = 1000  # before or after the point; nothing longer is an answer
_CALCULATION = re.compile(r"<<[^<>]*>>")


def normalise_number(text: str) -> str | None:
    """Canonical form of a number: no commas, currency, percent or trailing zeros; None if it is not a number."""
    cleaned = _CURRENCY.sub(r"\1", text.strip().replace(",", "")).rstrip(".%").strip()
    try:
        value = Decimal(cleaned)
    except InvalidOperation:
        return None
    # Written out, "1e9999999" would fill ten megabytes.
    if not value.is_finite() or abs(value.adjusted()) > _MOST_DIGITS:
        return None
    plain = format(value.normalize(), "f")
    return "0" if plain in ("-0", "0") else plain


def number_place(output: str, scoring: str = "") -> tuple[int, int] | None:
    """Where the number stands that counts as the answer: start and end in the text; None if there is none.

    Args:
        output: a solution.
        scoring: "strict" for the first number straight after `####`; else the number after the last `####`, and where
            there is no such mark, the last number.
    """
    if scoring == "strict":
        marked = _STRICT.search(output)
        return marked.span(1) if marked else None
    _, mark, tail = output.rpartition("####")
    if mark:
        start = len(output) - len(tail)
        match = _NUMBER.search(tail)
        return (start + match.start(), start + match.end()) if match else None
    place = None
    for match in _NUMBER.finditer(output):
        place = match.span()
    return place


def extract_number(output: str) -> str | None:
    """Final number of a solution: after the last `####`, else the last number; None if there is none."""
    return _number_at(output, number_place(output))


def extract_marked_number(output: str) -> str | None:
    """First number that stands straight after `####`, as in GSM8K's own evaluation; None if there is none."""
    return _number_at(output, number_place(output, "strict"))


def _number_at(output: str, place: tuple[int, int] | None) -> str | None:
    return None if place is None else normalise_number(output[slice(*place)])


class Math:
    """Solve a word problem by greedy generation; exact match of the final number."""

    kind = "math"
    generates = True
    default_template = "Question: {input}\nAnswer:"
    max_new_tokens = 256
    stop: tuple[str, ...] = ("Question:",)
    scorings: tuple[str, ...] = ("flexible", "strict")
    right_or_wrong = True

    def parse_row(self, row: dict[str, Any]) -> ParsedRow:
        """Read GSM8K field names (question, answer) or question and gold.

        Raises:
            ValueError: no question, or no gold number.
        """
        question = field_text(row, "question", "problem", "input")
        if question is None:
            raise ValueError("no question (looked for the fields question, problem, input)")
        gold_field = first_present(row, "answer", "gold")
        if gold_field is None:
            raise ValueError("no gold answer (looked for the fields answer, gold)")
        solution = str(row[gold_field])
        gold = extract_number(solution)
        if gold is None:
            raise ValueError(f"no number in the gold answer {solution[-60:]!r}")
        target = _CALCULATION.sub("", solution).strip()
        if "####" not in target:
            target = f"{target} #### {gold}" if normalise_number(target) is None else f"#### {gold}"
        return ParsedRow(input=question[1], gold=gold, target=target, metadata=rest_of(row, question[0], gold_field))

    def judge(self, output: str, gold: str, scoring: str = "") -> Judgement:
        """Right if the final number equals the gold number exactly."""
        number = extract_marked_number(output) if scoring == "strict" else extract_number(output)
        return Judgement(prediction=number, correct=number is not None and number == gold)
