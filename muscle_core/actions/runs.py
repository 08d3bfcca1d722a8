"""Keep evaluation runs: found again by their key, written whole or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from muscle_core.errors import StoreError
from muscle_core.store import EvaluationRun, PredictionWriter, Workspace, read_predictions, summarise
from muscle_core.store.tables import new_id


def known_run(workspace: Workspace, key: str) -> EvaluationRun | None:
    """The finished run of a key, or None; a run whose predictions are missing or damaged is removed."""
    with workspace.reading() as session:
        run = session.scalar(sa.select(EvaluationRun).where(EvaluationRun.key == key))
    if run is None:
        return None
    folder = workspace.path(run.path)
    try:
        if len(read_predictions(folder, ["sample_id"])) == run.rows:
            return run
    except StoreError:
        pass  # as with missing rows: made anew below
    with workspace.writing() as session:
        session.execute(sa.delete(EvaluationRun).where(EvaluationRun.id == run.id))
    shutil.rmtree(folder, ignore_errors=True)
    return None


def store_run(workspace: Workspace, run: EvaluationRun, chunks: Iterable[list[dict[str, Any]]]) -> EvaluationRun:
    """Write a run's predictions and add the run; whatever fails, nothing is left behind.

    Args:
        workspace: where it goes.
        run: the run without id, rows, path and summary, which are filled in here.
        chunks: its prediction rows.

    Returns:
        The run; or that of another process that finished the same one meanwhile, whose rows are the same.

    Raises:
        StoreError: its version or dataset is no more.
    """
    run.id = new_id()
    run.path = f"predictions/{run.id}"
    run.rows = 0
    writer = PredictionWriter(workspace.path(run.path))
    try:
        for rows in chunks:
            writer.write(rows)
            run.rows += len(rows)
        writer.finish()
        run.summary = summarise(read_predictions(writer.folder))
        with workspace.writing() as session:
            session.add(run)
    except sa.exc.IntegrityError as error:
        writer.abandon()
        twin = known_run(workspace, run.key)
        if twin is None:
            raise StoreError(
                "the run cannot be kept: its model version or its dataset was deleted meanwhile. Answers that were "
                "given are kept."
            ) from error
        return twin
    except BaseException:
        writer.abandon()
        raise
    return run
