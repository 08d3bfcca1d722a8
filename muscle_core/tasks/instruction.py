"""Instructions: free text without a right answer; a score is given by whoever reads it, and imported.

Field names of Alpaca (instruction, input, output), AlpacaEval (instruction, output) and plain rows (prompt or question,
response or answer) are read as they are. What this task does not tell: whether an answer is good; the imported score
does, and means what its source says it means.
"""

from __future__ import annotations

from typing import Any

from muscle_core.tasks.base import Judgement, ParsedRow, collapse_spaces, field_text, rest_of

_PROMPTS = ("instruction", "prompt", "question", "input")
_REFERENCES = ("output", "reference", "response", "answer")


class Instruction:
    """Follow an instruction by greedy generation; neither right nor wrong, and no score of its own."""

    kind = "instruction"
    generates = True
    default_template = "Instruction: {input}\nResponse:"
    max_new_tokens = 512
    stop: tuple[str, ...] = ("Instruction:",)
    scorings: tuple[str, ...] = ("none",)
    right_or_wrong = False

    def parse_row(self, row: dict[str, Any]) -> ParsedRow:
        """Read an instruction with its optional input and reference answer.

        Raises:
            ValueError: no instruction.
        """
        prompt = field_text(row, *_PROMPTS)
        if prompt is None:
            raise ValueError(f"no instruction (looked for the fields {', '.join(_PROMPTS)})")
        field, text = prompt
        if field == "instruction" and (further := field_text(row, "input")) is not None:
            text = f"{text}\n{further[1]}"
        # Fields that are there but empty (Alpaca's input, often) are no use to slices either.
        unused = [name for name in (*_PROMPTS, *_REFERENCES) if name in row and _is_empty(row[name])]
        if field == "instruction":
            unused.append("input")
        reference = field_text(row, *_REFERENCES)
        return ParsedRow(
            input=text,
            gold=reference[1] if reference else "",
            target=reference[1].strip() if reference else "",
            metadata=rest_of(row, field, reference[0] if reference else None, *unused),
        )

    def judge(self, output: str, gold: str, scoring: str = "") -> Judgement:
        """Say only whether there is an answer."""
        return Judgement(prediction=collapse_spaces(output) or None, correct=None)


def _is_empty(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())
