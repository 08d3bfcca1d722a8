"""Compare two model versions on a dataset, and the strategies trained so far with the plain new version."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import pandas as pd
import sqlalchemy as sa

from muscle_core.actions.ensemble import ENSEMBLE_LABEL, ensemble_of
from muscle_core.actions.question import EvaluationOptions
from muscle_core.comparison import Comparison, compare, compare_strategies
from muscle_core.errors import ConfigError, StoreError
from muscle_core.store import (
    Dataset,
    EvaluationRun,
    ModelVersion,
    TrainingRun,
    Workspace,
    check_split,
    get_dataset,
    get_version,
    read_predictions,
    runs_of,
)
from muscle_core.store.tables import INTERPOLATION


class TrainedVariant(NamedTuple):
    """A compatibility adapter trained or mixed for a pair of versions, and its evaluation where there is one."""

    version: ModelVersion
    training: TrainingRun
    run: EvaluationRun | None


class EvaluatedEnsemble(NamedTuple):
    """The ensemble of a pair of versions and its evaluation."""

    version: ModelVersion
    run: EvaluationRun


def latest_run(
    workspace: Workspace,
    version: ModelVersion,
    dataset: Dataset,
    split: str,
    options: EvaluationOptions | None = None,
) -> EvaluationRun | None:
    """The newest run of a version that was asked and judged as the options say, or imported; or None.

    Runs with other templates or scorings are other measurements: they are compared only where the options ask for them.
    """
    options = options or EvaluationOptions()
    asked = (options.template_of(dataset), options.decoding_of(dataset).as_dict())
    found = runs_of(workspace, version, dataset, split)
    return next((run for run in found if run.origin == "imported" or (run.template, run.decoding) == asked), None)


def require_run(
    workspace: Workspace,
    version: ModelVersion,
    dataset: Dataset,
    split: str,
    options: EvaluationOptions | None = None,
) -> EvaluationRun:
    """The run to compare; see `latest_run`.

    Raises:
        StoreError: the version was not evaluated there; the message holds the command that does it.
    """
    run = latest_run(workspace, version, dataset, split, options)
    if run is None:
        extra = options.as_flags() if options else ""
        raise StoreError(
            f"{version.name!r} has not been evaluated on {dataset.name!r} ({split}) yet. Evaluate it first: "
            f"python -m muscle_core evaluate {version.name} --dataset {dataset.name} --split {split}{extra}"
        )
    return run


def predictions_of(workspace: Workspace, run: EvaluationRun) -> pd.DataFrame:
    """Prediction table of a run."""
    return read_predictions(workspace.local(run.path))


def compare_versions(
    workspace: Workspace,
    old_name: str,
    new_name: str,
    dataset_name: str,
    *,
    split: str = "test",
    tau: float = 0.0,
    options: EvaluationOptions | None = None,
) -> Comparison:
    """Compare the newest runs of two versions on a split.

    Args:
        workspace: where all is.
        old_name: old version.
        new_name: new (or compat) version.
        dataset_name: dataset.
        split: split both were evaluated on.
        tau: smallest change of a continuous score that counts as gain or regression.
        options: which runs are meant, where not those by the dataset's template and the usual scoring.

    Raises:
        StoreError: something is missing; the message says how to make it.
        ConfigError: one version twice.
    """
    if old_name == new_name:
        raise ConfigError(f"old and new are the same version, {old_name!r}; choose two.")
    old, new = get_version(workspace, old_name), get_version(workspace, new_name)
    dataset = get_dataset(workspace, dataset_name)
    check_split(dataset, split)
    runs = [require_run(workspace, version, dataset, split, options) for version in (old, new)]
    frames = [predictions_of(workspace, run) for run in runs]
    return compare(frames[0], frames[1], task_kind=dataset.task_kind, old_name=old.name, new_name=new.name, tau=tau)


def trained_variants(
    workspace: Workspace, old: ModelVersion, new: ModelVersion, dataset: Dataset, split: str = "test"
) -> list[TrainedVariant]:
    """Compatibility adapters trained or mixed for a pair on a dataset, oldest first."""
    query = (
        sa.select(TrainingRun, ModelVersion)
        .join(ModelVersion, TrainingRun.result_version_id == ModelVersion.id)
        .where(
            TrainingRun.kind.in_(("compat", INTERPOLATION)),
            TrainingRun.old_version_id == old.id,
            TrainingRun.new_version_id == new.id,
            TrainingRun.dataset_id == dataset.id,
        )
        .order_by(TrainingRun.created_at)
    )
    with workspace.reading() as session:
        pairs = [(row[0], row[1]) for row in session.execute(query)]
    return [
        TrainedVariant(version, training, latest_run(workspace, version, dataset, split)) for training, version in pairs
    ]


def evaluated_ensemble(
    workspace: Workspace, old: ModelVersion, new: ModelVersion, dataset: Dataset, split: str = "test"
) -> EvaluatedEnsemble | None:
    """The ensemble of a pair, where it was evaluated on a split."""
    version = ensemble_of(workspace, old, new)
    run = None if version is None else latest_run(workspace, version, dataset, split)
    return None if version is None or run is None else EvaluatedEnsemble(version, run)


def compare_trained(
    workspace: Workspace, old_name: str, new_name: str, dataset_name: str, *, split: str = "test"
) -> pd.DataFrame:
    """One row for the plain new version and for each evaluated compatibility adapter of the pair.

    Mixes of adapters are among them, and the ensemble of both versions comes last where it was evaluated.

    Returns:
        The frame of `muscle_core.comparison.compare_strategies` by `version`, with strategy, initialisation, seed,
        steps, the share of tokens aligned to the old model, training seconds and a short label of each variant; None
        where a variant has no such thing.

    Raises:
        StoreError: something is missing; the message says how to make it.
    """
    old, new = get_version(workspace, old_name), get_version(workspace, new_name)
    dataset = get_dataset(workspace, dataset_name)
    check_split(dataset, split)
    variants = [v for v in trained_variants(workspace, old, new, dataset, split) if v.run is not None]
    frames = {v.version.name: predictions_of(workspace, v.run) for v in variants if v.run is not None}
    reference = evaluated_ensemble(workspace, old, new, dataset, split)
    if reference is not None:
        frames[reference.version.name] = predictions_of(workspace, reference.run)
    table = compare_strategies(
        predictions_of(workspace, require_run(workspace, old, dataset, split)),
        predictions_of(workspace, require_run(workspace, new, dataset, split)),
        frames,
        task_kind=dataset.task_kind,
        old_name=old.name,
        new_name=new.name,
    )
    table = table.rename(columns={"strategy": "version"})
    facts = {v.version.name: v.training for v in variants}
    for column in ("strategy", "initialisation", "seed", "split"):
        table[column] = _objects(getattr(facts.get(name), column, None) for name in table["version"])
    for column in ("steps", "old_share", "seconds"):
        known = (facts[name].summary if name in facts else {} for name in table["version"])
        table[column] = _objects(summary.get(column) for summary in known)
    table["label"] = _objects(_label(name, facts.get(name)) for name in table["version"])
    table.loc[table["strategy"] == INTERPOLATION, "seed"] = None  # nothing was drawn
    if reference is not None:
        table.loc[table["version"] == reference.version.name, ["strategy", "label"]] = ENSEMBLE_LABEL
    return table


def _objects(values: Iterable[object]) -> pd.Series:
    """A column that keeps None; pandas would turn it into a NaN, which counts as true."""
    return pd.Series(list(values), dtype=object)


def _label(name: str, training: TrainingRun | None) -> str:
    if training is None:
        return name
    if training.kind == INTERPOLATION:
        parts = training.options
        share = 100 * parts["share"]
        return f"interpolation: {100 - share:g} % {parts['first_name']}, {share:g} % {parts['second_name']}"
    return f"{training.strategy}, from {training.initialisation}, seed {training.seed}"
