"""Wide matrices: one row a sample, one column a model, holding right (1) or wrong (0); answers in a second file.

An empty cell says that the model was not asked: that row is left out for that model, and counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from muscle_core.datasets.read import Row, read_rows
from muscle_core.errors import ConfigError, DataError, raise_all
from muscle_core.interchange.log import WIDE, LogFacts, LogRow, right_or_wrong, shown

GOLD_NAMES, INPUT_NAMES = ("gold", "target", "answer"), ("input", "question", "prompt")
_RESERVED = (*GOLD_NAMES, *INPUT_NAMES, "split", "choices")


class WideMatrix:
    """A matrix that was read.

    Attributes:
        file: its path.
        models: names of its columns of models.
        id_column: name of the column of ids.
        gold_column: name of the column of right answers, or None.
        input_column: name of the column of inputs, or None.
    """

    def __init__(self, file: Path, rows: list[Row], answers: dict[str, Row] | None, id_column: str) -> None:
        self.file = file
        self._rows = rows
        self._answers = answers
        self.id_column = id_column
        columns = list(rows[0][1])
        self.models = tuple(name for name in columns if name != id_column and name not in _RESERVED)
        everywhere = set(columns) | (set(next(iter(answers.values()))[1]) if answers else set())
        self.gold_column = next((name for name in GOLD_NAMES if name in everywhere), None)
        self.input_column = next((name for name in INPUT_NAMES if name in everywhere), None)

    @property
    def facts(self) -> LogFacts:
        """What the file holds."""
        return LogFacts(WIDE, str(self.file), len(self._rows), models=self.models, columns=tuple(self._rows[0][1]))

    def samples(self) -> list[LogRow]:
        """One row a sample, without answers, to make a dataset from."""
        rows = []
        for number, (place, row) in enumerate(self._rows, start=1):
            identity = str(row[self.id_column])
            fields = {**(self._answers[identity][1] if self._answers else {}), **row}
            text = fields.get(self.input_column) if self.input_column else None
            gold = fields.get(self.gold_column) if self.gold_column else None
            shown_text = str(text) if text is not None and str(text).strip() else identity
            rows.append(LogRow(place, number, shown_text, id=identity, gold=None if gold is None else str(gold)))
        return rows

    def golds(self) -> dict[str, tuple[str, str]]:
        """Place and right answer by id, where the file has them."""
        if self.gold_column is None:
            return {}
        return {row.id: (row.place, str(row.gold)) for row in self.samples() if row.id and row.gold is not None}

    def outputs(self, model: str) -> list[Row]:
        """Rows of one model for `read_outputs`: id, prediction (None without answers) and correct."""
        rows = []
        for place, row in self._rows:
            value = row[model]
            if value is None or value == "" or value != value:
                continue
            identity = row[self.id_column]
            answer = self._answers[str(identity)][1].get(model) if self._answers else None
            rows.append((place, {"id": identity, "prediction": answer, "correct": value}))
        return rows


def read_wide(
    file: Path, *, id_column: str = "id", answers: str | Path | None = None, suffix: str | None = None
) -> WideMatrix:
    """Read a matrix and check every cell.

    Args:
        file: .csv, .jsonl, .json or .parquet.
        id_column: column of the sample's id.
        answers: second file of the same ids and columns that holds the answers.
        suffix: how to read the file, where its name does not say it.

    Raises:
        ConfigError: there is no column of ids or of models.
        DataError: a cell is neither right, wrong nor empty, an id is missing or doubled, or the second file has other
            ids or columns.
    """
    rows = read_rows(file, suffix=suffix)
    problems: list[str] = []
    columns = list(rows[0][1])
    if id_column not in columns:
        raise ConfigError(
            f"{file} has no column {id_column!r}; it has {', '.join(columns)[:200]}. Name the ids' (--id)."
        )
    by_id = _by_id(rows, id_column, columns, problems)
    matrix_models = [name for name in columns if name != id_column and name not in _RESERVED]
    if not matrix_models:
        raise ConfigError(f"{file} has no column of a model; it has {', '.join(columns)[:200]}.")
    for place, row in rows:
        for model in matrix_models:
            value = row.get(model)
            if value is None or value == "" or value != value:
                continue
            try:
                right_or_wrong(value)
            except ValueError:
                problems.append(f"{place}: {model!r} holds {shown(value)}, which is neither right (1) nor wrong (0)")
    second = None
    if answers is not None:
        answer_rows = read_rows(answers)
        second = _by_id(answer_rows, id_column, None, problems)
        problems += _other_ids(by_id, second, str(answers))
        lacking = [name for name in matrix_models if name not in answer_rows[0][1]]
        if lacking:
            problems.append(f"{answers} has no column {', '.join(map(repr, lacking[:10]))}")
    raise_all(problems, DataError, f"{file} cannot be imported as a matrix of models")
    return WideMatrix(file, rows, second, id_column)


def looks_wide(rows: Sequence[Row], id_column: str) -> bool:
    """Whether rows look like a matrix: ids, and at least two further columns that hold right and wrong alone."""
    columns = [name for name in rows[0][1] if name != id_column and name not in _RESERVED]
    if id_column not in rows[0][1] or len(columns) < 2:
        return False
    try:
        for _, row in rows:
            for name in columns:
                value: Any = row.get(name)
                if value is not None and value != "" and value == value:
                    right_or_wrong(value)
    except ValueError:
        return False
    return True


def _by_id(rows: list[Row], id_column: str, columns: list[str] | None, problems: list[str]) -> dict[str, Row]:
    found: dict[str, Row] = {}
    for place, row in rows:
        value = row.get(id_column)
        identity = "" if value is None else str(value)
        if not identity:
            problems.append(f"{place}: no value in the id column {id_column!r}")
        elif identity in found:
            problems.append(f"{place}: the id {identity!r} was already used at {found[identity][0]}")
        else:
            found[identity] = (place, row)
        if columns is not None and list(row) != columns and set(row) != set(columns):
            problems.append(f"{place}: the columns differ from those of the first row")
    return found


def _other_ids(first: dict[str, Row], second: dict[str, Row], name: str) -> list[str]:
    missing = [identity for identity in first if identity not in second]
    extra = [identity for identity in second if identity not in first]
    problems = []
    if missing:
        problems.append(f"{name} lacks {len(missing):,} of the ids, the first is {missing[0]!r}")
    if extra:
        problems.append(f"{name} has {len(extra):,} other ids, the first is {extra[0]!r}")
    return problems
