"""What every task kind has in common: a parsed sample, a judgement, and the contract of a task.

A task turns a row in its original field names into a `ParsedRow`, and a model's output into a `Judgement`.
It knows nothing of models, files or the workspace.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Protocol

_PLACEHOLDER = "{input}"


@dataclass(frozen=True)
class ParsedRow:
    """One sample, whatever its original field names were.

    Attributes:
        input: text that fills the template's `{input}`.
        gold: canonical gold answer: the choice index, the number, or the reference text, as text; empty where an
            instruction has none.
        target: text of the answer that a model is trained on, without leading space; empty where there is none.
        choices: answer texts of a multiple-choice sample, else empty.
        metadata: all other fields of the row, for slices.
    """

    input: str
    gold: str
    target: str
    choices: tuple[str, ...] = ()
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Sample:
    """A stored sample: a parsed row with its stable id and its split."""

    id: str
    split: str
    input: str
    gold: str
    target: str
    choices: tuple[str, ...] = ()
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Judgement:
    """What a task says of one output.

    Attributes:
        prediction: canonical answer, or None where none was found.
        correct: right or wrong; None for a task without a right answer.
        scores: continuous scores by name (for example rouge1), empty where there are none.
    """

    prediction: str | None
    correct: bool | None
    scores: dict[str, float] = field(default_factory=dict)


class Task(Protocol):
    """Contract of a task kind."""

    kind: str
    generates: bool
    default_template: str
    max_new_tokens: int
    stop: tuple[str, ...]
    scorings: tuple[str, ...]  # ways to judge an answer, the usual one first
    right_or_wrong: bool  # else answers have continuous scores only

    def parse_row(self, row: dict[str, Any]) -> ParsedRow:
        """Read a row by its original field names; raise ValueError that says what is missing or wrong."""
        ...

    def judge(self, output: str, gold: str, scoring: str = "") -> Judgement:
        """Judge an output against the gold answer, by one of `scorings` (the usual one where none is named)."""
        ...


def render_prompt(template: str, text: str) -> str:
    """Fill a template; other braces in it or in the text stay as they are."""
    return template.replace(_PLACEHOLDER, text)


def template_problem(template: str) -> str | None:
    """Say what is wrong with a template, or None."""
    if template.count(_PLACEHOLDER) != 1:
        return f"the template must hold {_PLACEHOLDER} exactly once: {template!r}"
    if template != template.rstrip(" "):
        return f"the template must not end in a space (the answer brings its own): {template!r}"
    return None


def field_text(row: dict[str, Any], *names: str) -> tuple[str, str] | None:
    """First of `names` that the row has as a non-empty text: (name, text), or None."""
    for name in names:
        value = row.get(name)
        if isinstance(value, str) and value.strip():
            return name, value
    return None


def plain_value(value: Any) -> Any:
    """The value in Python's own types: NumPy's arrays and numbers become lists and numbers."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, dict):
        return {key: plain_value(item) for key, item in value.items()}
    return [plain_value(item) for item in value] if isinstance(value, list | tuple) else value


def first_present(row: dict[str, Any], *names: str) -> str | None:
    """First of `names` that the row has with a value: neither nothing nor an empty text."""
    return next((name for name in names if row.get(name) is not None and str(row[name]) != ""), None)


def rest_of(row: dict[str, Any], *used: str | None) -> dict[str, Any]:
    """The row's other fields, kept as metadata (nested values are kept as they are)."""
    return {key: value for key, value in row.items() if key not in used and key not in ("id", "split")}


def collapse_spaces(text: str) -> str:
    """Collapse runs of white space, for comparing texts as a reader would."""
    return re.sub(r"\s+", " ", text).strip()
