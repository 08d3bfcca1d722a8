"""The workspace's tables (SQLAlchemy 2). One class an object of the design; artefacts lie beside in files."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, DateTime, Float, ForeignKey, Index, Integer, String, Text, TypeDecorator
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

ROLES = ("old", "new", "compat", "imported")
ENSEMBLE = "ensemble"  # role of a version that stands for two others asked together; never a user's choice
INTERPOLATION = "interpolation"  # kind and strategy of a "training" that only mixed two adapters


def new_id() -> str:
    """A random id."""
    return uuid.uuid4().hex


def now() -> datetime:
    """The current time in UTC."""
    return datetime.now(UTC)


class UtcDateTime(TypeDecorator[datetime]):
    """Times are stored and returned in UTC, also by SQLite, which forgets time zones."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:
        """Refuse naive times rather than guess their zone."""
        if value is not None and value.tzinfo is None:
            raise ValueError("times must carry a time zone")
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:
        """Give SQLite's naive times their zone back."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Table(DeclarativeBase):
    """Base of all tables."""


class ModelVersion(Table):
    """Base checkpoint + optional adapter, with the fingerprints of both. Never just a name."""

    __tablename__ = "model_versions"

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(String(200), unique=True)
    role: Mapped[str] = mapped_column(String(20))  # place in the lineage: one of ROLES, or ENSEMBLE
    base: Mapped[str | None] = mapped_column(Text)  # None: imported outputs only, or an ensemble
    revision: Mapped[str | None] = mapped_column(String(200))
    adapter: Mapped[str | None] = mapped_column(Text)  # relative to the workspace where it lies in it
    base_fingerprint: Mapped[str | None] = mapped_column(String(64))
    adapter_fingerprint: Mapped[str | None] = mapped_column(String(64))
    tokenizer_fingerprint: Mapped[str | None] = mapped_column(String(64))
    parent_id: Mapped[str | None] = mapped_column(ForeignKey("model_versions.id"))
    # The same model run again, by declaration; all others of a group name one of it here.
    replica_of: Mapped[str | None] = mapped_column(ForeignKey("model_versions.id"))
    notes: Mapped[str] = mapped_column(Text, default="")
    made_by: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)

    @property
    def fingerprint(self) -> str:
        """Content fingerprint of weights and adapter; part of every cache key."""
        return f"{self.base_fingerprint or self.id}:{self.adapter_fingerprint or '-'}"


class Dataset(Table):
    """A validated dataset; its samples lie in Parquet."""

    __tablename__ = "datasets"

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(String(200), unique=True)
    task_kind: Mapped[str] = mapped_column(String(40))
    splits: Mapped[dict[str, int]] = mapped_column(JSON)  # rows of each split
    fingerprint: Mapped[str] = mapped_column(String(64))
    template: Mapped[str] = mapped_column(Text)
    decoding: Mapped[dict[str, Any]] = mapped_column(JSON)
    path: Mapped[str] = mapped_column(Text)  # relative to the workspace
    made_by: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)


class EvaluationRun(Table):
    """A model version's predictions on one split of a dataset."""

    __tablename__ = "evaluation_runs"
    __table_args__ = (Index("ix_evaluation_runs_pair", "version_id", "dataset_id", "split"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    key: Mapped[str] = mapped_column(String(64), unique=True)  # hash of all that decides the predictions
    version_id: Mapped[str] = mapped_column(ForeignKey("model_versions.id"))
    dataset_id: Mapped[str] = mapped_column(ForeignKey("datasets.id"))
    split: Mapped[str] = mapped_column(String(80))
    template: Mapped[str] = mapped_column(Text)
    decoding: Mapped[dict[str, Any]] = mapped_column(JSON)
    row_limit: Mapped[int | None] = mapped_column(Integer)
    rows: Mapped[int] = mapped_column(Integer)
    path: Mapped[str] = mapped_column(Text)  # folder of Parquet parts, relative to the workspace
    summary: Mapped[dict[str, Any]] = mapped_column(JSON)  # accuracy or mean scores, for lists
    origin: Mapped[str] = mapped_column(String(20))  # "evaluated" or "imported"
    made_by: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)


class TrainingRun(Table):
    """A finished training (or interpolation) that made a model version, with everything that made it."""

    __tablename__ = "training_runs"

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    kind: Mapped[str] = mapped_column(String(20))  # "task", "compat" or INTERPOLATION
    strategy: Mapped[str | None] = mapped_column(String(40))
    initialisation: Mapped[str | None] = mapped_column(String(20))
    seed: Mapped[int] = mapped_column(Integer)
    options: Mapped[dict[str, Any]] = mapped_column(JSON)
    dataset_id: Mapped[str] = mapped_column(ForeignKey("datasets.id"))
    split: Mapped[str] = mapped_column(String(80))  # of an interpolation: those of its parts, joined by "+"
    old_version_id: Mapped[str | None] = mapped_column(ForeignKey("model_versions.id"))
    new_version_id: Mapped[str | None] = mapped_column(ForeignKey("model_versions.id"))
    result_version_id: Mapped[str] = mapped_column(ForeignKey("model_versions.id"))
    job_id: Mapped[str | None] = mapped_column(String(32))
    metrics_path: Mapped[str] = mapped_column(Text)  # JSON lines, one a step, relative to the workspace
    # seconds; of a training also steps, old_share, last loss
    summary: Mapped[dict[str, Any]] = mapped_column(JSON)
    made_by: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)


class Job(Table):
    """A queued unit of background work and its state (see `muscle_core.jobs`)."""

    __tablename__ = "jobs"

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    kind: Mapped[str] = mapped_column(String(40))
    title: Mapped[str] = mapped_column(String(200))
    payload: Mapped[dict[str, Any]] = mapped_column(JSON)
    state: Mapped[str] = mapped_column(String(20), default="queued")
    idempotency_key: Mapped[str | None] = mapped_column(String(64))
    priority: Mapped[int] = mapped_column(Integer, default=0)  # higher first
    slot: Mapped[str] = mapped_column(String(10), default="any")  # "cpu", "gpu", or "any": a GPU where there is one
    cancel_requested: Mapped[bool] = mapped_column(default=False)
    blocked_by: Mapped[str | None] = mapped_column(String(32))  # cancelled because this job, which it needs, failed
    # Of the claim in force, or the last one:
    worker: Mapped[str | None] = mapped_column(String(80))
    machine: Mapped[str | None] = mapped_column(String(300))  # where its child runs, if it still does
    device: Mapped[str | None] = mapped_column(String(20))  # "cpu", or "gpu:" and a number
    token: Mapped[str | None] = mapped_column(String(32))  # new at every claim; a stale owner cannot write
    lease_until: Mapped[float | None] = mapped_column(Float)  # seconds since the epoch, by the database's clock
    attempts: Mapped[int] = mapped_column(Integer, default=0)  # claims in a row whose process died without a save
    saves: Mapped[int] = mapped_column(Integer, default=0)  # how often it has kept something it can go on from
    saves_at_claim: Mapped[int] = mapped_column(Integer, default=0)
    progress: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    result: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    error: Mapped[str | None] = mapped_column(Text)
    traceback: Mapped[str | None] = mapped_column(Text)
    log_tail: Mapped[str | None] = mapped_column(Text)  # of a failed job: the end of its log, for other machines
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class JobNeed(Table):
    """A job that must have succeeded before another one starts."""

    __tablename__ = "job_needs"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    needed_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), primary_key=True)


class JobEvent(Table):
    """One thing that happened to a job: its history, oldest first by `id`."""

    __tablename__ = "job_events"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), index=True)
    what: Mapped[str] = mapped_column(String(40))
    detail: Mapped[str] = mapped_column(Text, default="")
    worker: Mapped[str | None] = mapped_column(String(80))
    at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)


_active = Job.state.in_(("queued", "running", "cancelling"))
# Two submissions with one key are one job as long as it is not over; a double click starts one training.
Index("uq_jobs_active_key", Job.idempotency_key, unique=True, sqlite_where=_active, postgresql_where=_active)
Index("ix_jobs_state", Job.state, Job.created_at)
Index("ix_job_needs_needed", JobNeed.needed_id)
