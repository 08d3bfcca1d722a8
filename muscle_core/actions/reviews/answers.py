"""The answers that reviews are about: each is read when it is needed, so that a million of them cost no objects."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from muscle_core.actions.updates.compare import VersionPair, compared_columns_of, runs_of_pair
from muscle_core.comparison import Comparison, compare
from muscle_core.comparison.view import rows_of
from muscle_core.store import EvaluationRun, Workspace, read_prediction_rows


class PairAnswers:
    """The answers of two runs, by sample; one object serves many threads.

    Attributes:
        matched: the samples that both answered, as columns.
        score: leading continuous score of their comparison, or None.
        runs: ids of the two evaluation runs.
    """

    def __init__(self, workspace: Workspace, runs: Sequence[EvaluationRun], comparison: Comparison) -> None:
        """Name what is read later.

        Args:
            workspace: where the runs are.
            runs: of the old and the new version.
            comparison: of both.
        """
        self._workspace, self._runs = workspace, tuple(runs)
        self.matched, self.score = comparison.rows, comparison.score
        self.runs = (self._runs[0].id, self._runs[1].id)
        self._hashes: dict[str, str] = {}  # a run's answers never change

    def hashes(self, sample_ids: Collection[str]) -> dict[str, str]:
        """Hash of the two answers to each sample; a sample that is not in the comparison is left out.

        Raises:
            StoreError: the answers are missing or damaged.
        """
        unknown = [one for one in dict.fromkeys(sample_ids) if one not in self._hashes]
        rows = rows_of(self.matched.ids, unknown)
        found = rows[rows >= 0]
        if len(found):
            ids = [one for one, row in zip(unknown, rows, strict=True) if row >= 0]
            sides = [self._texts(side, found) for side in (0, 1)]
            self._hashes |= {one: hash_of(old, new) for one, old, new in zip(ids, *sides, strict=True)}
        return {one: self._hashes[one] for one in dict.fromkeys(sample_ids) if one in self._hashes}

    def _texts(self, side: int, rows: NDArray[np.int64]) -> list[tuple[str | None, str | None]]:
        """Prediction and output of one version."""
        predictions = (self.matched.old_prediction, self.matched.new_prediction)[side].take(pa.array(rows))
        table = read_prediction_rows(
            self._workspace.local(self._runs[side].path), self.matched.rows[side][rows], ("sample_id", "output")
        )
        outputs = table["output"].to_pylist() if "output" in table.column_names else [None] * len(rows)
        return list(zip(predictions.to_pylist(), outputs, strict=True))


def pair_answers(workspace: Workspace, pair: VersionPair) -> PairAnswers:
    """The newest answers of both versions.

    Raises:
        StoreError: one was not evaluated there; the message says how to.
    """
    runs = runs_of_pair(workspace, pair)
    old, new = (compared_columns_of(workspace, run) for run in runs)
    compared = compare(old, new, task_kind=pair.dataset.task_kind, old_name=pair.old.name, new_name=pair.new.name)
    return PairAnswers(workspace, runs, compared)


def newest_answers(workspace: Workspace, pair: VersionPair, answers: PairAnswers | None) -> PairAnswers:
    """The answers given where they are still the newest, else those."""
    runs = tuple(run.id for run in runs_of_pair(workspace, pair))
    return answers if answers is not None and answers.runs == runs else pair_answers(workspace, pair)


def answer_hashes(answers: PairAnswers, sample_ids: Collection[str]) -> dict[str, str]:
    """Hash of the two answers to each sample; a sample that is not in the comparison is left out."""
    return answers.hashes(sample_ids)


def hash_of(old: tuple[Any, Any], new: tuple[Any, Any]) -> str:
    """Hash of two answers, each a prediction and an output."""
    return hashlib.sha256(json.dumps([list(map(_text, old)), list(map(_text, new))]).encode()).hexdigest()


def _text(value: Any) -> str | None:
    return value if value is None else None if value != value else str(value)
