"""Commands for background work: jobs and their worker."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from muscle_core.cli.shared import print_table, workspace_here

app = typer.Typer()
jobs_app = typer.Typer(no_args_is_help=True, help="Background work: list, show, cancel, resume.")


@jobs_app.command("list")
def jobs_list() -> None:
    """List background jobs, newest first."""
    from muscle_core.jobs import list_jobs

    print_table(
        ("id", "state", "progress", "age", "title"),
        (
            (j.id[:8], j.state, _progress_text(j.progress), _age(j.created_at), j.title)
            for j in list_jobs(workspace_here())
        ),
    )


@jobs_app.command("show")
def jobs_show(job_id: str) -> None:
    """Show a job: state, error, and the end of its log."""
    from muscle_core.jobs import get_job
    from muscle_core.store import LOG, job_file

    workspace = workspace_here()
    job = get_job(workspace, job_id)
    print(f"{job.id}  {job.state}  {_progress_text(job.progress)}\n{job.title}")
    if job.error:
        print(f"error: {job.error}")
    log = job_file(workspace, job.id, LOG)
    if log.is_file():
        print("".join(line + "\n" for line in log.read_text(errors="replace").splitlines()[-200:]), end="")


@jobs_app.command("cancel")
def jobs_cancel(job_id: str) -> None:
    """Cancel a job: a queued one at once, a running one at its next step."""
    from muscle_core.jobs import get_job, request_cancel

    workspace = workspace_here()
    request_cancel(workspace, job_id)
    print(get_job(workspace, job_id).state)


@jobs_app.command("resume")
def jobs_resume(job_id: str) -> None:
    """Queue a cancelled, failed or lost job again; a training goes on from its last checkpoint."""
    from muscle_core.actions.background import resume_job

    print(f"queued {resume_job(workspace_here(), job_id).id[:8]}")


@app.command("worker")
def worker_command(
    idle_exit: Annotated[float | None, typer.Option(help="End after so many idle seconds.")] = None,
    once: Annotated[bool, typer.Option(help="Run what is queued, then end.")] = False,
) -> None:
    """Run background jobs, each in a process of its own, until stopped."""
    from muscle_core.jobs import run_worker

    run_worker(workspace_here(), idle_exit=idle_exit, once=once)


def _progress_text(progress: dict[str, Any]) -> str:
    return f"{progress['stage']} {progress['done']:,}/{progress['total']:,}" if progress else "-"


def _age(moment: datetime) -> str:
    seconds = int((datetime.now(UTC) - moment).total_seconds())
    return (
        f"{seconds // 3600} h {seconds % 3600 // 60} min"
        if seconds >= 3600
        else f"{seconds // 60} min {seconds % 60} s"
    )
