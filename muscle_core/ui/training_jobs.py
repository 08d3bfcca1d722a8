"""Background work: the list of jobs, and one of them live with progress, curves, log, and cancel."""

from __future__ import annotations

import time
from typing import Any

import pandas as pd
import streamlit as st

from muscle_core.actions.background import resume_job
from muscle_core.actions.step_records import read_metrics
from muscle_core.figures import training_curves
from muscle_core.jobs import (
    ACTIVE,
    RESUMABLE,
    get_job,
    history,
    jobs_after,
    jobs_before,
    list_jobs,
    log_tail,
    request_cancel,
)
from muscle_core.store import LOG, Job, Workspace, job_file
from muscle_core.ui.frame import errors_shown, go, plain, wrapping_columns
from muscle_core.ui.numbers import duration, percent
from muscle_core.ui.training_form import JOB_KEY
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
_MOST_POINTS = 400


def show(workspace: Workspace) -> None:
    """List the jobs and show the one in the URL, or the running one, or the newest."""
    jobs = list_jobs(workspace)
    if not jobs:
        st.info("Nothing has been started yet.", icon=":material/info:")
        return
    by_id = {job.id[:8]: job for job in jobs}
    # What runs, else what could start, else the newest.
    under_way = [job for job in jobs if job.state in ACTIVE]
    running = min(under_way, key=lambda job: (job.state == "queued", "after" in job.payload), default=jobs[0])
    restore(JOB_KEY, running.id[:8], lambda key: key in by_id)
    picked = st.selectbox(
        "Job",
        list(by_id),
        key=JOB_KEY,
        format_func=lambda key: f"{_MARKS[by_id[key].state]} · {by_id[key].title} · {key}",
    )
    publish(JOB_KEY, picked)
    job = by_id.get(picked or "", jobs[0])
    active = job.state in ACTIVE
    cancelling = job.state == "cancelling"
    if active and st.button("Cancel this job", icon=":material/stop_circle:", disabled=cancelling):
        request_cancel(workspace, job.id)
        st.rerun()
    if job.state in RESUMABLE and st.button(
        "Resume this job", icon=":material/play_arrow:", help="A training goes on from its last checkpoint."
    ):
        with errors_shown():
            resume_job(workspace, job.id)
            st.rerun()
    watched = active or any(after.state in ACTIVE for after in jobs_after(workspace, job.id))
    st.fragment(_panel, run_every="1s" if watched else None)(workspace, job.id, watched)
    with st.expander(f"All jobs ({len(jobs):,})"):
        st.dataframe(_table(jobs), hide_index=True, height="content", alt="All background jobs, newest first")


def _panel(workspace: Workspace, job_id: str, was_active: bool) -> None:
    with errors_shown():
        job = get_job(workspace, job_id)
    family = [job, *jobs_after(workspace, job_id)]
    under_way = [one for one in family if one.state in ACTIVE]
    if was_active and not under_way:
        st.rerun()
    if under_way:
        keep_worker(workspace, under_way[0])
    for one in family:
        if one is job or job.state == "succeeded":  # what comes after is of interest once it can start
            _state(workspace, one)
    if len(family) == 1:
        _result(job)
    elif job.state == "succeeded":
        _result(family[1])
    metrics = pd.DataFrame(read_metrics(workspace, job_id))
    if not metrics.empty:
        last = metrics.iloc[-1]
        columns = wrapping_columns(4, least=150, key="job_figures")
        columns[0].metric(
            "Loss", f"{last['loss']:.4f}", help="Mean divergence from the chosen teachers, in nats a token."
        )
        columns[1].metric("Tokens aligned to old", percent(last["old_share"]), help="In the last step.")
        columns[2].metric("Token accuracy", percent(last["token_accuracy"]), help="On the last step's training tokens.")
        columns[3].metric("Speed", f"{last['tokens_per_second']:,.0f} tokens/s", help="Answer tokens a second.")
        every = -(-len(metrics) // _MOST_POINTS)
        st.plotly_chart(
            training_curves(metrics.iloc[::every]),
            key=f"curves_{job_id}",
            config={"displayModeBar": False},
            alt="Loss, share of tokens aligned to old, divergence and accuracy over the training steps",
        )
    log = log_tail(job_file(workspace, job_id, LOG)) or job.log_tail
    if log:
        with st.expander("Log"):
            st.code(log, language=None)
    with st.expander("History"):
        st.dataframe(
            _events(workspace, job_id), hide_index=True, height="content", alt="What happened to this job, oldest first"
        )


def _state(workspace: Workspace, job: Job) -> None:
    st.markdown(f"**{_MARKS[job.state]}** · {plain(job.title)}")
    progress = job.progress
    if job.state == "queued":
        waits = [before for before in jobs_before(workspace, job.id) if before.state != "succeeded"]
        if waits:
            st.caption(plain(f"Starts after: {'; '.join(before.title for before in waits)}"))
            return
    if job.state in ACTIVE:
        if not progress:
            st.progress(0.0, text="Waiting for the worker …" if job.state == "queued" else "Starting …")
            return
        share = min(progress["done"] / max(progress["total"], 1), 1.0)
        text = f"{progress['stage']}: {progress['done']:,} of {progress['total']:,}"
        steps = progress["done"] - progress.get(
            "since_step", progress["done"]
        )  # of this process, which may have resumed
        if steps > 0:
            elapsed = time.time() - progress["since"]
            text += f" · about {duration(elapsed / steps * (progress['total'] - progress['done']))} left"
        st.progress(share, text=plain(text))
    elif job.error and job.state == "cancelled":  # as was asked for
        st.info(plain(job.error), icon=":material/info:")
    elif job.error:
        st.error(plain(job.error), icon=":material/error:")


def _result(job: Job) -> None:
    result = job.result or {}
    if "table" in result:
        st.dataframe(pd.DataFrame(result["table"]), hide_index=True, height="content", alt=job.title)
        if st.button("See it in Masking", key=f"open_masking_{job.id}", icon=":material/tune:"):
            go("masking", _picks(result))
    if "version" not in result or "runs" not in result:
        return
    st.success(f"Trained and evaluated: {plain(result['version'])}", icon=":material/check_circle:")
    left, right, _ = st.columns([1, 1, 2])
    if left.button("See it in Masking", key=f"open_masking_{job.id}", icon=":material/tune:", width="stretch"):
        go("masking", _picks(result))
    if right.button("Read its samples", key=f"open_samples_{job.id}", icon=":material/table_rows:", width="stretch"):
        go("samples", {**_picks(result), "compat": result["version"]})


def _picks(result: dict[str, Any]) -> dict[str, str]:
    return {key: result[key] for key in ("old", "new", "dataset", "split")}


def _events(workspace: Workspace, job_id: str) -> pd.DataFrame:
    rows = [
        {
            "when": event.at.strftime("%Y-%m-%d %H:%M:%S UTC"),
            "what": event.what,
            "detail": event.detail,
            "worker": event.worker or "–",
        }
        for event in history(workspace, job_id)
    ]
    return pd.DataFrame(rows, columns=["when", "what", "detail", "worker"])


def _table(jobs: list[Job]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "job": job.id[:8],
                "state": _MARKS[job.state],
                "what": job.title,
                "submitted": job.created_at.strftime("%Y-%m-%d %H:%M:%S UTC"),
                "time": duration((job.finished_at - job.started_at).total_seconds())
                if job.finished_at and job.started_at
                else "–",
            }
            for job in jobs
        ]
    )
