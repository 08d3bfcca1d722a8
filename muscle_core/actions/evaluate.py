"""Evaluate a model version on a dataset split; a finished evaluation of the same content is never repeated."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable

import sqlalchemy as sa

from muscle_core.actions.datasets import load_samples
from muscle_core.errors import Cancelled, ModelError
from muscle_core.store import (
    Dataset,
    EvaluationRun,
    ModelVersion,
    PredictionWriter,
    Workspace,
    get_dataset,
    get_version,
    made_by,
    read_predictions,
    spec_of,
    summarise,
)
from muscle_core.store.tables import new_id
from muscle_core.tasks import task_of

Report = Callable[[int, int], None]  # samples done, samples in all


def evaluation_key(
    version: ModelVersion, dataset: Dataset, split: str, decoding: dict[str, object], limit: int | None
) -> str:
    """Hash of all that decides the predictions: weights, adapter, samples, template, decoding and row limit."""
    content = [version.fingerprint, version.name, dataset.fingerprint, split, dataset.template, decoding, limit]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def evaluate(
    workspace: Workspace,
    version_name: str,
    dataset_name: str,
    *,
    split: str = "test",
    limit: int | None = None,
    report: Report = lambda done, total: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> EvaluationRun:
    """Evaluate a version on a split, or return the run that did so before.

    Args:
        workspace: where both are.
        version_name: model version.
        dataset_name: dataset.
        split: split to score.
        limit: only the first samples of it.
        report: called after every chunk of samples.
        should_stop: asked after every chunk.

    Raises:
        StoreError: no such version, dataset or split.
        ModelError: the version has no weights here, or its files have changed since it was added.
        Cancelled: `should_stop` said so; nothing was kept.
    """
    version, dataset = get_version(workspace, version_name), get_dataset(workspace, dataset_name)
    samples = load_samples(workspace, dataset, split, limit)
    task = task_of(dataset.task_kind)
    if limit is not None and limit >= dataset.splits[split]:
        limit = None
    decoding_record = {"method": "greedy", **dataset.decoding}
    key = evaluation_key(version, dataset, split, decoding_record, limit)
    with workspace.reading() as session:
        known = session.scalar(sa.select(EvaluationRun).where(EvaluationRun.key == key))
    if known is not None:
        report(len(samples), len(samples))
        return known
    check_unchanged(version)

    # torch from here on only: a known run is returned without it.
    from muscle_core.models.load import load_model, load_tokenizer
    from muscle_core.scoring.score import Decoding, score_samples

    spec = spec_of(version)
    tokenizer, model = load_tokenizer(spec), load_model(spec)
    decoding = Decoding(dataset.decoding["max_new_tokens"], tuple(dataset.decoding["stop"]))
    run_id = new_id()
    relative = f"predictions/{run_id}"
    writer = PredictionWriter(workspace.path(relative))
    done = 0
    report(0, len(samples))
    try:
        for rows in score_samples(model, tokenizer, task, samples, template=dataset.template, decoding=decoding):
            writer.write(rows)
            done += len(rows)
            report(done, len(samples))
            if should_stop() and done < len(samples):
                raise Cancelled(f"the evaluation of {version_name!r} was stopped after {done:,} samples.")
        writer.finish()
    except BaseException:
        writer.abandon()
        raise
    return _save_run(
        workspace,
        EvaluationRun(
            id=run_id,
            key=key,
            version_id=version.id,
            dataset_id=dataset.id,
            split=split,
            template=dataset.template,
            decoding=decoding_record,
            row_limit=limit,
            rows=done,
            path=relative,
            summary=summarise(read_predictions(workspace.path(relative))),
            origin="evaluated",
            made_by=made_by(),
        ),
    )


def check_unchanged(version: ModelVersion) -> None:
    """Refuse a version whose files are gone or no longer those that were added.

    Raises:
        ModelError: with both fingerprints.
    """
    from muscle_core.models.spec import adapter_fingerprint, base_fingerprint, check_paths

    if version.base is None:
        raise ModelError(
            f"{version.name!r} has imported outputs only, no weights; it can be compared, but not run or trained."
        )
    spec = spec_of(version)
    check_paths(spec)
    for what, recorded, current in (
        ("base", version.base_fingerprint, base_fingerprint(spec)),
        ("adapter", version.adapter_fingerprint, adapter_fingerprint(spec)),
    ):
        if recorded != current:
            raise ModelError(
                f"the {what} files of {version.name!r} have changed since it was added ({str(recorded)[:12]}… then, "
                f"{str(current)[:12]}… now). Add the new files as a new model version."
            )


def _save_run(workspace: Workspace, run: EvaluationRun) -> EvaluationRun:
    try:
        with workspace.writing() as session:
            session.add(run)
        return run
    except sa.exc.IntegrityError:
        # Another process finished the same evaluation meanwhile; its rows are the same.
        with workspace.reading() as session:
            return session.scalars(sa.select(EvaluationRun).where(EvaluationRun.key == run.key)).one()
