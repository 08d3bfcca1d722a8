"""LLM Comparator's JSON: the answers of two models, A and B, to the same inputs, with a judge's score.

The file has no right answer. Its score says how much better A is than B, so it belongs to the pair: each side is
given half of it, and only their difference means something. Fields of the kinds per_model_boolean and per_model_number
hold one value a model.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from muscle_core.datasets.read import json_problem, parse_json, read_text
from muscle_core.errors import ConfigError, DataError, raise_all
from muscle_core.interchange.log import (
    LLM_COMPARATOR,
    LogFacts,
    LoggedRun,
    LogOptions,
    LogRow,
    number_of,
    right_or_wrong,
    shown,
)
from muscle_core.tasks.base import collapse_spaces

_SIDES = ("a", "b")
_CORRECT, _ID, _GOLD = "correct", "sample_id", "target"  # as our own export writes them


class LlmComparatorLog:
    """A comparison file that was read."""

    def __init__(self, file: Path, models: tuple[str, str], examples: list[dict[str, Any]], fields: dict[str, str]):
        self.file = file
        self.models = models
        self.examples = examples
        self.fields = fields

    @property
    def facts(self) -> LogFacts:
        """What the file holds; per-model fields are its columns."""
        columns = tuple(name for name, kind in self.fields.items() if kind.startswith("per_model"))
        return LogFacts(LLM_COMPARATOR, str(self.file), len(self.examples), models=self.models, columns=columns)

    def runs(self, options: LogOptions) -> list[LoggedRun]:
        """See `Log`."""
        correct = self._field(options.correct, "per_model_boolean", "--correct")
        if correct is None and self.fields.get(_CORRECT) == "per_model_boolean":
            correct = _CORRECT
        score = self._field(options.score, "per_model_number", "--score")
        pairwise = score is None and correct is None and all(_finite(e.get("score")) for e in self.examples)
        problems: list[str] = []
        sides: tuple[list[LogRow], list[LogRow]] = ([], [])
        for number, example in enumerate(self.examples, start=1):
            place = f"{self.file.name}:example {number}"
            try:
                for side in range(2):
                    sides[side].append(_row(example, place, number, side, correct, score, pairwise))
            except ValueError as error:
                problems.append(f"{place}: {error}")
        raise_all(problems, DataError, f"{self.file} cannot be imported")
        notes: tuple[str, ...] = ()
        if pairwise:
            notes = (
                "the score is how much better A is than B; each has half of it, so only their difference means it",
            )
        elif correct is None and score is None:
            notes = (
                "not every example has a score, so none is imported; answers are judged by the task kind, if it can",
            )
        chosen = {name: value for name, value in (("correct", correct), ("score", score)) if value is not None}
        return [
            LoggedRun(model, rows, correct is not None, {**chosen, "side": side}, notes)
            for model, rows, side in zip(self.models, sides, _SIDES, strict=True)
        ]

    def _field(self, name: str | None, kind: str, option: str) -> str | None:
        if name is None or self.fields.get(name) == kind:
            return name
        known = ", ".join(repr(field) for field, found in self.fields.items() if found == kind) or "none"
        raise ConfigError(f"{option}: the file has no {kind} field {name!r}; it has {known}.")


def read_llm_comparator(file: Path) -> LlmComparatorLog:
    """Read a comparison file.

    Raises:
        DataError: it is not JSON, or a part of it is not what it must be, with all problems at once.
    """
    try:
        found = parse_json(read_text(file))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{file} is not JSON ({json_problem(error)}).") from error
    if not isinstance(found, dict):
        raise DataError(f"{file} must hold one JSON object, got {type(found).__name__}.")
    problems = []
    listed = found.get("models")
    names = [m.get("name") if isinstance(m, dict) else None for m in listed] if isinstance(listed, list) else []
    if len(names) != 2 or not all(isinstance(name, str) and name for name in names):
        problems.append(f"models must be a list of two objects with a name, got {shown(listed)}")
    examples = found.get("examples")
    if not isinstance(examples, list) or not examples:
        problems.append(f"examples must be a list with an entry, got {shown(examples)}")
        examples = []
    for number, example in enumerate(examples, start=1):
        if not isinstance(example, dict):
            problems.append(f"{file.name}:example {number}: must be an object, got {shown(example)}")
    raise_all(problems, DataError, f"{file} cannot be imported as a file of LLM Comparator")
    return LlmComparatorLog(file, (str(names[0]), str(names[1])), examples, _schema(found.get("metadata")))


def _schema(metadata: Any) -> dict[str, str]:
    listed = metadata.get("custom_fields_schema") if isinstance(metadata, dict) else None
    fields = {}
    for field in listed if isinstance(listed, list) else ():
        if isinstance(field, dict) and isinstance(field.get("name"), str) and isinstance(field.get("type"), str):
            fields[field["name"]] = field["type"]
    return fields


def _row(
    example: dict[str, Any], place: str, number: int, side: int, correct: str | None, score: str | None, pairwise: bool
) -> LogRow:
    text, output = example.get("input_text"), example.get(f"output_text_{_SIDES[side]}")
    if not isinstance(text, str) or not text.strip():
        raise ValueError(f"input_text must be a text, got {shown(text)}")
    if output is not None and not isinstance(output, str):
        raise ValueError(f"output_text_{_SIDES[side]} must be a text, got {shown(output)}")
    custom = example.get("custom_fields")
    custom = custom if isinstance(custom, dict) else {}
    value: float | None = None
    if score is not None:
        value = number_of(_of_side(custom, score, side))
        if not _finite(value):
            raise ValueError(f"{score} of model {_SIDES[side]} is not a finite number: {shown(custom.get(score))}")
    elif pairwise:
        value = float(example["score"]) / (2 if side == 0 else -2)
    identity, gold, tags = custom.get(_ID), custom.get(_GOLD), example.get("tags")
    metadata = {key: item for key, item in custom.items() if isinstance(item, str | int | float | bool)}
    if isinstance(tags, list) and tags:
        metadata["tags"] = ", ".join(map(str, tags))
    return LogRow(
        place=place,
        order=number,
        input=text,
        id=str(identity) if isinstance(identity, str | int) and str(identity) else None,
        gold=gold if isinstance(gold, str) and gold else None,
        metadata=metadata,
        prediction=collapse_spaces(output or "") or None,
        correct=None if correct is None else right_or_wrong(_of_side(custom, correct, side)),
        output=output,
        score=value,
    )


def _of_side(custom: dict[str, Any], name: str, side: int) -> Any:
    values = custom.get(name)
    if not isinstance(values, list) or len(values) != 2:
        raise ValueError(f"{name} must hold one value a model, got {shown(values)}")
    return values[side]


def _finite(value: Any) -> bool:
    number = number_of(value) if not isinstance(value, str) else None
    return number is not None and math.isfinite(number)
