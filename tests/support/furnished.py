"""A workspace with one of everything, made without loading a model: what housekeeping has to keep or delete."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from helpers import choice_rows

from muscle_core.actions.imports.outputs import import_predictions
from muscle_core.actions.library.datasets import add_dataset_rows
from muscle_core.compat.config import CompatConfig
from muscle_core.interchange import ImportColumns
from muscle_core.scoring.prediction import Answer
from muscle_core.store import Job, ModelVersion, TrainingRun, Workspace, get_dataset, get_version
from muscle_core.store.answers import AnswerStore
from muscle_core.store.tables import now

TRAINING = "a" * 32  # id of the training run and of the job that did it


def furnish(workspace: Workspace, folder: Path) -> None:
    """Versions old -> new -> compat (trained by a job), two datasets, three runs, answers, and more."""
    rows = choice_rows(30)
    for name in ("choice", "unused"):
        add_dataset_rows(
            workspace, name, "multiple_choice", {"test": [(row["id"], row) for row in rows], "train": [("x", rows[0])]}
        )
    base = write(workspace.home / "bases" / "small" / "model.safetensors", "rounded").parent
    adapter = f"adapters/{TRAINING}"
    write(workspace.home / adapter / "adapter_model.safetensors", "adapter" * 100)
    with workspace.writing() as session:
        old = ModelVersion(id="0" * 32, name="old", role="old", base=str(base), base_fingerprint="b" * 64)
        session.add(old)
        session.flush()
        session.add(ModelVersion(id="1" * 32, name="new", role="new", base="hub/model", parent_id=old.id))
        session.flush()
        session.add(
            ModelVersion(
                id="2" * 32,
                name="compat",
                role="compat",
                base="hub/model",
                adapter=adapter,
                adapter_fingerprint="c" * 64,
                parent_id="1" * 32,
            )
        )
    for name, shift in (("old", 0), ("new", 1), ("compat", 2)):
        file = folder / f"{name}.json"
        answers = [
            {"id": row["id"], "answer": row["choices"][(row["answer"] + (n % 5 == shift)) % 3]}
            for n, row in enumerate(rows)
        ]
        file.write_text(json.dumps(answers))
        import_predictions(workspace, name, "choice", file, ImportColumns(prediction="answer"))
    with workspace.writing() as session:
        session.add(
            Job(id=TRAINING, kind="train_compat", title="Train", payload={"old": "old"}, state="succeeded", result={})
        )
        session.add(
            TrainingRun(
                id=TRAINING,
                kind="compat",
                seed=0,
                options=CompatConfig().as_dict(),
                strategy="token_correctness",
                initialisation="new",
                dataset_id=get_dataset(workspace, "choice").id,
                split="train",
                old_version_id="0" * 32,
                new_version_id="1" * 32,
                result_version_id="2" * 32,
                job_id=TRAINING,
                metrics_path=f"jobs/{TRAINING}/metrics.jsonl",
                summary={"seconds": 1.0, "steps": 1, "loss": 0.5, "old_share": 0.25, "token_accuracy": 0.5},
            )
        )
    write(workspace.home / "jobs" / TRAINING / "metrics.jsonl", "")
    write(workspace.home / "jobs" / TRAINING / "log.txt", "trained\n")
    checkpoint = workspace.home / "jobs" / TRAINING / "checkpoints" / "checkpoint-1"
    write(checkpoint / "optimizer.pt", "state")
    write(checkpoint / "muscle.json", "{}")
    for name in ("old", "compat"):
        asked = {"version": get_version(workspace, name).fingerprint, "name": name}
        AnswerStore(workspace.path(f"answers/of-{name}"), asked).add(["c"], [Answer(None, "text", "stop", 0.1)])
    write(workspace.home / "teachers" / "store" / "store.json", json.dumps({"teacher": "old"}))


def add_job(workspace: Workspace, job_id: str, state: str, **payload: object) -> None:
    """A job of some state, with its log."""
    with workspace.writing() as session:
        session.add(
            Job(id=job_id, kind="evaluate", title=f"job {job_id[:2]}", payload=payload, state=state, started_at=now())
        )
    write(workspace.home / "jobs" / job_id / "log.txt", "began\n")


def write(file: Path, text: str) -> Path:
    """Write a file and the folders above it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def age(place: Path, days: float = 1.0) -> Path:
    """Make a file, or a folder with all below it, older."""
    moment = time.time() - days * 24 * 3600
    for path in (place, *(place.rglob("*") if place.is_dir() else ())):
        os.utime(path, (moment, moment))
    return place


def tree(home: Path) -> dict[str, bytes]:
    """Content of every file of a workspace but its database and locks."""
    return {
        file.relative_to(home).as_posix(): file.read_bytes()
        for file in sorted(home.rglob("*"))
        if file.is_file() and file.parent != home and file.suffix != ".lock"
    }
