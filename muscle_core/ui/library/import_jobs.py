"""Part of the import: imports in the background, those that wait or run with their progress, and the last ones."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from muscle_core.actions.background.submit import cancel_job
from muscle_core.actions.background.words import waiting
from muscle_core.actions.imports.uploads import JOB_KIND, remove_ended_uploads
from muscle_core.jobs import ACTIVE, list_jobs
from muscle_core.store import Job, Workspace
from muscle_core.ui.frame import errors_shown, go, plain, plain_lines
from muscle_core.ui.library import import_done, words
from muscle_core.ui.library.lists import TIME
from muscle_core.ui.training.form import JOB_KEY
from muscle_core.ui.url import rerun
from muscle_core.ui.worker import keep_worker

_MOST_OVER = 3  # imports that are over
_HEIGHT = 150  # of one that is under way, so that what is below keeps its place


def show(workspace: Workspace) -> None:
    """Draw them; nothing where there are none."""
    with errors_shown():
        jobs = _imports(workspace)
        if not any(job.state in ACTIVE for job in jobs):
            remove_ended_uploads(workspace)  # of those whose process was killed at its very end
    if not jobs:
        return
    st.markdown(words.JOBS)
    watched = any(job.state in ACTIVE for job in jobs)
    st.fragment(_panel, run_every="1s" if watched else None)(workspace, _states(jobs))


def _imports(workspace: Workspace) -> list[Job]:
    jobs = [job for job in list_jobs(workspace) if job.kind == JOB_KIND]
    over = [job for job in jobs if job.state not in ACTIVE]
    return [job for job in jobs if job.state in ACTIVE] + over[:_MOST_OVER]


def _states(jobs: Sequence[Job]) -> tuple[tuple[str, str], ...]:
    return tuple((job.id, job.state) for job in jobs)


def _panel(workspace: Workspace, drawn: tuple[tuple[str, str], ...]) -> None:
    jobs = _imports(workspace)
    if _states(jobs) != drawn:  # versions and datasets may be there that the form does not offer yet
        rerun()
    for job in jobs:
        box = st.container(border=True, key=f"import_job_{job.id}")
        with box:
            st.markdown(plain(words.job_line(job.title, job.state, job.created_at.strftime(TIME))))
            if job.state in ACTIVE:
                box.html(f"<style>.st-key-import_job_{job.id} {{ min-height: {_HEIGHT}px; }}</style>")
                _under_way(workspace, job)
            elif job.state == "succeeded" and job.result:
                import_done.told(workspace, import_done.done_by_job(job.result), f"compare_{job.id}")
                for note in job.result["notes"]:
                    st.caption(plain(note[:1].upper() + note[1:]) + ".")
            elif job.error:
                st.error(plain_lines(job.error), icon=":material/error:")
            row = st.container(horizontal=True)
            if job.state in ACTIVE and row.button(
                words.CANCEL_IMPORT,
                icon=":material/stop_circle:",
                disabled=job.state == "cancelling",
                key=f"cancel_{job.id}",
            ):
                cancel_job(workspace, job.id)
                rerun()
            if row.button(words.OPEN_JOB, key=f"open_{job.id}", icon=":material/article:", type="tertiary"):
                go("training", {JOB_KEY: job.id[:8]})


def _under_way(workspace: Workspace, job: Job) -> None:
    keep_worker(workspace, job)
    if job.state == "queued":
        st.progress(0.0, text=plain(waiting(workspace, [job])[job.id].sentence))
        return
    progress = job.progress
    if not progress:
        st.progress(0.0, text=words.STARTING)
        return
    share = min(progress["done"] / max(progress["total"], 1), 1.0)
    text = words.job_progress(progress["stage"], progress["done"], progress["total"])
    st.progress(share, text=plain(text))
