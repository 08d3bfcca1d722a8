"""Evaluate two versions together, as the costly upper reference (paper.md, Extra baselines)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import sqlalchemy as sa

from muscle_core.actions.evaluation.evaluate import (
    Answering,
    Report,
    answer,
    check_unchanged,
    judge_and_store,
    tokenizer_of,
)
from muscle_core.actions.evaluation.pairs import check_pair
from muscle_core.actions.evaluation.question import EvaluationOptions, ask
from muscle_core.actions.evaluation.runs import known_run
from muscle_core.actions.library.models import free_name, save_version
from muscle_core.errors import ConfigError
from muscle_core.models.spec import check_paths, tokenizer_files_fingerprint
from muscle_core.store import EvaluationRun, ModelVersion, Workspace, check_name, made_by, spec_of
from muscle_core.store.tables import ENSEMBLE, new_id
from muscle_core.tasks import task_of

ENSEMBLE_LABEL = "ensemble of old and new (two models)"


def evaluate_ensemble(
    workspace: Workspace,
    old_name: str,
    new_name: str,
    dataset_name: str,
    *,
    split: str = "test",
    limit: int | None = None,
    options: EvaluationOptions | None = None,
    report: Report = lambda done, total: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> EvaluationRun:
    """Evaluate the mean of two versions' token probabilities on a split, or return the run that did so before.

    The run belongs to a version of the role "ensemble", which has no weights of its own: it can be compared like any
    other, but neither run nor trained. Both models are in memory at once, and asked with the new version's tokenizer.

    Args:
        workspace: where all is.
        old_name: one version.
        new_name: the other.
        dataset_name: dataset.
        split: split to score.
        limit: only the first samples of it.
        options: where the dataset's own template and the task kind's usual scoring are not meant.
        report: called after every shard of samples.
        should_stop: asked after every shard.

    Raises:
        StoreError: no such version, dataset or split.
        ConfigError: an option that cannot be used.
        ModelError: a version has no weights here or its files have changed, or both have not one vocabulary.
        Cancelled: `should_stop` said so; the answers so far are kept.
    """
    members = check_pair(workspace, old_name, new_name)
    question = ask(workspace, dataset_name, split=split, limit=limit, options=options)
    specs = [spec_of(workspace, member) for member in members]
    for spec in specs:
        check_paths(spec)
    files = "+".join(tokenizer_files_fingerprint(spec) for spec in specs)
    version = ensemble_of(workspace, *members) or _new_ensemble(workspace, *members)
    key = question.key(version, files)
    known = known_run(workspace, key)
    if known is not None:
        report(len(question.samples), len(question.samples))
        return known
    for member, spec in zip(members, specs, strict=True):
        check_unchanged(member, spec)

    def start() -> Answering:
        _, tokenizer = (tokenizer_of(member, spec) for member, spec in zip(members, specs, strict=True))
        question.check_chat(tokenizer, new_name)
        # torch from here on only: a known run is found without it.
        from muscle_core.models.load import load_model
        from muscle_core.scoring.ensemble import EnsembleAnswerer

        answerer = EnsembleAnswerer(
            (load_model(specs[0]), load_model(specs[1])),
            tokenizer,
            task_of(question.dataset.task_kind),
            template=question.template,
            decoding=question.decoding,
        )
        return lambda shards: ((number, answerer(samples)) for number, samples in shards)

    folder = question.answers_folder(version, files)
    answered = answer(workspace, version, question, folder, start, report=report, should_stop=should_stop)
    version = _saved(workspace, version, members)
    return judge_and_store(workspace, version, question, key, answered)


def ensemble_of(workspace: Workspace, old: ModelVersion, new: ModelVersion) -> ModelVersion | None:
    """The version that stands for two versions together, or None where they were never evaluated so."""
    query = sa.select(ModelVersion).where(
        ModelVersion.role == ENSEMBLE, ModelVersion.base_fingerprint == _fingerprint(old, new)
    )
    with workspace.reading() as session:
        return session.scalars(query.order_by(ModelVersion.created_at)).first()


def _fingerprint(old: ModelVersion, new: ModelVersion) -> str:
    return hashlib.sha256(f"ensemble {old.fingerprint} {new.fingerprint}".encode()).hexdigest()


def _new_ensemble(workspace: Workspace, old: ModelVersion, new: ModelVersion) -> ModelVersion:
    """A version for both; not saved."""
    name = check_name(f"{old.name}-{new.name}-ensemble", "model version")
    return ModelVersion(
        id=new_id(),
        name=free_name(workspace, name),
        role=ENSEMBLE,
        base=None,
        base_fingerprint=_fingerprint(old, new),
        tokenizer_fingerprint=new.tokenizer_fingerprint,
        parent_id=new.id,
        made_by=made_by(
            ensemble_of=[
                {"id": member.id, "name": member.name, "fingerprint": member.fingerprint} for member in (old, new)
            ]
        ),
    )


def _saved(workspace: Workspace, version: ModelVersion, members: tuple[ModelVersion, ModelVersion]) -> ModelVersion:
    """The version in the workspace: another process may have saved the same one meanwhile."""
    known = ensemble_of(workspace, *members)
    if known is not None:
        return known
    try:
        save_version(workspace, version)
    except ConfigError:
        known = ensemble_of(workspace, *members)
        if known is None:  # its name went to another version
            raise
        return known
    return version
