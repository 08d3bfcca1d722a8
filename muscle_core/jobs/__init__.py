"""Background work: the queue (`queue`), its leases (`leases`), the worker (`worker`), and a job's process (`child`)."""

from muscle_core.jobs.child import TOKEN_VARIABLE, JobProcess
from muscle_core.jobs.leases import Slots, finish, give_back
from muscle_core.jobs.log_tail import log_tail
from muscle_core.jobs.queue import (
    ACTIVE,
    FINAL,
    RESUMABLE,
    Submission,
    Work,
    get_job,
    history,
    jobs_after,
    jobs_before,
    list_jobs,
    request_cancel,
    resume,
    submit,
    submit_all,
)
from muscle_core.jobs.worker import ensure_worker, run_worker, worker_alive

__all__ = [
    "ACTIVE",
    "FINAL",
    "RESUMABLE",
    "TOKEN_VARIABLE",
    "JobProcess",
    "Slots",
    "Submission",
    "Work",
    "ensure_worker",
    "finish",
    "get_job",
    "give_back",
    "history",
    "jobs_after",
    "jobs_before",
    "list_jobs",
    "log_tail",
    "request_cancel",
    "resume",
    "run_worker",
    "submit",
    "submit_all",
    "worker_alive",
]
