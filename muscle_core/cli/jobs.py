"""Commands for background work: jobs and their worker."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from muscle_core.cli.shared import print_table, workspace_here
from muscle_core.errors import ConfigError
from muscle_core.store import Workspace
from muscle_core.store.tables import JobEvent

_MOST_EVENTS = 10  # of what `jobs show` prints
app = typer.Typer()
jobs_app = typer.Typer(no_args_is_help=True, help="Background work: list, show, cancel, resume.")


@jobs_app.command("list")
def jobs_list() -> None:
    """List background jobs, newest first."""
    from muscle_core.actions.background.words import tries, waiting
    from muscle_core.jobs import list_jobs

    workspace = workspace_here()
    jobs = list_jobs(workspace)
    waits, started = waiting(workspace, jobs), tries(workspace, jobs)
    print_table(
        ("id", "state", "progress", "waits for", "tries", "age", "title"),
        (
            (
                j.id[:8],
                j.state,
                _progress_text(j.progress),
                waits[j.id].short if j.id in waits else "-",
                started.get(j.id, 0),
                _age(j.created_at),
                j.title,
            )
            for j in jobs
        ),
    )


@jobs_app.command("show")
def jobs_show(job_id: str) -> None:
    """Show a job: state, error, the last of its history, and the end of its log."""
    from muscle_core.actions.background.words import waiting, why_again
    from muscle_core.jobs import get_job, history, log_tail
    from muscle_core.store import LOG, job_file

    workspace = workspace_here()
    job = get_job(workspace, job_id)
    print(f"{job.id}  {job.state}  {_progress_text(job.progress)}\n{job.title}")
    for waits in waiting(workspace, [job]).values():
        print(waits.sentence)
    if job.error:
        print(f"error: {job.error}")
    events = history(workspace, job.id)
    if again := why_again(events):
        print(again)
    print_table(("when", "what", "detail"), (_event_cells(workspace, event) for event in events[-_MOST_EVENTS:]))
    log = job.log_tail or log_tail(job_file(workspace, job.id, LOG))
    if log:
        print(log)


@jobs_app.command("cancel")
def jobs_cancel(job_id: str) -> None:
    """Cancel a job: a queued one at once, a running one at its next step."""
    from muscle_core.actions.background.submit import cancel_job

    print(cancel_job(workspace_here(), job_id).state)


@jobs_app.command("resume")
def jobs_resume(job_id: str) -> None:
    """Queue a cancelled, failed or lost job again; a training goes on from its last checkpoint."""
    from muscle_core.actions.background.submit import resume_job

    print(f"queued {resume_job(workspace_here(), job_id).id[:8]}")


@jobs_app.command("history")
def jobs_history(job_id: str) -> None:
    """Show what happened to a job, oldest first."""
    from muscle_core.jobs import get_job, history

    workspace = workspace_here()
    events = history(workspace, get_job(workspace, job_id).id)
    rows = ((*_event_cells(workspace, event), event.worker or "-") for event in events)
    print_table(("when", "what", "detail", "worker"), rows)


@app.command("worker")
def worker_command(
    name: Annotated[str, typer.Option(help="Its name; several on one machine need different ones.")] = "main",
    cpu_slots: Annotated[int | None, typer.Option(help="Jobs at once on the processors (default 1).")] = None,
    gpu_slots: Annotated[int | None, typer.Option(help="GPUs to use, one job each (default all).")] = None,
    idle_exit: Annotated[float | None, typer.Option(help="End after so many idle seconds.")] = None,
    once: Annotated[bool, typer.Option(help="Run what is queued, then end.")] = False,
    metrics_port: Annotated[int | None, typer.Option(help="Serve counters on this port of 127.0.0.1.")] = None,
    launcher: Annotated[str, typer.Option(help="Where jobs run: local, or ray (an existing Ray cluster).")] = "local",
    address: Annotated[
        str | None, typer.Option(help="Of --launcher ray: dashboard of the cluster (http://HOST:8265), or auto.")
    ] = None,
) -> None:
    """Run background jobs, each in a process of its own, until stopped. The log is one JSON object a line.

    With --launcher ray the slots say how many jobs this worker keeps on the cluster (by default one, without a GPU).
    """
    from muscle_core.jobs import Slots, run_worker
    from muscle_core.jobs.log import notice
    from muscle_core.jobs.worker import machine_slots

    if launcher not in ("local", "ray"):
        raise ConfigError(f"unknown launcher {launcher!r}; known: local, ray")
    if (launcher == "ray") != (address is not None):
        raise ConfigError("--launcher ray and --address belong together.")
    own, elsewhere = machine_slots(), None
    if address is not None:
        from muscle_core.jobs.ray_launcher import RayLauncher

        own, elsewhere = Slots(), RayLauncher(address)
    slots = Slots(own.cpu if cpu_slots is None else cpu_slots, own.gpu if gpu_slots is None else gpu_slots)
    told = notice
    if metrics_port is not None:
        from muscle_core.jobs.counters import counted

        told = counted(notice, metrics_port)
    run_worker(
        workspace_here(),
        name=name,
        slots=slots,
        launcher=elsewhere,
        idle_exit=idle_exit,
        once=once,
        notice=told,
    )


def _event_cells(workspace: Workspace, event: JobEvent) -> tuple[str, str, str]:
    from muscle_core.actions.background.words import event_words

    what, detail = event_words(workspace, event)
    return event.at.strftime("%Y-%m-%d %H:%M:%S"), what, detail or "-"


def _progress_text(progress: dict[str, Any]) -> str:
    return f"{progress['stage']} {progress['done']:,}/{progress['total']:,}" if progress else "-"


def _age(moment: datetime) -> str:
    seconds = int((datetime.now(UTC) - moment).total_seconds())
    return (
        f"{seconds // 3600} h {seconds % 3600 // 60} min"
        if seconds >= 3600
        else f"{seconds // 60} min {seconds % 60} s"
    )
