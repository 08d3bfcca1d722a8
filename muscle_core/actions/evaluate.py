"""Evaluate a model version on a dataset split; a finished evaluation of the same content is never repeated."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from typing import Any

from muscle_core.actions.datasets import load_samples
from muscle_core.actions.runs import known_run, store_run
from muscle_core.errors import Cancelled, ModelError
from muscle_core.models.spec import ModelSpec, adapter_fingerprint, base_fingerprint, check_paths
from muscle_core.scoring.decoding import Decoding
from muscle_core.store import (
    Dataset,
    EvaluationRun,
    ModelVersion,
    Workspace,
    get_dataset,
    get_version,
    made_by,
    spec_of,
)
from muscle_core.tasks import task_of

Report = Callable[[int, int], None]  # samples done, samples in all


def evaluation_key(
    version: ModelVersion, dataset: Dataset, split: str, decoding: dict[str, object], first_ids: list[str] | None
) -> str:
    """Hash of all that decides the predictions, and of whose they are.

    Args:
        version: its name, weights and adapter enter.
        dataset: its id and content enter; the same content under two names is two sets of runs.
        split: the split.
        decoding: how answers are produced and scored.
        first_ids: ids of the samples where only the first of the split are scored: the dataset's fingerprint does not
            tell the order of rows.
    """
    content = [
        [version.name, version.fingerprint],
        [dataset.id, dataset.fingerprint, dataset.template, split, first_ids],
        decoding,
    ]
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
    decoding = Decoding(dataset.decoding["max_new_tokens"], tuple(dataset.decoding["stop"]))
    first_ids = None if limit is None else [sample.id for sample in samples]
    key = evaluation_key(version, dataset, split, decoding.as_dict(), first_ids)
    known = known_run(workspace, key)
    if known is not None:
        report(len(samples), len(samples))
        return known
    check_unchanged(workspace, version)

    # torch from here on only: a known run is returned without it.
    from muscle_core.models.load import load_model
    from muscle_core.scoring.score import score_samples

    spec = spec_of(workspace, version)
    tokenizer, model = tokenizer_of(version, spec), load_model(spec)

    def chunks() -> Iterator[list[dict[str, Any]]]:
        done = 0
        report(done, len(samples))
        for rows in score_samples(model, tokenizer, task, samples, template=dataset.template, decoding=decoding):
            yield rows
            done += len(rows)
            report(done, len(samples))
            if should_stop() and done < len(samples):
                raise Cancelled(f"the evaluation of {version_name!r} was stopped after {done:,} samples.")

    run = EvaluationRun(
        key=key,
        version_id=version.id,
        dataset_id=dataset.id,
        split=split,
        template=dataset.template,
        decoding=decoding.as_dict(),
        row_limit=limit,
        origin="evaluated",
        made_by=made_by(),
    )
    return store_run(workspace, run, chunks())


def require_weights(version: ModelVersion) -> None:
    """Refuse a version of which only outputs are known.

    Raises:
        ModelError: it is one.
    """
    if version.base is None:
        raise ModelError(
            f"{version.name!r} has imported outputs only, no weights; it can be compared, but not run or trained."
        )


def check_unchanged(workspace: Workspace, version: ModelVersion) -> None:
    """Refuse a version whose weights are gone or no longer those that were added; see `tokenizer_of` for the rest.

    Raises:
        ModelError: with both fingerprints.
    """
    require_weights(version)
    spec = spec_of(workspace, version)
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


def tokenizer_of(version: ModelVersion, spec: ModelSpec) -> Any:
    """The tokenizer of a version (a `PreTrainedTokenizerBase`).

    Args:
        version: the version.
        spec: what to load for it.

    Raises:
        ModelError: there is none, or it is no longer the one that was added.
    """
    from muscle_core.models.load import load_tokenizer, tokenizer_fingerprint

    tokenizer = load_tokenizer(spec)
    recorded, current = version.tokenizer_fingerprint, tokenizer_fingerprint(tokenizer)
    if recorded is not None and recorded != current:
        raise ModelError(
            f"the tokenizer files of {version.name!r} have changed since it was added ({recorded[:12]}… then, "
            f"{current[:12]}… now): texts would be split differently. Add the new files as a new model version."
        )
    return tokenizer
