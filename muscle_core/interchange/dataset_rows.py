"""Write samples as rows that `datasets add` reads back as the same samples: ids, input, choices, gold and target."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from muscle_core.datasets.read import Row
from muscle_core.datasets.samples import build_samples
from muscle_core.errors import DataError
from muscle_core.tasks import Sample, task_of


def dataset_rows(task_kind: str, samples: Sequence[Sample]) -> list[dict[str, Any]]:
    """One row a sample, in field names of its task kind.

    Further fields of the original rows come along; one whose name the task would read is left out.

    Args:
        task_kind: kind of task.
        samples: samples of one split.

    Raises:
        DataError: a sample would not be read back as it is.
    """
    task = task_of(task_kind)
    rows = []
    for sample in samples:
        row = {"id": sample.id, **_ROWS[task_kind](sample)}
        extra = {key: value for key, value in sample.metadata.items() if key not in row and key not in _READ}
        rows.append({**row, **extra})
    placed: list[Row] = [(f"row {number}", row) for number, row in enumerate(rows, start=1)]
    split = samples[0].split if samples else ""
    for sample, read in zip(samples, build_samples(task, {split: placed}), strict=True):
        if _content(sample) != _content(read):
            raise DataError(f"the sample {sample.id!r} cannot be written as a row of the task kind {task_kind}.")
    return rows


def _content(sample: Sample) -> tuple[str, str, tuple[str, ...], str, str]:
    return (sample.id, sample.input, tuple(sample.choices), sample.gold, sample.target)


def _choice(sample: Sample) -> dict[str, Any]:
    return {"question": sample.input, "choices": list(sample.choices), "answer": int(sample.gold)}


def _classification(sample: Sample) -> dict[str, Any]:
    # The label by its name: a number could be an index or a name.
    return {"text": sample.input, "label": sample.choices[int(sample.gold)], "labels": list(sample.choices)}


def _instruction(sample: Sample) -> dict[str, Any]:
    return {"prompt": sample.input, **({"output": sample.gold} if sample.gold else {})}


_ROWS: dict[str, Callable[[Sample], dict[str, Any]]] = {
    "multiple_choice": _choice,
    "classification": _classification,
    "math": lambda sample: {"question": sample.input, "answer": sample.target},
    "summarization": lambda sample: {"dialogue": sample.input, "summary": sample.gold},
    "instruction": _instruction,
}
# Every field name that some task reads as input, answer or choices.
_NAMES = (
    "id split question goal query ctx ctx_a ctx_b activity_label input text sentence sentence1 sentence2 question1 "
    "question2 premise hypothesis problem dialogue article document instruction prompt answer answerKey label gold "
    "summary summary1 highlights output reference response choices endings options sol1 sol2 labels label_names"
)
_READ = frozenset(_NAMES.split())
