"""From the rows of a log to samples of a dataset: made anew, or found by content in one that exists.

A log's own order or number never pairs rows: a row belongs to the sample with the same source row and target (as
lm-eval hashes them), or with the same input, choices and right answer. Where samples are exact copies of each other,
the id and then the order tells them apart.
"""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from muscle_core.datasets.samples import content_id, metadata_text
from muscle_core.errors import DataError, raise_all
from muscle_core.interchange.log import LoggedRun, LogRow, shown
from muscle_core.tasks import ParsedRow, Sample, Task
from muscle_core.tasks.classification import Classification
from muscle_core.tasks.instruction import Instruction
from muscle_core.tasks.math import Math, extract_number, normalise_number
from muscle_core.tasks.multiple_choice import MultipleChoice

DOC_ID, DOC_HASH, TARGET_HASH = "doc_id", "doc_hash", "target_hash"
_Content = tuple[str, tuple[str, ...], str | None]  # input, choices, right answer (None: not known)


def samples_of_log(task: Task, rows: Sequence[LogRow], split: str, *, what: str) -> list[Sample]:
    """Samples made from a log's rows, in the order of its source.

    Rows of a source that the task reads (for example GSM8K's) become samples as if its file had been added, if they
    agree with the log's own choices and target; else the input is the prompt and the right answer the log's target.

    Args:
        task: kind of the dataset.
        rows: of one run.
        split: name of the split.
        what: names the log in messages.

    Raises:
        DataError: a row has no input, no right answer the task can use, or an id twice, with all problems at once.
    """
    problems: list[str] = []
    parsed = _from_sources(task, rows)
    if parsed is None:
        parsed = []
        for row in rows:
            try:
                parsed.append(_from_log(task, row))
            except (ValueError, RecursionError) as error:
                problems.append(f"{row.place}: {_reason(error)}{_advice(task, row)}")
        raise_all(problems, DataError, f"no {task.kind} dataset can be made of {what}")
    samples, places, copies = [], dict[str, str](), Counter[str]()
    for row, content in zip(rows, parsed, strict=True):
        metadata = dict(content.metadata)
        if row.hashes is not None:
            metadata |= {DOC_ID: row.order, DOC_HASH: row.hashes[0], TARGET_HASH: row.hashes[1]}
        identity = row.id
        try:
            if identity is None:
                identity = content_id(content)
                copies[identity] += 1
                if copies[identity] > 1:
                    identity = f"{identity}-{copies[identity]}"
            _check_text(
                identity, content.input, content.gold, content.target, *content.choices, metadata_text(metadata)
            )
        except (ValueError, RecursionError) as error:
            problems.append(f"{row.place}: {_reason(error)}")
            continue
        if identity in places:
            problems.append(f"{row.place}: the id {identity!r} was already used at {places[identity]}")
            continue
        places[identity] = row.place
        samples.append(Sample(identity, split, **{**vars(content), "metadata": metadata}))
    raise_all(problems, DataError, f"no {task.kind} dataset can be made of {what}")
    return samples


def match_samples(task: Task, rows: Sequence[LogRow], samples: Sequence[Sample], *, what: str) -> list[Sample]:
    """The sample of each row, by content.

    Args:
        task: kind of the dataset.
        rows: of one run.
        samples: of the dataset's split.
        what: names the log in messages.

    Raises:
        DataError: a row is of no sample, differs from the one with its id, or two rows are of one sample.
    """
    by_hash: dict[tuple[str, str], list[Sample]] = defaultdict(list)
    by_content: dict[_Content, list[Sample]] = defaultdict(list)
    by_id = {sample.id: sample for sample in samples}
    for sample in samples:
        hashes = sample.metadata.get(DOC_HASH), sample.metadata.get(TARGET_HASH)
        if all(isinstance(value, str) for value in hashes):
            by_hash[hashes].append(sample)  # type: ignore[index]
        for gold in (sample.gold, None):
            by_content[sample.input.strip(), sample.choices, gold].append(sample)
    matched: list[Sample] = []
    problems: list[str] = []
    used: dict[str, str] = {}
    for row in rows:
        contents = _contents(task, row)
        candidates = by_hash.get(row.hashes, []) if row.hashes is not None else []
        for content in contents:
            candidates = candidates or by_content.get(content, [])
        if not candidates:
            problems.append(f"{row.place}: {_why_not(row, contents, by_id, by_content)}")
            continue
        free = [sample for sample in candidates if sample.id not in used]
        if not free:
            first = used[candidates[0].id]
            problems.append(f"{row.place}: it is of the same sample ({candidates[0].id!r}) as {first}")
            continue
        best = min(free, key=lambda sample: (sample.id != row.id, sample.metadata.get(DOC_ID) != row.order))
        used[best.id] = row.place
        matched.append(best)
    raise_all(problems, DataError, f"{what} does not fit the dataset")
    return matched


def log_predictions(task: Task, run: LoggedRun, samples: Sequence[Sample], *, what: str) -> list[dict[str, Any]]:
    """Prediction rows of a run, with right and wrong as the log says them.

    Args:
        task: kind of the dataset; judges only where the log does not say right or wrong.
        run: rows of the log.
        samples: the sample of each row.
        what: names the log in messages.

    Raises:
        DataError: a text holds half a character, which no file can hold.
    """
    predictions, problems = [], []
    for row, sample in zip(run.rows, samples, strict=True):
        prediction, correct = row.prediction, row.correct
        if sample.choices:
            prediction = None if row.choice is None or row.choice >= len(sample.choices) else str(row.choice)
        elif task.kind == Math.kind and prediction is not None:
            prediction = normalise_number(prediction) or prediction
        scores: dict[str, float] = {}
        if not sample.choices and row.output is not None and not run.judged:
            judgement = task.judge(row.output, sample.gold)
            prediction, correct, scores = judgement.prediction, judgement.correct, dict(judgement.scores)
        if row.score is not None:
            scores["score"] = row.score
        found = {
            "sample_id": sample.id,
            "prediction": prediction,
            "correct": correct,
            "gold": sample.gold,
            "gold_loglikelihood": row.gold_loglikelihood,
            "finish_reason": row.finish_reason,
            "output": row.output if row.output is not None else prediction,
            **scores,
        }
        for name in ("choice_loglikelihoods", "choice_loglikelihoods_per_byte", "margin", "prompt_hash"):
            if getattr(row, name) is not None:
                found[name] = getattr(row, name)
        try:
            _check_text(*(value for value in found.values() if isinstance(value, str)))
        except ValueError as error:
            problems.append(f"{row.place}: {_reason(error)}")
        predictions.append(found)
    raise_all(problems, DataError, f"{what} cannot be imported")
    return predictions


def _from_sources(task: Task, rows: Iterable[LogRow]) -> list[ParsedRow] | None:
    """The rows' source read by the task; None where one cannot be read or disagrees with the log."""
    if task.kind == Instruction.kind:
        return None  # it has no right answer of its own that could be set against the log's
    found = []
    for row in rows:
        parsed = _from_source(task, row)
        if parsed is None:
            return None
        found.append(parsed)
    return found


def _from_source(task: Task, row: LogRow) -> ParsedRow | None:
    if row.source is None or task.kind == Classification.kind:
        return None
    try:
        parsed = task.parse_row(row.source)
    except (ValueError, TypeError, RecursionError):
        return None
    return parsed if _agrees(task, row, parsed) else None


def _agrees(task: Task, row: LogRow, parsed: ParsedRow) -> bool:
    if row.choices or parsed.choices:
        return len(row.choices) == len(parsed.choices) and parsed.gold == str(row.gold)
    if task.kind == Math.kind:
        return extract_number(str(row.gold)) == parsed.gold
    return row.gold is None or str(row.gold).strip() == parsed.gold.strip() or task.kind == Instruction.kind


def _from_log(task: Task, row: LogRow) -> ParsedRow:
    """A row in the task's field names, from what the log itself says."""
    gold = row.gold
    fields: dict[str, Any]
    if task.kind == MultipleChoice.kind:
        if not isinstance(gold, int):
            raise ValueError(f"no choice is named as the right one (target {shown(gold)})")
        fields = {"question": row.input, "choices": list(row.choices), "answer": gold}
    elif task.kind == Classification.kind:
        if not isinstance(gold, int):
            raise ValueError(f"no label is named as the right one (target {shown(gold)})")
        fields = {"text": row.input, "labels": list(row.choices), "label": row.choices[gold]}
    elif task.kind == Math.kind:
        fields = {"question": row.input, "answer": gold}
    elif task.kind == Instruction.kind:
        text = row.choices[gold] if isinstance(gold, int) and row.choices else gold
        fields = {"prompt": row.input, "output": text}
    else:
        fields = {"document": row.input, "summary": gold}
    return dataclasses.replace(task.parse_row(fields), metadata=row.metadata)


def _contents(task: Task, row: LogRow) -> list[_Content]:
    """What a row may look like in a dataset: its source as the task reads it, and the log's own words."""
    found: list[_Content] = []
    parsed = _from_source(task, row)
    if parsed is not None:
        found.append((parsed.input.strip(), parsed.choices, parsed.gold))
    try:
        parsed = _from_log(task, row)
        gold = None if row.gold is None else parsed.gold
        found.append((parsed.input.strip(), parsed.choices, gold))
    except (ValueError, RecursionError):
        found.append((row.input.strip(), (), None if row.gold is None else str(row.gold)))
    if task.kind != MultipleChoice.kind and row.gold is None:
        found.append((row.input.strip(), (), None))
    return found


def _why_not(
    row: LogRow,
    contents: Sequence[_Content],
    by_id: dict[str, Sample],
    by_content: dict[_Content, list[Sample]],
) -> str:
    text = contents[0][0]
    for content in contents:
        if found := by_content.get((content[0], content[1], None)):
            return (
                f"the right answer is {shown(content[2], 60)} in the log, but {shown(found[0].gold, 60)} in the "
                f"dataset (sample {found[0].id!r})"
            )
    if row.id is not None and row.id in by_id:
        return (
            f"the sample {row.id!r} has another content: {shown(text, 60)} in the log, "
            f"{shown(by_id[row.id].input, 60)} in the dataset"
        )
    return f"not in the dataset: {shown(text, 60)}"


def _advice(task: Task, row: LogRow) -> str:
    if task.kind == Instruction.kind:
        return ""
    return "; the kind instruction takes any text and keeps right and wrong of the log (--task instruction)"


def _check_text(*texts: str) -> None:
    for text in texts:
        text.encode()


def _reason(error: Exception) -> str:
    if isinstance(error, UnicodeEncodeError):
        return f"a text holds half a character (U+{ord(error.object[error.start]):04X}), which no file can hold"
    return "a field is nested too deeply" if isinstance(error, RecursionError) else str(error)
