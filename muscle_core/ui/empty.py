"""Empty states: what to do when there is nothing to show yet, and the offer to load the demo."""

from __future__ import annotations

import streamlit as st

from muscle_core.actions.background import submit_demo
from muscle_core.jobs import ACTIVE, list_jobs
from muscle_core.store import Job, Workspace
from muscle_core.ui.frame import errors_shown, plain, plain_lines
from muscle_core.ui.worker import keep_worker


def offer_demo(workspace: Workspace) -> None:
    """Say what the workspace lacks and offer the demo; shows its progress while it loads."""
    st.info(
        "This workspace holds no two evaluated model versions to compare yet. Load the demo to see a small, complete "
        "update (about one minute), or add your own model versions and datasets from the command line:",
        icon=":material/info:",
    )
    st.code(
        "python -m muscle_core models add NAME FOLDER_OR_GGUF_OR_HUB_ID --adapter ADAPTER_FOLDER\n"
        "python -m muscle_core datasets add NAME --task multiple_choice test=FILE.jsonl train=FILE.jsonl\n"
        "python -m muscle_core evaluate OLD NEW --dataset NAME",
        language=None,
    )
    running = [job for job in list_jobs(workspace) if job.kind == "load_demo"]
    if not running or running[0].state not in ACTIVE:
        if running and running[0].state != "succeeded":
            _say_why_not(running[0])
        if st.button("Load the demo", type="primary", icon=":material/download:"):
            with errors_shown():
                submit_demo(workspace)
            st.rerun()
        return
    _demo_progress(workspace)


def _say_why_not(job: Job) -> None:
    if job.state == "cancelled":
        st.info("Loading the demo was cancelled. What is loaded stays.", icon=":material/info:")
    else:
        st.error(
            f"Loading the demo has failed: {plain_lines(job.error or 'its log tells more.')}", icon=":material/error:"
        )


@st.fragment(run_every="1s")
def _demo_progress(workspace: Workspace) -> None:
    job: Job = next(job for job in list_jobs(workspace) if job.kind == "load_demo")
    if job.state not in ACTIVE:
        st.rerun()
    keep_worker(workspace, job)
    progress = job.progress
    share = progress["done"] / max(progress["total"], 1) if progress else 0.0
    st.progress(min(share, 1.0), text=plain(progress["stage"]) if progress else "Waiting for the worker …")
