"""Train several strategies with several seeds and otherwise equal options; what is there already is not repeated."""

from __future__ import annotations

import fcntl
import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from muscle_core.actions.background.submit import evaluation_work
from muscle_core.actions.evaluation.evaluate import evaluate
from muscle_core.actions.strategies.ablation_plan import Ablation, AblationRequest, Cell, plan_ablation
from muscle_core.actions.training.train import train_compat
from muscle_core.actions.updates.compare import latest_run
from muscle_core.compat.config import CompatConfig
from muscle_core.errors import JobError
from muscle_core.jobs import RESUMABLE, Submission, Work, ensure_worker, resume, submit_all
from muscle_core.store import ModelVersion, Workspace, made_by

Report = Callable[[str, str, int, int], None]  # strategy and seed, what is being done, how much of it, of how much


class Submitted(NamedTuple):
    """What submitting an ablation did.

    Attributes:
        submissions: one a cell that is trained or evaluated now: the job that does so next, and whether it was queued
            or resumed by this.
        there: cells that were trained and evaluated before, for which nothing was queued.
    """

    submissions: list[Submission]
    there: list[Cell]


def submit_ablation(workspace: Workspace, request: AblationRequest) -> Submitted:
    """Queue what an ablation lacks: for each cell a training and its evaluation, and a table after all of them.

    The old and the new version are evaluated too where they were not.

    A training that was cancelled or lost is resumed, and goes on from its last checkpoint; what is trained but not
    evaluated is only evaluated. The trainings share what the teachers say about the samples: the first one asks them.

    Raises:
        StoreError, ModelError, ConfigError, DataError: something cannot be used; nothing is queued.
    """
    plan = plan_ablation(workspace, request)
    missing = [cell for cell in plan.cells if not cell.evaluated]
    works: list[Work] = []
    places: list[int | Submission] = []  # of each missing cell's first job among the works, or what is there already
    last: list[int | str] = []  # of each missing cell what ends it: a place among the works, or the id of a job
    for cell in missing:
        found = _under_way(workspace, cell)
        if found is not None:
            places.append(found)
            last.append(cell.evaluation.id if cell.evaluation is not None else found.job_id)
            continue
        places.append(len(works))
        works += _works(plan, cell)
        last.append(len(works) - 1)
    if missing:
        for version in (plan.old, plan.new):
            if latest_run(workspace, version, plan.dataset, plan.test_split) is None:
                last.append(len(works))
                works.append(evaluation_work([version.name], plan.dataset.name, split=plan.test_split))
        title = f"Table of the strategies for {request.old} → {request.new} on {request.dataset}"
        works.append(Work("compare_ablation", title, {"request": request.as_dict()}, needs=last, slot="cpu"))
        queued = submit_all(workspace, works)
        ensure_worker(workspace)
    submissions = [place if isinstance(place, Submission) else queued[place] for place in places]
    return Submitted(submissions, [cell for cell in plan.cells if cell.evaluated])


def run_ablation(
    workspace: Workspace,
    request: AblationRequest,
    *,
    report: Report = lambda label, stage, done, total: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Ablation:
    """Train and evaluate what an ablation lacks, one after another, in this process.

    The old and the new version are evaluated too where they were not. Called again after a stop or a kill, it goes on
    from the last checkpoint of the training that was cut off.

    Args:
        workspace: where all is.
        request: what to train and compare.
        report: called after every step, and after every batch of what goes before and after the steps.
        should_stop: asked after every step and every shard of an evaluation.

    Returns:
        The ablation, all of it trained and evaluated.

    Raises:
        StoreError, ModelError, ConfigError, DataError: something cannot be used; nothing is trained.
        JobError: a training of it is under way elsewhere, or has diverged.
        Cancelled: `should_stop` said so; the checkpoint is kept.
    """
    found = plan_ablation(workspace, request)
    busy = [f"{c.label} (job {c.job.id[:8]})" for c in found.cells if not c.evaluated and c.under_way and c.job]
    if busy:
        raise JobError(
            f"under way in the background: {'; '.join(busy)}. Wait for the end of these jobs or cancel them "
            "(python -m muscle_core jobs cancel JOB), then start again."
        )

    def evaluated(version: ModelVersion, label: str) -> None:
        evaluate(
            workspace,
            version.name,
            found.dataset.name,
            split=found.test_split,
            report=lambda done, total: report(label, "evaluating", done, total),
            should_stop=should_stop,
        )

    for version in (found.old, found.new):
        if latest_run(workspace, version, found.dataset, found.test_split) is None:
            evaluated(version, version.name)
    for cell in found.cells:
        if not cell.evaluated:
            version = cell.variant.version if cell.variant else _train(workspace, found, cell, report, should_stop)
            evaluated(version, cell.label)
    return plan_ablation(workspace, request)


def _under_way(workspace: Workspace, cell: Cell) -> Submission | None:
    """The job of a cell that is under way, or that is resumed by this; None where new jobs are needed."""
    if cell.job is None:
        return None
    if cell.under_way:
        return Submission(cell.job.id, False)
    # A training that failed would as a rule fail again from its checkpoint.
    again = RESUMABLE if cell.job is cell.evaluation else ("cancelled", "lost")
    if cell.job.state in again:
        try:
            return Submission(resume(workspace, cell.job.id).id, True)
        except JobError:  # resumed or submitted meanwhile
            return None
    return None


def _works(plan: Ablation, cell: Cell) -> list[Work]:
    if cell.variant is not None:
        return [evaluation_work([cell.variant.version.name], plan.dataset.name, split=plan.test_split)]
    training, evaluation = plan.works(cell.config)
    return [training, evaluation]


def _train(
    workspace: Workspace, plan: Ablation, cell: Cell, report: Report, should_stop: Callable[[], bool]
) -> ModelVersion:
    run = _run_id(plan, cell.config)
    with _alone(workspace, run, cell.label):
        return train_compat(
            workspace,
            plan.old.name,
            plan.new.name,
            plan.dataset.name,
            cell.config,
            split=plan.train_split,
            limit=plan.limit,
            run_id=run,
            report=lambda step: report(cell.label, "training", int(step["step"]), int(step["steps"])),
            report_stage=lambda stage, done, total: report(cell.label, stage, done, total),
            should_stop=should_stop,
        )


def _run_id(plan: Ablation, config: CompatConfig) -> str:
    """Id of a training in the foreground, the same for the same training; other libraries make another one."""
    content = [
        [[version.id, version.fingerprint] for version in (plan.old, plan.new)],
        [plan.dataset.id, plan.dataset.fingerprint, plan.train_split, plan.limit],
        config.as_dict(),
        made_by()["libraries"],
    ]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]


@contextmanager
def _alone(workspace: Workspace, run: str, label: str) -> Iterator[None]:
    """Keep a second process from the same training, as long as this one is at it or alive."""
    with (workspace.job_folder(run) / "lock").open("a") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise JobError(f"{label} is being trained by another process; wait for its end.") from error
        yield
