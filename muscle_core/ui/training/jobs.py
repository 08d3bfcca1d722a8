"""Background work: the list of jobs, and one of them live with progress, curves, log, history, cancel and resume."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Literal

import pandas as pd
import streamlit as st

from muscle_core.actions.background import resume_job
from muscle_core.actions.job_words import event_words, tries, waiting, why_again
from muscle_core.actions.step_records import read_metrics
from muscle_core.errors import JobError
from muscle_core.figures import training_curves
from muscle_core.jobs import (
    ACTIVE,
    RESUMABLE,
    get_job,
    history,
    jobs_after,
    list_jobs,
    log_tail,
    request_cancel,
)
from muscle_core.store import LOG, Job, Workspace, job_file
from muscle_core.ui.frame import errors_shown, go, plain, plain_lines, wrapping_columns
from muscle_core.ui.numbers import duration, percent
from muscle_core.ui.training.form import JOB_KEY
from muscle_core.ui.url import publish, restore
from muscle_core.ui.worker import keep_worker

_MARKS = {
    "queued": "○ queued",
    "running": "▶ running",
    "cancelling": "◼ cancelling",
    "succeeded": "✓ succeeded",
    "failed": "✗ failed",
    "cancelled": "◼ cancelled",
    "lost": "✗ lost",
}
_KINDS = {"evaluate": "evaluation", "compare_ablation": "table", "train_compat": "training"}
_MOST_JOBS = 100
_MOST_POINTS = 400
_SILENT_SECONDS = 5.0
# More than this is folded away.
_MOST_LINES, _MOST_CHARACTERS = 12, 1_000
_MOST_ROWS, _TABLE_HEIGHT = 10, 420


def show(workspace: Workspace) -> None:
    """List the jobs and show the one in the URL, or the running one, or the newest."""
    st.subheader("Background work", anchor=False)
    # A place each, always the same: the browser cannot draw a fragment whose place has moved while it ran.
    head, controls, panel, listing = (st.container() for _ in range(4))
    jobs = list_jobs(workspace, _MOST_JOBS)
    if not jobs:
        head.info("Nothing has been started yet.", icon=":material/info:")
        return
    # What runs, else what could start, else the newest.
    under_way = [job for job in jobs if job.state in ACTIVE]
    running = min(under_way, key=lambda job: (job.state == "queued", "after" in job.payload), default=jobs[0])
    with head:
        by_id = {job.id[:8]: job for job in jobs} | _linked(workspace)
        restore(JOB_KEY, running.id[:8], lambda key: key in by_id, lambda text: text[:8])
        picked = st.selectbox(
            "Job",
            list(by_id),
            key=JOB_KEY,
            format_func=lambda key: f"{_MARKS[by_id[key].state]} · {by_id[key].title} · {key}",
        )
        publish(JOB_KEY, picked)
    with controls:
        family = _family(workspace, by_id.get(picked or "", jobs[0]).id)
        _buttons(workspace, family)
    with panel:
        watched = any(one.state in ACTIVE for one in family)
        st.fragment(_panel, run_every="1s" if watched else None)(workspace, family[0].id, _drawn(family))
    with listing, st.expander("All jobs" if len(jobs) < _MOST_JOBS else f"The newest {_MOST_JOBS} jobs"):
        st.fragment(_all_jobs, run_every="3s" if under_way else None)(workspace)


def _linked(workspace: Workspace) -> dict[str, Job]:
    """The job that the URL names, which may be older than those of the list; says so where there is none."""
    named = st.query_params.get(JOB_KEY)
    if not named:
        return {}
    with suppress(JobError):
        job = get_job(workspace, named)
        return {job.id[:8]: job}
    st.warning(f"There is no job {plain(named[:40])} in this workspace.", icon=":material/warning:")
    return {}


def _family(workspace: Workspace, job_id: str) -> list[Job]:
    """A job, and what needs it."""
    with errors_shown():
        return [get_job(workspace, job_id), *jobs_after(workspace, job_id)]


def _drawn(family: Sequence[Job]) -> tuple[tuple[str, str], ...]:
    """What the buttons depend on."""
    return tuple((job.id, job.state) for job in family)


def _at_work(family: Sequence[Job]) -> Job:
    """The job that is to be cancelled or resumed: the picked one, or the one after it once that has succeeded."""
    return next((job for job in family if job.state != "succeeded"), family[0])


def _buttons(workspace: Workspace, family: Sequence[Job]) -> None:
    job = _at_work(family)
    name = "this job" if job is family[0] else f"the {_KINDS.get(job.kind, 'next job')}"
    if job.state in ACTIVE and st.button(
        f"Cancel {name}",
        icon=":material/stop_circle:",
        disabled=job.state == "cancelling",
        help="It stops at its next step and keeps what it has.",
    ):
        request_cancel(workspace, job.id)
        st.rerun()
    if job.state not in RESUMABLE:
        return
    row = st.container(horizontal=True)
    if row.button(
        f"Resume {name}",
        icon=":material/play_arrow:",
        help="A training goes on from its last checkpoint, an evaluation from the answers it has.",
    ):
        with errors_shown():
            resume_job(workspace, job.id)
        st.rerun()
    if job.blocked_by is not None:
        row.button("Show the job it needs", icon=":material/arrow_back:", on_click=_pick, args=(job.blocked_by[:8],))


def _pick(key: str) -> None:
    st.session_state[JOB_KEY] = key


def _panel(workspace: Workspace, job_id: str, drawn: tuple[tuple[str, str], ...]) -> None:
    family = _family(workspace, job_id)
    if _drawn(family) != drawn:  # the buttons above are those of another state
        st.rerun()
    job = family[0]
    under_way = [one for one in family if one.state in ACTIVE]
    if under_way:
        keep_worker(workspace, under_way[0])
    for one in family:
        if one is job or job.state == "succeeded":  # what comes after is of interest once it can start
            _state(workspace, one)
    if job.state in RESUMABLE:
        _say_what_follows(job, family[1:])
    for one in family:
        _result(one)
    at_work = _at_work(family)
    if at_work.state in ("failed", "lost"):
        _details(workspace, family)
        _figures(workspace, job_id)
    else:
        _figures(workspace, job_id)
        _details(workspace, family)


def _state(workspace: Workspace, job: Job) -> None:
    st.markdown(f"**{_MARKS[job.state]}** · {plain(job.title)}")
    again = why_again(history(workspace, job.id))
    facts = [f"Job {job.id[:8]}", f"submitted {_moment(job.created_at)}"]
    if job.started_at is not None:
        taken = duration(_seconds(job))
        facts.append(f"ended after {taken}" if job.finished_at else f"{'first ' * bool(again)}started {taken} ago")
    st.caption(plain_lines(" · ".join(facts) + f"\n{again}"))
    if job.state == "queued":
        st.info(plain(waiting(workspace, [job])[job.id].sentence), icon=":material/hourglass_empty:")
    elif job.state in ACTIVE:
        _progress(job)
    elif job.state != "succeeded":
        _end(job)


def _progress(job: Job) -> None:
    progress = job.progress
    if not progress:
        st.progress(0.0, text="Starting …")
    elif progress["total"] <= 1:
        st.progress(0.0, text=plain(f"{progress['stage']} …"))
    else:
        share = min(progress["done"] / progress["total"], 1.0)
        text = f"{progress['stage']}: {progress['done']:,} of {progress['total']:,}"
        # Steps of this process, which may have resumed.
        steps = progress["done"] - progress.get("since_step", progress["done"])
        if steps > 0:
            elapsed = time.time() - progress["since"]
            text += f" · about {duration(elapsed / steps * (progress['total'] - progress['done']))} left"
        st.progress(share, text=plain(text))
    if job.lease_until is None or time.time() - job.lease_until > _SILENT_SECONDS:
        st.warning(
            "Its process does not answer any more. A worker takes the job over and goes on from what it saved.",
            icon=":material/warning:",
        )
    elif job.state == "cancelling":
        st.caption("It stops at its next step and keeps what it has.")


def _end(job: Job) -> None:
    """Why a job did not succeed: the message first, what is long of it folded."""
    if job.state == "cancelled":
        text = job.error or (
            "before it started."
            if job.started_at is None
            else "what it saved is kept, and resuming it goes on from there."
        )
        st.info(f"Cancelled: {plain_lines(text)}", icon=":material/info:")
        return
    text = job.error or "its log tells more."
    short, left = _beginning(text)
    head = _MARKS[job.state].split()[1].capitalize()
    st.error(f"{head}: {plain_lines(short)}", icon=":material/error:")
    if left:
        with st.expander("The whole message"):
            st.code(text, language=None, wrap_lines=True, height=_TABLE_HEIGHT)


def _beginning(text: str) -> tuple[str, bool]:
    """The first lines of a message, and whether something is left out."""
    lines = text.rstrip().splitlines()
    shown: list[str] = []
    length = 0
    for line in lines[:_MOST_LINES]:
        length += len(line)
        if shown and length > _MOST_CHARACTERS:
            break
        shown.append(line if len(line) <= _MOST_CHARACTERS else f"{line[:_MOST_CHARACTERS]} …")
    more = len(lines) - len(shown)
    if more:
        shown.append(f"… and {more:,} more line{'s' if more > 1 else ''}")
    return "\n".join(shown), more > 0 or shown != lines


def _say_what_follows(job: Job, after: Sequence[Job]) -> None:
    names = [f"the {_KINDS.get(one.kind, 'next job')}" for one in after if one.blocked_by == job.id]
    if names:
        what = f"{names[0].capitalize()} was" if len(names) == 1 else f"{len(names):,} jobs that need it were"
        st.caption(
            f"{what} cancelled with this job. Resuming this job brings {'it' if len(names) == 1 else 'them'} back."
        )


def _result(job: Job) -> None:
    result = job.result or {}
    if "table" in result:
        st.dataframe(pd.DataFrame(result["table"]), hide_index=True, height="content", alt=job.title)
        if st.button("See it in Masking", key=f"open_masking_{job.id}", icon=":material/tune:"):
            go("masking", _picks(result))
    if "version" not in result or "runs" not in result:
        return
    st.success(f"Trained and evaluated: {plain(result['version'])}", icon=":material/check_circle:")
    row = st.container(horizontal=True)
    if row.button("See it in Masking", key=f"open_masking_{job.id}", icon=":material/tune:"):
        go("masking", _picks(result))
    if row.button("Read its samples", key=f"open_samples_{job.id}", icon=":material/table_rows:"):
        go("samples", {**_picks(result), "compat": result["version"]})


def _picks(result: dict[str, Any]) -> dict[str, str]:
    return {key: result[key] for key in ("old", "new", "dataset", "split")}


def _figures(workspace: Workspace, job_id: str) -> None:
    """The last step of a training, and its curves."""
    metrics = pd.DataFrame(read_metrics(workspace, job_id))
    if metrics.empty:
        return
    last = metrics.iloc[-1]
    columns = wrapping_columns(4, least=150, key="job_figures")
    columns[0].metric("Loss", f"{last['loss']:.4f}", help="Mean divergence from the chosen teachers, in nats a token.")
    columns[1].metric("Tokens aligned to old", percent(last["old_share"]), help="In the last step.")
    columns[2].metric("Token accuracy", percent(last["token_accuracy"]), help="On the last step's training tokens.")
    columns[3].metric("Tokens a second", f"{last['tokens_per_second']:,.0f}", help="Answer tokens, in the last step.")
    if len(metrics) < 2:  # the axes around a single point would say nothing
        return
    every = -(-len(metrics) // _MOST_POINTS)
    st.plotly_chart(
        training_curves(metrics.iloc[::every]),
        key=f"curves_{job_id}",
        config={"displayModeBar": False},
        alt="Loss, share of tokens aligned to old, divergence and accuracy over the training steps",
    )


def _details(workspace: Workspace, family: Sequence[Job]) -> None:
    """What is folded: traceback, log and history, of the job at work first."""
    job, at_work = family[0], _at_work(family)
    if at_work is not job:
        _folded(workspace, at_work, f" of the {_KINDS.get(at_work.kind, 'next job')}")
    _folded(workspace, job, "" if at_work is job else f" of the {_KINDS.get(job.kind, 'job')}")


def _folded(workspace: Workspace, job: Job, whose: str) -> None:
    if job.traceback:
        with st.expander(f"Traceback{whose}"):
            st.code(job.traceback, language=None, height="content" if _is_short(job.traceback) else _TABLE_HEIGHT)
    log = job.log_tail or log_tail(job_file(workspace, job.id, LOG))
    if log:
        label = f"Last lines of the log{whose}" if job.state in ("failed", "lost") else f"Log{whose}"
        height: Literal["content"] | int = "content" if _is_short(log) else _TABLE_HEIGHT
        with st.expander(label), st.container(height=height, border=False, autoscroll=True):
            st.code(log, language=None)
    rows = []
    for event in history(workspace, job.id):
        what, more = event_words(workspace, event)
        rows.append(
            {"when": _moment(event.at), "what": what, "more": plain(more or "–"), "worker": plain(event.worker or "–")}
        )
    with st.expander(f"History{whose}"):
        alt = "What happened to this job, oldest first"
        _wrapped_table(pd.DataFrame(rows, columns=["when", "what", "more", "worker"]), f"history_{job.id}", 3, alt)


def _wrapped_table(frame: pd.DataFrame, key: str, wide: int, alt: str) -> None:
    """A table that breaks long texts, which st.dataframe cuts; the page scrolls it sideways where it is too wide.

    Args:
        frame: its rows; texts from data are `plain`.
        key: unique on the page.
        wide: number of the column that is broken into lines, from 1.
        alt: what it says.
    """
    box = st.container(key=key)
    cell, broken = f".st-key-{key} td", f".st-key-{key} td:nth-child({wide})"
    box.html(
        f"<style>{cell} * {{ white-space: nowrap !important; }} {broken} {{ min-width: 260px; }}"
        f"{broken} * {{ white-space: normal !important; }}</style>"
    )
    height: Literal["content"] | int = "content" if len(frame) <= _MOST_ROWS else _TABLE_HEIGHT
    box.table(frame, hide_index=True, height=height, alt=alt)


def _is_short(text: str) -> bool:
    return text.count("\n") < _MOST_LINES


def _all_jobs(workspace: Workspace) -> None:
    jobs = list_jobs(workspace, _MOST_JOBS)
    waits, started = waiting(workspace, jobs), tries(workspace, jobs)
    rows = [
        {
            "job": job.id[:8],
            "state": _MARKS[job.state],
            "what": plain(job.title),
            "waits for": waits[job.id].short if job.id in waits else "–",
            "submitted": f"{job.created_at:%Y-%m-%d %H:%M} UTC",
            "time": "–" if job.started_at is None else duration(_seconds(job)),
            "tries": started.get(job.id, 0),
        }
        for job in jobs
    ]
    _wrapped_table(pd.DataFrame(rows), "all_jobs", 3, "Background jobs, newest first")
    st.caption(
        "Time is from the first start to the end, or until now. Tries is how often a job was started; its history says "
        "why more than once."
    )


def _moment(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC")


def _seconds(job: Job) -> float:
    """Since a job was started first, until its end or now."""
    assert job.started_at is not None
    return ((job.finished_at or datetime.now(UTC)) - job.started_at).total_seconds()
