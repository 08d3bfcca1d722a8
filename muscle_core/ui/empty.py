"""Empty states: what the page is for, what the workspace lacks, and the one thing to do next."""

from __future__ import annotations

from typing import Literal

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from muscle_core.actions.background.submit import submit_demo, submit_evaluation
from muscle_core.actions.library.first_steps import (
    ADD_DATASET,
    ADD_VERSIONS,
    EMPTY,
    EVALUATE,
    SECOND_VERSION,
    NextStep,
    next_step,
)
from muscle_core.jobs import ACTIVE, list_jobs
from muscle_core.store import Job, Workspace
from muscle_core.ui import words
from muscle_core.ui.frame import current_page, errors_shown, go, plain, plain_lines
from muscle_core.ui.url import rerun
from muscle_core.ui.worker import keep_worker

_WATCHED = ("load_demo", "evaluate")  # what ends with something to compare


def show_next_step(workspace: Workspace) -> None:
    """Say what the page is for, what the workspace lacks, and what to do; shows the progress of what is under way.

    The page fills by itself when that is done.
    """
    st.markdown(words.PURPOSES[current_page()])
    step = next_step(workspace)
    if step is not None:
        guide(workspace, step)


def guide(workspace: Workspace, step: NextStep, *, in_library: bool = False) -> None:
    """The next step as text, buttons and a command.

    Args:
        workspace: where it is to be done.
        step: what it is.
        in_library: leave out what leads to the Library and what stands there anyway.
    """
    names = (tuple(plain(name) for name in group) for group in (step.evaluated, step.versions))
    dataset, split = (None if text is None else plain(text) for text in (step.dataset, step.split))
    st.info(words.first_step(step.kind, dataset, split, *names), icon=":material/info:")
    jobs = [job for job in list_jobs(workspace) if job.kind in _WATCHED]
    under_way = [job for job in jobs if job.state in ACTIVE]
    if under_way:
        _progress(workspace)
        return
    if jobs:
        _say_why_not(jobs[0])
    row = st.container(horizontal=True, key="first_steps")
    if step.kind == EVALUATE and row.button(
        words.evaluate_now(len(step.versions)), type="primary", icon=":material/play_arrow:"
    ):
        with errors_shown():
            submit_evaluation(workspace, list(step.versions), str(step.dataset), split=str(step.split))
        rerun()
    if step.kind == EMPTY:
        _demo_button(workspace, row, "primary")
    if in_library:
        return
    if step.kind == ADD_DATASET and row.button(words.ADD_DATASET_BUTTON, type="primary", icon=":material/upload_file:"):
        go("library", {"tab": "datasets"})
    if step.kind not in (ADD_DATASET, EVALUATE) and row.button(
        words.IMPORT_OWN, icon=":material/upload_file:", type="secondary" if step.kind == EMPTY else "primary"
    ):
        go("library", {"tab": "import"})
    if step.kind in (ADD_VERSIONS, SECOND_VERSION) and row.button(words.ADD_VERSION, icon=":material/add:"):
        go("library", {"tab": "versions"})
    with st.expander(words.BY_COMMAND):
        st.code(step.command, language=None, wrap_lines=True)
    if step.kind != EMPTY:
        st.caption(words.DEMO_BESIDE)
        _demo_button(workspace, st.container(), "secondary")


def demo_progress_in_sidebar(workspace: Workspace) -> None:
    """Say in the sidebar how far the demo is, while it loads and the page already has something to show."""
    if any(job.kind == "load_demo" and job.state in ACTIVE for job in list_jobs(workspace)):
        with st.sidebar:
            _progress(workspace)


def _demo_button(workspace: Workspace, place: DeltaGenerator, kind: Literal["primary", "secondary"]) -> None:
    if place.button(words.LOAD_DEMO, type=kind, icon=":material/download:"):
        with errors_shown():
            submit_demo(workspace)
        rerun()


def _say_why_not(job: Job) -> None:
    """What became of the newest job, where it did not succeed."""
    why = plain_lines(job.error or words.ITS_LOG)
    if job.state == "cancelled" and job.kind == "load_demo":
        st.info(words.DEMO_CANCELLED, icon=":material/info:")
    elif job.state in ("failed", "lost"):
        text = words.demo_failed(why) if job.kind == "load_demo" else words.job_failed(plain(job.title), why)
        st.error(text, icon=":material/error:")


@st.fragment(run_every="1s")
def _progress(workspace: Workspace) -> None:
    """Progress of what is under way; draws the page anew when it is over."""
    active = [job for job in list_jobs(workspace) if job.kind in _WATCHED and job.state in ACTIVE]
    if not active:
        rerun()
    job = min(active, key=lambda one: (one.state == "queued", one.created_at))
    keep_worker(workspace, job)
    progress = job.progress
    share = progress["done"] / max(progress["total"], 1) if progress else 0.0
    waiting = words.WAITING_FOR_WORKER if job.state == "queued" else words.STARTING
    st.progress(min(share, 1.0), text=plain(f"{job.title}: {progress['stage']}") if progress else waiting)
