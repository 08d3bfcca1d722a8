"""Choices in lm-eval logs: their texts, their log-likelihoods, which one the metric counts, and which one is right."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from muscle_core.interchange.log import number_of, right_or_wrong, shown
from muscle_core.tasks.multiple_choice import WHOLE


class Choices(NamedTuple):
    """The choices of one document.

    Attributes:
        texts: of the choices, without the delimiter before them.
        sums: log-likelihoods, nats.
        scores: what the metric compares: sums, or sums by length.
        best: index of the highest score, the first of equal ones.
    """

    texts: tuple[str, ...]
    sums: list[float]
    scores: list[float]
    best: int


_Line = tuple[str, list[tuple[str, Any]], list[Any], tuple[str, ...], dict[str, Any]]


def read_choices(
    lines: Sequence[_Line], metric: str, problems: list[str], delimiter: str | None = None
) -> list[Choices]:
    """Choices of each document.

    Args:
        lines: place, requests (prompt and continuation), log-likelihoods with a flag, metrics' names, and the row.
        metric: acc_norm compares by characters, acc_bytes by bytes, acc_mutual_info less the log-likelihood without the
            prompt, all others by the sum, as lm-eval does.
        problems: what cannot be read is added here.
        delimiter: what stands before each choice; by default one space, where that agrees with the log's own acc_norm.
    """
    documents = []
    for place, requests, answers, metrics, row in lines:
        sums = [number_of(answer[0]) for answer in answers]
        if any(value is None or math.isnan(value) for value in sums):
            problems.append(f"{place}: a log-likelihood is not a number: {shown([answer[0] for answer in answers])}")
            continue
        texts = [str(after) for _, after in requests]
        half = len(texts) // 2
        unconditional = None
        if "acc_mutual_info" in metrics and len(texts) == 2 * half and texts[:half] == texts[half:] and half > 1:
            unconditional, sums, texts = sums[half:], sums[:half], texts[:half]
        if len(set(texts)) == 1:  # the choices stand in the prompt, as in Winogrande
            texts = [prompt for prompt, _ in requests[: len(sums)]]
        documents.append((texts, [float(value) for value in sums if value is not None], unconditional, row))
    if problems:
        return []

    def read(mark: str) -> list[Choices]:
        found = []
        for texts, sums, unconditional, _ in documents:
            plain = tuple(text.removeprefix(mark) for text in texts)
            found.append(_scored(plain, sums, metric, unconditional))
        return found

    if delimiter is None:
        delimiter = _likely_delimiter(documents)
    return read(delimiter)


def _scored(
    texts: tuple[str, ...], sums: list[float], metric: str, unconditional: Sequence[float | None] | None
) -> Choices:
    scores = list(sums)
    if metric in ("acc_norm", "acc_bytes"):
        length: Callable[[str], int] = (
            len if metric == "acc_norm" else lambda text: len(text.encode("utf-8", "replace"))
        )
        scores = [value / max(length(text), 1) for value, text in zip(sums, texts, strict=True)]
    elif metric == "acc_mutual_info" and unconditional is not None:
        scores = [value - (less or 0.0) for value, less in zip(sums, unconditional, strict=True)]
    return Choices(texts, sums, scores, max(range(len(scores)), key=scores.__getitem__))


def _likely_delimiter(documents: Sequence[tuple[list[str], list[float], Any, dict[str, Any]]]) -> str:
    """One space, unless a choice lacks it, or acc and acc_norm of a row can only both be so without taking it away."""
    if not all(text.startswith(" ") for texts, *_ in documents for text in texts):
        return ""
    doubts = {"": 0, " ": 0}
    for texts, sums, _, row in documents:
        try:
            right, right_by_length = right_or_wrong(row.get("acc")), right_or_wrong(row.get("acc_norm"))
        except ValueError:
            continue
        by_sum = _scored(tuple(texts), sums, "acc", None).best
        for mark in doubts:
            by_length = _scored(tuple(text.removeprefix(mark) for text in texts), sums, "acc_norm", None).best
            # Both right or both wrong with one choice, or one right and one wrong with two: no doubt.
            doubts[mark] += (by_length == by_sum and right != right_by_length) or (
                by_length != by_sum and right is True and right_by_length is True
            )
    return "" if doubts[""] < doubts[" "] else " "


def read_gold(targets: Sequence[str], choices: Sequence[Choices], correct: Sequence[bool | None]) -> list[int | None]:
    """Index of the right choice of each document, from the target's text.

    A target may be an index or the text of a choice; where both could be meant ("1" among the choices "1" and "2"), the
    reading that agrees with right and wrong of the log is taken for all rows. Where the target is neither, a right
    answer tells it, and so does a wrong one of two choices; else it is None, as where there are several targets.
    """
    readings = ([_by_index(t, c) for t, c in zip(targets, choices, strict=True)],
                [_by_text(t, c) for t, c in zip(targets, choices, strict=True)])  # fmt: skip
    doubts = [
        sum(
            index is None or (value is not None and (index == choice.best) != value)
            for index, choice, value in zip(reading, choices, correct, strict=True)
        )
        for reading in readings
    ]
    reading = readings[0] if doubts[0] <= doubts[1] else readings[1]
    return [
        index if index is not None else _by_verdict(target, choice, value)
        for index, target, choice, value in zip(reading, targets, choices, correct, strict=True)
    ]


def _by_index(target: str, choices: Choices) -> int | None:
    text = target.strip()
    if not WHOLE.fullmatch(text) or len(text) > 9:
        return None
    index = int(text.partition(".")[0])
    return index if 0 <= index < len(choices.texts) else None


def _by_text(target: str, choices: Choices) -> int | None:
    stripped = [text.strip() for text in choices.texts]
    text = target.strip()
    return stripped.index(text) if stripped.count(text) == 1 else None


def _by_verdict(target: str, choices: Choices, correct: bool | None) -> int | None:
    if correct is None or target.strip().startswith("["):  # several targets: which one is right is not known
        return None
    if correct:
        return choices.best
    return 1 - choices.best if len(choices.texts) == 2 else None
