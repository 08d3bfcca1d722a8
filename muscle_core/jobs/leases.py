"""The queue as workers and their children see it: claim, beat, end, give back, take over.

A claim draws a new token and a lease. Worker and child renew the lease as long as they live; each write names the
token, so that an owner that was given up can write nothing any more. What holds no lease any more is taken over.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from muscle_core.errors import ConfigError
from muscle_core.jobs.queue import FINAL, RESUMABLE, add_event, cancel_blocked, is_ready
from muscle_core.store.tables import Job, JobNeed, new_id, now
from muscle_core.store.workspace import Workspace

LEASE_VARIABLE = "MUSCLE_LEASE_SECONDS"
MOST_ATTEMPTS = 10  # deaths in a row with nothing saved in between
_RUNNING = ("running", "cancelling")


class Slots(NamedTuple):
    """How many jobs a machine runs at once: on its processors, and one on each GPU."""

    cpu: int = 1
    gpu: int = 0


def lease_seconds() -> float:
    """How long a job is left to an owner that says nothing; the same on all machines of a workspace.

    Raises:
        ConfigError: MUSCLE_LEASE_SECONDS is no number from 1 to 3,600.
    """
    text = os.environ.get(LEASE_VARIABLE, "30")
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 1 <= seconds <= 3600:
        raise ConfigError(f"{LEASE_VARIABLE} must be seconds from 1 to 3,600, got {text!r}.")
    return seconds


def is_quiet(workspace: Workspace, *, take_over: bool = True) -> bool:
    """Whether there is nothing to claim or settle: a look that locks nothing, for the many times when that is so."""
    with workspace.reading() as session:
        waiting = sa.or_(is_ready(), _needs_one_that_failed())
        open_jobs = sa.and_(Job.state == "queued", waiting)
        if take_over:
            over = _is_over(session, _clock(session))
            open_jobs = sa.or_(open_jobs, sa.and_(Job.state.in_(_RUNNING), over))
        return session.scalar(sa.select(Job.id).where(open_jobs).limit(1)) is None


def without_owner(workspace: Workspace) -> int:
    """How many jobs are said to run, but nobody has renewed their lease."""
    with workspace.reading() as session:
        over = sa.and_(Job.state.in_(_RUNNING), _is_over(session, _clock(session)))
        return int(session.scalar(sa.select(sa.func.count()).select_from(Job).where(over)) or 0)


def claim(workspace: Workspace, worker: str, machine: str, slots: Slots, *, take_over: bool = True) -> Job | None:
    """Take a job that a machine has a slot for; of several workers exactly one gets it.

    First what has lost its owner, then by priority, then the oldest.

    Args:
        workspace: where the queue is.
        worker: name of the worker.
        machine: where it runs; its workers share the slots.
        slots: how many jobs the machine runs at once.
        take_over: False to leave jobs alone whose lease is over (after a time without the database all seem to be).
    """
    with workspace.writing() as session:
        if _is_postgres(session):  # workers of one machine count its slots one after another
            session.execute(sa.text("SELECT pg_advisory_xact_lock(hashtext(:machine))"), {"machine": machine})
        moment = _clock(session)
        devices = _free_devices(session, machine, slots, moment)
        if not devices:
            return None
        fits = ["any"] if devices[-1] == "cpu" and not slots.gpu else []
        fits += ["cpu"] if devices[-1] == "cpu" else []
        fits += ["gpu", "any"] if devices[0] != "cpu" else []
        hopeful = sa.or_(Job.saves > Job.saves_at_claim, Job.attempts + 1 < MOST_ATTEMPTS)
        orphaned = sa.and_(Job.state == "running", _is_over(session, moment), hopeful) if take_over else sa.false()
        job = session.scalars(
            sa.select(Job)
            .where(Job.slot.in_(fits), sa.or_(sa.and_(Job.state == "queued", is_ready()), orphaned))
            .order_by(Job.state.desc(), Job.priority.desc(), Job.created_at, Job.id)  # "running" before "queued"
            .limit(1)
            .with_for_update(skip_locked=True, of=Job)
        ).first()
        if job is None:
            return None
        if job.state == "running":
            job.attempts = _attempts(job)
            add_event(session, job.id, "taken over", f"from {job.worker}, whose lease was over", worker)
        job.state, job.worker, job.machine, job.token = "running", worker, machine, new_id()
        job.device = devices[-1] if job.slot == "cpu" or devices[0] == "cpu" else devices[0]
        job.lease_until, job.saves_at_claim = moment + lease_seconds(), job.saves
        job.started_at = job.started_at or now()
        add_event(session, job.id, "claimed", f"on {machine}, {job.device}", worker)
        return job


def _free_devices(session: Session, machine: str, slots: Slots, moment: float) -> list[str]:
    """The devices of a machine that no job holds, GPUs first."""
    held = session.scalars(
        sa.select(Job.device).where(Job.machine == machine, Job.state.in_(_RUNNING), Job.lease_until >= moment)
    ).all()
    gpus = [device for number in range(slots.gpu) if (device := f"gpu:{number}") not in held]
    return gpus + ["cpu"] * (held.count("cpu") < slots.cpu)


def beat(
    workspace: Workspace, job_id: str, token: str | None, *, progress: dict[str, Any] | None = None, saved: int = 0
) -> str:
    """Renew the lease: "go", "cancel" where that was asked for, or "gone" where the job is no longer ours.

    Args:
        workspace: where the queue is.
        job_id: the job.
        token: of the claim.
        progress: what pages show; None to leave it.
        saved: how often something was saved, since the last beat, that the job can go on from.
    """
    with workspace.writing() as session:
        values: dict[str, Any] = {"lease_until": _clock(session) + lease_seconds()}
        if progress is not None:
            values["progress"] = progress
        if saved:
            values["saves"] = Job.saves + saved
        changed = session.execute(
            sa.update(Job).where(_ours(job_id, token)).values(**values).returning(Job.cancel_requested)
        ).first()
    if changed is None:
        return "gone"
    return "cancel" if changed[0] else "go"


def finish(
    workspace: Workspace,
    job_id: str,
    token: str | None,
    state: str,
    *,
    result: dict[str, Any] | None = None,
    error: str | None = None,
    traceback: str | None = None,
    log_tail: str | None = None,
) -> bool:
    """End a job that is under way and ours; False where it is over already, or another's now."""
    assert state in FINAL
    with workspace.writing() as session:
        changed = session.execute(
            sa.update(Job)
            .where(_ours(job_id, token))
            .values(
                state=state,
                result=result,
                error=error,
                traceback=traceback,
                log_tail=log_tail,
                lease_until=None,
                finished_at=now(),
            )
            .returning(Job.worker)
        ).first()
        if changed is None:
            return False
        add_event(session, job_id, state, (error or "").split("\n")[0], changed[0])
        if state != "succeeded":
            cancel_blocked(session)
        return True


def give_back(workspace: Workspace, job_id: str, token: str | None, why: str) -> str | None:
    """Queue a job again whose process was asked to end by its worker, not by a user; returns its new state.

    It becomes cancelled where that was asked for meanwhile. None where it is not ours.
    """
    return _let_go(workspace, job_id, token, why, died=False, given_up="")


def bury(
    workspace: Workspace, job_id: str, token: str | None, how: str, given_up: str, log_tail: str | None = None
) -> str | None:
    """Queue a job again whose process died without a word; returns its new state, or None where it is not ours.

    Args:
        workspace: where the queue is.
        job_id: the job.
        token: of the claim.
        how: how it died, for the history.
        given_up: message of the failed job where it died too often with nothing saved in between.
        log_tail: end of its log, kept for other machines where it is given up.
    """
    return _let_go(workspace, job_id, token, how, died=True, given_up=given_up, log_tail=log_tail)


def _let_go(
    workspace: Workspace,
    job_id: str,
    token: str | None,
    why: str,
    *,
    died: bool,
    given_up: str,
    log_tail: str | None = None,
) -> str | None:
    with workspace.writing() as session:
        job = session.scalar(sa.select(Job).where(_ours(job_id, token)).with_for_update())
        if job is None:
            return None
        attempts = _attempts(job) if died else job.attempts
        job.lease_until = None
        if job.cancel_requested:
            job.state, job.error, job.finished_at = "cancelled", None, now()
        elif attempts >= MOST_ATTEMPTS:
            job.state, job.error, job.log_tail, job.finished_at = "failed", given_up, log_tail, now()
        else:
            job.state, job.token, job.attempts = "queued", None, attempts
        add_event(session, job.id, "process died" if died else "given back", why, job.worker)
        if job.state != "queued":
            add_event(session, job.id, job.state, (job.error or "").split("\n")[0], job.worker)
            session.flush()
            cancel_blocked(session)
        return job.state


def settle(workspace: Workspace) -> int:
    """End what nobody works on and nobody can take over any more; returns how many jobs."""
    with workspace.writing() as session:
        moment = _clock(session)
        over = session.scalars(
            sa.select(Job).where(Job.state.in_(_RUNNING), _is_over(session, moment)).with_for_update(skip_locked=True)
        ).all()
        count = 0
        for job in over:
            if job.state == "cancelling":
                job.state, job.error = "cancelled", "its worker and its process had ended; what it saved is kept."
            elif _attempts(job) >= MOST_ATTEMPTS:
                job.state = "lost"
                job.error = (
                    f"its worker and its process ended {MOST_ATTEMPTS} times in a row with nothing saved in between. "
                    "Look at the machine and at the log, then resume it."
                )
            else:
                continue
            job.lease_until, job.finished_at = None, now()
            add_event(session, job.id, job.state, job.error)
            count += 1
        session.flush()
        return count + cancel_blocked(session)


def orphans(workspace: Workspace, machine: str, mine: Iterable[str]) -> list[Job]:
    """Jobs that run on a machine, but for those in `mine`, whether or not a worker looks after them."""
    query = sa.select(Job).where(Job.machine == machine, Job.state.in_(_RUNNING), Job.id.not_in(list(mine)))
    with workspace.reading() as session:
        return list(session.scalars(query.order_by(Job.created_at)))


def adopt(workspace: Workspace, job: Job, worker: str) -> bool:
    """Look after a job in place of its dead worker; its process and token stay. False where another one did before."""
    with workspace.writing() as session:
        changed = session.execute(
            sa.update(Job).where(_ours(job.id, job.token), Job.worker == job.worker).values(worker=worker)
        )
        if not changed.rowcount:  # type: ignore[attr-defined]
            return False
        add_event(session, job.id, "adopted", f"its process lived on without {job.worker}", worker)
        return True


def _needs_one_that_failed() -> sa.ColumnElement[bool]:
    needed = sa.orm.aliased(Job)
    return (
        sa.select(JobNeed.job_id)
        .join(needed, needed.id == JobNeed.needed_id)
        .where(JobNeed.job_id == Job.id, needed.state.in_(RESUMABLE))
        .exists()
    )


def _ours(job_id: str, token: str | None) -> sa.ColumnElement[bool]:
    """The job, as long as it is under way and has not been taken over or given up."""
    return sa.and_(Job.id == job_id, Job.token == token, Job.state.in_(_RUNNING))


def _attempts(job: Job) -> int:
    """Deaths in a row, this one included, with nothing saved in between."""
    return 0 if job.saves > job.saves_at_claim else job.attempts + 1


def _is_postgres(session: Session) -> bool:
    return session.get_bind().dialect.name == "postgresql"


def _clock(session: Session) -> float:
    """Seconds since the epoch: the server's on PostgreSQL, so that the clocks of machines do not matter."""
    if _is_postgres(session):
        return float(session.scalar(sa.text("SELECT extract(epoch FROM clock_timestamp())")))
    return time.time()


def _is_over(session: Session, moment: float) -> sa.ColumnElement[bool]:
    """The lease is over. Not right after a start of PostgreSQL: nobody could renew theirs while it was down."""
    over = sa.or_(Job.lease_until.is_(None), Job.lease_until < moment)
    if _is_postgres(session):
        up = float(session.scalar(sa.text("SELECT extract(epoch FROM clock_timestamp() - pg_postmaster_start_time())")))
        if up < lease_seconds():
            return sa.false()
    return over
