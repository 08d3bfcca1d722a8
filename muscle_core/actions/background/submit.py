"""Submit background work: check all that can be checked first, queue it once, and see that a worker runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from muscle_core.actions.evaluation.evaluate import EvaluationOptions
from muscle_core.actions.imports.background import queue_import
from muscle_core.actions.imports.request import ImportRequest
from muscle_core.actions.imports.uploads import JOB_KIND as IMPORT
from muscle_core.actions.imports.uploads import holding_uploads, remove_ended_uploads, require_files
from muscle_core.actions.library.datasets import check_limit
from muscle_core.actions.library.models import check_new_version
from muscle_core.actions.strategies.token_view import JOB_KIND, token_question
from muscle_core.actions.training.train import VALIDATION_SPLIT, check_compat, check_held_out
from muscle_core.compat.config import CompatConfig, share_of_batch
from muscle_core.errors import ConfigError, DataError
from muscle_core.jobs import Submission, Work, ensure_worker, get_job, request_cancel, resume, submit_all
from muscle_core.store import Dataset, Job, Workspace, check_split, get_dataset, get_version, require_weights

MOST_TOKEN_VIEWS = 200  # samples of one job
_WAITED_FOR = 5  # priority of what takes seconds, and somebody waits for in front of a page


def submit_evaluation(
    workspace: Workspace,
    version_names: list[str],
    dataset_name: str,
    *,
    split: str = "test",
    limit: int | None = None,
    options: EvaluationOptions | None = None,
) -> Submission:
    """Queue the evaluation of one or more versions on a split.

    Raises:
        StoreError: no such version, dataset or split.
        ConfigError: an option that cannot be used.
        ModelError: a version without weights.
        DataError: the limit is not positive.
    """
    dataset = get_dataset(workspace, dataset_name)
    check_split(dataset, split)
    check_limit(limit)
    options = options or EvaluationOptions()
    options.template_of(dataset), options.decoding_of(dataset)  # refused here rather than in the job
    for name in version_names:
        require_weights(get_version(workspace, name))
    work = evaluation_work(version_names, dataset_name, split=split, limit=limit, options=options)
    return _start(workspace, [work])[0]


def submit_token_views(
    workspace: Workspace,
    old_name: str,
    new_name: str,
    dataset_name: str,
    sample_ids: Sequence[str],
    *,
    compat_name: str | None = None,
    split: str = "test",
) -> Submission:
    """Queue a look at the tokens of samples, which is kept in the workspace; arguments as of `keep_token_views`.

    Raises:
        StoreError: no such version, dataset, split or sample.
        ModelError: a version has no weights, or the tokenizers differ.
        DataError: there is no sample, or too many.
    """
    question = token_question(workspace, old_name, new_name, dataset_name, sample_ids, compat_name, split)
    count = len(question.samples)
    if not 1 <= count <= MOST_TOKEN_VIEWS:
        raise DataError(f"the tokens of 1 to {MOST_TOKEN_VIEWS} samples can be looked at together, not of {count:,}.")
    payload = {"old": old_name, "new": new_name, "compat": compat_name, "dataset": dataset_name, "split": split}
    what = f"{count:,} sample{'s' if count > 1 else ''} of {dataset_name} ({split}) for {old_name} → {new_name}"
    work = Work(
        JOB_KIND,
        f"Look at the tokens of {what}",
        {**payload, "samples": [sample.id for sample in question.samples]},
        priority=_WAITED_FOR,
    )
    return _start(workspace, [work])[0]


def evaluation_work(
    version_names: list[str],
    dataset_name: str,
    *,
    split: str,
    limit: int | None = None,
    options: EvaluationOptions | None = None,
) -> Work:
    """An evaluation as a job; nothing is checked or queued here."""
    title = f"Evaluate {', '.join(version_names)} on {dataset_name} ({split})"
    payload = {"versions": version_names, "dataset": dataset_name, "split": split, "limit": limit}
    return Work("evaluate", title, {**payload, "options": asdict(options or EvaluationOptions())})


def submit_compat(
    workspace: Workspace,
    old_name: str,
    new_name: str,
    dataset_name: str,
    config: CompatConfig,
    *,
    train_split: str = "train",
    test_split: str = "test",
    name: str | None = None,
    limit: int | None = None,
    ray_workers: int | None = None,
) -> Submission:
    """Queue a compatibility training and, as a job that waits for it, the evaluation of the result.

    Args:
        workspace: where all is.
        old_name: old version.
        new_name: new version.
        dataset_name: dataset.
        config: options of the training.
        train_split: split to train on.
        test_split: split to evaluate on.
        name: of the new version.
        limit: train on the first samples only.
        ray_workers: train in so many processes of a Ray cluster; None for the job's own process.

    Returns:
        The submission of the training.

    Raises:
        StoreError, ModelError, ConfigError, DataError: the inputs cannot be used; nothing is queued.
    """
    _, _, dataset = check_compat(workspace, old_name, new_name, dataset_name, config)
    check_held_out(dataset, train_split, test_split)
    check_validation(dataset, config, train_split, test_split)
    check_limit(limit)
    if ray_workers is not None:
        share_of_batch(config.batch_size, ray_workers)
    if name is not None:
        check_new_version(workspace, name, "compat", None)
    works = compat_works(
        old_name,
        new_name,
        dataset_name,
        config,
        train_split=train_split,
        test_split=test_split,
        name=name,
        limit=limit,
        ray_workers=ray_workers,
    )
    return _start(workspace, works)[0]


def compat_works(
    old_name: str,
    new_name: str,
    dataset_name: str,
    config: CompatConfig,
    *,
    train_split: str,
    test_split: str,
    name: str | None = None,
    limit: int | None = None,
    ray_workers: int | None = None,
) -> tuple[Work, Work]:
    """A compatibility training and the evaluation of its result as jobs; nothing is checked or queued here."""
    what = f"{config.strategy}, seed {config.seed}, for {old_name} → {new_name} on {dataset_name}"
    payload: dict[str, object] = {
        "old": old_name,
        "new": new_name,
        "dataset": dataset_name,
        "train_split": train_split,
        "test_split": test_split,
        "name": name,
        "limit": limit,
        "options": config.as_dict(),
    }
    if ray_workers is not None:
        payload["ray_workers"] = ray_workers
    evaluation: dict[str, object] = {
        "versions": [],
        "dataset": dataset_name,
        "split": test_split,
        "limit": None,
        "options": {},
    }
    return Work("train_compat", f"Train {what}", payload), Work("evaluate", f"Evaluate {what}", evaluation, needs=(-1,))


def check_validation(dataset: Dataset, config: CompatConfig, train_split: str, test_split: str) -> None:
    """Early stopping chooses by a split of its own.

    Raises:
        StoreError: the dataset has no such split.
        ConfigError: it is also trained or judged on.
    """
    if not config.validation_every:
        return
    check_split(dataset, VALIDATION_SPLIT)
    if VALIDATION_SPLIT in (train_split, test_split):
        raise ConfigError(
            f"early stopping chooses the adapter by split {VALIDATION_SPLIT!r}, so it can neither be trained on nor "
            "judge the result. Name another split, or set validation_every=0."
        )


def submit_demo(workspace: Workspace) -> Submission:
    """Queue the loading of the embedded demo: its versions, datasets and evaluations."""
    return _start(workspace, [Work("load_demo", "Load the demo", {}, slot="cpu")])[0]


def submit_import(
    workspace: Workspace, request: ImportRequest, *, parent: str | None = None, uploaded: bool = False
) -> Submission:
    """Queue an import; arguments and refusals as of `muscle_core.actions.imports.background.queue_import`."""
    remove_ended_uploads(workspace)
    submission = queue_import(workspace, request, parent=parent, uploaded=uploaded)
    ensure_worker(workspace)
    return submission


def resume_job(workspace: Workspace, job_id: str) -> Job:
    """Queue a cancelled, failed or lost job again; a training goes on from its last checkpoint.

    Raises:
        JobError: it cannot be resumed.
        DataError: it is an import, and its file is no longer there.
    """
    job = get_job(workspace, job_id)
    if job.kind == IMPORT:
        with holding_uploads(workspace):
            require_files(workspace, job.payload)
            job = resume(workspace, job_id)
    else:
        job = resume(workspace, job_id)
    ensure_worker(workspace)
    return job


def cancel_job(workspace: Workspace, job_id: str) -> Job:
    """Cancel a job: a queued one at once, a running one at its next step; returns it as it is then.

    Raises:
        JobError: there is no such job.
    """
    request_cancel(workspace, job_id)
    job = get_job(workspace, job_id)
    if job.kind == IMPORT:
        remove_ended_uploads(workspace)  # of a queued one: no process will
    return job


def _start(workspace: Workspace, works: Sequence[Work]) -> list[Submission]:
    submissions = submit_all(workspace, works)
    ensure_worker(workspace)
    return submissions
