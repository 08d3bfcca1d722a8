"""The benchmark's rows, with the prompts that lm-evaluation-harness 0.4.13 writes for these tasks."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

MAX_NEW_TOKENS = 128
STOP = ("Question:",)
SHOTS = 5


class EvalSet(NamedTuple):
    """Rows of one benchmark set.

    Attributes:
        name: as on the command line.
        title: for tables.
        prompts: one a row.
        answers: the choices of each row, without the space that stands before them; empty for generation.
        golds: number of the right choice; empty for generation.
        target: ratio that the project's goal names.
    """

    name: str
    title: str
    prompts: list[str]
    answers: list[list[str]]
    golds: list[int]
    target: float

    @property
    def generates(self) -> bool:
        """Whether texts are generated; else choices are scored."""
        return not self.answers

    def first(self, rows: int | None) -> EvalSet:
        """The same set with its first rows only."""
        return self._replace(prompts=self.prompts[:rows], answers=self.answers[:rows], golds=self.golds[:rows])


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def _preprocess(text: str) -> str:
    """What lm-eval's HellaSwag task does to a text (tasks/hellaswag/utils.py)."""
    text = text.strip().replace(" [title]", ". ")
    return re.sub(r"\[.*?\]", "", text).replace("  ", " ")


def _hellaswag_row(row: dict[str, Any]) -> tuple[str, list[str], int]:
    return _preprocess(row["query"]), [_preprocess(ending) for ending in row["endings"]], int(row["label"])


def _hellaswag(data: Path, count: int, *, shots: int = 0) -> EvalSet:
    examples = [_hellaswag_row(row) for row in islice(_rows(data / "hellaswag/train.jsonl"), shots)]
    before = "".join(f"{query} {choices[gold]}\n\n" for query, choices, gold in examples)
    rows = [_hellaswag_row(row) for row in islice(_rows(data / "hellaswag/test.jsonl"), count)]
    name, target = ("hellaswag5", 9.0) if shots else ("hellaswag", 2.1)
    prompts, answers, golds = ([row[part] for row in rows] for part in range(3))
    return EvalSet(name, f"HellaSwag {shots}-shot", [before + prompt for prompt in prompts], answers, golds, target)


def _piqa(data: Path, count: int) -> EvalSet:
    rows = list(islice(_rows(data / "piqa/test.jsonl"), count))
    return EvalSet(
        "piqa",
        "PIQA 0-shot",
        [f"Question: {row['goal']}\nAnswer:" for row in rows],
        [[row["sol1"], row["sol2"]] for row in rows],
        [int(row["label"]) for row in rows],
        1.5,
    )


def _gsm8k(data: Path, count: int) -> EvalSet:
    rows = islice(_rows(data / "gsm8k/test.jsonl"), count)
    return EvalSet("gsm8k", "GSM8K generation", [f"Question: {row['question']}\nAnswer:" for row in rows], [], [], 1.4)


SETS = {
    "hellaswag": lambda data: _hellaswag(data, 200),
    "piqa": lambda data: _piqa(data, 300),
    "hellaswag5": lambda data: _hellaswag(data, 40, shots=SHOTS),
    "gsm8k": lambda data: _gsm8k(data, 40),
}
