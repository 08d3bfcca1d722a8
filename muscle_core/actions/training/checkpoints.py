"""Checkpoints of a training as other machines find them: the newest one is shared, so that any machine can go on."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

from muscle_core.errors import StoreError
from muscle_core.store import METRICS, Workspace, job_file, publish_job_files

_log = logging.getLogger(__name__)
_PREFIX = "checkpoint-"


def checkpoint_folder(workspace: Workspace, run_id: str) -> Path:
    """Where a training run keeps its checkpoints on this machine."""
    return workspace.path(_key(run_id))


def share_checkpoint(workspace: Workspace, run_id: str, checkpoint: Path) -> None:
    """Publish a checkpoint that is complete, with log and metrics so far; older ones are removed.

    Where that fails, training goes on: the checkpoint is kept on this machine, and the next one is tried again.
    """
    artifacts = workspace.artifacts
    if artifacts is None:
        return
    try:
        workspace.publish(f"{_key(run_id)}/{checkpoint.name}")
        for name in _shared(workspace, run_id):
            if _step(name) < _step(checkpoint.name):
                artifacts.remove(f"{_key(run_id)}/{name}")
    except StoreError as error:
        _log.warning("the checkpoint %s is not shared with other machines: %s", checkpoint, error)
    publish_job_files(workspace, run_id)


def take_over(workspace: Workspace, run_id: str) -> None:
    """Fetch what another machine has left of a training that is newer than what lies here.

    Raises:
        StoreError: the shared place fails, or the checkpoint there is damaged.
    """
    if workspace.artifacts is None:
        return
    # Late, for it loads torch.
    from muscle_core.compat.checkpoints import newest_checkpoint, step_of

    here = newest_checkpoint(checkpoint_folder(workspace, run_id))
    for name in sorted(_shared(workspace, run_id), key=_step, reverse=True):
        if here is not None and _step(name) <= step_of(here):
            break
        key = f"{_key(run_id)}/{name}"
        shutil.rmtree(workspace.path(key), ignore_errors=True)  # what a kill has left of it
        if workspace.artifacts.fetch(key, workspace.path(key)) is not None:
            break  # else its upload was cut off
    job_file(workspace, run_id, METRICS)


def forget_checkpoints(workspace: Workspace, run_id: str) -> None:
    """Remove the checkpoints of a training whose adapter is safe."""
    workspace.discard(_key(run_id))


def _key(run_id: str) -> str:
    return f"jobs/{run_id}/checkpoints"


def _shared(workspace: Workspace, run_id: str) -> list[str]:
    names = workspace.artifacts.names(_key(run_id)) if workspace.artifacts is not None else []
    return [name for name in names if _step(name) >= 0]


def _step(name: str) -> int:
    number = name.removeprefix(_PREFIX)
    return int(number) if name.startswith(_PREFIX) and number.isdecimal() else -1
