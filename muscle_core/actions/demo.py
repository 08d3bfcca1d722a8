"""Load the embedded demo into a workspace: datasets, model versions, and their evaluations. Safe to repeat."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from muscle_core.actions.datasets import add_dataset_rows
from muscle_core.actions.evaluate import evaluate
from muscle_core.actions.models import add_model_version
from muscle_core.demo.recipe import DECODING, SPLIT_SIZES, TASK_KINDS, TASKS, TEMPLATES, VERSIONS
from muscle_core.demo.rows import task_rows
from muscle_core.errors import Cancelled, StoreError
from muscle_core.store import Workspace, get_dataset, get_version

Report = Callable[[str, int, int], None]  # stage, done, total


def load_demo(
    workspace: Workspace,
    *,
    report: Report = lambda stage, done, total: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> None:
    """Add the demo's three datasets and six model versions, and evaluate each version on its task.

    What is already there stays; an interrupted load goes on where it stopped. The compatibility training is left to
    the user.

    Args:
        workspace: where to load it.
        report: called as work proceeds.
        should_stop: asked between the pieces.

    Raises:
        Cancelled: `should_stop` said so; finished pieces stay.
    """
    from muscle_core.demo.rebuild import WEIGHTS

    total = len(TASKS) * (1 + 2 * len(VERSIONS))
    done = 0

    def advance(stage: str) -> None:
        nonlocal done
        report(stage, done, total)
        done += 1
        if should_stop():
            raise Cancelled("loading the demo was stopped; what is loaded stays, and loading again goes on from there.")

    for task in TASKS:
        dataset = f"demo-{task}"
        advance(f"dataset {dataset}")
        with contextlib.suppress(StoreError):
            if workspace.local(get_dataset(workspace, dataset).path).is_file():
                continue
        rows = {split: [(row["id"], row) for row in task_rows(task, split)] for split in SPLIT_SIZES[task]}
        add_dataset_rows(
            workspace,
            dataset,
            TASK_KINDS[task],
            rows,
            template=TEMPLATES[task],
            source={"generator": "muscle_core.demo.rows", "preset": "demo"},
            **DECODING[task],
        )
    for task in TASKS:
        for version in VERSIONS:
            name = f"demo-{task}-{version}"
            advance(f"model version {name}")
            with contextlib.suppress(StoreError):
                get_version(workspace, name)
                continue
            first = version == VERSIONS[0]
            add_model_version(
                workspace,
                name,
                str(WEIGHTS / f"base-{version}"),
                adapter=str(WEIGHTS / f"{task}-{version}"),
                role="old" if first else "new",
                parent=None if first else f"demo-{task}-{VERSIONS[0]}",
            )
    for task in TASKS:
        for version in VERSIONS:
            advance(f"evaluating demo-{task}-{version}")
            evaluate(workspace, f"demo-{task}-{version}", f"demo-{task}", should_stop=should_stop)
    report("the demo is loaded", total, total)
