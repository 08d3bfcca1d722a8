"""Add datasets to the workspace."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from muscle_core.datasets import build_samples, dataset_fingerprint, read_rows, read_samples, write_samples
from muscle_core.datasets.read import Row
from muscle_core.datasets.samples import read_sample_ids, read_sample_rows, sample_of
from muscle_core.errors import ConfigError, DataError, MuscleError, StoreError, raise_all
from muscle_core.paths import local_path
from muscle_core.store import ArtifactsUnreachable, Dataset, Workspace, check_name, check_split, made_by
from muscle_core.store.tables import new_id
from muscle_core.tasks import TASK_KINDS, Sample, task_of, template_problem
from muscle_core.tasks.classification import Classification, label_names_problem

_LOOKED_AT = 50


def add_dataset(
    workspace: Workspace,
    name: str,
    task_kind: str,
    files: Mapping[str, str | Path],
    *,
    template: str | None = None,
    max_new_tokens: int | None = None,
    stop: Sequence[str] | None = None,
    labels: Sequence[str] | None = None,
) -> Dataset:
    """Read, validate and add a dataset from files, or refuse it with all problems at once.

    Args:
        workspace: where to add it.
        name: unique name.
        task_kind: one of `muscle_core.tasks.TASK_KINDS`.
        files: path of a .jsonl, .json, .csv or .parquet file for each split, by split name.
        template: prompt template with `{input}`; by default the task kind's.
        max_new_tokens: most tokens of a generated answer; by default the task kind's.
        stop: stop strings of generation; by default the task kind's.
        labels: names of the labels of a classification in the order of their indices; by default the rows' own, else
            their distinct labels, sorted.

    Raises:
        ConfigError: unknown task kind, unusable name, template or option, or the name is taken.
        DataError: a file is missing or unreadable, a row lacks its gold answer, an id occurs twice, …
    """
    if not files:
        raise ConfigError(f"dataset {name!r} cannot be added: no file given; name at least one split and its file.")
    return add_dataset_rows(
        workspace,
        name,
        task_kind,
        {split: read_rows(path) for split, path in files.items()},
        template=template,
        max_new_tokens=max_new_tokens,
        stop=stop,
        labels=labels,
        source={"files": {split: str(local_path(file, DataError).resolve()) for split, file in files.items()}},
    )


class DatasetPreview(NamedTuple):
    """What adding a dataset would do. Nothing is written.

    Attributes:
        splits: rows of each split; empty where there are problems.
        first: the first samples.
        problems: why it cannot be added, one line each.
    """

    splits: dict[str, int]
    first: tuple[Sample, ...]
    problems: tuple[str, ...]


def preview_dataset(
    task_kind: str, rows_by_split: Mapping[str, Sequence[Row]], *, labels: Sequence[str] | None = None, count: int = 5
) -> DatasetPreview:
    """How rows would be read as a task kind; problems are returned, not raised.

    Args:
        task_kind: one of `muscle_core.tasks.TASK_KINDS`.
        rows_by_split: (place, row) pairs by split name, as `read_rows` gives them.
        labels: as of `add_dataset`.
        count: how many samples to show.
    """
    try:
        samples = build_samples(task_of(task_kind), rows_by_split, labels=labels or ())
    except MuscleError as error:
        return DatasetPreview({}, (), error.problems or (str(error),))
    sizes = {split: sum(sample.split == split for sample in samples) for split in rows_by_split}
    return DatasetPreview(sizes, tuple(samples[:count]), ())


def guess_task_kind(rows: Sequence[Row]) -> str:
    """The first task kind that can read the first rows of a file; the first of all where none can."""
    head = {"test": rows[:_LOOKED_AT]}
    fits = (kind for kind in TASK_KINDS if not preview_dataset(kind, head).problems)
    return next(fits, TASK_KINDS[0])


def add_dataset_rows(
    workspace: Workspace,
    name: str,
    task_kind: str,
    rows_by_split: Mapping[str, Sequence[Row]],
    *,
    template: str | None = None,
    max_new_tokens: int | None = None,
    stop: Sequence[str] | None = None,
    labels: Sequence[str] | None = None,
    source: Mapping[str, object] | None = None,
) -> Dataset:
    """Like `add_dataset`, from rows in memory with their places; `source` is recorded.

    A dataset of that name whose file is missing or damaged gets it back, if the content is the same.

    Raises:
        ConfigError, DataError: as `add_dataset`.
    """
    check_name(name, "dataset")
    task = task_of(task_kind)
    chosen = template if template is not None else task.default_template
    tokens = max_new_tokens if max_new_tokens is not None else task.max_new_tokens
    problems = [problem] if (problem := template_problem(chosen)) else []
    if task.generates and not 1 <= tokens <= 100_000:
        problems.append(f"max_new_tokens must be from 1 to 100,000, got {tokens}")
    if labels is not None:
        if task_kind != Classification.kind:
            problems.append(f"labels are of {Classification.kind} only, not of {task_kind}")
        elif problem := label_names_problem(labels):
            problems.append(problem)
    if stop is not None and "" in stop:
        problems.append("a stop string is empty: every answer would end before its first letter")
    raise_all(problems, ConfigError, f"dataset {name!r} cannot be added")
    for split in rows_by_split:
        check_name(split, "split")
    with workspace.reading() as session:
        existing = session.scalar(sa.select(Dataset).where(Dataset.name == name))
    if existing is not None and _is_readable(workspace, existing):
        raise _taken(name)
    samples = build_samples(task, rows_by_split, name=name, labels=labels or ())
    sizes = {split: sum(sample.split == split for sample in samples) for split in rows_by_split}
    empty = [split for split, rows in sizes.items() if rows == 0]
    raise_all((f"split {split!r} has no rows" for split in empty), DataError, f"dataset {name!r} cannot be added")
    dataset_id = new_id()
    dataset = Dataset(
        id=dataset_id,
        name=name,
        task_kind=task_kind,
        splits=sizes,
        fingerprint=dataset_fingerprint(task_kind, samples),
        template=chosen,
        decoding={"max_new_tokens": tokens, "stop": list(task.stop if stop is None else stop)},
        path=f"datasets/{name}-{dataset_id[:12]}.parquet",
        made_by=made_by(**(source or {})),
    )
    if existing is not None:
        same = [
            (known.task_kind, known.fingerprint, known.template, known.decoding, known.splits)
            for known in (existing, dataset)
        ]
        if same[0] != same[1]:
            raise _taken(name)
        workspace.discard(existing.path)  # a damaged shared copy would else be taken for this one
        _write(workspace, samples, existing.path)
        return existing
    _write(workspace, samples, dataset.path)
    try:
        with workspace.writing() as session:
            session.add(dataset)
    except BaseException as error:
        workspace.discard(dataset.path)
        if isinstance(error, sa.exc.IntegrityError):
            raise _taken(name) from error
        raise
    return dataset


def _write(workspace: Workspace, samples: Sequence[Sample], path: str) -> None:
    write_samples(samples, workspace.path(path))
    try:
        workspace.publish(path)
    except BaseException:
        workspace.discard(path)
        raise


def _taken(name: str) -> ConfigError:
    return ConfigError(f"there is already a dataset named {name!r}; choose another name.")


def _is_readable(workspace: Workspace, dataset: Dataset) -> bool:
    try:
        read_samples(workspace.local(dataset.path))
    except ArtifactsUnreachable:
        raise
    except (DataError, StoreError):
        return False
    return True


def check_limit(limit: int | None) -> None:
    """Refuse a limit of samples that leaves none.

    Raises:
        DataError: it is not positive.
    """
    if limit is not None and limit < 1:
        raise DataError(f"the limit must be at least 1 sample, got {limit}.")


def load_samples(workspace: Workspace, dataset: Dataset, split: str, limit: int | None = None) -> list[Sample]:
    """Samples of a split in file order, the first `limit` of them where that is given.

    Raises:
        StoreError: no such split, or the shared place fails.
        DataError: the dataset's file is gone or damaged, or the limit is not positive.
    """
    check_split(dataset, split)
    check_limit(limit)
    path = workspace.local(dataset.path)
    if not path.is_file():
        raise DataError(f"the file of dataset {dataset.name!r} is gone: {path}. Add the dataset again.")
    return read_samples(path, split)[:limit]


def samples_by_id(workspace: Workspace, dataset: Dataset, split: str, ids: Collection[str]) -> list[Sample]:
    """The samples of a split with some ids, in file order; only their part of the file is read.

    Raises:
        StoreError: no such split, or the shared place fails.
        DataError: the dataset's file is gone or damaged.
    """
    check_split(dataset, split)
    path = workspace.local(dataset.path)
    known, places = read_sample_ids(path, split)
    rows = places[pc.is_in(known, value_set=pa.array(sorted(ids), pa.large_string())).to_numpy(zero_copy_only=False)]
    return [sample_of(row) for row in read_sample_rows(path, rows).to_pylist()]
