"""Jobs in words, the same for pages and commands: what a job waits for, how often it was started, and why again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import sqlalchemy as sa

from muscle_core.jobs.queue import is_ready
from muscle_core.store import Job, Workspace
from muscle_core.store.tables import JobEvent, JobNeed

_RUNNING = ("running", "cancelling")
_MOST_TITLES = 3
# What the history calls it, and what happened between one start of a job and the next.
_AGAIN = {
    "process died": "its process died",
    "taken over": "its worker no longer answered and another one took it over",
    "given back": "its worker was stopped and gave it back",
    "resumed": "it was resumed",
}
_WHAT = {
    "claimed": "started",
    "taken over": "taken over",
    "given back": "given back to the queue",
    "adopted": "looked after by another worker",
    "cancel requested": "cancel asked for",
}


class Waiting(NamedTuple):
    """What a queued job waits for.

    Attributes:
        needs: jobs that have to succeed first, oldest first.
        running: jobs that run now, where it needs nothing else; its turn comes when a slot is free.
        ahead: how many other jobs come before it then.
    """

    needs: list[Job]
    running: list[Job]
    ahead: int

    @property
    def short(self) -> str:
        """For a column of a table."""
        if self.needs:
            return f"job {self.needs[0].id[:8]}" if len(self.needs) == 1 else f"{len(self.needs):,} jobs"
        return "a free slot" if self.running else "a worker"

    @property
    def sentence(self) -> str:
        """For people who look at this one job."""
        if self.needs:
            others = "another job has" if len(self.needs) == 1 else f"{len(self.needs):,} other jobs have"
            return f"Waits until {others} succeeded: {_titles(self.needs)}."
        others = "1 other job comes" if self.ahead == 1 else f"{self.ahead:,} other jobs come"
        order = f", and {others} first" if self.ahead else ""
        if self.running:
            return f"Waits for a free slot{order}. Running now: {_titles(self.running)}."
        return f"Waits for a worker{order}."


def waiting(workspace: Workspace, jobs: Sequence[Job]) -> dict[str, Waiting]:
    """By id, what those of some jobs wait for that are queued."""
    queued = [job.id for job in jobs if job.state == "queued"]
    if not queued:
        return {}
    order = (Job.created_at, Job.id)
    needed = (
        sa.select(JobNeed.job_id, Job)
        .join(Job, Job.id == JobNeed.needed_id)
        .where(JobNeed.job_id.in_(queued), Job.state != "succeeded")
        .order_by(*order)
    )
    with workspace.reading() as session:
        needs: dict[str, list[Job]] = {job_id: [] for job_id in queued}
        for job_id, one in session.execute(needed):
            needs[job_id].append(one)
        running = list(session.scalars(sa.select(Job).where(Job.state.in_(_RUNNING)).order_by(*order)))
        ready = sa.select(Job.id).where(Job.state == "queued", is_ready()).order_by(Job.priority.desc(), *order)
        places = {job_id: place for place, job_id in enumerate(session.scalars(ready))}
    return {
        job_id: Waiting(before, [], 0) if before else Waiting([], running, places.get(job_id, 0))
        for job_id, before in needs.items()
    }


def tries(workspace: Workspace, jobs: Sequence[Job]) -> dict[str, int]:
    """By id, how often jobs were started; those that never were are left out."""
    claims = (
        sa.select(JobEvent.job_id, sa.func.count())
        .where(JobEvent.what == "claimed", JobEvent.job_id.in_([job.id for job in jobs]))
        .group_by(JobEvent.job_id)
    )
    with workspace.reading() as session:
        return dict(session.execute(claims).all())


def why_again(events: Sequence[JobEvent]) -> str:
    """How often a job was started, and what ended the tries; "" where nothing went wrong and nobody resumed it."""
    starts = [place for place, event in enumerate(events) if event.what == "claimed"]
    since = [event for event in events[starts[0] :] if event.what in _AGAIN] if starts else []
    if not since:
        return ""
    reasons = []
    for what, number in Counter(event.what for event in since).items():
        facts = [f"{number:,} times"] if number > 1 else []
        if what == "process died":
            facts.append(next(event.detail for event in reversed(since) if event.what == what))
        reasons.append(_AGAIN[what] + (f" ({', '.join(facts)})" if facts else ""))
    how_often = "once, then" if len(starts) == 1 else f"{len(starts):,} times:"
    return f"Started {how_often} {'; '.join(reasons)}."


def event_words(workspace: Workspace, event: JobEvent) -> tuple[str, str]:
    """What happened to a job, and more about it; the folder of the workspace is left out."""
    return _WHAT.get(event.what, event.what), event.detail.replace(f":{workspace.home}", "")


def _titles(jobs: Sequence[Job]) -> str:
    shown = "; ".join(f"{job.title} (job {job.id[:8]})" for job in jobs[:_MOST_TITLES])
    return shown + (f"; and {len(jobs) - _MOST_TITLES:,} more" if len(jobs) > _MOST_TITLES else "")
