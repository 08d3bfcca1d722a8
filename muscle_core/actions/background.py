"""Submit background work: check all that can be checked first, queue it once, and see that a worker runs."""

from __future__ import annotations

from typing import Any

from muscle_core.actions.train import check_compat
from muscle_core.compat.config import CompatConfig
from muscle_core.errors import ModelError
from muscle_core.jobs import Submission, ensure_worker, submit
from muscle_core.store import Workspace, check_split, get_dataset, get_version


def submit_evaluation(
    workspace: Workspace, version_names: list[str], dataset_name: str, *, split: str = "test", limit: int | None = None
) -> Submission:
    """Queue the evaluation of one or more versions on a split.

    Raises:
        StoreError: no such version, dataset or split.
        ModelError: a version without weights.
    """
    dataset = get_dataset(workspace, dataset_name)
    check_split(dataset, split)
    for name in version_names:
        if get_version(workspace, name).base is None:
            raise ModelError(f"{name!r} has imported outputs only, no weights; it cannot be evaluated here.")
    title = f"Evaluate {', '.join(version_names)} on {dataset_name} ({split})"
    return _start(
        workspace,
        "evaluate",
        title,
        {"versions": version_names, "dataset": dataset_name, "split": split, "limit": limit},
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
        StoreError, ModelError: the inputs cannot be used; nothing is queued.
    """
    _, _, dataset = check_compat(workspace, old_name, new_name, dataset_name, config)
    check_split(dataset, train_split)
    check_split(dataset, test_split)
    title = f"Train {config.strategy} for {old_name} → {new_name} on {dataset_name}"
    return _start(
        workspace,
        "train_compat",
        title,
        {
            "old": old_name,
            "new": new_name,
            "dataset": dataset_name,
            "train_split": train_split,
            "test_split": test_split,
            "name": name,
            "limit": limit,
            "options": config.as_dict(),
        },
    )


def submit_demo(workspace: Workspace) -> Submission:
    """Queue the loading of the embedded demo: its versions, datasets and evaluations."""
    return _start(workspace, "load_demo", "Load the demo", {})


def _start(workspace: Workspace, kind: str, title: str, payload: dict[str, Any]) -> Submission:
    submission = submit(workspace, kind, title, payload)
    ensure_worker(workspace)
    return submission
