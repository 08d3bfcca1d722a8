"""Keep evaluation runs: found again by their key, written whole or not at all."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from muscle_core.errors import StoreError
from muscle_core.store import (
    ArtifactsUnreachable,
    EvaluationRun,
    PredictionWriter,
    Workspace,
    read_predictions,
    summarise,
)
from muscle_core.store.tables import new_id


def known_run(workspace: Workspace, key: str) -> EvaluationRun | None:
    """The finished run of a key, or None; a run whose predictions are missing or damaged is removed.

    Raises:
        ArtifactsUnreachable: the shared place fails, so that nothing can be said.
    """
    with workspace.reading() as session:
        run = session.scalar(sa.select(EvaluationRun).where(EvaluationRun.key == key))
    if run is None:
        return None
    try:
        if len(read_predictions(workspace.local(run.path), ["sample_id"])) == run.rows:
            return run
    except ArtifactsUnreachable:
        raise
    except StoreError:
        pass  # as with missing rows: made anew below
    with workspace.writing() as session:
        session.execute(sa.delete(EvaluationRun).where(EvaluationRun.id == run.id))
    workspace.discard(run.path)
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
    write_run(workspace, run, chunks)
    try:
        with workspace.writing() as session:
            session.add(run)
    except sa.exc.IntegrityError as error:
        workspace.discard(run.path)
        twin = known_run(workspace, run.key)
        if twin is None:
            raise StoreError(
                "the run cannot be kept: its model version or its dataset was deleted meanwhile. Answers that were "
                "given are kept."
            ) from error
        return twin
    except BaseException:
        workspace.discard(run.path)
        raise
    return run


def write_run(workspace: Workspace, run: EvaluationRun, chunks: Iterable[list[dict[str, Any]]]) -> None:
    """Write a run's predictions and fill in its rows, path and summary, and its id where it has none.

    Whoever does not add the run afterwards discards them.

    Args:
        workspace: where they go.
        run: see `store_run`.
        chunks: its prediction rows.
    """
    run.id = run.id or new_id()
    run.path = f"predictions/{run.id}"
    run.rows = 0
    writer = PredictionWriter(workspace.path(run.path))
    try:
        for rows in chunks:
            writer.write(rows)
            run.rows += len(rows)
        writer.finish()
        run.summary = summarise(read_predictions(writer.folder))
        workspace.publish(run.path)
    except BaseException:
        writer.abandon()
        workspace.discard(run.path)
        raise
