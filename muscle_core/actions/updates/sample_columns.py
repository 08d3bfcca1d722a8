"""The samples of a comparison as columns, for a page that shows a few of many: each column is read when it is needed.

A million samples are never made into a million objects. To show the first page only the ids are read, and of the texts
the groups of rows that the page needs.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from threading import RLock
from typing import Any, NamedTuple, TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from muscle_core.actions.updates.explain import (
    METADATA,
    TOPIC,
    answer_text,
    column_of,
    text_lengths,
)
from muscle_core.actions.updates.flip_causes import causes_of_flips, sample_texts
from muscle_core.comparison import Comparison
from muscle_core.comparison.causes import cause_table
from muscle_core.comparison.columns import flag_column, text_column
from muscle_core.comparison.conditions import Column, read_column
from muscle_core.comparison.matching import is_all, match_ids
from muscle_core.comparison.sample_filter import SampleColumns, in_quadrant
from muscle_core.datasets.samples import read_sample_column
from muscle_core.store import Dataset, EvaluationRun, Workspace, read_prediction_table
from muscle_core.tasks.classification import Classification

Rows = NDArray[np.int64]
_Made = TypeVar("_Made")
_NO_ANSWER = answer_text(None, ())
_MOST_FOR_TOPICS = 10_000  # to find the topics of more takes long; a link that names one still does it
_MOST_VALUES = 200  # of a field that is offered


class SplitIds(NamedTuple):
    """Ids of the samples of a split and their rows in the dataset's file; see `read_sample_ids`."""

    ids: pa.Array
    places: Rows


class ComparedSamples:
    """The columns of a comparison's samples, in the order of the comparison; one object serves many threads.

    Attributes:
        comparison: of the first two runs.
        run_ids: ids of the runs.
        kind: kind of task.
        versions: how many versions answered: old, new, and maybe a compat version.
    """

    def __init__(
        self,
        workspace: Workspace,
        dataset: Dataset,
        split: str,
        runs: Sequence[EvaluationRun],
        comparison: Comparison,
        known: SplitIds,
    ) -> None:
        """Name what is read later.

        Args:
            workspace: where all is.
            dataset: of the samples.
            split: of the dataset.
            runs: of the old and the new version, and of a compat version where there is one.
            comparison: of the first two.
            known: of the split.
        """
        self._workspace, self._dataset, self._split, self._runs = workspace, dataset, split, list(runs)
        self.comparison, self.kind, self.versions = comparison, dataset.task_kind, len(runs)
        self.run_ids = tuple(run.id for run in runs)
        self._path = workspace.local(dataset.path)
        self._made: dict[str, Any] = {}
        self._lock = RLock()
        self._locks: dict[str, RLock] = {}
        self._places = _aligned(comparison.rows.ids, known.ids, known.places)

    def columns(self, run_named: Callable[[str], EvaluationRun | None]) -> SampleColumns:
        """What filters and orders read.

        Args:
            run_named: the run of the version of a name on this split, or None.
        """
        return SampleColumns(
            rows=self.comparison.rows,
            texts=self._texts,
            causes=self.causes,
            condition=self.condition,
            correct=lambda name: None if (run := run_named(name)) is None else self.correct_of(run),
            input_lengths=self._input_lengths,
            differs=self._differs,
        )

    def page(self, rows: NDArray[Any]) -> pd.DataFrame:
        """What people read of some samples.

        Args:
            rows: row numbers of the comparison.

        Returns:
            One row each, in that order: sample_id, quadrant ("Q1" to "Q4" or None), input, gold, old_answer,
            new_answer, where there is a third version compat_answer, old_right, new_right, compat_right (True, False
            or None), cause (of negative flips), for each score delta_<score>, and where it is known new_margin.
        """
        found, take = self.comparison.rows, pa.array(rows)
        texts = sample_texts(self._path, self._places[rows])
        choices = [list(options or ()) for options in texts["choices"].to_pylist()]
        frame: dict[str, Any] = {
            "sample_id": found.ids.take(take).to_pylist(),
            "quadrant": [self._quadrant(int(row)) for row in rows],
            "input": texts["input"].to_pylist(),
            "gold": list(map(answer_text, texts["gold"].to_pylist(), choices)),
        }
        answers = [found.old_prediction, found.new_prediction]
        rights = [found.old_correct, found.new_correct]
        if self.versions > 2:
            answers.append(self._third("prediction"))
            rights.append(self._third("correct"))
        for side, answer, right in zip(("old", "new", "compat"), answers, rights, strict=False):
            frame[f"{side}_answer"] = list(map(answer_text, answer.take(take).to_pylist(), choices))
            frame[f"{side}_right"] = right.take(take).to_pylist()
        frame["cause"] = self._causes_at(rows)
        for score, (old, new) in found.scores.items():
            frame[f"delta_{score}"] = new[rows] - old[rows]
        margin = found.margin[1]
        if margin is not None:
            frame["new_margin"] = margin[found.rows[1][rows]]
        return pd.DataFrame(frame, index=range(len(rows)))

    def causes(self) -> pa.Array:
        """Cause of each negative flip, as the rules find it; missing for other samples."""
        return self._once("causes", self._all_causes)[0]

    def cause_table(self) -> pd.DataFrame:
        """The table of `muscle_core.comparison.causes.cause_table`, by cause."""
        return self._once("causes", self._all_causes)[1]

    def compat_correct(self) -> pa.Array:
        """Whether the compat version is right; missing where that is not known."""
        return self._third("correct")

    def correct_of(self, run: EvaluationRun) -> pa.Array:
        """Whether a run's answer to each sample is right; missing where that is not known."""
        return self._once(f"correct of {run.id}", lambda: self._read_correct(run))

    def fields(self) -> list[str]:
        """The fields that samples can be chosen by, of those with few values on several samples each."""
        return self._once("fields", lambda: [name for name in self._field_names() if self._is_offered(name)])

    def condition(self, field: str) -> Column | None:
        """A field as conditions, as the slices name them; -1 where a sample is in no slice. None for an unknown one."""
        name = next((name for name in (field, METADATA + field) if self._can_read(name)), None)
        return None if name is None else self._once(f"condition {name}", lambda: self._read_condition(name))

    # ---------------------------------------------------------------------------------------------------- one page

    def _quadrant(self, row: int) -> str | None:
        rows = self.comparison.rows
        if not rows.judged[row]:
            return None
        return {(True, True): "Q1", (False, True): "Q2", (False, False): "Q3", (True, False): "Q4"}[
            bool(rows.old_right[row]), bool(rows.new_right[row])
        ]

    def cause_of(self, row: int) -> dict[str, str] | None:
        """`cause`, `cause_rule` and `cause_evidence` of a sample, by its row; None where it is no negative flip."""
        if self._quadrant(row) != "Q4":
            return None
        found = self._explained(np.array([row])).iloc[0]
        return {name: found[name] for name in ("cause", "cause_rule", "cause_evidence")}

    def _causes_at(self, rows: NDArray[Any]) -> list[str | None]:
        """Causes of the flips among some rows."""
        chosen = [place for place, row in enumerate(rows) if self._quadrant(int(row)) == "Q4"]
        causes: list[str | None] = [None] * len(rows)
        if chosen:
            for place, cause in zip(chosen, self._explained(np.asarray(rows)[chosen])["cause"], strict=True):
                causes[place] = cause
        return causes

    def _explained(self, flips: NDArray[Any]) -> pd.DataFrame:
        """Some negative flips with their causes, without looking at all others."""
        return causes_of_flips(self._workspace, self._runs[:2], self.comparison, flips, self._path, self._places[flips])

    # ------------------------------------------------------------------------------------------------- all samples

    def _once(self, name: str, make: Callable[[], _Made]) -> _Made:
        if name not in self._made:
            with self._lock:
                own = self._locks.setdefault(name, RLock())
            with own:  # one lock each: who searches does not wait for who looks for causes
                if name not in self._made:
                    self._made[name] = make()
        return self._made[name]

    def _column(self, name: str) -> pa.Array:
        return self._once(f"column {name}", lambda: self._taken(read_sample_column(self._path, name)))

    def _taken(self, column: pa.Array) -> pa.Array:
        places = self._places
        if is_all(places, len(column)):
            return column
        return column.take(pa.array(places, mask=places < 0))

    def _texts(self) -> list[pa.Array]:
        rows = self.comparison.rows

        def read() -> list[pa.Array]:
            answers = [self._column("gold"), rows.old_prediction, rows.new_prediction]
            if self.versions > 2:
                answers.append(self._third("prediction"))
            return [self._column("input"), *map(self._answers, answers), rows.ids]

        return self._once("texts", read)

    def _answers(self, predictions: pa.Array) -> pa.Array:
        """Answers as people read them: the text of the choice where there are choices."""
        choices = self._column("choices")
        if len(choices.flatten()):
            number = pc.if_else(
                pc.match_substring_regex(predictions, "^[0-9]{1,9}$"), predictions, pa.scalar(None, predictions.type)
            ).cast(pa.int64())
            inside = pc.less(number, pc.list_value_length(choices))
            starts = choices.offsets[:-1].cast(pa.int64())
            index = pc.if_else(inside, pc.add(starts, number), pa.scalar(None, pa.int64()))
            predictions = pc.coalesce(choices.values.cast(pa.large_string()).take(index), predictions)
        return pc.fill_null(predictions, _NO_ANSWER)

    def _input_lengths(self) -> Rows:
        lengths = self._once("lengths", lambda: pc.fill_null(pc.utf8_length(self._column("input")), 0))
        return lengths.to_numpy(zero_copy_only=False).astype(np.int64)

    def _differs(self) -> NDArray[np.bool_]:
        rows = self.comparison.rows
        if self.versions < 3:
            return ~rows.same
        equal = pc.equal(self._third("prediction"), rows.new_prediction)
        both_missing = pc.and_(self._third("prediction").is_null(), rows.new_prediction.is_null())
        same = pc.or_(pc.fill_null(equal, False), both_missing).to_numpy(zero_copy_only=False)
        return ~(rows.same & same)

    def _third(self, column: str) -> pa.Array:
        """A column of the compat version."""
        return self._once("third", lambda: self._aligned_to(self._runs[2], ("prediction", "correct")))[column]

    def _aligned_to(self, run: EvaluationRun, names: Sequence[str]) -> dict[str, pa.Array]:
        """Columns of a run, one entry a compared sample; missing where it did not answer."""
        table = read_prediction_table(self._workspace.local(run.path), ("sample_id", *names))
        ids = self.comparison.rows.ids
        places = _aligned(ids, text_column(table, "sample_id", run.id), np.arange(len(table)))
        readers = {"prediction": text_column, "correct": flag_column}
        columns = {name: readers[name](table, name, run.id) for name in names}
        if is_all(places, len(table)):
            return columns
        take = pa.array(places, mask=places < 0)
        return {name: column.take(take) for name, column in columns.items()}

    def _read_correct(self, run: EvaluationRun) -> pa.Array:
        if self.versions > 2 and run.id == self._runs[2].id:
            return self._third("correct")
        for known, column in zip(
            self._runs, (self.comparison.rows.old_correct, self.comparison.rows.new_correct), strict=False
        ):
            if run.id == known.id:
                return column
        return self._aligned_to(run, ("correct",))["correct"]

    def _all_causes(self) -> tuple[pa.Array, pd.DataFrame]:
        rows = self.comparison.rows
        flips = np.flatnonzero(in_quadrant(rows, "Q4"))
        found = self._explained(flips)
        place = np.full(len(rows.ids), -1)
        place[flips] = np.arange(len(flips))
        causes = pa.array(found["cause"], pa.large_string()).take(pa.array(place, mask=place < 0))
        return causes, cause_table(found).set_index("cause")

    # ----------------------------------------------------------------------------------------------------- fields

    def _field_names(self) -> list[str]:
        gold = "target" if self.kind == Classification.kind else "gold"
        names = [] if self.kind in ("instruction", "summarization") else [gold]
        has_margin = self.comparison.rows.margin[0] is not None
        names += ["input_chars", "old_margin" if has_margin else "old_output_chars"]
        if len(self.comparison.rows.ids) <= _MOST_FOR_TOPICS:
            names.append(TOPIC)
        return [*names, *self._metadata_names()]

    def _is_offered(self, name: str) -> bool:
        if name == TOPIC:
            return True  # found when it is chosen: that takes seconds
        column = self.condition(name)
        if column is None or not 1 < len(column.values) <= _MOST_VALUES:
            return False
        return bool(np.bincount(column.codes[column.codes >= 0]).max(initial=0) > 1)

    def _can_read(self, name: str) -> bool:
        known = ("gold", "target", "input_chars", TOPIC, "old_margin", "new_margin")
        outputs = tuple(f"{side}_{what}" for side in ("old", "new") for what in ("output_chars", "finish_reason"))
        return name in known or name in outputs or name in self._metadata_names()

    def _read_condition(self, name: str) -> Column | None:
        values = self._values(name)
        if values is None:
            return None
        rows = self.comparison.rows
        keep = rows.judged
        if not keep.any() and rows.scores:
            old, new = next(iter(rows.scores.values()))
            keep = np.isfinite(new - old)
        column, _ = read_column(values[keep], name, 1)
        if column is None:
            return None
        codes = np.full(len(keep), -1, dtype=np.int32)
        codes[keep] = column.codes
        return column._replace(codes=codes)

    def _values(self, name: str) -> pd.Series | None:
        """A field as `explained_samples` has it; None where there is no such column."""
        if name.startswith(METADATA):
            field = name.removeprefix(METADATA)
            texts, codes = self._metadata()
            values = [row.get(field) for row in _objects(texts)]
            return column_of([*values, None]).take(codes).reset_index(drop=True)
        if name == "input_chars":
            return text_lengths(self._column("input"))
        if name == "target":
            return self._column("target").to_pandas()
        if name == TOPIC:
            from muscle_core.comparison.topics import find_topics

            return find_topics(self._column("input").to_pandas())
        side, _, what = name.partition("_")
        if what in ("output_chars", "finish_reason"):
            position = ("old", "new").index(side)
            column = what.removesuffix("_chars")
            table = read_prediction_table(self._workspace.local(self._runs[position].path), ("sample_id", column))
            if column not in table.column_names:
                return None
            taken = table[column].cast(pa.large_string()).take(pa.array(self.comparison.rows.rows[position]))
            return text_lengths(taken) if column == "output" else taken.to_pandas()
        return self.comparison.rows.frame(names=(name,)).get(name)

    def _metadata(self) -> tuple[list[str], Rows]:
        """The distinct texts of the metadata, and which of them each sample has (one after the last for none)."""

        def read() -> tuple[list[str], Rows]:
            encoded = pc.dictionary_encode(self._column("metadata"))
            texts = encoded.dictionary.to_pylist()
            return texts, encoded.indices.fill_null(len(texts)).to_numpy(zero_copy_only=False).astype(np.int64)

        return self._once("metadata", read)

    def _metadata_names(self) -> list[str]:
        """Names of the fields that hold single values, with their prefix."""

        def read() -> list[str]:
            nested: dict[str, bool] = {}
            for row in _objects(self._metadata()[0]):
                for name, value in row.items():
                    nested[name] = nested.get(name, False) or isinstance(value, list | dict)
            return [METADATA + name for name, is_nested in nested.items() if not is_nested]

        return self._once("metadata names", read)


def _objects(texts: Sequence[str]) -> Iterator[dict[str, Any]]:
    return map(partial(json.loads), (text or "{}" for text in texts))


def _aligned(wanted: pa.Array, ids: pa.Array, places: Rows) -> Rows:
    """The place of each wanted id, -1 where it is not among the ids or twice."""
    matches = match_ids(wanted, ids)
    if is_all(matches.old_rows, len(wanted)):
        return places[matches.new_rows]
    found = np.full(len(wanted), -1, dtype=np.int64)
    found[matches.old_rows] = places[matches.new_rows]
    return found
