"""Delete a version, dataset, run, training or job: what depends on it is found and told before anything goes.

Rows go in one transaction and files after it, so that a kill in between leaves only files that nothing refers to; the
clean-up (`muscle_core.actions.upkeep.cleanup`) finds those.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from muscle_core.actions.updates.replicas import release_replicas
from muscle_core.errors import ConfigError, StoreError
from muscle_core.jobs import FINAL, get_job
from muscle_core.store import (
    Dataset,
    EvaluationRun,
    Job,
    ModelVersion,
    Review,
    ReviewAssignment,
    TrainingRun,
    Workspace,
    get_dataset,
    get_version,
)
from muscle_core.store.answers import asked_of
from muscle_core.store.disk import inside_path, is_referred, keeping_files, referred_paths, size_of
from muscle_core.store.kept_tokens import TOKENS, is_of_none, whose_tokens
from muscle_core.store.tables import ENSEMBLE, Table

KINDS = {
    "version": ModelVersion,
    "dataset": Dataset,
    "run": EvaluationRun,
    "training": TrainingRun,
    "job": Job,
}
_DEMO = "load_demo"  # kind of job that names none of the objects it works with; all of them begin with "demo-"


@dataclass
class Deletion:
    """What a deletion consists of.

    Attributes:
        target: what is deleted, in words.
        dependents: what depends on it and goes only where that is asked for, in words.
        along: what belongs to it and goes with it, in words.
        unlinked: versions that name a deleted one as their parent; they stay, without that.
        replicas: versions that were declared replicas of a deleted one; they stay, without it.
        users: jobs that are not over and use something of it; they keep all of it from being deleted.
        paths: what goes from the workspace folder, relative to it.
        size: bytes of that.
        rows: ids of the rows that go, by table.
    """

    target: str
    dependents: list[str] = field(default_factory=list)
    along: list[str] = field(default_factory=list)
    unlinked: list[str] = field(default_factory=list)
    replicas: list[str] = field(default_factory=list)
    users: list[str] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    size: int = 0
    rows: dict[type[Table], dict[str, Any]] = field(default_factory=lambda: {table: {} for table in KINDS.values()})


def plan_deletion(workspace: Workspace, kind: str, name: str) -> Deletion:
    """What deleting an object would take with it; nothing is changed.

    Args:
        workspace: where it is.
        kind: one of `KINDS`.
        name: name of a version or dataset; id of a run or job or the beginning of it; of a training, either its id or
            the name of the version that it made.

    Raises:
        ConfigError: there is no such kind.
        StoreError, JobError: there is no such object.
    """
    found = _find(workspace, kind, name)
    with workspace.reading() as session:
        return _plan(session, workspace, kind, found.id)


def delete(workspace: Workspace, kind: str, name: str, *, with_dependents: bool = False) -> Deletion:
    """Delete an object, its rows in one transaction and then its files.

    Args:
        workspace: where it is.
        kind: as of `plan_deletion`.
        name: as of `plan_deletion`.
        with_dependents: delete what depends on it too.

    Returns:
        What was deleted.

    Raises:
        ConfigError: there is no such kind.
        StoreError: there is no such object, something depends on it, or a job uses it; nothing is deleted.
    """
    found = _find(workspace, kind, name)
    with keeping_files(workspace):
        with _all_or_nothing(kind), workspace.writing() as session:
            plan = _plan(session, workspace, kind, found.id)
            if plan.users:
                raise StoreError(
                    f"{plan.target} is in use: {'; '.join(plan.users)}. Wait for the end of these jobs or cancel them "
                    "(python -m muscle_core jobs cancel JOB). Nothing was deleted."
                )
            if plan.dependents and not with_dependents:
                raise StoreError(
                    f"{plan.target} is not deleted, because others depend on it ({len(plan.dependents):,}): "
                    f"{_listed(plan.dependents)}. Delete them first, or all together with --with-dependents."
                )
            _delete_rows(session, plan)
        for path in plan.paths:
            workspace.discard(path)  # what is left of it, the clean-up finds
    return plan


@contextlib.contextmanager
def _all_or_nothing(kind: str) -> Iterator[None]:
    try:
        yield
    except sa.exc.IntegrityError as error:
        raise StoreError(
            f"something that refers to this {kind} was added while it was being deleted; nothing was deleted. Look at "
            "it again."
        ) from error


def _find(workspace: Workspace, kind: str, name: str) -> Any:
    if kind not in KINDS:
        raise ConfigError(f"there is no kind {kind!r} to delete; known: {', '.join(KINDS)}.")
    if kind == "version":
        return get_version(workspace, name)
    if kind == "dataset":
        return get_dataset(workspace, name)
    if kind == "job":
        return get_job(workspace, name)
    table: Any = KINDS[kind]
    if kind == "training":
        made = sa.select(TrainingRun).join(ModelVersion, TrainingRun.result_version_id == ModelVersion.id)
        with workspace.reading() as session:
            training = session.scalar(made.where(ModelVersion.name == name))
        if training is not None:
            return training
    with workspace.reading() as session:
        found = list(session.scalars(sa.select(table).where(table.id.startswith(name, autoescape=True)).limit(2)))
    if len(found) != 1 or not name:
        many = "several begin" if len(found) > 1 else "none begins"
        how = "Name the version that it made" if kind == "training" else "See python -m muscle_core runs list"
        raise StoreError(f"no {kind} {name!r}: {many} so. {how}.")
    return found[0]


def _plan(session: Session, workspace: Workspace, kind: str, object_id: str) -> Deletion:
    table = KINDS[kind]
    start = session.get(table, object_id)
    if start is None:
        raise StoreError(f"this {kind} was deleted meanwhile.")
    plan = Deletion(_words(session, start))
    own = _with_what_belongs(session, plan.rows, [start])
    plan.along = [_words(session, row) for row in own if row is not start]
    waiting = own
    while waiting:
        dependents = _with_what_belongs(session, plan.rows, _dependents(session, waiting))
        plan.dependents += [_words(session, row) for row in dependents]
        waiting = dependents
    versions, jobs = plan.rows[ModelVersion], plan.rows[Job]
    children = session.scalars(sa.select(ModelVersion).where(ModelVersion.parent_id.in_(versions)))
    plan.unlinked = [child.name for child in children if child.id not in versions]
    groups = {version.replica_of or version.id for version in versions.values()}
    group = sa.or_(ModelVersion.id.in_(groups), ModelVersion.replica_of.in_(groups))
    members = session.scalars(sa.select(ModelVersion).where(group).order_by(ModelVersion.name))
    plan.replicas = [member.name for member in members if member.id not in versions]
    plan.dependents = _reviews(session, plan) + plan.dependents  # first: a message names only some
    plan.along += _other_rows(session, plan)
    plan.users = [
        f"job {job.id[:8]} ({job.title}, {job.state})"
        for job in session.scalars(sa.select(Job).where(Job.state.not_in(FINAL)).order_by(Job.created_at))
        if job.id in jobs or job.id in plan.rows[TrainingRun] or _uses(job, plan)
    ]
    plan.paths = _paths(session, workspace, plan)
    plan.size = sum(size_of(workspace.path(path))[1] for path in plan.paths)
    return plan


def _with_what_belongs(session: Session, rows: dict[type[Table], dict[str, Any]], found: Iterable[Any]) -> list[Any]:
    """The rows that are not among `rows` yet, with what is one with them; all are added to it.

    A training is one with the version that it made and the job that did it.
    """
    added, waiting = [], list(found)
    while waiting:
        row = waiting.pop(0)
        if row.id in rows[type(row)]:
            continue
        rows[type(row)][row.id] = row
        added.append(row)
        if isinstance(row, ModelVersion):
            waiting += session.scalars(sa.select(TrainingRun).where(TrainingRun.result_version_id == row.id))
        elif isinstance(row, TrainingRun):
            waiting += filter(None, (session.get(ModelVersion, row.result_version_id), session.get(Job, row.id)))
    return added


def _dependents(session: Session, rows: list[Any]) -> list[Any]:
    """What makes no sense without some rows: their runs, the trainings on them, the ensembles of them."""
    versions = {row.id for row in rows if isinstance(row, ModelVersion)}
    datasets = {row.id for row in rows if isinstance(row, Dataset)}
    found: list[Any] = []
    for table, columns in (
        (EvaluationRun, (EvaluationRun.version_id,)),
        (TrainingRun, (TrainingRun.old_version_id, TrainingRun.new_version_id)),
    ):
        refers = [column.in_(versions) for column in columns] + [table.dataset_id.in_(datasets)]
        found += session.scalars(sa.select(table).where(sa.or_(*refers)).order_by(table.created_at))
    if versions:
        for ensemble in session.scalars(sa.select(ModelVersion).where(ModelVersion.role == ENSEMBLE)):
            if versions & {member["id"] for member in ensemble.made_by.get("ensemble_of", ())}:
                found.append(ensemble)
    return found


def _other_rows(session: Session, plan: Deletion) -> list[str]:
    """Rows of further tables that refer to what goes, such as that one job waits for another, in words."""
    counted = []
    for table, condition in _referring(plan):
        count = session.scalar(sa.select(sa.func.count()).select_from(table).where(condition))
        if count and table.name != Review.__tablename__:  # people's work is told as a dependent
            requests = f"request{'s' if count > 1 else ''} to review"
            what = requests if table.name == ReviewAssignment.__tablename__ else f"rows of {table.name}"
            counted.append(f"{count:,} {what}")
    return counted


def _reviews(session: Session, plan: Deletion) -> list[str]:
    """Reviews of what goes, in words; nobody can make them again but those who wrote them."""
    conditions = [condition for table, condition in _referring(plan) if table.name == Review.__tablename__]
    found = list(session.scalars(sa.select(Review).where(*conditions))) if conditions else []
    if not found:
        return []
    names = ", ".join(sorted({review.reviewer for review in found}))
    return [f"{len(found):,} review{'s' if len(found) > 1 else ''} by {names}"]


def _referring(plan: Deletion) -> list[tuple[sa.Table, sa.ColumnElement[bool]]]:
    """Tables without a class in `KINDS`, and which of their rows refer to what goes."""
    gone = {table.__tablename__: list(rows) for table, rows in plan.rows.items()}
    found = []
    for table in reversed(Table.metadata.sorted_tables):
        if table.name in gone:
            continue
        conditions = [
            key.parent.in_(gone[key.column.table.name]) for key in table.foreign_keys if gone.get(key.column.table.name)
        ]
        if conditions:
            found.append((table, sa.or_(*conditions)))
    return found


def _uses(job: Job, plan: Deletion) -> bool:
    names = {row.name for table in (ModelVersion, Dataset) for row in plan.rows[table].values()}
    if job.kind == _DEMO:
        return any(name.startswith("demo-") for name in names)
    return bool(names & set(_texts(job.payload)))


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for part in value.values() for text in _texts(part)]
    return [text for part in value for text in _texts(part)] if isinstance(value, list) else []


def _paths(session: Session, workspace: Workspace, plan: Deletion) -> list[str]:
    """Files and folders of the rows that go, unless what stays refers to them."""
    home, rows = workspace.home, plan.rows
    # Without the jobs: no path is theirs alone, and a training has the id of its job.
    gone = {row_id for table, of_table in rows.items() for row_id in of_table if table is not Job}
    wanted = [row.path for table in (Dataset, EvaluationRun) for row in rows[table].values()]
    for version in rows[ModelVersion].values():
        base = version.base if version.base and Path(version.base).is_absolute() else None
        inside = [inside_path(text, home) for text in (version.adapter, base) if text]
        wanted += [path for path in inside if path is not None and "/" in path]
    fingerprints = {version.fingerprint for version in rows[ModelVersion].values()}
    fingerprints -= {one.fingerprint for one in session.scalars(sa.select(ModelVersion)) if one.id not in gone}
    if fingerprints:
        folders = [
            folder for folder in home.glob("answers/*") if (asked_of(folder) or {}).get("version") in fingerprints
        ]
        wanted += [f"answers/{folder.name}" for folder in folders]
    if rows[ModelVersion] or rows[Dataset]:
        versions, sets = list(session.scalars(sa.select(ModelVersion))), set(session.scalars(sa.select(Dataset.id)))
        before, after = ({v.fingerprint for v in versions if v.id not in out} for out in ((), gone))
        for folder in home.glob(f"{TOKENS}/*"):
            whose = whose_tokens(folder)
            if not is_of_none(whose, before, sets) and is_of_none(whose, after, sets - gone):
                wanted.append(f"{TOKENS}/{folder.name}")
    for one in rows[Job].keys() | rows[TrainingRun].keys():
        if session.get(Job, one) is None or one in rows[Job]:
            folder = home / "jobs" / one
            # The steps of a training that stays are kept with it.
            stays = one not in rows[TrainingRun] and session.get(TrainingRun, one) is not None
            wanted += [f"jobs/{one}/{entry.name}" for entry in folder.glob("*")] if stays else [f"jobs/{one}"]
    referred = referred_paths(session.connection(), home, gone)
    return sorted({path for path in wanted if not is_referred(path, referred) and (home / path).exists()})


def _delete_rows(session: Session, plan: Deletion) -> None:
    for table, condition in _referring(plan):
        session.execute(sa.delete(table).where(condition))
    children = ModelVersion.parent_id.in_(list(plan.rows[ModelVersion]))
    without = {"synchronize_session": False}
    session.execute(sa.update(ModelVersion).where(children).values(parent_id=None), execution_options=without)
    release_replicas(session, list(plan.rows[ModelVersion]))
    for kind in (EvaluationRun, TrainingRun, Job, ModelVersion, Dataset):
        gone = sa.delete(kind).where(kind.id.in_(list(plan.rows[kind])))
        session.execute(gone, execution_options=without)


def _words(session: Session, row: Any) -> str:
    """What a row is, for people."""
    if isinstance(row, ModelVersion):
        return f"version {row.name!r}"
    if isinstance(row, Dataset):
        return f"dataset {row.name!r}"
    if isinstance(row, EvaluationRun):
        version, dataset = session.get(ModelVersion, row.version_id), session.get(Dataset, row.dataset_id)
        return f"run {row.id[:8]} ({version and version.name} on {dataset and dataset.name}, {row.split})"
    if isinstance(row, TrainingRun):
        version = session.get(ModelVersion, row.result_version_id)
        return f"training {row.id[:8]} (made {version and version.name!r})"
    return f"job {row.id[:8]} ({row.title}, {row.state})"


def _listed(texts: list[str], shown: int = 5) -> str:
    return "; ".join(texts[:shown]) + (f"; and {len(texts) - shown:,} more" if len(texts) > shown else "")
