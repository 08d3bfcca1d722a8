"""Workspaces that take training to make: each is made once in a process, and every test gets a copy of its own."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from helpers import FAST, choice_rows

from muscle_core.store import Workspace

Make = Callable[[Workspace], None]
FilledAnd = Callable[[Make], Workspace]  # the fixture `filled_and`


def fill(workspace: Workspace, bases: dict[str, Path]) -> None:
    """Add the versions `old` and `new` (plain bases) and the dataset `choice` (24 train, 30 test rows)."""
    from muscle_core.actions.library.datasets import add_dataset_rows
    from muscle_core.actions.library.models import add_model_version

    for role in ("old", "new"):
        add_model_version(workspace, role, str(bases[role]), role=role)
    rows = {"train": choice_rows(24, 100), "test": choice_rows(30)}
    add_dataset_rows(
        workspace,
        "choice",
        "multiple_choice",
        {split: [(row["id"], row) for row in group] for split, group in rows.items()},
        template="Question : {input} Answer :",
    )


def evaluated_pair(workspace: Workspace) -> None:
    """Train the task versions `task-old` and `task-new`, and evaluate them."""
    from muscle_core.actions.evaluation.evaluate import evaluate
    from muscle_core.actions.training.train import train_task
    from muscle_core.compat.config import TaskConfig

    for role in ("old", "new"):
        train_task(workspace, f"task-{role}", role, "choice", TaskConfig(**FAST), role=role)
        evaluate(workspace, f"task-{role}", "choice")


@dataclass
class Built:
    """Templates of workspaces.

    Attributes:
        root: folder for them.
        bases: models that a filled workspace has.
    """

    root: Path
    bases: dict[str, Path]
    _made: dict[Make, Path] = field(default_factory=dict)

    def copy(self, make: Make, home: Path) -> None:
        """Put a filled workspace, as `make` leaves it, into a folder that is not there yet."""
        if make not in self._made:
            template = self.root / f"{len(self._made)}-{make.__name__}"
            workspace = Workspace.open(template)
            fill(workspace, self.bases)
            make(workspace)
            workspace.close()
            self._made[make] = template
        shutil.copytree(self._made[make], home)
