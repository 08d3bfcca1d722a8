"""Import per-sample outputs that were made elsewhere, as an evaluation run of a version without weights."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from muscle_core.actions.datasets import load_samples
from muscle_core.actions.models import add_imported_version
from muscle_core.actions.runs import known_run, store_run
from muscle_core.datasets import read_rows
from muscle_core.errors import DataError
from muscle_core.interchange import ImportColumns, read_outputs, read_texts
from muscle_core.paths import local_path
from muscle_core.store import EvaluationRun, Workspace, check_name, get_dataset, made_by
from muscle_core.tasks import task_of


def import_predictions(
    workspace: Workspace,
    version_name: str,
    dataset_name: str,
    file: str | Path,
    columns: ImportColumns,
    *,
    split: str = "test",
    texts_file: str | Path | None = None,
) -> EvaluationRun:
    """Import one version's outputs on a split; the same file again gives the same run.

    Args:
        workspace: where the dataset is.
        version_name: version to import for; made without weights where it does not exist.
        dataset_name: dataset that the ids belong to.
        file: .csv, .jsonl, .json or .parquet with one row a sample.
        columns: which column holds what; `prediction` or `output` must be named.
        split: split of the dataset.
        texts_file: second file that holds the `output` column, joined by id.

    Raises:
        ConfigError: the version's name is unusable.
        DataError: unknown or doubled ids, values that are neither right nor wrong, missing columns; nothing is written.
    """
    check_name(version_name, "model version")
    dataset = get_dataset(workspace, dataset_name)
    samples = load_samples(workspace, dataset, split)
    texts = read_texts(read_rows(texts_file), columns, what=str(texts_file)) if texts_file is not None else None
    predictions = read_outputs(
        task_of(dataset.task_kind), read_rows(file), columns, samples, texts=texts, what=str(file)
    )
    content = [version_name, dataset.id, dataset.fingerprint, split, predictions]
    key = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    known = known_run(workspace, key)
    if known is not None:
        return known
    run = EvaluationRun(
        key=key,
        version_id=add_imported_version(workspace, version_name).id,
        dataset_id=dataset.id,
        split=split,
        template=dataset.template,
        decoding={"method": "imported"},
        origin="imported",
        made_by=made_by(file=str(local_path(file, DataError).resolve()), columns=vars(columns)),
    )
    return store_run(workspace, run, [predictions])
