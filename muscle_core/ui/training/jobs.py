"""Background work: the list of jobs, the one that is watched, and its buttons."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import pandas as pd
import streamlit as st

from muscle_core.actions.background.submit import cancel_job, resume_job
from muscle_core.actions.background.words import tries, waiting
from muscle_core.errors import JobError
from muscle_core.jobs import ACTIVE, RESUMABLE, get_job, jobs_after, list_jobs
from muscle_core.store import Job, Workspace
from muscle_core.ui.frame import errors_shown, plain
from muscle_core.ui.numbers import duration
from muscle_core.ui.training import job_words as words
from muscle_core.ui.training import one_job
from muscle_core.ui.training.form import JOB_KEY
from muscle_core.ui.url import publish, rerun, restore
from muscle_core.ui.worker import keep_worker
from muscle_core.ui.wrapped_table import wrapped_table

_MOST_JOBS = 100


def show(workspace: Workspace, trained: int) -> None:
    """List the jobs and show the one in the URL, or the running one, or the newest.

    Args:
        workspace: where they are.
        trained: how many finished trainings the page lists.
    """
    st.subheader(words.WORK, anchor=False)
    # A place each, always the same: the browser cannot draw a fragment whose place has moved while it ran.
    head, controls, panel, listing = (st.container() for _ in range(4))
    jobs = list_jobs(workspace, _MOST_JOBS)
    if not jobs:
        head.caption(words.no_jobs(trained))
        return
    # What runs, else what could start, else the newest.
    under_way = [job for job in jobs if job.state in ACTIVE]
    running = min(under_way, key=lambda job: (job.state == "queued", "after" in job.payload), default=jobs[0])
    with head:
        by_id = {job.id[:8]: job for job in jobs} | _linked(workspace)
        restore(JOB_KEY, running.id[:8], lambda key: key in by_id, lambda text: text[:8])
        picked = st.selectbox(
            words.JOB,
            list(by_id),
            key=JOB_KEY,
            format_func=lambda key: words.job_option(by_id[key].state, by_id[key].title, key),
        )
        publish(JOB_KEY, picked)
    with controls:
        family = _family(workspace, by_id.get(picked or "", jobs[0]).id)
        _buttons(workspace, family)
    with panel:
        watched = any(one.state in ACTIVE for one in family)
        st.fragment(_panel, run_every="1s" if watched else None)(workspace, family[0].id, _drawn(family))
    with listing, st.expander(words.ALL_JOBS if len(jobs) < _MOST_JOBS else words.newest_jobs(_MOST_JOBS)):
        st.fragment(_all_jobs, run_every="3s" if under_way else None)(workspace)


def _linked(workspace: Workspace) -> dict[str, Job]:
    """The job that the URL names, which may be older than those of the list; says so where there is none."""
    named = st.query_params.get(JOB_KEY)
    if not named:
        return {}
    with suppress(JobError):
        job = get_job(workspace, named)
        return {job.id[:8]: job}
    st.warning(words.no_job(plain(named[:40])), icon=":material/warning:")
    return {}


def _family(workspace: Workspace, job_id: str) -> list[Job]:
    """A job, and what needs it."""
    with errors_shown():
        return [get_job(workspace, job_id), *jobs_after(workspace, job_id)]


def _drawn(family: Sequence[Job]) -> tuple[tuple[str, str], ...]:
    """What the buttons depend on."""
    return tuple((job.id, job.state) for job in family)


def _buttons(workspace: Workspace, family: Sequence[Job]) -> None:
    job = one_job.at_work(family)
    name = words.THIS_JOB if job is family[0] else words.the_kind(job.kind)
    if job.state in ACTIVE and st.button(
        words.cancel(name),
        icon=":material/stop_circle:",
        disabled=job.state == "cancelling",
        help=words.CANCEL_HELP,
    ):
        cancel_job(workspace, job.id)
        rerun()
    if job.state not in RESUMABLE:
        return
    row = st.container(horizontal=True)
    if row.button(words.resume(name), icon=":material/play_arrow:", help=words.RESUME_HELP):
        with errors_shown():
            resume_job(workspace, job.id)
        rerun()
    if job.blocked_by is not None:
        row.button(words.SHOW_NEEDED, icon=":material/arrow_back:", on_click=_pick, args=(job.blocked_by[:8],))


def _pick(key: str) -> None:
    st.session_state[JOB_KEY] = key


def _panel(workspace: Workspace, job_id: str, drawn: tuple[tuple[str, str], ...]) -> None:
    family = _family(workspace, job_id)
    if _drawn(family) != drawn:  # the buttons above are those of another state
        rerun()
    under_way = [one for one in family if one.state in ACTIVE]
    if under_way:
        keep_worker(workspace, under_way[0])
    one_job.show(workspace, family)


def _all_jobs(workspace: Workspace) -> None:
    jobs = list_jobs(workspace, _MOST_JOBS)
    waits, started = waiting(workspace, jobs), tries(workspace, jobs)
    rows = [
        (
            job.id[:8],
            words.STATES[job.state],
            plain(job.title),
            waits[job.id].short if job.id in waits else "–",
            f"{job.created_at:%Y-%m-%d %H:%M} UTC",
            "–" if job.started_at is None else duration(one_job.seconds_of(job)),
            started.get(job.id, 0),
        )
        for job in jobs
    ]
    frame = pd.DataFrame(rows, columns=list(words.JOB_COLUMNS))
    wrapped_table(frame, "all_jobs", wide=[3], alt=words.ALL_JOBS_ALT)
    st.caption(words.ALL_JOBS_NOTE)
