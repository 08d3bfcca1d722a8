"""Run one claimed job in this process. Run as: python -m muscle_core.actions.run_job JOB_ID (the worker does)."""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from typing import Any

import sqlalchemy as sa

from muscle_core.errors import Cancelled, MuscleError
from muscle_core.jobs import TOKEN_VARIABLE, finish, get_job, write_progress
from muscle_core.paths import system_text
from muscle_core.store import Workspace
from muscle_core.store.database import DatabaseRefused

_WRITE_SECONDS = 0.5


class _Progress:
    """Writes progress to the database at most twice a second, and holds the stop request."""

    def __init__(self, workspace: Workspace, job_id: str, token: str | None) -> None:
        self.workspace, self.job_id, self.token = workspace, job_id, token
        self.stop_requested = False
        self._written = 0.0
        signal.signal(signal.SIGTERM, self._on_signal)

    def _on_signal(self, _signal: int, _frame: object) -> None:
        self.stop_requested = True

    def should_stop(self) -> bool:
        return self.stop_requested

    def write(self, stage: str, done: int, total: int, **facts: Any) -> None:
        now = time.monotonic()
        if now - self._written < _WRITE_SECONDS and done < total:
            return
        self._written = now
        progress = {"stage": stage, "done": done, "total": total, **facts}
        try:
            still_ours = write_progress(self.workspace, self.job_id, self.token, progress)
        except (sa.exc.OperationalError, DatabaseRefused):
            return  # progress is for the eye; the work goes on
        # Given up as lost (its worker died) or taken over: whoever has it now must not be disturbed.
        self.stop_requested |= not still_ours


def _evaluate(workspace: Workspace, payload: dict[str, Any], progress: _Progress, job_id: str) -> dict[str, Any]:
    from muscle_core.actions.evaluate import EvaluationOptions, evaluate

    runs = []
    for name in payload["versions"]:
        run = evaluate(
            workspace,
            name,
            payload["dataset"],
            split=payload["split"],
            limit=payload["limit"],
            options=EvaluationOptions(**payload.get("options", {})),
            report=lambda done, total, name=name: progress.write(f"evaluating {name}", done, total),  # type: ignore[misc]
            should_stop=progress.should_stop,
        )
        runs.append(run.id)
    return {"runs": runs, "versions": payload["versions"], "dataset": payload["dataset"]}


def _train_compat(workspace: Workspace, payload: dict[str, Any], progress: _Progress, job_id: str) -> dict[str, Any]:
    from muscle_core.actions.train import train_compat
    from muscle_core.compat.config import CompatConfig

    begun: dict[str, float] = {}  # where this process took up the training, for the time that is left

    def report(step: dict[str, float]) -> None:
        if not begun:
            begun.update(since_step=step["step"], since=time.time())
        progress.write("training", int(step["step"]), int(step["steps"]), loss=step["loss"], **begun)

    progress.write("loading models", 0, 1)
    version = train_compat(
        workspace,
        payload["old"],
        payload["new"],
        payload["dataset"],
        CompatConfig.from_dict(payload["options"]),
        split=payload["train_split"],
        name=payload["name"],
        limit=payload["limit"],
        run_id=job_id,
        report_stage=progress.write,
        report=report,
        should_stop=progress.should_stop,
    )
    evaluation = {"versions": [version.name], "dataset": payload["dataset"], "split": payload["test_split"]}
    result = _evaluate(workspace, {**evaluation, "limit": None}, progress, job_id)
    return {
        **result,
        "version": version.name,
        "old": payload["old"],
        "new": payload["new"],
        "split": payload["test_split"],
    }


def _load_demo(workspace: Workspace, payload: dict[str, Any], progress: _Progress, job_id: str) -> dict[str, Any]:
    from muscle_core.actions.demo import load_demo

    load_demo(workspace, report=progress.write, should_stop=progress.should_stop)
    return {}


_RUNNERS = {"evaluate": _evaluate, "train_compat": _train_compat, "load_demo": _load_demo}


def run_job(workspace: Workspace, job_id: str) -> str:
    """Run a job that this machine's worker has claimed; returns its final state."""
    job = get_job(workspace, job_id)
    token = os.environ.get(TOKEN_VARIABLE)
    progress = _Progress(workspace, job.id, token)
    try:
        result = _RUNNERS[job.kind](workspace, job.payload, progress, job.id)
    except Cancelled as error:
        print(error, flush=True)
        if get_job(workspace, job.id).cancel_requested:
            finish(workspace, job.id, token, "cancelled", error=str(error))
            return "cancelled"
        finish(workspace, job.id, token, "lost", error=f"the worker was stopped: {error} Submit the job again.")
        return "lost"
    except (MuscleError, OSError) as error:
        text = system_text(error) if isinstance(error, OSError) else str(error)
        print(text, flush=True)
        finish(workspace, job.id, token, "failed", error=text)
        return "failed"
    except Exception as error:
        traceback.print_exc()
        text = f"unexpected {type(error).__name__}: {error}. This is a bug; the log holds the details."
        finish(workspace, job.id, token, "failed", error=text, traceback=traceback.format_exc())
        return "failed"
    finish(workspace, job.id, token, "succeeded", result=result)
    return "succeeded"


if __name__ == "__main__":
    sys.exit(0 if run_job(Workspace.open(), sys.argv[1]) == "succeeded" else 1)
