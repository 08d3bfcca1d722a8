"""Checkpoints of a training: transformers' own, completed by what only this project knows.

The record is written last, so a checkpoint with a record is whole; a process may be killed at any moment.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from safetensors.torch import load_file, save_file

from muscle_core.compat.early_stopping import EarlyStopping, Look
from muscle_core.errors import ConfigError

_RECORD, _BEST = "muscle.json", "best.safetensors"


class Totals(NamedTuple):
    """What a training has done so far, in all its processes.

    Attributes:
        old: answer tokens that followed the old teacher.
        all: answer tokens seen.
        seconds: wall time of the steps.
    """

    old: int = 0
    all: int = 0
    seconds: float = 0.0


def latest_checkpoint(folder: Path | None, training: str) -> Path | None:
    """The newest whole checkpoint in a folder, or None.

    Args:
        folder: where checkpoints lie; may be missing.
        training: fingerprint of all that decides the training.

    Raises:
        ConfigError: the checkpoint is that of another training.
    """
    newest = newest_checkpoint(folder)
    if newest is None:
        return None
    if json.loads((newest / _RECORD).read_text())["training"] != training:
        raise ConfigError(
            f"the checkpoint {newest} is that of a training with other options, samples, versions or library versions; "
            "it cannot go on from there. Start a new training in another folder."
        )
    return newest


def newest_checkpoint(folder: Path | None) -> Path | None:
    """The newest whole checkpoint in a folder that may be missing, of whatever training."""
    whole = [] if folder is None else [record.parent for record in folder.glob(f"checkpoint-*/{_RECORD}")]
    return max(whole, key=step_of, default=None)


def step_of(checkpoint: Path) -> int:
    """Optimizer steps done when a checkpoint was saved."""
    return int(checkpoint.name.removeprefix("checkpoint-"))


def complete(checkpoint: Path, training: str, totals: Totals, stopping: EarlyStopping | None) -> None:
    """Add our own record to a checkpoint that transformers has just saved."""
    record: dict[str, Any] = {"training": training, "totals": totals}
    if stopping is not None and stopping.best is not None:
        save_file(stopping.weights, checkpoint / _BEST)
        record |= {"best": stopping.best, "without_gain": stopping.without_gain}
    partial = checkpoint / (_RECORD + ".new")
    partial.write_text(json.dumps(record))
    partial.rename(checkpoint / _RECORD)


def restore(checkpoint: Path, stopping: EarlyStopping | None) -> Totals:
    """Read our own record of a checkpoint."""
    record = json.loads((checkpoint / _RECORD).read_text())
    if stopping is not None and "best" in record:
        stopping.best, stopping.without_gain = Look(*record["best"]), record["without_gain"]
        stopping.weights = load_file(checkpoint / _BEST)
    return Totals(*record["totals"])
