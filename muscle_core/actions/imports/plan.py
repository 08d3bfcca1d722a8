"""What an import would write, worked out without writing anything: the preview shows it, the import carries it out."""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from muscle_core.actions.library.datasets import load_samples
from muscle_core.datasets import dataset_fingerprint, read_rows
from muscle_core.errors import ConfigError, DataError, raise_all
from muscle_core.interchange.detect import AUTO, detect_format, existing_file, read_log
from muscle_core.interchange.log import (
    FORMATS,
    GENERIC,
    INSPECT,
    LLM_COMPARATOR,
    LM_EVAL,
    WIDE,
    LogFacts,
    LoggedRun,
    LogOptions,
    LogRow,
    version_name,
)
from muscle_core.interchange.log_samples import log_predictions, match_samples, samples_of_log
from muscle_core.interchange.outputs import ImportColumns, read_outputs, read_questions, read_texts
from muscle_core.interchange.wide import looks_wide, read_wide
from muscle_core.paths import local_path
from muscle_core.store import (
    Dataset,
    EvaluationRun,
    Workspace,
    check_name,
    list_runs,
    list_versions,
    made_by,
    read_predictions,
)
from muscle_core.store.predictions import PROMPT_COLUMN
from muscle_core.store.tables import new_id
from muscle_core.tasks import Sample, Task, task_of
from muscle_core.tasks.math import normalise_number

FROM_LOG = "-"  # a version's name is taken from the log
# Options that a format reads; any other is refused.
_USED = {
    GENERIC: {*vars(ImportColumns()), "texts"},
    LM_EVAL: {"filter", "metric", "epoch", "threshold", "allow_partial", "results"},
    INSPECT: {"metric", "scorer", "epoch", "threshold", "allow_partial"},
    LLM_COMPARATOR: {"correct", "score"},
    WIDE: {"id", "answers"},
}
_LONGEST_FACT = 1000
_MOST_FACTS = 100
_RUNS_LOOKED_AT = 50


@dataclass(frozen=True)
class ImportRequest:
    """What the user asked for; see `muscle_core.actions.imports.outputs.import_log`."""

    file: Path
    version: str | None = None
    dataset: str | None = None
    format: str = AUTO
    split: str = "test"
    task: str | None = None
    options: LogOptions = field(default_factory=LogOptions)
    columns: ImportColumns = field(default_factory=ImportColumns)
    texts_file: str | Path | None = None
    answers_file: str | Path | None = None
    source: str | None = None

    @property
    def recorded_source(self) -> str:
        """What is recorded as the place that the file came from."""
        return self.source or str(local_path(self.file, DataError).resolve())


@dataclass(frozen=True)
class PlannedRun:
    """One run that would be written."""

    version: str
    model: str
    predictions: list[dict[str, Any]]
    chosen: dict[str, Any] | None  # None: a generic file, whose columns are recorded instead
    notes: tuple[str, ...] = ()

    def key(self, dataset: Dataset, split: str) -> str:
        """Hash of all that decides what the run says."""
        content: list[Any] = [self.version, dataset.id, dataset.fingerprint, split, self.predictions]
        if self.chosen is not None:
            content.append(self.chosen)
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


@dataclass
class Plan:
    """What was found out so far; where something is refused, the rest stays empty.

    Attributes:
        request: what was asked for.
        facts: what the file holds.
        dataset: the dataset in the workspace, or the one that would be made.
        is_new: whether it would be made.
        samples: of the split.
        runs: what would be written.
        notes: what the user should know.
    """

    request: ImportRequest
    facts: LogFacts | None = None
    dataset: Dataset | None = None
    is_new: bool = False
    samples: list[Sample] = field(default_factory=list)
    runs: list[PlannedRun] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def fill_plan(workspace: Workspace, plan: Plan) -> None:
    """Work out an import, reading only.

    Raises:
        ConfigError, DataError, StoreError: it cannot be done; what was found out before stays in the plan.
    """
    request = plan.request
    if request.format not in (AUTO, *FORMATS):
        raise ConfigError(f"unknown format {request.format!r}; known: {', '.join((AUTO, *FORMATS))}.")
    if request.task is not None:
        task_of(request.task)
    check_name(request.split, "split")
    if request.dataset is not None:
        check_name(request.dataset, "dataset")
    for name in _named(request.version):
        check_name(name, "model version")
    if request.options.threshold is not None and not math.isfinite(request.options.threshold):
        raise ConfigError(f"the threshold must be a finite number, got {request.options.threshold}.")
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
        plan.notes += _about_other_runs(workspace, plan)
        plan.notes += _about_cover(plan)


def _named(version: str | None) -> list[str]:
    return [] if version in (None, FROM_LOG) else [name.strip() for name in str(version).split(",")]


def _plan_log(workspace: Workspace, plan: Plan, file: Path, kind: str) -> None:
    request = plan.request
    _refuse_unused(request, kind)
    log = read_log(file, kind, request.options)
    plan.facts = log.facts
    _find_dataset(workspace, plan)
    options = request.options
    if kind == LLM_COMPARATOR:  # its fields are named as the columns of a table are
        options = replace(options, correct=request.columns.correct, score=request.columns.score)
    logged = log.runs(options)
    task = _task(plan, log.facts.kind)
    names = _version_names(request.version, logged)
    if plan.is_new:
        plan.samples = samples_of_log(task, _most_rows(logged), request.split, what=str(file))
        _make_dataset(plan, task, file)
    for run, name in zip(logged, names, strict=True):
        samples = match_samples(task, run.rows, plan.samples, what=str(file))
        predictions = log_predictions(task, run, samples, what=str(file))
        chosen = {"format": kind, **run.chosen}
        plan.runs.append(PlannedRun(name, run.model, predictions, chosen, run.notes))
        plan.notes += [note for note in run.notes if note not in plan.notes]
        if run.model and request.version in (None, FROM_LOG) and name != run.model:
            plan.notes.append(f"the model {run.model!r} is called {name!r} here")


def _refuse_unused(request: ImportRequest, kind: str) -> None:
    """Refuse options that the format does not have, rather than ignore them.

    Raises:
        ConfigError: naming them.
    """
    given = {name for name, value in vars(request.options).items() if value not in (None, False)}
    default = vars(ImportColumns())
    given |= {name for name, value in vars(request.columns).items() if value != default[name]}
    given |= {"texts"} if request.texts_file is not None else set()
    given |= {"answers"} if request.answers_file is not None else set()
    unused = sorted(given - _USED[kind])
    if unused:
        listed = ", ".join(f"--{name.replace('_', '-')}" for name in unused)
        raise ConfigError(f"{listed}: not used by a file of the format {kind}; leave it out.")


def _most_rows(logged: Sequence[LoggedRun]) -> list[LogRow]:
    """The rows of the run with the most samples: the others may lack some of them."""
    return max((run.rows for run in logged), key=len)


def _plan_table(workspace: Workspace, plan: Plan, file: Path, suffix: str | None, *, forced: bool) -> None:
    """A table with one row a sample, or a matrix of models where its columns say so and none is mapped."""
    request, columns = plan.request, plan.request.columns
    rows = read_rows(file, suffix=suffix)
    names = tuple(rows[0][1])
    mapped = any((columns.prediction, columns.output, columns.correct, columns.score, request.texts_file))
    if not forced and not mapped and (request.answers_file is not None or looks_wide(rows, columns.id)):
        _plan_wide(workspace, plan, file, suffix)
        return
    plan.facts = LogFacts(GENERIC, str(file), len(rows), columns=names)
    _refuse_unused(request, GENERIC)
    if columns.prediction is None and columns.output is None:
        raise ConfigError(
            f"{file} is a table with the columns {', '.join(names)[:300]}. Say which of them holds the answer "
            "(--prediction) or the generated text (--output); for one column a model, each 0 or 1, --format wide."
        )
    _find_dataset(workspace, plan)
    task = _task(plan, "instruction")
    if plan.is_new and columns.input is None:
        raise ConfigError(
            f"there is no dataset {request.dataset or 'named'!r} yet. To make it from the file, say which column holds "
            "the input (--input) and which the right answer (--gold); or add it first (datasets add)."
        )
    if columns.input is not None:
        questions = read_questions(rows, columns, what=str(file))
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
    predictions = read_outputs(task, rows, columns, plan.samples, texts=texts, what=str(file))
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
    _refuse_unused(request, WIDE)
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
    for model, name in zip(matrix.models, names, strict=True):
        rows = matrix.outputs(model)
        empty[model] = matrix.facts.rows - len(rows)
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


def _find_dataset(workspace: Workspace, plan: Plan) -> None:
    """The dataset of that name with the samples of the split; none is made yet."""
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
        fingerprint=dataset_fingerprint(task.kind, plan.samples),
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
        named = _named(version)
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


def clean(value: Any, depth: int = 6) -> Any:
    """Facts as any database takes them as JSON: cut where they are long, without NUL, NaN and half characters."""
    if isinstance(value, dict) and depth:
        return {str(clean(str(key))): clean(item, depth - 1) for key, item in list(value.items())[:_MOST_FACTS]}
    if isinstance(value, list | tuple) and depth:
        return [clean(item, depth - 1) for item in value[:_MOST_FACTS]]
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if value is None or isinstance(value, bool) or (isinstance(value, int) and abs(value) < 2**53):
        return value
    text = str(value).replace("\0", "").encode("utf-8", "replace").decode()
    return text if len(text) <= _LONGEST_FACT else f"{text[:_LONGEST_FACT]}…"


def facts_of(plan: Plan) -> dict[str, Any]:
    """What to record of where a run comes from."""
    request, facts = plan.request, plan.facts
    assert facts is not None
    found: dict[str, Any] = {"file": clean(request.recorded_source), "format": facts.format}
    if facts.format == GENERIC:
        return {**found, "columns": vars(request.columns)}
    return {**found, "log_task": clean(facts.task), "log": clean(facts.made_by)}


def _about_cover(plan: Plan) -> list[str]:
    """Say how many samples of the split are in the file, where not all are."""
    total = len(plan.samples)
    parts = {run.version: len(run.predictions) for run in plan.runs if len(run.predictions) < total}
    listed = ", ".join(f"{name} {count:,}" for name, count in list(parts.items())[:5])
    return [f"not all {total:,} samples of the split are in the file: {listed}"] if parts else []


def _about_other_runs(workspace: Workspace, plan: Plan) -> list[str]:
    """Say where what is imported was asked or graded in another way than what is there."""
    assert plan.dataset is not None
    names = {version.id: version.name for version in list_versions(workspace)}
    others = [
        run for run in list_runs(workspace, plan.dataset.id)
        if run.origin == "imported" and run.split == plan.request.split
    ]  # fmt: skip
    notes = []
    for planned in plan.runs:
        key = planned.key(plan.dataset, plan.request.split)
        prompts = {row["sample_id"]: row["prompt_hash"] for row in planned.predictions if "prompt_hash" in row}
        for run in [run for run in others if run.key != key][:_RUNS_LOOKED_AT]:
            name = names.get(run.version_id, "?")
            if name == planned.version:
                notes.append(
                    f"{name} already has an imported run on this split ({run.id[:8]}); comparisons use the newest of "
                    "the largest ones"
                )
                continue
            if planned.chosen is not None and (rule := _rule(run.decoding)) != (mine := _rule(planned.chosen)):
                notes.append(f"{name} was graded by another rule ({_words(rule)}) than this run ({_words(mine)})")
            if prompts and (differ := _other_prompts(workspace, run, prompts)):
                notes.append(
                    f"{differ[0]:,} of {differ[1]:,} samples were asked with another prompt than for {name}: flips may "
                    "come from the prompt, not from the model"
                )
    return list(dict.fromkeys(notes))


def _rule(chosen: dict[str, Any]) -> dict[str, Any]:
    return {name: chosen[name] for name in ("format", "filter", "metric", "scorer", "threshold") if name in chosen}


def _words(rule: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in rule.items()) or "columns of a table"


def _other_prompts(workspace: Workspace, run: EvaluationRun, prompts: dict[str, str]) -> tuple[int, int] | None:
    frame = read_predictions(workspace.local(run.path), ["sample_id", PROMPT_COLUMN])
    if PROMPT_COLUMN not in frame:
        return None
    theirs = dict(zip(frame["sample_id"], frame[PROMPT_COLUMN], strict=True))
    shared = [identity for identity, value in prompts.items() if isinstance(theirs.get(identity), str)]
    differ = sum(theirs[identity] != prompts[identity] for identity in shared)
    return (differ, len(shared)) if differ else None
