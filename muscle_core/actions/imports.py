"""Import per-sample outputs that were made elsewhere, as an evaluation run of a version without weights."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import sqlalchemy as sa

from muscle_core.actions.datasets import load_samples
from muscle_core.actions.models import add_imported_version
from muscle_core.datasets import read_rows
from muscle_core.interchange import ImportColumns, read_outputs, read_texts
from muscle_core.store import (
    EvaluationRun,
    PredictionWriter,
    Workspace,
    get_dataset,
    made_by,
    read_predictions,
    summarise,
)
from muscle_core.store.tables import new_id
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
        DataError: unknown or doubled ids, values that are neither right nor wrong, missing columns; nothing is written.
    """
    dataset = get_dataset(workspace, dataset_name)
    task = task_of(dataset.task_kind)
    gold = {sample.id: sample.gold for sample in load_samples(workspace, dataset, split)}
    texts = read_texts(read_rows(texts_file), columns, what=str(texts_file)) if texts_file is not None else None
    predictions = read_outputs(task, read_rows(file), columns, gold, texts=texts, what=str(file))
    key = hashlib.sha256(
        json.dumps([version_name, dataset.fingerprint, split, predictions], sort_keys=True).encode()
    ).hexdigest()
    with workspace.reading() as session:
        known = session.scalar(sa.select(EvaluationRun).where(EvaluationRun.key == key))
    if known is not None:
        return known
    run_id = new_id()
    relative = f"predictions/{run_id}"
    writer = PredictionWriter(workspace.path(relative))
    writer.write(predictions)
    writer.finish()
    run = EvaluationRun(
        id=run_id,
        key=key,
        version_id=add_imported_version(workspace, version_name).id,
        dataset_id=dataset.id,
        split=split,
        template=dataset.template,
        decoding={"method": "imported"},
        rows=len(predictions),
        path=relative,
        summary=summarise(read_predictions(workspace.path(relative))),
        origin="imported",
        made_by=made_by(file=str(Path(file).resolve()), columns=vars(columns)),
    )
    with workspace.writing() as session:
        session.add(run)
    return run
