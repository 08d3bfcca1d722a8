"""What the tour says of the demo: every figure comes from the comparison in the workspace, none is written down."""

from __future__ import annotations

from typing import NamedTuple

import streamlit as st

from muscle_core.actions.updates.compare import TrainedVariant, compare_trained, latest_run, trained_variants
from muscle_core.actions.updates.explain import property_name
from muscle_core.actions.updates.gate import run_gate
from muscle_core.comparison import Comparison
from muscle_core.comparison.gate import Thresholds
from muscle_core.demo.recipe import TASKS, VERSIONS, compat_name, dataset_name, version_name
from muscle_core.errors import StoreError
from muscle_core.store import Dataset, ModelVersion, Workspace, get_dataset, get_version
from muscle_core.ui import data
from muscle_core.ui.slices import slices_of

SPLIT = "test"
_SIGNIFICANT = 0.05


class Pair(NamedTuple):
    """The update that the tour is about."""

    dataset: Dataset
    old: ModelVersion
    new: ModelVersion
    compat: ModelVersion | None
    runs: tuple[str, ...]  # ids, for caches


class WorstSlice(NamedTuple):
    """The slice with the smallest adjusted p-value below 0.05."""

    column: str
    label: str
    flips: int
    n: int
    rest: float
    p_adjusted: float
    tested: int


class FirstFlip(NamedTuple):
    """One of the broken inputs."""

    sample: str
    input: str
    gold: str
    old: str
    new: str


class Repair(NamedTuple):
    """What the compatibility adapter makes of the update.

    Attributes:
        comparison: of the old version with the adapter.
        repaired: broken inputs that it answers rightly.
        broken_anew: inputs that only the adapter breaks.
        nfr_change: NFR with the adapter minus that of the plain new version, with its interval.
        accuracy_change: the same of the accuracy.
        limit: a limit for the gate between the two flip rates.
        new_passes: whether the plain new version keeps it.
        compat_passes: whether the adapter does.
    """

    comparison: Comparison
    repaired: int
    broken_anew: int
    nfr_change: tuple[float, float, float]
    accuracy_change: tuple[float, float, float]
    limit: float
    new_passes: bool
    compat_passes: bool


class Facts(NamedTuple):
    """All figures of the tour."""

    pair: Pair
    comparison: Comparison
    flip: FirstFlip
    causes: tuple[tuple[str, int], ...]
    slice: WorstSlice | None
    repair: Repair | None


def demo_update(workspace: Workspace) -> Pair | None:
    """The demo's update without its adapter; None where the demo is not there or not complete."""
    task = TASKS[0]
    try:
        dataset = get_dataset(workspace, dataset_name(task))
        old, new = (get_version(workspace, version_name(task, version)) for version in VERSIONS)
    except StoreError:
        return None
    runs = [latest_run(workspace, version, dataset, SPLIT) for version in (old, new)]
    if runs[0] is None or runs[1] is None:
        return None
    return Pair(dataset, old, new, None, (runs[0].id, runs[1].id))


def with_adapter(workspace: Workspace, update: Pair) -> Pair:
    """The update with the adapter that was trained for it, where there is one."""
    trained = trained_variants(workspace, update.old, update.new, update.dataset, SPLIT)
    chosen = _variant([variant for variant in trained if variant.run is not None], compat_name(TASKS[0]))
    if chosen is None or chosen.run is None:
        return update
    return update._replace(compat=chosen.version, runs=(*update.runs, chosen.run.id))


def _variant(variants: list[TrainedVariant], usual: str) -> TrainedVariant | None:
    """The adapter that came with the demo, else the first that was trained."""
    trained = [variant for variant in variants if variant.training.kind == "compat"]
    named = [variant for variant in trained if variant.version.name == usual]
    return next(iter(named or trained), None)


def facts(workspace: Workspace, pair: Pair) -> Facts | None:
    """The figures of the tour; None where the update breaks nothing.

    Raises:
        StoreError, DataError: predictions or samples are missing or damaged.
    """
    names = tuple(version.name for version in (pair.old, pair.new, pair.compat) if version is not None)
    return _facts(str(workspace.home), pair.runs, names, workspace, pair)


@st.cache_resource(max_entries=4, show_spinner=False)
def _facts(
    home: str, runs: tuple[str, ...], names: tuple[str, ...], _workspace: Workspace, _pair: Pair
) -> Facts | None:
    workspace, pair = _workspace, _pair
    old, new, dataset = pair.old, pair.new, pair.dataset
    comparison = data.comparison(workspace, old, new, dataset, SPLIT)
    flips = comparison.samples.loc[comparison.samples["quadrant"] == "Q4"]
    if flips.empty:
        return None
    first = flips.iloc[0]
    sample = data.samples(workspace, dataset, SPLIT)[str(first["sample_id"])]
    flip = FirstFlip(
        sample.id,
        sample.input,
        data.answer_text(sample, sample.gold),
        data.answer_text(sample, first["old_prediction"]),
        data.answer_text(sample, first["new_prediction"]),
    )
    causes = data.causes(workspace, old, new, dataset, SPLIT)["flips"]
    return Facts(
        pair,
        comparison,
        flip,
        tuple((str(cause), int(count)) for cause, count in causes.items()),
        _worst_slice(workspace, pair),
        None if pair.compat is None else _repair(workspace, pair, pair.compat, comparison),
    )


def _worst_slice(workspace: Workspace, pair: Pair) -> WorstSlice | None:
    table = slices_of(workspace, pair.old, pair.new, pair.dataset, SPLIT)
    row = table.iloc[0] if len(table) else None  # the worst come first
    if row is None or not row["p_adjusted"] < _SIGNIFICANT:
        return None
    return WorstSlice(
        str(row["column"]),
        f"{property_name(row['column'])}: {row['value']}",
        int(row["negative_flips"]),
        int(row["n"]),
        float(row["rest_nfr"]),
        float(row["p_adjusted"]),
        int(table.attrs["tested"]),
    )


def _repair(workspace: Workspace, pair: Pair, compat: ModelVersion, plain: Comparison) -> Repair:
    names = (pair.old.name, pair.new.name, pair.dataset.name)
    comparison = data.comparison(workspace, pair.old, compat, pair.dataset, SPLIT)
    effect = data.repair(workspace, pair.old, pair.new, compat, pair.dataset, SPLIT)
    table = compare_trained(workspace, *names, split=SPLIT).set_index("version").loc[compat.name]
    assert plain.nfr is not None
    assert comparison.nfr is not None
    limit = _limit_between(comparison.nfr.value, plain.nfr.value)
    passes = [
        run_gate(workspace, pair.old.name, name, pair.dataset.name, Thresholds(max_nfr=limit), split=SPLIT).passed
        for name in (pair.new.name, compat.name)
    ]
    return Repair(
        comparison,
        effect.repaired,
        effect.broken,
        (table["nfr_change"], table["nfr_change_low"], table["nfr_change_high"]),
        (table["accuracy_change"], table["accuracy_change_low"], table["accuracy_change_high"]),
        limit,
        *passes,
    )


def _limit_between(low: float, high: float) -> float:
    """A number between two rates with as few digits as tell them apart."""
    middle = (low + high) / 2
    return next((limit for digits in (2, 3) if low <= (limit := round(middle, digits)) < high), round(middle, 4))
