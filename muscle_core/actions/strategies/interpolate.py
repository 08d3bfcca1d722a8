"""Mix the adapters of two versions without training, and evaluate a sweep of such mixes (paper.md, Extra baselines)."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from muscle_core.actions.evaluation.evaluate import evaluate
from muscle_core.actions.evaluation.pairs import check_one_tokenizer, check_pair, unchanged_spec
from muscle_core.actions.library.models import build_version, check_new_version, free_name
from muscle_core.actions.training.train import check_held_out
from muscle_core.errors import ConfigError, ModelError
from muscle_core.models.spec import recorded_base_fingerprint
from muscle_core.paths import full_disk_told
from muscle_core.store import (
    Dataset,
    EvaluationRun,
    ModelVersion,
    TrainingRun,
    Workspace,
    check_name,
    check_split,
    get_dataset,
    get_version,
    made_by,
    require_weights,
)
from muscle_core.store.tables import INTERPOLATION, new_id

SHARES = (0.25, 0.5, 0.75)


def interpolate_versions(
    workspace: Workspace,
    old_name: str,
    new_name: str,
    dataset_name: str,
    first_name: str,
    second_name: str,
    share: float,
    *,
    name: str | None = None,
    other_base: bool = False,
) -> ModelVersion:
    """Add the mix of two versions' adapters as a version, or return the one that was made before.

    Args:
        workspace: where all is.
        old_name: old version of the update that the mix is compared for.
        new_name: its new version, whose base the mix is on.
        dataset_name: dataset that it is compared on.
        first_name: version whose adapter has the weight 1 - share.
        second_name: version whose adapter has the weight `share`.
        share: from 0 to 1.
        name: name of the new version; made from new version and share by default.
        other_base: one of both adapters may be for another base, if its shapes fit (the old version's own, say).

    Raises:
        StoreError: no such version or dataset.
        ConfigError: an unusable share or name.
        ModelError: an adapter is missing, for another base, or of a kind that cannot be mixed.
    """
    from muscle_core.compat.interpolation import check_share, interpolate_adapters

    check_share(share)
    old, new = check_pair(workspace, old_name, new_name)
    dataset = get_dataset(workspace, dataset_name)
    first, second = (get_version(workspace, part) for part in (first_name, second_name))
    options = {"first": first.id, "second": second.id, "share": float(share)}
    known = _known(workspace, options, old, new, dataset)
    if known is not None:
        return known
    _check_parts(new, first, second)
    if name is not None:
        check_new_version(workspace, name, "compat", None)
    wanted = check_name(name or f"{new.name}-interpolation-{share:g}", "model version")
    base, *specs = (unchanged_spec(workspace, version) for version in (new, first, second))
    paths = [path for spec in specs if (path := spec.adapter_path) is not None]
    run = new_id()
    out = workspace.path(f"adapters/{run}")
    started = time.perf_counter()
    with full_disk_told(workspace.home):
        interpolate_adapters(base, paths[0], paths[1], share, out, other_base_is_fine=other_base)
    seconds = time.perf_counter() - started
    try:
        version = build_version(
            workspace,
            free_name(workspace, wanted),
            replace(base, adapter=str(out)),
            role="compat",
            parent_id=new.id,
        )
        foreign = [
            part.name
            for part, path in zip((first, second), paths, strict=True)
            if recorded_base_fingerprint(path) not in (None, new.base_fingerprint)
        ]
        record = TrainingRun(
            id=run,
            kind=INTERPOLATION,
            strategy=INTERPOLATION,
            seed=0,  # nothing is drawn
            options=options | {"first_name": first.name, "second_name": second.name, "from_another_base": foreign},
            dataset_id=dataset.id,
            split="+".join(_training_splits(workspace, (first, second), dataset)),
            old_version_id=old.id,
            new_version_id=new.id,
            result_version_id=version.id,
            metrics_path="",  # there are no steps
            summary={"seconds": seconds},
            made_by=made_by(
                dataset_fingerprint=dataset.fingerprint,
                old_fingerprint=old.fingerprint,
                new_fingerprint=new.fingerprint,
                first_fingerprint=first.fingerprint,
                second_fingerprint=second.fingerprint,
            ),
        )
        workspace.publish(f"adapters/{run}")
        _save(workspace, version, record)
    except BaseException:
        workspace.discard(f"adapters/{run}")
        raise
    return version


def sweep(
    workspace: Workspace,
    old_name: str,
    new_name: str,
    dataset_name: str,
    first_name: str,
    second_name: str,
    *,
    shares: Sequence[float] = SHARES,
    split: str = "test",
    other_base: bool = False,
    report: Callable[[str, int, int], None] = lambda name, done, total: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> list[tuple[ModelVersion, EvaluationRun]]:
    """Make and evaluate mixes of two adapters; what was made or evaluated before is not repeated.

    Args:
        workspace: where all is.
        old_name: see `interpolate_versions`.
        new_name: see there.
        dataset_name: see there.
        first_name: see there.
        second_name: see there.
        shares: weights of the second adapter, each from 0 to 1.
        split: split to evaluate them on; neither adapter was trained on it.
        other_base: see `interpolate_versions`.
        report: called with a version's name, samples done and samples in all.
        should_stop: asked after every shard of an evaluation.

    Returns:
        Each mix with its evaluation, in the order of the shares.

    Raises:
        StoreError, ConfigError, ModelError: as `interpolate_versions` and `evaluate`.
        Cancelled: `should_stop` said so; mixes and answers so far are kept.
    """
    check_mixes(workspace, old_name, new_name, dataset_name, first_name, second_name, shares, split=split)
    found = []
    for share in dict.fromkeys(shares):
        version = interpolate_versions(
            workspace, old_name, new_name, dataset_name, first_name, second_name, share, other_base=other_base
        )
        run = evaluate(
            workspace,
            version.name,
            dataset_name,
            split=split,
            report=lambda done, total, name=version.name: report(name, done, total),  # type: ignore[misc]
            should_stop=should_stop,
        )
        found.append((version, run))
    return found


def check_mixes(
    workspace: Workspace,
    old_name: str,
    new_name: str,
    dataset_name: str,
    first_name: str,
    second_name: str,
    shares: Sequence[float],
    *,
    split: str,
) -> None:
    """All of a sweep that can be checked without reading an adapter; for the arguments see `sweep`.

    Raises:
        StoreError: no such version, dataset or split.
        ConfigError: an unusable share, or a split that an adapter was trained on.
        ModelError: a version without weights or adapter, one version twice, or different tokenizers.
    """
    from muscle_core.compat.interpolation import check_share

    if not shares:
        raise ConfigError("name at least one share of the second adapter, from 0 to 1.")
    for share in shares:
        check_share(share)
    _, new = check_pair(workspace, old_name, new_name)
    dataset = get_dataset(workspace, dataset_name)
    check_split(dataset, split)
    parts = [get_version(workspace, name) for name in (first_name, second_name)]
    _check_parts(new, *parts)
    for trained_on in _training_splits(workspace, parts, dataset):
        check_held_out(dataset, trained_on, split)


def _check_parts(new: ModelVersion, first: ModelVersion, second: ModelVersion) -> None:
    for part in (first, second):
        require_weights(part)
        check_one_tokenizer(new, part)
        if part.adapter is None:
            raise ModelError(f"{part.name!r} is a plain base without an adapter, so there is nothing to interpolate.")
    if first.id == second.id:
        raise ModelError(f"both adapters are of the same version, {first.name!r}; choose two.")


def _known(
    workspace: Workspace, options: dict[str, Any], old: ModelVersion, new: ModelVersion, dataset: Dataset
) -> ModelVersion | None:
    """The same mix, made before for the same update and dataset."""
    query = sa.select(TrainingRun).where(
        TrainingRun.kind == INTERPOLATION,
        TrainingRun.old_version_id == old.id,
        TrainingRun.new_version_id == new.id,
        TrainingRun.dataset_id == dataset.id,
    )
    with workspace.reading() as session:
        for run in session.scalars(query.order_by(TrainingRun.created_at)):
            if {name: run.options[name] for name in options} == options:
                return session.get(ModelVersion, run.result_version_id)
    return None


def _training_splits(workspace: Workspace, parts: Sequence[ModelVersion], dataset: Dataset) -> list[str]:
    """Splits of a dataset that adapters were trained on, as far as their trainings are known."""
    query = sa.select(TrainingRun.split).where(
        TrainingRun.result_version_id.in_([part.id for part in parts]), TrainingRun.dataset_id == dataset.id
    )
    with workspace.reading() as session:
        return sorted({split for splits in session.scalars(query) for split in splits.split("+") if split})


def _save(workspace: Workspace, version: ModelVersion, record: TrainingRun) -> None:
    """Add both in one transaction."""
    try:
        with workspace.writing() as session:
            session.add(version)
            session.flush()  # the record refers to it
            session.add(record)
    except sa.exc.IntegrityError as error:
        raise ConfigError(
            f"a model version named {version.name!r} was added meanwhile; interpolate again or choose another name."
        ) from error
