"""What an import would do, shown before anything is written; of a large file, by its first rows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import sqlalchemy as sa

from muscle_core.actions.imports.plan import fill_plan
from muscle_core.actions.imports.planned import Plan, PlannedRun
from muscle_core.actions.imports.request import ImportRequest
from muscle_core.errors import MuscleError
from muscle_core.interchange import ImportColumns, LogFacts, LogOptions
from muscle_core.interchange.detect import AUTO
from muscle_core.store import EvaluationRun, Workspace


class PreviewedRun(NamedTuple):
    """One run that an import would write.

    Attributes:
        version: name of its version.
        rows: samples.
        right: how many are right; None where none is judged.
        judged: how many are judged.
        mean_score: mean of the imported score; None where there is none.
        known: whether the same was imported before.
    """

    version: str
    rows: int
    right: int | None
    judged: int
    mean_score: float | None
    known: bool

    @property
    def accuracy(self) -> float | None:
        """Share of the judged samples that is right."""
        return None if self.right is None else self.right / self.judged


@dataclass(frozen=True)
class ImportPreview:
    """What an import would do. Nothing is written.

    Attributes:
        file: path of the file.
        facts: what it holds; None where it cannot be read.
        task: kind of the dataset; None where that was not found out.
        makes_dataset: whether the dataset would be made from it; None where that was not found out.
        runs: what would be written; empty where there are problems.
        first: the first rows of the first run: sample_id, input, gold, prediction, correct, output.
        notes: what the user should know.
        problems: why it cannot be imported, one line each; empty where it can.
    """

    file: str
    facts: LogFacts | None
    task: str | None
    makes_dataset: bool | None
    runs: tuple[PreviewedRun, ...]
    first: tuple[dict[str, Any], ...]
    notes: tuple[str, ...]
    problems: tuple[str, ...]


def preview_import(
    workspace: Workspace,
    file: str | Path,
    *,
    version: str | None = None,
    dataset: str | None = None,
    format: str = AUTO,
    split: str = "test",
    task: str | None = None,
    options: LogOptions | None = None,
    columns: ImportColumns | None = None,
    texts_file: str | Path | None = None,
    answers_file: str | Path | None = None,
    rows: int = 5,
    first_rows_only: bool = False,
) -> ImportPreview:
    """What `import_log` would do with the same arguments. Nothing is written; problems are returned, not raised.

    Args:
        workspace: where it would go.
        file: as in `import_log`, like all other arguments.
        version: may be left out.
        dataset: may be left out: then it is as if the dataset were made from the file.
        format: as in `import_log`.
        split: as in `import_log`.
        task: as in `import_log`.
        options: as in `import_log`.
        columns: as in `import_log`.
        texts_file: as in `import_log`.
        answers_file: as in `import_log`.
        rows: how many of the first rows to show.
        first_rows_only: the file is the beginning of a larger one.
    """
    plan = Plan(
        ImportRequest(
            file=Path(file),
            version=version,
            dataset=dataset,
            format=format,
            split=split,
            task=task,
            options=options or LogOptions(),
            columns=columns or ImportColumns(),
            texts_file=texts_file,
            answers_file=answers_file,
        ),
        first_rows_only=first_rows_only,
    )
    problems: tuple[str, ...] = ()
    try:
        fill_plan(workspace, plan)
    except MuscleError as error:
        problems = error.problems or (str(error),)
    runs = () if problems else tuple(_previewed(workspace, plan, run) for run in plan.runs)
    return ImportPreview(
        file=str(file),
        facts=plan.facts,
        task=None if plan.dataset is None else plan.dataset.task_kind,
        makes_dataset=None if plan.dataset is None else plan.is_new,
        runs=runs,
        first=() if problems else _first_rows(plan, rows),
        notes=tuple(plan.notes),
        problems=problems,
    )


def _previewed(workspace: Workspace, plan: Plan, run: PlannedRun) -> PreviewedRun:
    judged = [row["correct"] for row in run.predictions if row["correct"] is not None]
    scores = [row["score"] for row in run.predictions if row.get("score") is not None]
    known = False
    if plan.dataset is not None and not plan.is_new:
        with workspace.reading() as session:
            key = run.key(plan.dataset, plan.request.split)
            known = session.scalar(sa.select(EvaluationRun.id).where(EvaluationRun.key == key)) is not None
    return PreviewedRun(
        version=run.version,
        rows=len(run.predictions),
        right=sum(judged) if judged else None,
        judged=len(judged),
        mean_score=math.fsum(scores) / len(scores) if scores else None,
        known=known,
    )


def _first_rows(plan: Plan, count: int) -> tuple[dict[str, Any], ...]:
    if not plan.runs:
        return ()
    samples = {sample.id: sample for sample in plan.samples}
    return tuple(
        {
            "sample_id": row["sample_id"],
            "input": samples[row["sample_id"]].input,
            **{name: row[name] for name in ("gold", "prediction", "correct", "output")},
        }
        for row in plan.runs[0].predictions[:count]
    )
