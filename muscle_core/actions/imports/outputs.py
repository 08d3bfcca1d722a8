"""Import per-sample outputs that were made elsewhere, as evaluation runs of versions without weights."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import sqlalchemy as sa

from muscle_core.actions.evaluation.runs import known_run, store_run, write_run
from muscle_core.actions.imports.plan import ImportRequest, Plan, PlannedRun, clean, facts_of, fill_plan
from muscle_core.actions.library.datasets import load_samples
from muscle_core.actions.library.models import add_imported_version
from muscle_core.datasets import read_rows, write_samples
from muscle_core.errors import DataError, MuscleError, StoreError
from muscle_core.interchange import ImportColumns, LogFacts, LogOptions, read_outputs, read_texts
from muscle_core.interchange.detect import AUTO
from muscle_core.paths import local_path
from muscle_core.store import Dataset, EvaluationRun, ModelVersion, Workspace, check_name, get_dataset, made_by
from muscle_core.store.tables import new_id
from muscle_core.tasks import task_of

_ATTEMPTS = 3


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


class ImportedRun(NamedTuple):
    """One run of an import; `is_new` is false where the same was imported before."""

    version: str
    run: EvaluationRun
    is_new: bool


class ImportResult(NamedTuple):
    """What an import has written.

    Attributes:
        format: of the file.
        dataset: the runs' dataset.
        made_dataset: whether it was made from the file.
        runs: one a model (and epoch).
        notes: what the user should know.
    """

    format: str
    dataset: Dataset
    made_dataset: bool
    runs: list[ImportedRun]
    notes: list[str]


class PreviewedRun(NamedTuple):
    """One run that an import would write.

    Attributes:
        version: name of its version.
        rows: samples.
        right: how many are right; None where none is judged.
        judged: how many are judged.
        mean_score: mean of the imported score; None where there is none.
        known: whether the same was imported before.
    """

    version: str
    rows: int
    right: int | None
    judged: int
    mean_score: float | None
    known: bool

    @property
    def accuracy(self) -> float | None:
        """Share of the judged samples that is right."""
        return None if self.right is None else self.right / self.judged


@dataclass(frozen=True)
class ImportPreview:
    """What an import would do. Nothing is written.

    Attributes:
        file: path of the file.
        facts: what it holds; None where it cannot be read.
        task: kind of the dataset; None where that was not found out.
        makes_dataset: whether the dataset would be made from it; None where that was not found out.
        runs: what would be written; empty where there are problems.
        first: the first rows of the first run: sample_id, input, gold, prediction, correct, output.
        notes: what the user should know.
        problems: why it cannot be imported, one line each; empty where it can.
    """

    file: str
    facts: LogFacts | None
    task: str | None
    makes_dataset: bool | None
    runs: tuple[PreviewedRun, ...]
    first: tuple[dict[str, Any], ...]
    notes: tuple[str, ...]
    problems: tuple[str, ...]


class _Raced(Exception):
    """Another process added a version, dataset or run of the same name meanwhile."""


def import_log(
    workspace: Workspace,
    file: str | Path,
    *,
    version: str,
    dataset: str,
    format: str = AUTO,
    split: str = "test",
    task: str | None = None,
    options: LogOptions | None = None,
    columns: ImportColumns | None = None,
    texts_file: str | Path | None = None,
    answers_file: str | Path | None = None,
    source: str | None = None,
) -> ImportResult:
    """Import a log, table or matrix: all of it or nothing; the same file again gives the same runs.

    Right and wrong are kept as the file says them. Where the dataset does not exist, it is made from the file; else
    every row must be one of its samples, by id or by content.

    Args:
        workspace: where it goes.
        file: see docs/imports.md for the formats.
        version: name of the version, made without weights where it does not exist; of a file with several models
            their names with commas between them; "-" for the names in the file.
        dataset: name of the dataset.
        format: "auto" (by content) or one of `muscle_core.interchange.FORMATS`.
        split: of the dataset.
        task: kind of the dataset where it is made from the file; by default multiple_choice where there are choices
            with one right answer, else instruction.
        options: what of the log is meant.
        columns: which column of a table holds what.
        texts_file: of a table, second file with the `output` column.
        answers_file: of a matrix, second file with the answers.
        source: what to record as the place that the file came from, such as the name of an upload; by default its path.

    Raises:
        ConfigError: an option cannot be used, or must be given to know what is meant.
        DataError: the file cannot be imported, with all problems at once.
        StoreError: the workspace cannot be written.
    """
    request = ImportRequest(
        file=Path(file),
        version=version,
        dataset=dataset,
        format=format,
        split=split,
        task=task,
        options=options or LogOptions(),
        columns=columns or ImportColumns(),
        texts_file=texts_file,
        answers_file=answers_file,
        source=source,
    )
    if workspace.read_only is not None:
        raise StoreError(workspace.read_only)
    for _ in range(_ATTEMPTS):
        plan = Plan(request)
        fill_plan(workspace, plan)
        try:
            return _carry_out(workspace, plan)
        except _Raced:
            continue  # what the other process wrote is there now
    raise StoreError(f"the import of {file} was overtaken by others {_ATTEMPTS} times; nothing was written. Try again.")


def preview_import(
    workspace: Workspace,
    file: str | Path,
    *,
    version: str | None = None,
    dataset: str | None = None,
    format: str = AUTO,
    split: str = "test",
    task: str | None = None,
    options: LogOptions | None = None,
    columns: ImportColumns | None = None,
    texts_file: str | Path | None = None,
    answers_file: str | Path | None = None,
    rows: int = 5,
) -> ImportPreview:
    """What `import_log` would do with the same arguments. Nothing is written; problems are returned, not raised.

    Args:
        workspace: where it would go.
        file: as in `import_log`, like all other arguments.
        version: may be left out.
        dataset: may be left out: then it is as if the dataset were made from the file.
        format: as in `import_log`.
        split: as in `import_log`.
        task: as in `import_log`.
        options: as in `import_log`.
        columns: as in `import_log`.
        texts_file: as in `import_log`.
        answers_file: as in `import_log`.
        rows: how many of the first rows to show.
    """
    plan = Plan(
        ImportRequest(
            file=Path(file),
            version=version,
            dataset=dataset,
            format=format,
            split=split,
            task=task,
            options=options or LogOptions(),
            columns=columns or ImportColumns(),
            texts_file=texts_file,
            answers_file=answers_file,
        )
    )
    problems: tuple[str, ...] = ()
    try:
        fill_plan(workspace, plan)
    except MuscleError as error:
        problems = error.problems or (str(error),)
    runs = () if problems else tuple(_previewed(workspace, plan, run) for run in plan.runs)
    return ImportPreview(
        file=str(file),
        facts=plan.facts,
        task=None if plan.dataset is None else plan.dataset.task_kind,
        makes_dataset=None if plan.dataset is None else plan.is_new,
        runs=runs,
        first=() if problems else _first_rows(plan, rows),
        notes=tuple(plan.notes),
        problems=problems,
    )


def _previewed(workspace: Workspace, plan: Plan, run: PlannedRun) -> PreviewedRun:
    judged = [row["correct"] for row in run.predictions if row["correct"] is not None]
    scores = [row["score"] for row in run.predictions if row.get("score") is not None]
    known = False
    if plan.dataset is not None and not plan.is_new:
        with workspace.reading() as session:
            key = run.key(plan.dataset, plan.request.split)
            known = session.scalar(sa.select(EvaluationRun.id).where(EvaluationRun.key == key)) is not None
    return PreviewedRun(
        version=run.version,
        rows=len(run.predictions),
        right=sum(judged) if judged else None,
        judged=len(judged),
        mean_score=math.fsum(scores) / len(scores) if scores else None,
        known=known,
    )


def _first_rows(plan: Plan, count: int) -> tuple[dict[str, Any], ...]:
    if not plan.runs:
        return ()
    samples = {sample.id: sample for sample in plan.samples}
    return tuple(
        {
            "sample_id": row["sample_id"],
            "input": samples[row["sample_id"]].input,
            **{name: row[name] for name in ("gold", "prediction", "correct", "output")},
        }
        for row in plan.runs[0].predictions[:count]
    )


def _carry_out(workspace: Workspace, plan: Plan) -> ImportResult:
    """Write the dataset, versions and runs of a plan that are not there yet, in one transaction.

    Raises:
        _Raced: one of them has appeared meanwhile; nothing is written.
    """
    dataset, facts = plan.dataset, plan.facts
    assert dataset is not None
    assert facts is not None
    split = plan.request.split
    keys = [run.key(dataset, split) for run in plan.runs]
    known = {key: None if plan.is_new else known_run(workspace, key) for key in keys}
    with workspace.reading() as session:
        names = [run.version for run in plan.runs]
        versions = {v.name: v for v in session.scalars(sa.select(ModelVersion).where(ModelVersion.name.in_(names)))}
    new_versions, new_runs, results, paths = [], [], [], []
    try:
        if plan.is_new:
            paths.append(dataset.path)
            write_samples(plan.samples, workspace.path(dataset.path))
            workspace.publish(dataset.path)
        for planned, key in zip(plan.runs, keys, strict=True):
            found = known[key]
            if found is not None:
                results.append(ImportedRun(planned.version, found, False))
                continue
            version = versions.get(planned.version)
            if version is None:
                facts_kept = {"model": clean(planned.model)} if planned.model else {}
                version = ModelVersion(
                    id=new_id(), name=planned.version, role="imported", notes="", made_by=made_by(**facts_kept)
                )
                versions[planned.version] = version
                new_versions.append(version)
            run = EvaluationRun(
                key=key,
                version_id=version.id,
                dataset_id=dataset.id,
                split=split,
                template=dataset.template,
                decoding={"method": "imported", **clean(planned.chosen or {})},
                origin="imported",
                made_by=made_by(**facts_of(plan)),
            )
            write_run(workspace, run, [planned.predictions])
            paths.append(run.path)
            new_runs.append(run)
            results.append(ImportedRun(planned.version, run, True))
        if plan.is_new or new_runs:
            with workspace.writing() as session:
                session.add_all([*([dataset] if plan.is_new else []), *new_versions])
                session.flush()  # the runs refer to both
                session.add_all(new_runs)
    except BaseException as error:
        for path in paths:
            workspace.discard(path)
        if isinstance(error, sa.exc.IntegrityError):
            raise _Raced from error
        raise
    return ImportResult(facts.format, dataset, plan.is_new, results, plan.notes)
