"""Read per-sample outputs that were made elsewhere: generic files with a column mapping. No torch here."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from muscle_core.datasets.read import Row, parse_json
from muscle_core.errors import DataError, raise_all
from muscle_core.interchange.log import LogRow
from muscle_core.tasks import Sample, Task
from muscle_core.tasks.base import plain_value
from muscle_core.tasks.classification import Classification, label_index
from muscle_core.tasks.math import normalise_number
from muscle_core.tasks.multiple_choice import choice_index

_TRUE, _FALSE = {"1", "1.0", "true", "yes"}, {"0", "0.0", "false", "no"}


@dataclass(frozen=True)
class ImportColumns:
    """Which column of the file holds what.

    Attributes:
        id: the sample's id in the dataset.
        prediction: the extracted answer, or None where `output` is judged by the task instead.
        correct: right or wrong (0/1, true/false), or None to compare the prediction with the gold answer.
        output: the generated text, or None.
        score: a number, higher is better, or None; for tasks whose answers are neither right nor wrong.
        input: what was asked, or None; needed where the dataset is made from the file, else checked against it.
        gold: the right answer, or None; as `input`.
        choices: the texts of the choices as a list, or None; as `input`.
    """

    id: str = "id"
    prediction: str | None = None
    correct: str | None = None
    output: str | None = None
    score: str | None = None
    input: str | None = None
    gold: str | None = None
    choices: str | None = None


def read_outputs(
    task: Task,
    rows: Iterable[Row],
    columns: ImportColumns,
    samples: Iterable[Sample],
    *,
    texts: Mapping[str, str] | None = None,
    what: str = "the file",
) -> list[dict[str, Any]]:
    """Turn rows into prediction rows, or refuse them with all problems at once.

    Args:
        task: judges texts where no prediction column is named.
        rows: (place, row) pairs.
        columns: which column holds what; `prediction` or `output` must be named.
        samples: the samples that the ids belong to.
        texts: generated text by sample id, where it lies in another file.
        what: names the source in messages.

    Raises:
        DataError: unknown or doubled ids, missing columns, values that are neither right nor wrong, scores that are no
            numbers or not for this task, or an answer to a multiple-choice question or classification that is none of
            its choices (an index, a letter or a choice's text).
    """
    known = {sample.id: sample for sample in samples}
    if columns.prediction is None and columns.output is None:
        raise DataError("name the column of the prediction or of the output text.")
    if columns.score is not None and task.right_or_wrong:
        raise DataError(
            f"{what} cannot be imported: the score in {columns.score!r} is for free texts, but answers of the task "
            f"kind {task.kind} are right or wrong; leave out the score."
        )
    predictions: list[dict[str, Any]] = []
    problems: list[str] = []
    seen: dict[str, str] = {}
    for place, row in rows:
        identity = _identity(row.get(columns.id))
        if not identity:
            problems.append(f"{place}: no value in the id column {columns.id!r}; the row has {', '.join(row)}")
        elif identity in seen:
            problems.append(f"{place}: the id {identity!r} was already used at {seen[identity]}")
        elif identity not in known:
            problems.append(f"{place}: the id {identity!r} is not in the dataset")
        else:
            text = (texts or {}).get(identity)
            try:
                predictions.append(_prediction(task, row, columns, known[identity], text))
            except ValueError as error:
                problems.append(f"{place}: {error}")
        seen.setdefault(identity, place)
    raise_all(problems, DataError, f"{what} cannot be imported")
    return predictions


def read_texts(rows: Iterable[Row], columns: ImportColumns, *, what: str = "the file") -> dict[str, str]:
    """Generated texts by sample id, from a second file.

    Raises:
        DataError: a row lacks the id or the output column, or an id occurs twice.
    """
    texts: dict[str, str] = {}
    problems = []
    for place, row in rows:
        if columns.id not in row or columns.output not in row:
            problems.append(f"{place}: needs the columns {columns.id!r} and {columns.output!r}, has {', '.join(row)}")
        elif (identity := _identity(row[columns.id])) in texts:
            problems.append(f"{place}: the id {identity!r} occurs twice")
        else:
            texts[identity] = _text(row[columns.output]) or ""
    raise_all(problems, DataError, f"{what} cannot be imported")
    return texts


def read_questions(rows: Iterable[Row], columns: ImportColumns, *, what: str = "the file") -> list[LogRow]:
    """What was asked in each row, to make a dataset of a file or to check it against one; without the answers.

    Args:
        rows: (place, row) pairs; all of them may lack the id.
        columns: which column holds what; `input` must be named.
        what: names the source in messages.

    Raises:
        DataError: a row lacks one of the columns or the input, or its choices are no list of texts.
    """
    rows = rows if isinstance(rows, list) else list(rows)
    has_ids = any(columns.id in row for _, row in rows)
    named = (columns.id if has_ids else None, columns.input, columns.gold, columns.choices)
    used = {*named, columns.id, columns.prediction, columns.correct, columns.output, columns.score}
    questions, problems = [], []
    for number, (place, row) in enumerate(rows, start=1):
        missing = [repr(name) for name in named if name is not None and name not in row]
        if missing or columns.input is None:
            problems.append(f"{place}: no column {', '.join(missing)}; the row has {', '.join(row)}")
            continue
        try:
            choices = _choices(row[columns.choices]) if columns.choices is not None else ()
            gold = None if columns.gold is None else row[columns.gold]
            if choices and gold is not None:
                gold = choice_index(gold, choices, what=f"the right answer in {columns.gold!r}")
            text = _text(row[columns.input])
            if text is None:
                raise ValueError(f"no value in the input column {columns.input!r}")
        except ValueError as error:
            problems.append(f"{place}: {error}")
            continue
        metadata = {name: plain_value(value) for name, value in row.items() if name not in used and name != "split"}
        identity = _identity(row.get(columns.id)) or None
        answer = gold if isinstance(gold, int) and choices else _text(gold)
        questions.append(LogRow(place, number, text, identity, answer, choices, metadata=metadata))
    raise_all(problems, DataError, f"{what} cannot be imported")
    return questions


def _choices(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        try:
            value = parse_json(value)
        except (ValueError, RecursionError):
            value = None
    value = plain_value(value)
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError(f"the choices must be a list of texts, got {value!r}")
    return tuple(value)


def _prediction(
    task: Task, row: dict[str, Any], columns: ImportColumns, sample: Sample, text: str | None
) -> dict[str, Any]:
    wanted = (columns.prediction, columns.correct, columns.score, columns.output if text is None else None)
    missing = [repr(name) for name in wanted if name is not None and name not in row]
    if missing:
        raise ValueError(f"no column {', '.join(missing)}; the row has {', '.join(row)}")
    gold, output = sample.gold, text
    if output is None and columns.output is not None and _text(row[columns.output]) is not None:
        output = str(row[columns.output])
    if sample.choices:
        column = columns.prediction or columns.output
        answer = row[columns.prediction] if columns.prediction is not None else output
        prediction = None
        if _text(answer) is not None:
            index_of = label_index if task.kind == Classification.kind else choice_index
            prediction = str(index_of(answer, sample.choices, what=f"the answer in {column!r}"))
        judgement = task.judge(prediction or "", gold)
        correct = None if prediction is None else judgement.correct
    elif columns.prediction is not None:
        prediction = _text(row[columns.prediction])
        judgement = task.judge(prediction or "", gold)
        if prediction is not None and judgement.correct is not None:
            prediction = normalise_number(prediction) or prediction  # "18.0" and "1,234" as the gold answer is written
        correct = None if judgement.correct is None else prediction == gold
    else:
        judgement = task.judge(output or "", gold)
        prediction, correct = judgement.prediction, judgement.correct
    scores = dict(judgement.scores)
    if columns.score is not None:
        scores["score"] = number_of(row[columns.score], columns.score)
    if columns.correct is not None:
        correct = flag_of(row[columns.correct], columns.correct)
    return {
        "sample_id": sample.id,
        "prediction": prediction,
        "correct": correct,
        "gold": gold,
        "gold_loglikelihood": None,
        "finish_reason": "imported",
        "output": output if output is not None else prediction,
        **scores,
    }


def _identity(value: Any) -> str:
    return "" if value is None else str(value)  # as in a dataset: 0 is an id


def _text(value: Any) -> str | None:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    text = str(value).strip()
    return text or None


def flag_of(value: Any, column: str) -> bool:
    """Right or wrong, in any of the ways in which tables write it.

    Raises:
        ValueError: it is neither.
    """
    text = str(value).strip().lower()
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise ValueError(f"the value {value!r} in {column!r} is neither right (1, true) nor wrong (0, false)")


def number_of(value: Any, column: str) -> float:
    """A finite number.

    Raises:
        ValueError: it is none.
    """
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"the value {value!r} in {column!r} is not a finite number")
    return number
