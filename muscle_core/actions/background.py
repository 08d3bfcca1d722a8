"""Submit background work: check all that can be checked first, queue it once, and see that a worker runs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, NamedTuple

from muscle_core.actions.datasets import check_limit
from muscle_core.actions.evaluate import EvaluationOptions
from muscle_core.actions.models import check_new_version
from muscle_core.actions.train import VALIDATION_SPLIT, check_compat, check_held_out
from muscle_core.compat.config import CompatConfig
from muscle_core.errors import ConfigError
from muscle_core.jobs import Submission, ensure_worker, resume, submit
from muscle_core.store import Dataset, Job, Workspace, check_split, get_dataset, get_version, require_weights


class Work(NamedTuple):
    """What a job does: its kind, its title for people, and its payload, which names the same work the same way."""

    kind: str
    title: str
    payload: dict[str, Any]


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
    title = f"Evaluate {', '.join(version_names)} on {dataset_name} ({split})"
    return _start(
        workspace,
        "evaluate",
        title,
        {
            "versions": version_names,
            "dataset": dataset_name,
            "split": split,
            "limit": limit,
            "options": asdict(options),
        },
    )


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
) -> Submission:
    """Queue a compatibility training and, after it, the evaluation of the result.

    Raises:
        StoreError, ModelError, ConfigError, DataError: the inputs cannot be used; nothing is queued.
    """
    _, _, dataset = check_compat(workspace, old_name, new_name, dataset_name, config)
    check_held_out(dataset, train_split, test_split)
    check_validation(dataset, config, train_split, test_split)
    check_limit(limit)
    if name is not None:
        check_new_version(workspace, name, "compat", None)
    work = compat_work(
        old_name,
        new_name,
        dataset_name,
        config,
        train_split=train_split,
        test_split=test_split,
        name=name,
        limit=limit,
    )
    return _start(workspace, *work)


def compat_work(
    old_name: str,
    new_name: str,
    dataset_name: str,
    config: CompatConfig,
    *,
    train_split: str,
    test_split: str,
    name: str | None = None,
    limit: int | None = None,
) -> Work:
    """A compatibility training as a job; nothing is checked or queued here."""
    title = f"Train {config.strategy}, seed {config.seed}, for {old_name} → {new_name} on {dataset_name}"
    payload = {
        "old": old_name,
        "new": new_name,
        "dataset": dataset_name,
        "train_split": train_split,
        "test_split": test_split,
        "name": name,
        "limit": limit,
        "options": config.as_dict(),
    }
    return Work("train_compat", title, payload)


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
    return _start(workspace, "load_demo", "Load the demo", {})


def resume_job(workspace: Workspace, job_id: str) -> Job:
    """Queue a cancelled, failed or lost job again; a training goes on from its last checkpoint.

    Raises:
        JobError: it cannot be resumed.
    """
    job = resume(workspace, job_id)
    ensure_worker(workspace)
    return job


def _start(workspace: Workspace, kind: str, title: str, payload: dict[str, Any]) -> Submission:
    submission = submit(workspace, kind, title, payload)
    ensure_worker(workspace)
    return submission
