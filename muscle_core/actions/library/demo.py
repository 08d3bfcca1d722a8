"""Load the embedded demo into a workspace: datasets, model versions, and their evaluations. Safe to repeat."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable
from datetime import datetime

import sqlalchemy as sa

from muscle_core.actions.evaluation.evaluate import evaluate
from muscle_core.actions.library.datasets import add_dataset_rows
from muscle_core.actions.library.models import add_model_version, build_version, check_new_version
from muscle_core.demo.recipe import (
    DECODING,
    SPLIT_SIZES,
    TASK_KINDS,
    TASKS,
    TEMPLATES,
    VERSIONS,
    compat_name,
    dataset_name,
    version_name,
)
from muscle_core.demo.rows import task_rows
from muscle_core.errors import Cancelled, ConfigError, StoreError
from muscle_core.models.spec import ModelSpec
from muscle_core.store import METRICS, TrainingRun, Workspace, get_dataset, get_version, publish_job_files
from muscle_core.store.tables import new_id

Report = Callable[[str, int, int], None]  # stage, done, total


def load_demo(
    workspace: Workspace,
    *,
    report: Report = lambda stage, done, total: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> None:
    """Add the demo's three datasets, two model versions and a compatibility adapter of each task, and evaluate them.

    What is already there stays; an interrupted load goes on where it stopped. The adapters come with the demo as its
    other weights do, with the record of the training that made them (`muscle_core.demo.rebuild`).

    Args:
        workspace: where to load it.
        report: called as work proceeds.
        should_stop: asked between the pieces.

    Raises:
        Cancelled: `should_stop` said so; finished pieces stay.
    """
    from muscle_core.demo.rebuild import WEIGHTS

    total = len(TASKS) * (1 + 2 * len(VERSIONS) + 2)
    done = 0

    def advance(stage: str) -> None:
        nonlocal done
        report(stage, done, total)
        done += 1
        if should_stop():
            raise Cancelled("loading the demo was stopped; what is loaded stays, and loading again goes on from there.")

    for task in TASKS:
        dataset = dataset_name(task)
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
            name = version_name(task, version)
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
                parent=None if first else version_name(task, VERSIONS[0]),
            )
    for task in TASKS:
        advance(f"model version {compat_name(task)}")
        _add_compat(workspace, task)
    for task in TASKS:
        for name in (*(version_name(task, version) for version in VERSIONS), compat_name(task)):
            advance(f"evaluating {name}")
            evaluate(workspace, name, dataset_name(task), should_stop=should_stop)
    report("the demo is loaded", total, total)


def _add_compat(workspace: Workspace, task: str) -> None:
    """Add the compatibility adapter of a task with the training run that made it, unless it is there.

    Raises:
        ConfigError: its name was taken meanwhile.
    """
    from muscle_core.demo.rebuild import COMPAT, TRAINING_RECORD, WEIGHTS

    name = compat_name(task)
    with contextlib.suppress(StoreError):
        get_version(workspace, name)
        return
    old, new = (get_version(workspace, version_name(task, version)) for version in VERSIONS)
    adapter = WEIGHTS / f"{task}-{COMPAT}"
    record = json.loads((adapter / TRAINING_RECORD).read_text())
    parent = check_new_version(workspace, name, "compat", new.name)
    spec = ModelSpec(str(WEIGHTS / f"base-{VERSIONS[-1]}"), adapter=str(adapter))
    version = build_version(workspace, name, spec, role="compat", parent_id=parent)
    run = new_id()
    shutil.copyfile(adapter / METRICS, workspace.job_folder(run) / METRICS)
    publish_job_files(workspace, run)
    training = TrainingRun(
        id=run,
        kind="compat",
        strategy=record["options"]["strategy"],
        initialisation=record["options"]["initialisation"],
        seed=record["options"]["seed"],
        options=record["options"],
        dataset_id=get_dataset(workspace, dataset_name(task)).id,
        split="train",
        old_version_id=old.id,
        new_version_id=new.id,
        result_version_id=version.id,
        metrics_path=f"jobs/{run}/{METRICS}",
        summary=record["summary"],
        made_by={**record["made_by"], "came_with": "the demo"},
        created_at=datetime.fromisoformat(record["created_at"]),
    )
    try:
        with workspace.writing() as session:
            session.add(version)
            session.flush()  # the training run refers to it
            session.add(training)
    except sa.exc.IntegrityError as error:
        workspace.discard(f"jobs/{run}")
        raise ConfigError(f"another process added {name!r} meanwhile; load the demo again.") from error
