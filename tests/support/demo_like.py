"""An update with the demo's names, made in a moment: answers that are written down, and the record of a training."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from helpers import choice_rows

from muscle_core.actions.imports.outputs import import_predictions
from muscle_core.actions.library.datasets import add_dataset_rows
from muscle_core.compat.config import CompatConfig
from muscle_core.interchange import ImportColumns
from muscle_core.store import TrainingRun, Workspace, get_dataset, get_version
from muscle_core.store.tables import new_id

DATASET, OLD, NEW, COMPAT = "demo-choice", "demo-choice-v1", "demo-choice-v2", "demo-choice-compat"


def right_old(n: int) -> bool:
    return n % 5 != 0


def right_new(n: int) -> bool:
    return n % 5 == 0 or n % 7 != 3


def right_compat(n: int) -> bool:
    return n % 5 == 0 or n % 21 not in (3, 8)


def make_demo_like(workspace: Workspace, folder: Path, *, with_compat: bool = True, samples: int = 60) -> None:
    """Dataset and versions of the demo's names; `right_old` and so on say who is right on which sample."""
    rows = choice_rows(samples)
    add_dataset_rows(
        workspace,
        DATASET,
        "multiple_choice",
        {"train": [(row["id"], row) for row in choice_rows(5, 900)], "test": [(row["id"], row) for row in rows]},
    )
    versions: list[tuple[str, Callable[[int], bool]]] = [(OLD, right_old), (NEW, right_new)]
    for name, right in [*versions, *([(COMPAT, right_compat)] if with_compat else [])]:
        file = folder / f"{name}.json"
        answers = [
            {"id": row["id"], "answer": row["choices"][(row["answer"] + (not right(n))) % len(row["choices"])]}
            for n, row in enumerate(rows)
        ]
        file.write_text(json.dumps(answers))
        import_predictions(workspace, name, DATASET, file, ImportColumns(prediction="answer"))
    if not with_compat:
        return
    config = CompatConfig()
    with workspace.writing() as session:
        run = new_id()
        session.add(
            TrainingRun(
                id=run,
                kind="compat",
                seed=0,
                options=config.as_dict(),
                strategy=config.strategy,
                initialisation=config.initialisation,
                dataset_id=get_dataset(workspace, DATASET).id,
                split="train",
                old_version_id=get_version(workspace, OLD).id,
                new_version_id=get_version(workspace, NEW).id,
                result_version_id=get_version(workspace, COMPAT).id,
                metrics_path=f"jobs/{run}/metrics.jsonl",
                summary={"seconds": 21.0, "steps": 1, "loss": 0.5, "old_share": 0.25, "token_accuracy": 0.5},
            )
        )
