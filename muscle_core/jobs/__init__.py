"""Background work: the queue (`queue`) and the worker that runs jobs in child processes (`worker`)."""

from muscle_core.jobs.queue import (
    ACTIVE,
    FINAL,
    Submission,
    finish,
    get_job,
    list_jobs,
    request_cancel,
    resume,
    submit,
    write_progress,
)
from muscle_core.jobs.worker import TOKEN_VARIABLE, ensure_worker, run_worker, worker_alive

__all__ = [
    "ACTIVE",
    "FINAL",
    "TOKEN_VARIABLE",
    "Submission",
    "ensure_worker",
    "finish",
    "get_job",
    "list_jobs",
    "request_cancel",
    "resume",
    "run_worker",
    "submit",
    "worker_alive",
    "write_progress",
]
