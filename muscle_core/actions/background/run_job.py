"""Run one claimed job in this process: python -m muscle_core.actions.background.run_job JOB_ID (the worker does)."""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Callable
from functools import partial
from typing import Any

import sqlalchemy as sa

from muscle_core.errors import Cancelled, MuscleError, StoreError
from muscle_core.jobs import JobProcess, finish, get_job, give_back, jobs_before, log_tail
from muscle_core.jobs.advice import advice
from muscle_core.jobs.run_lock import REFUSED
from muscle_core.paths import system_text
from muscle_core.store import LOG, Job, Workspace

_RETRY_SECONDS = 1.0
_LINE_SECONDS = 3.0  # between two lines of the log about the steps


class _Stages:
    """Tells of work whose pieces are kept as they are done; what was there before this process counts for nothing."""

    def __init__(self, process: JobProcess) -> None:
        self._process = process
        self._found: dict[str, int] = {}

    def __call__(self, stage: str, done: int, total: int) -> None:
        found = self._found.setdefault(stage, done)
        self._process.write(stage, done, total, saved=done > found)


class _StepLines:
    """Writes a line about the steps into the log now and then, and about the first and the last one."""

    def __init__(self) -> None:
        self._last = -_LINE_SECONDS

    def __call__(self, step: dict[str, float]) -> None:
        moment = time.monotonic()
        if moment - self._last < _LINE_SECONDS and step["step"] < step["steps"]:
            return
        self._last = moment
        share = step["old_share"]
        aligned = "" if share != share else f", {share:.1%} of tokens follow old"
        print(
            f"{time.strftime('%H:%M:%S')} step {step['step']:,.0f} of {step['steps']:,.0f}: loss {step['loss']:.4f}"
            f"{aligned}, {step['tokens_per_second']:,.0f} tokens/s",
            flush=True,
        )


def _evaluate(workspace: Workspace, job: Job, process: JobProcess) -> dict[str, Any]:
    from muscle_core.actions.evaluation.evaluate import EvaluationOptions, evaluate

    payload, runs, stages = job.payload, [], _Stages(process)
    trained = [before.result or {} for before in jobs_before(workspace, job.id)]
    names = payload["versions"] or [result["version"] for result in trained if "version" in result]
    for name in names:
        run = evaluate(
            workspace,
            name,
            payload["dataset"],
            split=payload["split"],
            limit=payload["limit"],
            options=EvaluationOptions(**payload.get("options", {})),
            report=partial(stages, f"evaluating {name}"),
            should_stop=process.should_stop,
        )
        runs.append(run.id)
    compared = trained[0] if len(trained) == 1 else {}
    return {**compared, "runs": runs, "versions": names, "dataset": payload["dataset"]}


def _train_compat(workspace: Workspace, job: Job, process: JobProcess) -> dict[str, Any]:
    from muscle_core.actions.training.train import train_compat
    from muscle_core.compat.config import CompatConfig

    payload, fit = job.payload, None
    if payload.get("ray_workers"):
        from muscle_core.compat.ray_train import RayTraining

        fit = RayTraining(payload["ray_workers"])
    config = CompatConfig.from_dict(payload["options"])
    told = _StepLines()
    begun: dict[str, float] = {}  # where this process took up the training, for the time that is left

    def report(step: dict[str, float]) -> None:
        if not begun:
            begun.update(since_step=step["step"], since=time.time())
        done = int(step["step"])
        saved = config.checkpoint_every > 0 and done % config.checkpoint_every == 0
        told(step)
        process.write("training", done, int(step["steps"]), saved=saved, loss=step["loss"], **begun)

    process.write("loading models", 0, 1)
    version = train_compat(
        workspace,
        payload["old"],
        payload["new"],
        payload["dataset"],
        config,
        split=payload["train_split"],
        name=payload["name"],
        limit=payload["limit"],
        run_id=job.id,
        report_stage=_Stages(process),
        report=report,
        should_stop=process.should_stop,
        fit=fit,
    )
    picks = {key: payload[key] for key in ("old", "new", "dataset")}
    return {**picks, "version": version.name, "split": payload["test_split"]}


def _compare_ablation(workspace: Workspace, job: Job, process: JobProcess) -> dict[str, Any]:
    from muscle_core.actions.strategies.ablation_plan import AblationRequest, plan_ablation
    from muscle_core.actions.strategies.over_seeds import compare_over_seeds
    from muscle_core.comparison.table_text import readable_over_seeds

    process.write("comparing", 0, 1)
    plan = plan_ablation(workspace, AblationRequest.from_dict(job.payload["request"]))
    old, new, dataset = plan.old.name, plan.new.name, plan.dataset.name
    table = compare_over_seeds(workspace, old, new, dataset, plan.variants, split=plan.test_split)
    process.write("comparing", 1, 1)
    rows = readable_over_seeds(table).astype(str).to_dict("records")
    return {"old": old, "new": new, "dataset": dataset, "split": plan.test_split, "table": rows}


def _interpolate(workspace: Workspace, job: Job, process: JobProcess) -> dict[str, Any]:
    from muscle_core.actions.strategies.interpolate import sweep

    payload, stages = job.payload, _Stages(process)
    process.write("mixing", 0, 1)
    found = sweep(
        workspace,
        payload["old"],
        payload["new"],
        payload["dataset"],
        payload["first"],
        payload["second"],
        shares=payload["shares"],
        split=payload["split"],
        other_base=payload["other_base"],
        report=lambda name, done, total: stages(f"evaluating {name}", done, total),
        should_stop=process.should_stop,
    )
    return {
        **_picks(payload),
        "versions": [version.name for version, _ in found],
        "runs": [run.id for _, run in found],
    }


def _ensemble(workspace: Workspace, job: Job, process: JobProcess) -> dict[str, Any]:
    from muscle_core.actions.strategies.ensemble import evaluate_ensemble
    from muscle_core.actions.updates.compare import evaluated_ensemble, version_pair

    payload = job.payload
    run = evaluate_ensemble(
        workspace,
        payload["old"],
        payload["new"],
        payload["dataset"],
        split=payload["split"],
        report=partial(_Stages(process), "evaluating both versions"),
        should_stop=process.should_stop,
    )
    found = evaluated_ensemble(workspace, *version_pair(workspace, *list(_picks(payload).values())))
    return {**_picks(payload), "versions": [found.version.name] if found else [], "runs": [run.id]}


def _import(workspace: Workspace, job: Job, process: JobProcess) -> dict[str, Any]:
    from muscle_core.actions.imports.background import run_import
    from muscle_core.actions.imports.request import Watch

    return run_import(workspace, job.id, job.payload, Watch(process.write, process.should_stop))


def _picks(payload: dict[str, Any]) -> dict[str, str]:
    return {key: payload[key] for key in ("old", "new", "dataset", "split")}


def _load_demo(workspace: Workspace, job: Job, process: JobProcess) -> dict[str, Any]:
    from muscle_core.actions.library.demo import load_demo

    load_demo(workspace, report=_Stages(process), should_stop=process.should_stop)
    return {}


def _view_tokens(workspace: Workspace, job: Job, process: JobProcess) -> dict[str, Any]:
    from muscle_core.actions.strategies.token_view import keep_token_views

    payload = job.payload
    process.write("loading models", 0, 1)
    refused = keep_token_views(
        workspace,
        payload["old"],
        payload["new"],
        payload["dataset"],
        payload["samples"],
        compat_name=payload["compat"],
        split=payload["split"],
        report=partial(_Stages(process), "looking at tokens"),
        should_stop=process.should_stop,
    )
    return {"refused": refused}


_RUNNERS: dict[str, Callable[[Workspace, Job, JobProcess], dict[str, Any]]] = {
    "evaluate": _evaluate,
    "train_compat": _train_compat,
    "compare_ablation": _compare_ablation,
    "interpolate": _interpolate,
    "ensemble": _ensemble,
    "load_demo": _load_demo,
    "view_tokens": _view_tokens,
    "import": _import,
}


def run_job(workspace: Workspace, job_id: str) -> str:
    """Run a job that a worker has claimed for this process; returns its new state, or "gone" where it lost the job.

    Ends the process where another one has the job.
    """
    process = JobProcess(workspace, get_job(workspace, job_id).id)
    process.begin()
    try:
        state = _run(workspace, process)
        _tidy(workspace, process.job_id)
        return state
    finally:
        process.end()


def _tidy(workspace: Workspace, job_id: str) -> None:
    """Remove what only this job needed, once its end is written; what is left by a failure, others find later."""
    from muscle_core.actions.imports.uploads import JOB_KIND, remove_ended_uploads

    try:
        if get_job(workspace, job_id).kind == JOB_KIND:
            remove_ended_uploads(workspace)
    except (MuscleError, OSError, sa.exc.DBAPIError) as error:
        print(f"the upload cannot be removed: {str(error).splitlines()[0]}", flush=True)


def _run(workspace: Workspace, process: JobProcess) -> str:
    job = get_job(workspace, process.job_id)
    try:
        result = _RUNNERS[job.kind](workspace, job, process)
    except Cancelled as error:
        print(error, flush=True)
        if process.word != "gone" and not get_job(workspace, job.id).cancel_requested:
            process.flush()
            return _told(partial(give_back, workspace, job.id, process.token, str(error)))
        return _ended(workspace, process, "cancelled", error=str(error))
    except (MuscleError, OSError) as error:
        text = str(error) if isinstance(error, MuscleError) else system_text(error)
        print(text, flush=True)
        return _ended(workspace, process, "failed", error=text)
    except Exception as error:
        traceback.print_exc()
        known = advice(error)
        if known is not None:
            return _ended(workspace, process, "failed", error=known)
        text = f"unexpected {type(error).__name__}: {error}. This is a bug; the log holds the details."
        return _ended(workspace, process, "failed", error=text, traceback=traceback.format_exc())
    return _ended(workspace, process, "succeeded", result=result)


def _ended(workspace: Workspace, process: JobProcess, state: str, **facts: Any) -> str:
    if state == "failed":
        sys.stdout.flush()
        facts["log_tail"] = log_tail(workspace.job_folder(process.job_id) / LOG)
    process.flush()

    def end() -> str | None:
        return state if finish(workspace, process.job_id, process.token, state, **facts) else None

    return _told(end)


def _told(tell: Callable[[], str | None]) -> str:
    """Write the end into the queue, however long its database is away; "gone" where the job is another's by now."""
    while True:
        try:
            return tell() or "gone"
        except (sa.exc.DBAPIError, StoreError) as error:
            print(f"the end of the job cannot be written, trying again: {str(error).splitlines()[0]}", flush=True)
            time.sleep(_RETRY_SECONDS)


def main(job_id: str) -> int:
    """Exit code of this process: 0 as it should be, 1 an end that is no success, 75 "try again in a moment"."""
    try:
        workspace = Workspace.open()
    except StoreError as error:  # the worker that claimed the job could open it, so this will pass
        print(error, flush=True)
        return REFUSED
    return 0 if run_job(workspace, job_id) in ("succeeded", "queued", "gone") else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
