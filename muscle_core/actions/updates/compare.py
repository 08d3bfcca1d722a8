"""Compare two model versions on a dataset, and the strategies trained so far with the plain new version."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import pandas as pd
import pyarrow as pa
import sqlalchemy as sa

from muscle_core.actions.evaluation.question import EvaluationOptions
from muscle_core.actions.library.datasets import load_samples
from muscle_core.actions.strategies.ensemble import ENSEMBLE_LABEL, ensemble_of
from muscle_core.comparison import Comparison, compare, compare_strategies
from muscle_core.comparison.columns import BASE_COLUMNS, KNOWN_SCORES
from muscle_core.errors import ConfigError, DataError, StoreError, raise_all
from muscle_core.store import (
    ArtifactsUnreachable,
    Dataset,
    EvaluationRun,
    ModelVersion,
    TrainingRun,
    Workspace,
    check_split,
    get_dataset,
    get_version,
    read_prediction_table,
    read_predictions,
    runs_of,
)
from muscle_core.store.tables import INTERPOLATION


class VersionPair(NamedTuple):
    """What a comparison is of: two versions on one split of a dataset."""

    old: ModelVersion
    new: ModelVersion
    dataset: Dataset
    split: str


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


def version_pair(
    workspace: Workspace, old_name: str, new_name: str, dataset_name: str, split: str = "test"
) -> VersionPair:
    """Two versions and a split, by their names.

    Raises:
        StoreError: one is missing; the message names the nearest.
        ConfigError: one version twice.
    """
    if old_name == new_name:
        raise ConfigError(f"old and new are the same version, {old_name!r}; choose two.")
    old, new = get_version(workspace, old_name), get_version(workspace, new_name)
    dataset = get_dataset(workspace, dataset_name)
    check_split(dataset, split)
    return VersionPair(old, new, dataset, split)


def runs_of_pair(
    workspace: Workspace, pair: VersionPair, options: EvaluationOptions | None = None
) -> tuple[EvaluationRun, EvaluationRun]:
    """The runs of both versions to compare; see `latest_run`.

    Raises:
        StoreError: one was not evaluated there; the message holds the command that does it.
    """
    old, new = (require_run(workspace, one, pair.dataset, pair.split, options) for one in (pair.old, pair.new))
    return old, new


def predictions_of(workspace: Workspace, run: EvaluationRun) -> pd.DataFrame:
    """Prediction table of a run.

    Raises:
        StoreError: it is missing or damaged; the message says whose it is and how to make it anew.
    """
    with _whose(workspace, run):
        return read_predictions(workspace.local(run.path))


def compared_columns_of(workspace: Workspace, run: EvaluationRun) -> pa.Table:
    """What a comparison reads of the predictions of a run: a small part of the file, and no pandas.

    Raises:
        StoreError: as `predictions_of`.
    """
    with _whose(workspace, run):
        return read_prediction_table(workspace.local(run.path), (*BASE_COLUMNS, *KNOWN_SCORES))


@contextmanager
def _whose(workspace: Workspace, run: EvaluationRun) -> Iterator[None]:
    """Say of predictions that cannot be read whose they are: a folder's name tells nobody."""
    try:
        yield
    except ArtifactsUnreachable:
        raise
    except StoreError as error:
        with workspace.reading() as session:
            version, dataset = session.get(ModelVersion, run.version_id), session.get(Dataset, run.dataset_id)
        if version is None or dataset is None:  # deleted meanwhile
            raise
        again = (
            f"python -m muscle_core evaluate {version.name} --dataset {dataset.name} --split {run.split}"
            if run.origin == "evaluated"
            else f"python -m muscle_core runs import {version.name} FILE --dataset {dataset.name} --split {run.split}"
        )
        raise StoreError(
            f"the answers of {version.name!r} on {dataset.name!r} ({run.split}) cannot be read: {error} The "
            f"command: {again}"
        ) from error


def groups_of_samples(workspace: Workspace, dataset: Dataset, split: str, field: str) -> dict[str, str]:
    """The value of a metadata field by sample id, as text: which samples belong together.

    Raises:
        ConfigError: no sample has that field.
        DataError: a sample lacks it, or its value is neither text nor number.
    """
    samples = load_samples(workspace, dataset, split)
    known = sorted({name for sample in samples for name in sample.metadata})
    if field not in known:
        fields = ", ".join(known) or "none"
        raise ConfigError(f"the samples of {dataset.name!r} ({split}) have no field {field!r}; their fields: {fields}")
    bad = [sample for sample in samples if not isinstance(sample.metadata.get(field), str | int | float)]
    raise_all(
        (f"sample {sample.id!r} holds {sample.metadata.get(field)!r}" for sample in bad),
        DataError,
        f"the field {field!r} of {dataset.name!r} ({split}) must name the group of each sample by a text or a number",
    )
    return {sample.id: str(sample.metadata[field]) for sample in samples}


def compare_versions(
    workspace: Workspace,
    old_name: str,
    new_name: str,
    dataset_name: str,
    *,
    split: str = "test",
    tau: float = 0.0,
    options: EvaluationOptions | None = None,
    cluster: str | None = None,
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
        cluster: metadata field that names the group of each sample, where several belong together (questions about
            one text); intervals and test then take groups for the unit.

    Raises:
        StoreError: something is missing; the message says how to make it.
        ConfigError: one version twice, or no sample has the field.
        DataError: a sample has no group.
    """
    pair = version_pair(workspace, old_name, new_name, dataset_name, split)
    runs = runs_of_pair(workspace, pair, options)
    clusters = None if cluster is None else groups_of_samples(workspace, pair.dataset, split, cluster)
    tables = [compared_columns_of(workspace, run) for run in runs]
    return compare(
        *tables,
        task_kind=pair.dataset.task_kind,
        old_name=pair.old.name,
        new_name=pair.new.name,
        tau=tau,
        clusters=clusters,
    )


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
    frames = {v.version.name: compared_columns_of(workspace, v.run) for v in variants if v.run is not None}
    reference = evaluated_ensemble(workspace, old, new, dataset, split)
    if reference is not None:
        frames[reference.version.name] = compared_columns_of(workspace, reference.run)
    table = compare_strategies(
        compared_columns_of(workspace, require_run(workspace, old, dataset, split)),
        compared_columns_of(workspace, require_run(workspace, new, dataset, split)),
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
