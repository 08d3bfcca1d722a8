"""One frame of a comparison with all that is known of its samples: input, metadata, both outputs, causes of flips."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from muscle_core.actions.evaluation.question import EvaluationOptions
from muscle_core.actions.updates.compare import predictions_of, runs_of_pair, version_pair
from muscle_core.comparison import Comparison, compare
from muscle_core.comparison.causes import NEAR_TIE, find_causes, rules
from muscle_core.comparison.columns import Predictions, column_names
from muscle_core.comparison.conditions import LeftOut
from muscle_core.comparison.slices import find_slices, slice_table
from muscle_core.comparison.topics import find_topics
from muscle_core.datasets.samples import read_sample_table
from muscle_core.errors import ConfigError, DataError
from muscle_core.store import Dataset, EvaluationRun, Workspace, get_dataset
from muscle_core.tasks.classification import Classification

METADATA = "meta."
TOPIC = "topic"
NESTED = "nested_metadata"
# What the update did with a sample, or what follows from it: slices by these would only repeat the flips.
_OUTCOMES = ("quadrant", "same_answer", "new_correct", "cause", "cause_rule", "cause_evidence")
# Of each prediction table: what explains an answer and is not in `Comparison.samples`.
_OUTPUTS = ("output", "finish_reason")


def explained_samples(
    workspace: Workspace,
    old_name: str,
    new_name: str,
    dataset_name: str,
    *,
    split: str = "test",
    options: EvaluationOptions | None = None,
    near_tie: float = NEAR_TIE,
) -> pd.DataFrame:
    """The samples of a comparison with what was asked, what both versions answered, and the cause of each flip.

    Args:
        workspace: where all is.
        old_name: old version.
        new_name: new (or compat) version.
        dataset_name: dataset.
        split: split both were evaluated on.
        options: which runs are meant, where not those by the dataset's template and the usual scoring.
        near_tie: a margin of the new version below this is a near tie, in the margins' unit (nats).

    Returns:
        `Comparison.samples` plus `input`, `target`, `choices` (lists of text), `meta.<field>` for each metadata field
        that holds single values, `input_chars`, `old_output`, `new_output`, `old_output_chars`, `new_output_chars`,
        `old_finish_reason`, `new_finish_reason`, and for negative flips `cause`, `cause_rule` and `cause_evidence`.
        Metadata fields that hold lists or objects are left out; `attrs["nested_metadata"]` names them.

    Raises:
        StoreError: something is missing; the message says how to make it.
        ConfigError: one version twice, or a margin that cannot be.
        DataError: the dataset's file is gone or damaged.
    """
    rules(near_tie)  # refused before anything is read
    pair = version_pair(workspace, old_name, new_name, dataset_name, split)
    runs = runs_of_pair(workspace, pair, options)
    old, new = (predictions_of(workspace, run) for run in runs)
    comparison = compare(old, new, task_kind=pair.dataset.task_kind, old_name=old_name, new_name=new_name)
    return explain(
        comparison, old, new, sample_table(workspace, pair.dataset, split), near_tie=near_tie, unit=margin_unit(runs)
    )


def explain(
    comparison: Comparison,
    old: Predictions,
    new: Predictions,
    samples: pa.Table,
    *,
    near_tie: float = NEAR_TIE,
    unit: str = "nats",
    flips_only: bool = False,
    chosen: NDArray[Any] | None = None,
) -> pd.DataFrame:
    """The frame of `explained_samples` from what was read already.

    Args:
        comparison: of the two prediction tables.
        old: predictions of the old version.
        new: predictions of the new version.
        samples: of the split, as `sample_table` returns them.
        near_tie: as of `explained_samples`.
        unit: of the margins; see `margin_unit`.
        flips_only: return the negative flips alone.
        chosen: rows of the comparison to return, where not all; the tables need only hold these.
    """
    frame = comparison.samples if chosen is None else comparison.rows.frame(chosen)
    frame = frame[frame["quadrant"] == "Q4"].reset_index(drop=True) if flips_only else frame.copy()
    ids = pa.array(frame["sample_id"], pa.large_string())
    found = samples.take(_places(ids, samples["sample_id"]))
    frame["input"] = found["input"].to_pandas()
    frame["target"] = found["target"].to_pandas()
    frame["choices"] = pd.Series(found["choices"].to_pylist(), dtype=object)
    metadata, nested = _metadata_columns(found["metadata"])
    frame = frame.assign(**{METADATA + name: values for name, values in metadata.items()})
    frame["input_chars"] = text_lengths(found["input"])
    for side, table in (("old", old), ("new", new)):
        places = _places(ids, _arrow(table, "sample_id"))
        for column in _OUTPUTS:
            values = _arrow(table, column)
            frame[f"{side}_{column}"] = values.cast(pa.large_string()).take(places).to_pandas()
        frame[f"{side}_output_chars"] = text_lengths(
            pa.array(frame[f"{side}_output"], pa.large_string(), from_pandas=True)
        )
    flips = frame[frame["quadrant"] == "Q4"]
    frame = frame.join(find_causes(flips, near_tie=near_tie, unit=unit))
    frame.attrs[NESTED] = [METADATA + name for name in nested]
    return frame


def explained_slices(
    workspace: Workspace,
    old_name: str,
    new_name: str,
    dataset_name: str,
    *,
    by: Sequence[str] | None = None,
    topics: int | None = None,
    minimum: int = 30,
    depth: int | None = None,
    top: int = 20,
    split: str = "test",
    options: EvaluationOptions | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Slices of a comparison; see `muscle_core.comparison.slices`.

    Args:
        workspace: where all is.
        old_name: old version.
        new_name: new (or compat) version.
        dataset_name: dataset.
        by: columns or metadata fields; by default those of `slice_columns`, and topics.
        topics: how many topics, where not by the rule of `muscle_core.comparison.topics`; adds the column "topic".
        minimum: smallest number of samples of a slice.
        depth: search the combinations of up to so many conditions; None for the table of single ones.
        top: most slices of a search.
        split: split both were evaluated on.
        options: which runs are meant, where not those by the dataset's template and the usual scoring.
        seed: of the topics.

    Raises:
        StoreError, ConfigError, DataError: as `explained_samples` and `slice_table`.
    """
    samples = explained_samples(workspace, old_name, new_name, dataset_name, split=split, options=options)
    nested = samples.attrs[NESTED]
    if topics is not None or by is None or TOPIC in by:
        samples = with_topics(samples, topics, seed=seed)
    if by is None:
        columns = slice_columns(samples, get_dataset(workspace, dataset_name).task_kind)
    else:
        # A field of lists is known, and named as left out: as a column of lists it would be just that.
        samples = samples.assign(**{name: [[]] * len(samples) for name in nested})
        columns = list(dict.fromkeys([column_named(samples, field) for field in by]))
        columns += [TOPIC] if topics is not None and TOPIC not in columns else []
    if depth is None:
        table = slice_table(samples, columns, minimum=minimum)
    else:
        table = find_slices(samples, columns, depth=depth, minimum=minimum, top=top)
    if by is None:
        reason = "holds lists or objects, not single values"
        table.attrs["left_out"] += [LeftOut(name, "the column", len(samples), reason)._asdict() for name in nested]
    return table


def sliceable_samples(
    comparison: Comparison, samples: pa.Table, old_output: pa.Table | None = None, *, with_target: bool = False
) -> pd.DataFrame:
    """What slices are made of and no more: the columns of `explain` that `slice_columns` names, and the outcome.

    On a million samples this takes a fraction of the time and memory of `explain`, which also reads every text.

    Args:
        comparison: of two prediction tables.
        samples: of the split, as `sample_table` returns them; sample_id, input, metadata, and maybe target are read.
        old_output: `sample_id` and `output` of the old version; adds `old_output_chars`.
        with_target: add `target`, by which classifications are sliced.

    Returns:
        `quadrant`, `gold`, `old_margin` and `delta_<score>` where known, `input`, `input_chars`, `meta.<field>`, and
        what was asked for; `attrs["nested_metadata"]` as of `explained_samples`.
    """
    deltas = [f"delta_{name}" for name in comparison.rows.scores]
    frame = comparison.rows.frame(names=("quadrant", "gold", "old_margin", *deltas))
    columns = ["sample_id", "input", "metadata", *(["target"] if with_target else [])]
    found = _in_order(samples.select(columns), comparison.rows.ids)
    frame["input"] = found["input"].to_pandas()
    if with_target:
        frame["target"] = found["target"].to_pandas()
    metadata, nested = _metadata_columns(found["metadata"])
    frame = frame.assign(**{METADATA + name: values for name, values in metadata.items()})
    frame["input_chars"] = text_lengths(found["input"])
    if old_output is not None:
        output = _in_order(old_output, comparison.rows.ids)["output"].cast(pa.large_string())
        frame["old_output_chars"] = text_lengths(output)
    frame.attrs[NESTED] = [METADATA + name for name in nested]
    return frame


def answer_text(answer: object, choices: Sequence[str]) -> str:
    """An answer as people read it: the choice's text where there are choices; "(no answer found)" for none."""
    if not isinstance(answer, str):
        return "(no answer found)"
    if len(choices) and answer.isdecimal() and int(answer) < len(choices):
        return choices[int(answer)]
    return answer


def sample_table(workspace: Workspace, dataset: Dataset, split: str, columns: Sequence[str] | None = None) -> pa.Table:
    """Samples of a split as an Arrow table.

    Args:
        workspace: where the dataset is.
        dataset: whose samples.
        split: which of them.
        columns: to read; by default all.

    Raises:
        DataError: the dataset's file is gone or damaged.
        StoreError: the shared place fails.
    """
    path = workspace.local(dataset.path)
    if not path.is_file():
        raise DataError(f"the file of dataset {dataset.name!r} is gone: {path}. Add the dataset again.")
    return read_sample_table(path, split, columns)


def margin_unit(runs: Iterable[EvaluationRun]) -> str:
    """Unit of the margins of some runs: nats, or nats a byte where answers were judged so."""
    per_byte = {run.decoding.get("scoring") == "per_byte" for run in runs}
    return "nats a byte" if per_byte == {True} else "nats"


def slice_columns(frame: pd.DataFrame, task_kind: str) -> list[str]:
    """The columns to slice by where none are named: what was known before the update answered.

    Args:
        frame: result of `explained_samples`.
        task_kind: kind of task; a classification's gold label is shown by its name.
    """
    gold = "target" if task_kind == Classification.kind else "gold"
    wanted = [gold, "input_chars", "old_output_chars", "old_margin", TOPIC]
    if task_kind == "instruction" or task_kind == "summarization":
        wanted.remove(gold)  # a reference text is no class
    if "old_margin" in frame:
        wanted.remove("old_output_chars")  # of a choice, whose length says nothing
    return [c for c in wanted if c in frame] + [c for c in frame.columns if str(c).startswith(METADATA)]


def property_name(column: str) -> str:
    """Name of a column as a reader understands it."""
    names = {
        "gold": "right answer",
        "target": "label",
        "input_chars": "characters of the input",
        "old_output_chars": "characters of the old answer",
        "old_margin": "margin of the old version",
    }
    return names.get(column, column.removeprefix(METADATA))


def column_named(frame: pd.DataFrame, field: str) -> str:
    """The column that a user means by a field's name: a column, or a metadata field without its "meta.".

    Raises:
        ConfigError: there is none, or it says what the update did.
    """
    if field in _OUTCOMES or field.startswith("delta_"):
        raise ConfigError(
            f"{field!r} says what the update did with a sample; slices by it would only repeat the flips."
        )
    for name in (field, METADATA + field):
        if name in frame.columns:
            return name
    hidden = {"sample_id", "choices", *_OUTCOMES}
    known = ", ".join(str(c).removeprefix(METADATA) for c in frame.columns if c not in hidden)
    raise ConfigError(f"there is no column or metadata field {field!r} to slice by; there are: {known}")


def with_topics(frame: pd.DataFrame, topics: int | None = None, *, seed: int = 0) -> pd.DataFrame:
    """The frame with a column `topic`, found in the inputs; see `muscle_core.comparison.topics.find_topics`."""
    return frame.assign(**{TOPIC: find_topics(frame["input"], topics, seed=seed)})


def _in_order(table: pa.Table, wanted: pa.Array) -> pa.Table:
    """The rows of some samples; a row of missing values for one that is not there."""
    ids = table["sample_id"].cast(pa.large_string()).combine_chunks()
    return table if ids.equals(wanted) else table.take(pc.index_in(wanted, value_set=ids))


def _places(wanted: pa.Array, ids: pa.ChunkedArray) -> pa.Array:
    return pc.index_in(wanted, value_set=ids.cast(pa.large_string()).combine_chunks())


def _arrow(table: Predictions, column: str) -> pa.ChunkedArray:
    """A column in Arrow; missing values where a table has none."""
    if column not in column_names(table):
        return pa.chunked_array([pa.nulls(len(table), pa.large_string())])
    found = table[column]
    return found if isinstance(table, pa.Table) else pa.chunked_array([pa.array(found, from_pandas=True)])


def text_lengths(texts: pa.ChunkedArray | pa.Array) -> pd.Series:
    """Characters of each text; missing where there is none."""
    return pc.utf8_length(texts).to_pandas(types_mapper={pa.int32(): pd.Int64Dtype(), pa.int64(): pd.Int64Dtype()}.get)


def _metadata_columns(column: pa.ChunkedArray) -> tuple[dict[str, pd.Series], list[str]]:
    """Metadata fields that hold single values, as columns; and the names of those that hold lists or objects."""
    encoded = pc.dictionary_encode(column.combine_chunks())  # most sets have few distinct, or no, metadata
    rows = [json.loads(text) if text else {} for text in encoded.dictionary.to_pylist()]
    codes = encoded.indices.fill_null(len(rows)).to_numpy(zero_copy_only=False)
    rows.append({})
    columns, nested = {}, []
    for name in dict.fromkeys(name for row in rows for name in row):
        values = [row.get(name) for row in rows]
        if any(isinstance(value, list | dict) for value in values):
            nested.append(name)  # as a whole: half a column would mislead
        else:
            columns[name] = column_of(values).take(codes).reset_index(drop=True)
    return columns, nested


def column_of(values: list[Any]) -> pd.Series:
    """A column of metadata: booleans, numbers, or else texts."""
    kinds = {type(value) for value in values if value is not None}
    if kinds == {bool}:
        return pd.Series(values, dtype="boolean")
    if kinds and kinds <= {int, float}:
        try:
            return pd.Series([math.nan if value is None else float(value) for value in values], dtype=np.float64)
        except OverflowError:  # whole numbers in JSON have no limit
            pass
    return pd.Series([None if value is None else str(value) for value in values], dtype="str")
