"""The job queue as pages, commands and actions see it: submit, look up, cancel, resume.

Every change is one transaction.

States: queued -> running -> succeeded | failed; running -> cancelling -> cancelled. A running job whose process and
worker died is taken over, or goes back to queued; after several deaths in a row with nothing saved in between it is
lost (or failed, where a signal ended it). What was cancelled, failed or lost can be queued again.

A job may need others: it starts when they have succeeded, and is cancelled when one of them ends otherwise.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from muscle_core.errors import ConfigError, JobError
from muscle_core.store.tables import Job, JobEvent, JobNeed, new_id, now
from muscle_core.store.workspace import Workspace

ACTIVE = ("queued", "running", "cancelling")
FINAL = ("succeeded", "failed", "cancelled", "lost")
RESUMABLE = ("cancelled", "failed", "lost")
SLOTS = ("any", "cpu", "gpu")


class Submission(NamedTuple):
    """A job id, and whether this submission made it (False: the same work was already under way)."""

    job_id: str
    is_new: bool


@dataclass(frozen=True)
class Work:
    """What a job does.

    Attributes:
        kind: which runner does it.
        title: for people.
        payload: names the same work the same way; its JSON form is part of the idempotency key.
        needs: what must have succeeded before: ids of jobs, or places of earlier works in the same submission (-1 is
            the one before). Their ids become payload["after"], a part of the key.
        priority: jobs of a higher one start first.
        slot: "cpu", "gpu", or "any": a GPU where the machine has one.
    """

    kind: str
    title: str
    payload: dict[str, Any]
    needs: Sequence[int | str] = field(default=())
    priority: int = 0
    slot: str = "any"


def idempotency_key(kind: str, payload: dict[str, Any]) -> str:
    """Same work, same key."""
    return hashlib.sha256(json.dumps([kind, payload], sort_keys=True).encode()).hexdigest()


def submit(workspace: Workspace, work: Work) -> Submission:
    """Queue a job, once: the same work that is not over yet is not queued again.

    Raises:
        JobError: a job that it needs does not exist.
    """
    return submit_all(workspace, [work])[0]


def submit_all(workspace: Workspace, works: Sequence[Work]) -> list[Submission]:
    """Queue several jobs in one transaction, all or none; each once.

    Args:
        workspace: where the queue is.
        works: what to queue; a work may need earlier ones of the list.

    Returns:
        One submission a work, in their order.

    Raises:
        JobError: a job that one of them needs does not exist.
    """
    for work in works:
        if work.slot not in SLOTS:
            raise ConfigError(f"slot must be one of {', '.join(SLOTS)}, got {work.slot!r}.")
    with workspace.writing() as session:
        submissions: list[Submission] = []
        for work in works:
            needs = [submissions[need].job_id if isinstance(need, int) else need for need in work.needs]
            payload = {**work.payload, "after": needs} if needs else work.payload
            submissions.append(_insert(session, work, payload, needs))
        return submissions


def _insert(session: Session, work: Work, payload: dict[str, Any], needs: Sequence[str]) -> Submission:
    known = set(session.scalars(sa.select(Job.id).where(Job.id.in_(needs)))) if needs else set()
    missing = [need for need in needs if need not in known]
    if missing:
        raise JobError(f"{work.title!r} needs jobs that do not exist: {', '.join(missing)}.")
    key, job_id = idempotency_key(work.kind, payload), new_id()
    active = Job.state.in_(ACTIVE)
    # In words, not as parameters: PostgreSQL could not match a prepared statement to the index of active keys.
    of_index = sa.text(f"state IN ({', '.join(map(repr, ACTIVE))})")
    make = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    statement = make(Job).values(
        id=job_id,
        kind=work.kind,
        title=work.title[:200],
        payload=payload,
        idempotency_key=key,
        priority=work.priority,
        slot=work.slot,
    )
    # The index of active keys decides, also between two clicks at once.
    made = session.scalar(
        statement.on_conflict_do_nothing(index_elements=[Job.idempotency_key], index_where=of_index).returning(Job.id)
    )
    if made is not None:
        session.add_all(JobNeed(job_id=job_id, needed_id=need) for need in dict.fromkeys(needs))
        add_event(session, job_id, "submitted")
        return Submission(job_id, True)
    existing = session.scalar(sa.select(Job.id).where(Job.idempotency_key == key, active))
    # It may have ended between the two statements.
    return Submission(existing, False) if existing is not None else _insert(session, work, payload, needs)


def add_event(session: Session, job_id: str, what: str, detail: str = "", worker: str | None = None) -> None:
    """Add to the history of a job."""
    session.add(JobEvent(job_id=job_id, what=what, detail=detail, worker=worker))


def history(workspace: Workspace, job_id: str) -> list[JobEvent]:
    """What happened to a job, oldest first."""
    with workspace.reading() as session:
        return list(session.scalars(sa.select(JobEvent).where(JobEvent.job_id == job_id).order_by(JobEvent.id)))


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
        return list(session.scalars(sa.select(Job).order_by(Job.created_at.desc(), Job.id).limit(limit)))


def jobs_after(workspace: Workspace, job_id: str) -> list[Job]:
    """The jobs that need this one, oldest first."""
    query = sa.select(Job).join(JobNeed, JobNeed.job_id == Job.id).where(JobNeed.needed_id == job_id)
    with workspace.reading() as session:
        return list(session.scalars(query.order_by(Job.created_at, Job.id)))


def jobs_before(workspace: Workspace, job_id: str) -> list[Job]:
    """The jobs that this one needs, oldest first."""
    query = sa.select(Job).join(JobNeed, JobNeed.needed_id == Job.id).where(JobNeed.job_id == job_id)
    with workspace.reading() as session:
        return list(session.scalars(query.order_by(Job.created_at, Job.id)))


def has_queued(workspace: Workspace) -> bool:
    """Whether a job waits for a worker, and for nothing else."""
    with workspace.reading() as session:
        return session.scalar(sa.select(Job.id).where(Job.state == "queued", is_ready()).limit(1)) is not None


def is_ready() -> sa.ColumnElement[bool]:
    """All that a job needs has succeeded."""
    needed = sa.orm.aliased(Job)
    return ~(
        sa.select(JobNeed.job_id)
        .join(needed, needed.id == JobNeed.needed_id)
        .where(JobNeed.job_id == Job.id, needed.state != "succeeded")
        .exists()
    )


def request_cancel(workspace: Workspace, job_id: str) -> None:
    """Cancel a job: a queued one at once, a running one at its next step. What needs it is cancelled with it."""
    job = get_job(workspace, job_id)
    with workspace.writing() as session:
        ended = session.execute(
            sa.update(Job)
            .where(Job.id == job.id, Job.state == "queued")
            .values(state="cancelled", cancel_requested=True, finished_at=now())
        )
        asked = session.execute(
            sa.update(Job)
            .where(Job.id == job.id, Job.state == "running")
            .values(state="cancelling", cancel_requested=True)
        )
        if ended.rowcount:  # type: ignore[attr-defined]
            add_event(session, job.id, "cancelled", "before it started")
            cancel_blocked(session)
        elif asked.rowcount:  # type: ignore[attr-defined]
            add_event(session, job.id, "cancel requested")


def cancel_blocked(session: Session) -> int:
    """Cancel queued jobs that need one which will not succeed, and what needs those; returns how many."""
    count = 0
    while True:
        blocked = session.execute(
            sa.select(Job.id, JobNeed.needed_id)
            .join(JobNeed, JobNeed.job_id == Job.id)
            .where(
                Job.state == "queued",
                JobNeed.needed_id.in_(sa.select(Job.id).where(Job.state.in_(RESUMABLE)).scalar_subquery()),
            )
        ).all()
        if not blocked:
            return count
        for job_id, needed_id in {one.id: one.needed_id for one in blocked}.items():
            why = f"it needs job {needed_id[:8]}, which did not succeed; resume that one, and this one follows."
            changed = session.execute(
                sa.update(Job)
                .where(Job.id == job_id, Job.state == "queued")
                .values(state="cancelled", blocked_by=needed_id, error=why, finished_at=now())
            )
            if changed.rowcount:  # type: ignore[attr-defined]
                add_event(session, job_id, "cancelled", why)
                count += 1


def resume(workspace: Workspace, job_id: str) -> Job:
    """Queue a job again that was cancelled, has failed or was lost; it goes on from what is kept of it.

    The jobs that it needs are queued again too where they did not succeed, and so are those that were cancelled only
    because they need it.

    Raises:
        JobError: there is no such job, it is under way or has succeeded, or the same work is under way in another job.
    """
    job = get_job(workspace, job_id)
    try:
        with workspace.writing() as session:
            state = session.scalar(sa.select(Job.state).where(Job.id == job.id).with_for_update())
            if state not in RESUMABLE:
                raise JobError(f"job {job.id[:8]} is {state}; only cancelled, failed and lost jobs can be resumed.")
            _requeue(session, job.id)
    except sa.exc.IntegrityError as error:
        raise JobError(f"the work of job {job.id[:8]} is already under way in another job.") from error
    return get_job(workspace, job.id)


def _requeue(session: Session, job_id: str) -> None:
    session.execute(
        sa.update(Job)
        .where(Job.id == job_id)
        .values(
            state="queued",
            cancel_requested=False,
            blocked_by=None,
            attempts=0,
            progress={},
            error=None,
            traceback=None,
            log_tail=None,
            token=None,
            lease_until=None,
            started_at=None,
            finished_at=None,
        )
    )
    add_event(session, job_id, "resumed")
    needed = sa.select(JobNeed.needed_id).where(JobNeed.job_id == job_id)
    before = sa.select(Job.id).where(Job.id.in_(needed.scalar_subquery()), Job.state.in_(RESUMABLE))
    after = sa.select(Job.id).where(Job.blocked_by == job_id, Job.state == "cancelled")
    for other in [*session.scalars(before), *session.scalars(after)]:
        if session.scalar(sa.select(Job.state).where(Job.id == other)) in RESUMABLE:
            _requeue(session, other)
