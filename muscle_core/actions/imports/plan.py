"""What an import would write, worked out without writing anything: the preview shows it, the import carries it out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from muscle_core.actions.imports.notes import about_cover, about_other_runs
from muscle_core.actions.imports.planned import Plan, PlannedRun, clean
from muscle_core.actions.imports.request import FROM_LOG, check_request, names_of, refuse_unused
from muscle_core.actions.library.datasets import load_samples, samples_by_id
from muscle_core.datasets import dataset_fingerprint, read_rows
from muscle_core.errors import ConfigError, DataError, raise_all
from muscle_core.interchange.detect import AUTO, detect_format, existing_file, read_log
from muscle_core.interchange.log import (
    GENERIC,
    LLM_COMPARATOR,
    WIDE,
    LogFacts,
    LoggedRun,
    LogRow,
    version_name,
)
from muscle_core.interchange.log_samples import log_predictions, match_samples, samples_of_log
from muscle_core.interchange.outputs import ImportColumns, read_outputs, read_questions, read_texts
from muscle_core.interchange.wide import looks_wide, read_wide
from muscle_core.store import (
    Dataset,
    Workspace,
    check_name,
    made_by,
)
from muscle_core.store.tables import new_id
from muscle_core.tasks import Sample, Task, task_of
from muscle_core.tasks.math import normalise_number

_FEW_SAMPLES = 20_000  # of a split, which are read in an instant


def fill_plan(workspace: Workspace, plan: Plan) -> None:
    """Work out an import, reading only.

    Raises:
        ConfigError, DataError, StoreError: it cannot be done; what was found out before stays in the plan.
    """
    request = plan.request
    check_request(request)
    plan.watch.stage("reading the file")
    file = existing_file(request.file)
    found, suffix = detect_format(file)
    kind = request.format if request.format != AUTO else found
    if kind == GENERIC:
        _plan_table(workspace, plan, file, suffix or None, forced=request.format == GENERIC)
    elif kind == WIDE:
        _plan_wide(workspace, plan, file, suffix or None)
    else:
        _plan_log(workspace, plan, file, kind)
    if not plan.is_new and plan.dataset is not None:
        plan.notes += about_other_runs(workspace, plan)
        plan.notes += [] if plan.first_rows_only else about_cover(plan)


def _plan_log(workspace: Workspace, plan: Plan, file: Path, kind: str) -> None:
    request = plan.request
    refuse_unused(request, kind)
    log = read_log(file, kind, request.options)
    plan.facts = log.facts
    plan.watch.stage("looking for the samples")
    _find_dataset(workspace, plan)
    options = replace(request.options, allow_partial=request.options.allow_partial or plan.first_rows_only)
    if kind == LLM_COMPARATOR:  # its fields are named as the columns of a table are
        options = replace(options, correct=request.columns.correct, score=request.columns.score)
    logged = log.runs(options)
    task = _task(plan, log.facts.kind)
    names = _version_names(request.version, logged)
    if plan.is_new:
        plan.samples = samples_of_log(task, plan.watch.rows(_most_rows(logged)), request.split, what=str(file))
        _make_dataset(plan, task, file)
    for run, name in zip(logged, names, strict=True):
        plan.watch.stage(f"checking the answers of {name}")
        samples = match_samples(task, plan.watch.rows(run.rows), plan.samples, what=str(file))
        predictions = log_predictions(task, run, samples, what=str(file))
        chosen = {"format": kind, **run.chosen}
        plan.runs.append(PlannedRun(name, run.model, predictions, chosen, run.notes))
        plan.notes += [note for note in run.notes if note not in plan.notes]
        if run.model and request.version in (None, FROM_LOG) and name != run.model:
            plan.notes.append(f"the model {run.model!r} is called {name!r} here")


def _most_rows(logged: Sequence[LoggedRun]) -> list[LogRow]:
    """The rows of the run with the most samples: the others may lack some of them."""
    return max((run.rows for run in logged), key=len)


def _plan_table(workspace: Workspace, plan: Plan, file: Path, suffix: str | None, *, forced: bool) -> None:
    """A table with one row a sample, or a matrix of models where its columns say so and none is mapped."""
    request, columns = plan.request, plan.request.columns
    rows = read_rows(file, suffix=suffix, told=plan.watch.read)
    names = tuple(rows[0][1])
    mapped = any((columns.prediction, columns.output, columns.correct, columns.score, request.texts_file))
    if not forced and not mapped and (request.answers_file is not None or looks_wide(rows, columns.id)):
        _plan_wide(workspace, plan, file, suffix)
        return
    plan.facts = LogFacts(GENERIC, str(file), len(rows), columns=names)
    refuse_unused(request, GENERIC)
    if columns.prediction is None and columns.output is None:
        raise ConfigError(
            f"{file} is a table with the columns {', '.join(names)[:300]}. Say which of them holds the answer "
            "(--prediction) or the generated text (--output); for one column a model, each 0 or 1, --format wide."
        )
    _find_dataset(workspace, plan, {str(row.get(columns.id)) for _, row in rows})
    task = _task(plan, "instruction")
    if plan.is_new and columns.input is None:
        raise ConfigError(
            f"there is no dataset {request.dataset or 'named'!r} yet. To make it from the file, say which column holds "
            "the input (--input) and which the right answer (--gold); or add it first (datasets add)."
        )
    if columns.input is not None:
        plan.watch.stage("reading the questions")
        questions = plan.watch.rows(read_questions(plan.watch.rows(rows), columns, what=str(file)))
        plan.watch.stage("looking for the samples")
        if plan.is_new:
            plan.samples = matched = samples_of_log(task, questions, request.split, what=str(file))
            _make_dataset(plan, task, file)
        else:
            matched = match_samples(task, questions, plan.samples, what=str(file))
            _check_ids(questions, matched, str(file))
        if columns.id not in rows[0][1]:  # a file without ids: its rows are known by what was asked
            rows = [(place, {**row, columns.id: s.id}) for (place, row), s in zip(rows, matched, strict=True)]
    texts = read_texts(read_rows(request.texts_file), columns, what=str(request.texts_file)) if (
        request.texts_file is not None
    ) else None  # fmt: skip
    plan.watch.stage("checking the answers")
    predictions = read_outputs(task, plan.watch.rows(rows), columns, plan.samples, texts=texts, what=str(file))
    name = _version_names(request.version, [LoggedRun("", [])])[0]
    _check_texts(predictions, str(file))
    plan.runs.append(PlannedRun(name, "", predictions, None))


def _check_ids(questions: Sequence[LogRow], matched: Sequence[Sample], what: str) -> None:
    """Refuse a file whose ids belong to other samples than its contents."""
    raise_all(
        (
            f"{row.place}: the id {row.id!r} is that of another sample; its content is that of {sample.id!r}"
            for row, sample in zip(questions, matched, strict=True)
            if row.id is not None and row.id != sample.id
        ),
        DataError,
        f"{what} does not fit the dataset",
    )


def _plan_wide(workspace: Workspace, plan: Plan, file: Path, suffix: str | None) -> None:
    request = plan.request
    refuse_unused(request, WIDE)
    matrix = read_wide(file, id_column=request.columns.id, answers=request.answers_file, suffix=suffix)
    plan.facts = matrix.facts
    _find_dataset(workspace, plan)
    task = _task(plan, "instruction")
    names = _version_names(request.version, [LoggedRun(model, []) for model in matrix.models])
    if plan.is_new:
        if matrix.input_column is None:
            plan.notes.append("the file has no inputs: the samples show their ids instead")
        plan.samples = samples_of_log(task, matrix.samples(), request.split, what=str(file))
        _make_dataset(plan, task, file)
    else:
        _check_golds(task, matrix.golds(), plan.samples, str(file))
    columns = ImportColumns(prediction="prediction", correct="correct")
    empty: Counter[str] = Counter()
    for done, (model, name) in enumerate(zip(matrix.models, names, strict=True)):
        plan.watch.stage("checking the models", done, len(names))
        rows = matrix.outputs(model)
        empty[model] = matrix.facts.rows - len(rows)
        if not rows and plan.first_rows_only:
            continue
        if not rows:
            raise DataError(f"{file}: the column {model!r} is empty.")
        predictions = read_outputs(task, rows, columns, plan.samples, what=str(file))
        _check_texts(predictions, str(file))
        plan.runs.append(PlannedRun(name, model, predictions, {"format": WIDE, "column": model}))
        if request.version in (None, FROM_LOG) and name != model:
            plan.notes.append(f"the model {model!r} is called {name!r} here")
    if any(empty.values()):
        some = [f"{model!r} {count:,}" for model, count in empty.items() if count]
        plan.notes.append(f"empty cells are left out: {', '.join(some[:10])}" + (" …" if len(some) > 10 else ""))
    if request.answers_file is None:
        plan.notes.append("there are no answers, so a changed wrong answer cannot be seen (NFR with changes = NFR)")


def _check_golds(task: Task, golds: dict[str, tuple[str, str]], samples: Sequence[Sample], what: str) -> None:
    def plain(text: str) -> str:
        return (normalise_number(text) or text.strip()) if not task.generates or task.right_or_wrong else text.strip()

    known = {sample.id: sample for sample in samples}
    raise_all(
        (
            f"{place}: the right answer of {identity!r} is {gold!r} here, but {known[identity].gold!r} in the dataset"
            for identity, (place, gold) in golds.items()
            if identity in known
            and plain(gold) not in (plain(known[identity].gold), plain(known[identity].target))
        ),
        DataError,
        f"{what} does not fit the dataset",
    )  # fmt: skip


def _find_dataset(workspace: Workspace, plan: Plan, ids: set[str] | None = None) -> None:
    """The dataset of that name with the samples of the split; none is made yet.

    Args:
        workspace: where it may be.
        plan: to be filled.
        ids: of the rows; of the first rows of a large file only these samples are read.
    """
    request = plan.request
    found = None
    if request.dataset is not None:
        with workspace.reading() as session:
            found = session.scalar(sa.select(Dataset).where(Dataset.name == request.dataset))
    plan.is_new = found is None
    if found is None:
        return
    if request.task is not None and request.task != found.task_kind:
        raise ConfigError(
            f"the dataset {found.name!r} is of the kind {found.task_kind}, not {request.task}; leave out the kind, or "
            "choose another name to make a dataset from the file."
        )
    plan.dataset = found
    if plan.first_rows_only and ids and found.splits.get(request.split, 0) > _FEW_SAMPLES:
        plan.samples = samples_by_id(workspace, found, request.split, ids)
    if not plan.samples:
        plan.samples = load_samples(workspace, found, request.split)


def _task(plan: Plan, suggested: str) -> Task:
    return task_of(plan.dataset.task_kind if plan.dataset is not None else plan.request.task or suggested)


def _make_dataset(plan: Plan, task: Task, file: Path) -> None:
    request, facts = plan.request, plan.facts
    assert facts is not None
    name = request.dataset or "preview"
    identity = new_id()
    plan.dataset = Dataset(
        id=identity,
        name=name,
        task_kind=task.kind,
        splits={request.split: len(plan.samples)},
        fingerprint=dataset_fingerprint(task.kind, plan.watch.rows(plan.samples)),
        template=task.default_template,
        decoding={"max_new_tokens": task.max_new_tokens, "stop": list(task.stop)},
        path=f"datasets/{name}-{identity[:12]}.parquet",
        made_by=made_by(file=clean(request.recorded_source), format=facts.format, log_task=clean(facts.task)),
    )


def _version_names(version: str | None, runs: Sequence[LoggedRun]) -> list[str]:
    """A name for each run, as asked for or from the log.

    Raises:
        ConfigError: too few or too many names, a name twice, or the log has no name.
    """
    models = list(dict.fromkeys(run.model for run in runs))
    if version in (None, FROM_LOG):
        by_model = {model: version_name(model) for model in models}
        if version == FROM_LOG and not all(by_model.values()):
            raise ConfigError("the log does not name its model; give the version a name.")
        by_model = {model: name or "version" for model, name in by_model.items()}
    else:
        named = names_of(version)
        if len(named) != len(models):
            listed = ", ".join(map(repr, models[:10]))
            raise ConfigError(
                f"{len(named)} names for {len(models)} models of the file ({listed}); give one for each, with commas "
                f"between them, or {FROM_LOG!r} for the file's own names."
            )
        by_model = dict(zip(models, named, strict=True))
    names = [f"{by_model[run.model]}{run.suffix}" for run in runs]
    doubled = [name for name, times in Counter(names).items() if times > 1]
    if doubled:
        raise ConfigError(f"two models would have the same name: {', '.join(doubled[:10])}; give each its own name.")
    return [check_name(name, "model version") for name in names]


def _check_texts(predictions: Sequence[dict[str, Any]], what: str) -> None:
    problems = []
    for row in predictions:
        try:
            for value in row.values():
                if isinstance(value, str):
                    value.encode()
        except UnicodeEncodeError:
            problems.append(f"the answer to {row['sample_id']!r} holds half a character, which no file can hold")
    raise_all(problems, DataError, f"{what} cannot be imported")
