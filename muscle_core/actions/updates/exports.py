"""Take samples of a comparison out of the workspace: any view as a file, and negative flips as training data."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from muscle_core.actions.evaluation.question import EvaluationOptions
from muscle_core.actions.library.datasets import add_dataset_rows, load_samples
from muscle_core.actions.updates.compare import predictions_of, require_run, runs_of_pair, version_pair
from muscle_core.comparison import Comparison, compare
from muscle_core.comparison.view import filter_rows
from muscle_core.errors import ConfigError, DataError
from muscle_core.interchange.dataset_rows import dataset_rows
from muscle_core.interchange.exports import csv_text, jsonl_text, llm_comparator_json, parquet_bytes
from muscle_core.interchange.files import check_targets, write_whole, written_beside
from muscle_core.store import Dataset, Workspace, get_dataset, get_version
from muscle_core.tasks import Sample

FORMATS = ("csv", "parquet", "jsonl", "llm-comparator")
HARD_EXAMPLES = "hard-examples"
_SUFFIXES = {".csv": "csv", ".parquet": "parquet", ".jsonl": "jsonl", ".json": "llm-comparator"}
QUADRANTS = ("Q1", "Q2", "Q3", "Q3-same", "Q3-changed", "Q4")
_SEARCHED = ("sample_id", "input", "gold", "target", "old_output", "new_output", "old_prediction", "new_prediction")
# What an export adds to the comparison's own columns.
_TEXTS = ("input", "target", "choices", "old_output", "new_output")
# Splits that later comparisons do not use.
_TRAINING_SPLITS = ("train", "training", "validation", "valid", "val", "dev")


class Filters(NamedTuple):
    """Which samples are meant; what is empty filters nothing.

    Attributes:
        quadrants: some of `QUADRANTS`.
        causes: causes of negative flips, as in the column `cause`.
        search: words that must all occur in input, answers or id.
    """

    quadrants: Sequence[str] = ()
    causes: Sequence[str] = ()
    search: str = ""


class HardExamples(NamedTuple):
    """A hard-example set.

    Attributes:
        samples: the samples, in the order of the dataset.
        dataset: the dataset it became; None where only a file was asked for.
    """

    samples: list[Sample]
    dataset: Dataset | None


def export_view(
    workspace: Workspace,
    old_name: str,
    new_name: str,
    dataset_name: str,
    to: str | Path,
    *,
    file_format: str | None = None,
    split: str = "test",
    filters: Filters | None = None,
    columns: Sequence[str] = (),
    options: EvaluationOptions | None = None,
    force: bool = False,
) -> int:
    """Write samples of a comparison to a file, whole or not at all.

    Args:
        workspace: where all is.
        old_name: old version.
        new_name: new (or compat) version.
        dataset_name: dataset.
        to: file to write.
        file_format: one of `FORMATS`; by default told by the file's ending.
        split: split both were evaluated on.
        filters: which samples; by default all.
        columns: which columns, in this order; by default all. Not for LLM Comparator, whose fields are fixed.
        options: which runs are meant, where not those by the dataset's template and the usual scoring.
        force: replace an earlier file.

    Returns:
        The number of samples written.

    Raises:
        ConfigError: unknown format, quadrant, cause or column, or a file that is there already or cannot be written.
        StoreError: something is missing in the workspace.
    """
    path, chosen = Path(to), filters or Filters()
    kind = file_format or _SUFFIXES.get(path.suffix.lower())
    if kind not in FORMATS:
        what = f"unknown format {file_format!r}" if file_format else f"the ending of {path} does not tell a format"
        raise ConfigError(f"{what}; known: {', '.join(FORMATS)}")
    if columns and kind == "llm-comparator":
        raise ConfigError("the fields of LLM Comparator's format are fixed; leave out the columns.")
    check_targets({"the export": path}, {}, replace=force)
    comparison, frame = _table(workspace, old_name, new_name, dataset_name, split, options, chosen, columns)
    rows = _filtered(frame, chosen)
    if columns:
        unknown = [name for name in columns if name not in rows]
        if unknown:
            raise ConfigError(f"no column {', '.join(map(repr, unknown))}; known: {', '.join(rows.columns)}")
        rows = rows[list(dict.fromkeys(columns))]
    content: str | bytes
    if kind == "parquet":
        content = parquet_bytes(rows)
    elif kind == "llm-comparator":
        content = llm_comparator_json(
            rows, old_name=old_name, new_name=new_name, source=f"{dataset_name} ({split})", score=comparison.score
        )
    else:
        content = csv_text(rows) if kind == "csv" else jsonl_text(rows)
    write_whole({path: content})
    return len(rows)


def hard_examples(
    workspace: Workspace,
    old_name: str,
    new_name: str,
    dataset_name: str,
    *,
    split: str,
    to: str | Path | None = None,
    as_dataset: str | None = None,
    from_test: bool = False,
    tau: float = 0.0,
    filters: Filters | None = None,
    options: EvaluationOptions | None = None,
    force: bool = False,
) -> HardExamples:
    """Make the negative flips of an update a dataset for the next training, with the split "train".

    Where answers have a score only, they are the samples whose leading score fell.

    Args:
        workspace: where all is.
        old_name: old version.
        new_name: new version.
        dataset_name: dataset.
        split: split both were evaluated on.
        to: .jsonl file that `datasets add` reads back, with the dataset's template.
        as_dataset: name of a dataset to add to the workspace.
        from_test: says that samples of a split that comparisons use are meant to be trained on.
        tau: where answers have a score only: how far it must have fallen.
        filters: further limits; its quadrants may name Q4 only.
        options: which runs are meant, where not those by the dataset's template and the usual scoring.
        force: replace an earlier file.

    Raises:
        ConfigError: nothing to write to, a split for comparisons without `from_test`, or a name that is taken.
        DataError: there is no such sample.
        StoreError: something is missing in the workspace.
    """
    chosen = filters or Filters()
    path = None if to is None else Path(to)
    if path is None and as_dataset is None:
        raise ConfigError("name a .jsonl file or a dataset to write the hard examples to.")
    if path is not None and path.suffix.lower() != ".jsonl":
        raise ConfigError(f"hard examples are written as a .jsonl file, which `datasets add` reads back, not {path}.")
    if set(chosen.quadrants) - {"Q4"}:
        raise ConfigError("hard examples are negative flips; leave out the quadrant.")
    if split.lower() not in _TRAINING_SPLITS and not from_test:
        raise ConfigError(
            f"the split {split!r} is what versions are compared on: after training on its samples, figures on "
            f"{dataset_name!r} ({split}) say nothing any more. Name a split for training (--split train or validation, "
            "after evaluating both versions on it), or say --from-test if that is meant."
        )
    check_targets({"the export": path}, {}, replace=force)
    dataset = get_dataset(workspace, dataset_name)
    comparison, frame = _table(workspace, old_name, new_name, dataset_name, split, options, chosen, ())
    if comparison.counts is not None:
        rows = _filtered(frame, chosen._replace(quadrants=("Q4",)))
    else:
        rows = _filtered(frame[frame[f"delta_{comparison.score}"] < -tau], chosen._replace(quadrants=()))
    wanted = set(rows["sample_id"])
    samples = [sample for sample in load_samples(workspace, dataset, split) if sample.id in wanted]
    if not samples:
        raise DataError(f"no negative flip from {old_name!r} to {new_name!r} on {dataset_name!r} ({split}) fits.")
    table = dataset_rows(dataset.task_kind, samples)
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in table)
    added = None
    with written_beside({} if path is None else {path: text}):
        if as_dataset is not None:
            made_from = _provenance(workspace, old_name, new_name, dataset, split, options, chosen, tau)
            added = add_dataset_rows(
                workspace,
                as_dataset,
                dataset.task_kind,
                {"train": [(f"sample {sample.id}", row) for sample, row in zip(samples, table, strict=True)]},
                template=dataset.template,
                max_new_tokens=dataset.decoding["max_new_tokens"],
                stop=dataset.decoding["stop"],
                source={"hard_examples": made_from},
            )
    return HardExamples(samples, added)


def _provenance(
    workspace: Workspace,
    old_name: str,
    new_name: str,
    dataset: Dataset,
    split: str,
    options: EvaluationOptions | None,
    filters: Filters,
    tau: float,
) -> dict[str, Any]:
    facts: dict[str, Any] = {"dataset": dataset.name, "dataset_fingerprint": dataset.fingerprint, "split": split}
    for side, name in (("old", old_name), ("new", new_name)):
        version = get_version(workspace, name)
        run = require_run(workspace, version, dataset, split, options)
        facts[side] = {"version": name, "fingerprint": version.fingerprint, "run": run.id}
    return {**facts, "causes": list(filters.causes), "search": filters.search, "tau": tau}


def _table(
    workspace: Workspace,
    old_name: str,
    new_name: str,
    dataset_name: str,
    split: str,
    options: EvaluationOptions | None,
    filters: Filters,
    columns: Sequence[str],
) -> tuple[Comparison, pd.DataFrame]:
    """The comparison and its samples with their texts; with causes and metadata where they are asked for."""
    pair = version_pair(workspace, old_name, new_name, dataset_name, split)
    runs = runs_of_pair(workspace, pair, options)
    old, new = (predictions_of(workspace, run) for run in runs)
    comparison = compare(old, new, task_kind=pair.dataset.task_kind, old_name=old_name, new_name=new_name)
    if filters.causes or not {*_TEXTS, *comparison.samples.columns}.issuperset(columns):
        # Imported here: most exports need no causes, and their rules read every answer.
        from muscle_core.actions.updates.explain import explain, margin_unit, sample_table

        table = sample_table(workspace, pair.dataset, split)
        return comparison, explain(comparison, old, new, table, unit=margin_unit(runs))
    known = {sample.id: sample for sample in load_samples(workspace, pair.dataset, split)}
    frame = comparison.samples.copy()
    samples = [known[identity] for identity in frame["sample_id"]]
    frame["input"] = [sample.input for sample in samples]
    frame["target"] = [sample.target for sample in samples]
    frame["choices"] = [list(sample.choices) for sample in samples]
    for side, predictions in (("old", old), ("new", new)):
        outputs = predictions.set_index("sample_id")["output"]
        frame[f"{side}_output"] = outputs.reindex(frame["sample_id"]).to_numpy()
    return comparison, frame


def _filtered(frame: pd.DataFrame, filters: Filters) -> pd.DataFrame:
    unknown = [name for name in filters.quadrants if name not in QUADRANTS]
    if unknown:
        raise ConfigError(f"unknown quadrant {', '.join(map(repr, unknown))}; known: {', '.join(QUADRANTS)}")
    if filters.quadrants and frame["quadrant"].isna().all():
        raise ConfigError("these samples have a score only, so they are in no quadrant; leave out the quadrant.")
    if filters.causes:
        causes = sorted(frame["cause"].dropna().unique())
        strange = [name for name in filters.causes if name not in causes]
        if strange:
            found = ", ".join(causes) or "none"
            raise ConfigError(f"no flip has the cause {', '.join(map(repr, strange))}; causes here: {found}")
        frame = frame[frame["cause"].isin(list(filters.causes))]
    return filter_rows(
        frame,
        quadrants=[name.replace("-", " ") for name in filters.quadrants],
        search=filters.search,
        search_columns=[name for name in _SEARCHED if name in frame],
    )
