"""Import per-sample outputs that were made elsewhere, as evaluation runs of versions without weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import sqlalchemy as sa

from muscle_core.actions.evaluation.runs import known_run, write_run
from muscle_core.actions.imports.plan import fill_plan
from muscle_core.actions.imports.planned import Plan, clean, facts_of
from muscle_core.actions.imports.request import ImportRequest, Watch
from muscle_core.datasets import write_samples
from muscle_core.errors import StoreError
from muscle_core.interchange import ImportColumns, LogOptions
from muscle_core.interchange.detect import AUTO
from muscle_core.interchange.log import GENERIC
from muscle_core.store import Dataset, EvaluationRun, ModelVersion, Workspace, check_name, get_dataset, made_by
from muscle_core.store.tables import new_id

_ATTEMPTS = 3
_ROWS_A_PART = 65_536


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
    return import_as_asked(workspace, request)


def import_as_asked(
    workspace: Workspace,
    request: ImportRequest,
    *,
    watch: Watch | None = None,
    note: Callable[[str], None] = lambda path: None,
) -> ImportResult:
    """As `import_log`, which says what is raised.

    Args:
        workspace: where it goes.
        request: what is asked for.
        watch: told how far it is; it may stop it until the rows are written.
        note: told each path in the workspace before something is written there.
    """
    if workspace.read_only is not None:
        raise StoreError(workspace.read_only)
    for _ in range(_ATTEMPTS):
        plan = Plan(request, watch=watch or Watch())
        fill_plan(workspace, plan)
        try:
            return _carry_out(workspace, plan, note)
        except _Raced:
            continue  # what the other process wrote is there now
    raise StoreError(
        f"the import of {request.file} was overtaken by others {_ATTEMPTS} times; nothing was written. Try again."
    )


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
    """Import one version's outputs on a split of a dataset that is there, as `import_log` does of a table.

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
        StoreError: there is no such dataset, or it has no such split.
        DataError: unknown or doubled ids, values that are neither right nor wrong, missing columns; nothing is written.
    """
    check_name(version_name, "model version")
    get_dataset(workspace, dataset_name)  # it is never made from the file
    done = import_log(
        workspace,
        file,
        version=version_name,
        dataset=dataset_name,
        format=GENERIC,
        split=split,
        columns=columns,
        texts_file=texts_file,
    )
    return done.runs[0].run


def _carry_out(workspace: Workspace, plan: Plan, note: Callable[[str], None]) -> ImportResult:
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
            note(dataset.path)
            plan.watch.stage("writing the dataset")
            write_samples(plan.watch.rows(plan.samples), workspace.path(dataset.path))
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
            run.id = new_id()
            note(f"predictions/{run.id}")
            plan.watch.stage(f"writing the answers of {planned.version}")
            write_run(workspace, run, _parts(plan, planned.predictions))
            paths.append(run.path)
            new_runs.append(run)
            results.append(ImportedRun(planned.version, run, True))
        plan.watch.stage("writing it down", 1)
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


def _parts(plan: Plan, predictions: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    for start in range(0, len(predictions), _ROWS_A_PART):
        plan.watch.tick(start, len(predictions))
        yield predictions[start : start + _ROWS_A_PART]
