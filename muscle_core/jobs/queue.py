"""The job queue: submit, claim, beat, finish, cancel, resume. Every change is one transaction.

States: queued -> running -> succeeded | failed; running -> cancelling -> cancelled; a job whose worker died becomes
lost. What was cancelled, failed or lost can be queued again. A claim draws a new token, and only its holder may write
progress or an end afterwards.
"""

from __future__ import annotations

import hashlib
import json
import time
from typing import Any, NamedTuple

import sqlalchemy as sa

from muscle_core.errors import JobError
from muscle_core.store.tables import Job, new_id, now
from muscle_core.store.workspace import Workspace

ACTIVE = ("queued", "running", "cancelling")
FINAL = ("succeeded", "failed", "cancelled", "lost")
LEASE_SECONDS = 30.0


class Submission(NamedTuple):
    """A job id, and whether this submission made it (False: the same work was already under way)."""

    job_id: str
    is_new: bool


def idempotency_key(kind: str, payload: dict[str, Any]) -> str:
    """Same work, same key."""
    return hashlib.sha256(json.dumps([kind, payload], sort_keys=True).encode()).hexdigest()


def submit(workspace: Workspace, kind: str, title: str, payload: dict[str, Any]) -> Submission:
    """Queue a job, once: the same work that is not over yet is not queued again."""
    key = idempotency_key(kind, payload)
    job_id = new_id()
    try:
        with workspace.writing() as session:
            session.add(Job(id=job_id, kind=kind, title=title[:200], payload=payload, idempotency_key=key))
        return Submission(job_id, True)
    except sa.exc.IntegrityError:
        with workspace.reading() as session:
            existing = session.scalar(sa.select(Job.id).where(Job.idempotency_key == key, Job.state.in_(ACTIVE)))
        if existing is None:  # it ended between the two statements
            return submit(workspace, kind, title, payload)
        return Submission(existing, False)


def get_job(workspace: Workspace, job_id: str) -> Job:
    """A job by its id or the beginning of it.

    Raises:
        JobError: there is none, or several begin so.
    """
    with workspace.reading() as session:
        found = list(session.scalars(sa.select(Job).where(Job.id.startswith(job_id, autoescape=True)).limit(2)))
    if len(found) != 1 or not job_id:
        raise JobError(f"{'several jobs begin' if len(found) > 1 else 'no job begins'} with {job_id!r}.")
    return found[0]


def list_jobs(workspace: Workspace, limit: int = 100) -> list[Job]:
    """The newest jobs, newest first."""
    with workspace.reading() as session:
        return list(session.scalars(sa.select(Job).order_by(Job.created_at.desc()).limit(limit)))


def has_queued(workspace: Workspace) -> bool:
    """Whether a job waits for a worker."""
    with workspace.reading() as session:
        return session.scalar(sa.select(Job.id).where(Job.state == "queued").limit(1)) is not None


def claim(workspace: Workspace, worker: str) -> Job | None:
    """Take the oldest queued job; of several workers exactly one gets it."""
    with workspace.writing() as session:
        job = session.scalars(
            sa.select(Job)
            .where(Job.state == "queued")
            .order_by(Job.created_at)
            .limit(1)
            .with_for_update(skip_locked=True)
        ).first()
        if job is None:
            return None
        job.state, job.worker, job.token = "running", worker, new_id()
        job.heartbeat, job.started_at = time.time(), now()
        return job


def beat(workspace: Workspace, job: Job) -> str:
    """Renew the lease: "go", "cancel" where that was asked for, or "gone" where the job is no longer ours."""
    with workspace.writing() as session:
        changed = session.execute(
            sa.update(Job).where(_ours(job.id, job.token)).values(heartbeat=time.time()).returning(Job.cancel_requested)
        ).first()
    if changed is None:
        return "gone"
    return "cancel" if changed[0] else "go"


def _ours(job_id: str, token: str | None) -> sa.ColumnElement[bool]:
    """The job, as long as it is under way and has not been taken over or given up."""
    return sa.and_(Job.id == job_id, Job.token == token, Job.state.in_(("running", "cancelling")))


def write_progress(workspace: Workspace, job_id: str, token: str | None, progress: dict[str, Any]) -> bool:
    """Record progress for the pages; False where the job is no longer the holder's of this token."""
    with workspace.writing() as session:
        result = session.execute(sa.update(Job).where(_ours(job_id, token)).values(progress=progress))
        return bool(result.rowcount)  # type: ignore[attr-defined]


def finish(
    workspace: Workspace,
    job_id: str,
    token: str | None,
    state: str,
    *,
    result: dict[str, Any] | None = None,
    error: str | None = None,
    traceback: str | None = None,
) -> None:
    """End a job that is under way and ours; a job that is already over, or another's now, is left alone."""
    assert state in FINAL
    with workspace.writing() as session:
        session.execute(
            sa.update(Job)
            .where(_ours(job_id, token))
            .values(state=state, result=result, error=error, traceback=traceback, finished_at=now())
        )


def request_cancel(workspace: Workspace, job_id: str) -> None:
    """Cancel a job: a queued one at once, a running one at its next step."""
    job = get_job(workspace, job_id)
    with workspace.writing() as session:
        session.execute(
            sa.update(Job).where(Job.id == job.id, Job.state == "queued").values(state="cancelled", finished_at=now())
        )
        session.execute(
            sa.update(Job)
            .where(Job.id == job.id, Job.state == "running")
            .values(state="cancelling", cancel_requested=True)
        )


def resume(workspace: Workspace, job_id: str) -> Job:
    """Queue a job again that was cancelled, has failed or was lost; it goes on from what is kept of it.

    Raises:
        JobError: there is no such job, it is under way or has succeeded, or the same work is under way in another job.
    """
    job = get_job(workspace, job_id)
    try:
        with workspace.writing() as session:
            changed = session.execute(
                sa.update(Job)
                .where(Job.id == job.id, Job.state.in_(("cancelled", "failed", "lost")))
                .values(
                    state="queued",
                    cancel_requested=False,
                    progress={},
                    error=None,
                    traceback=None,
                    started_at=None,
                    finished_at=None,
                )
            )
            if not changed.rowcount:  # type: ignore[attr-defined]
                raise JobError(f"job {job.id[:8]} is {job.state}; only cancelled, failed and lost jobs can be resumed.")
    except sa.exc.IntegrityError as error:
        raise JobError(f"the work of job {job.id[:8]} is already under way in another job.") from error
    return get_job(workspace, job.id)


def mark_lost(workspace: Workspace) -> int:
    """Mark jobs whose worker has not been heard of for a lease as lost; returns how many."""
    with workspace.writing() as session:
        result = session.execute(
            sa.update(Job)
            .where(Job.state.in_(("running", "cancelling")), Job.heartbeat < time.time() - LEASE_SECONDS)
            .values(
                state="lost",
                finished_at=now(),
                error="the worker stopped while the job was running; submit it again.",
            )
        )
        return int(result.rowcount)  # type: ignore[attr-defined]
