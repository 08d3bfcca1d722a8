"""What was trained for a pair, pooled over seeds: trainings belong together that differ in nothing but their seed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import pandas as pd

from muscle_core.actions.training.step_records import read_metrics
from muscle_core.actions.updates.compare import TrainedVariant, compared_columns_of, require_run
from muscle_core.comparison import pool_seeds
from muscle_core.store import Workspace, check_split, get_dataset, get_version


class Group(NamedTuple):
    """Trainings of one strategy that differ in nothing but their seed.

    Attributes:
        label: the strategy, with as many options as tell it from other groups of the same strategy.
        strategy: its name.
        differing: all options that are not those of every other group of the strategy, with their values.
        by_seed: the newest training of each seed, those that are evaluated before others.
    """

    label: str
    strategy: str
    differing: str
    by_seed: dict[int, TrainedVariant]


def group_by_options(variants: Sequence[TrainedVariant]) -> list[Group]:
    """Group trainings that are equal in all but the seed, in the order of their first training; mixes are left out."""
    groups: dict[str, dict[int, TrainedVariant]] = {}
    facts: dict[str, dict[str, Any]] = {}
    for variant in variants:
        if variant.training.kind != "compat":
            continue
        known = _facts(variant)
        key = json.dumps(known, sort_keys=True)
        facts[key] = known
        by_seed = groups.setdefault(key, {})
        before = by_seed.get(variant.training.seed)
        if before is None or before.run is None or variant.run is not None:
            by_seed[variant.training.seed] = variant
    found = []
    for key, by_seed in groups.items():
        strategy = str(facts[key]["strategy"])
        others = [other for other in facts.values() if other["strategy"] == strategy and other is not facts[key]]
        told = {name: f"{name} {_text(facts[key][name])}" for name in _differing(facts[key], others)}
        label = [strategy]
        while others:
            name = next(name for name in told if any(other.get(name) != facts[key][name] for other in others))
            label.append(told[name])
            others = [other for other in others if other.get(name) == facts[key][name]]
        found.append(Group(", ".join(label), strategy, ", ".join(told.values()), dict(sorted(by_seed.items()))))
    return found


def _differing(facts: dict[str, Any], others: Sequence[dict[str, Any]]) -> list[str]:
    """Names of what is not the same in all others, what people look at first in front."""
    names = [name for name, value in facts.items() if any(other.get(name) != value for other in others)]
    first = ("initialisation", "steps", "learning_rate", "temperature", "row limit")
    return sorted(names, key=lambda name: first.index(name) if name in first else len(first))


def compare_over_seeds(
    workspace: Workspace,
    old_name: str,
    new_name: str,
    dataset_name: str,
    variants: Sequence[TrainedVariant],
    *,
    split: str = "test",
) -> pd.DataFrame:
    """One row for the plain new version and one for each group of trainings that differ only in their seed.

    Args:
        workspace: where all is.
        old_name: old version.
        new_name: new version.
        dataset_name: dataset.
        variants: trainings of this pair on this dataset; those without an evaluation are left out.
        split: split that they are compared on.

    Returns:
        The frame of `muscle_core.comparison.pool_seeds` with `label`, `strategy` (None for the plain version),
        `initialisation`, `steps`, `seed_list`, `differing` (see `Group`), and over the seeds the mean, least and
        greatest share of tokens aligned to the old version (`old_share`, `old_share_min`, `old_share_max`) and the mean
        of the training `seconds`; None where there is no such thing.

    Raises:
        StoreError: something is missing; the message says how to make it.
    """
    old, new = get_version(workspace, old_name), get_version(workspace, new_name)
    dataset = get_dataset(workspace, dataset_name)
    check_split(dataset, split)
    groups = group_by_options([variant for variant in variants if variant.run is not None])
    frames = {  # names of versions hold no space, so that none of these is the new version's
        f"strategy {group.label}": [
            compared_columns_of(workspace, v.run) for v in group.by_seed.values() if v.run is not None
        ]
        for group in groups
    }
    table = pool_seeds(
        compared_columns_of(workspace, require_run(workspace, old, dataset, split)),
        compared_columns_of(workspace, require_run(workspace, new, dataset, split)),
        frames,
        task_kind=dataset.task_kind,
        old_name=old.name,
        new_name=new.name,
    )
    table["label"] = [new.name, *(group.label for group in groups)]
    facts = [dict.fromkeys(_COLUMNS)] + [_group_facts(group) for group in groups]
    for column in _COLUMNS:
        # Objects keep None; pandas would turn it into a NaN, which counts as true.
        table[column] = pd.Series([row[column] for row in facts], dtype=object)
    return table


def old_shares(workspace: Workspace, variants: Sequence[TrainedVariant]) -> pd.DataFrame:
    """Share of tokens aligned to the old version in each step of trainings.

    Returns:
        Columns `label`, `strategy`, `seed`, `step`, `old_share`; strategies without teachers have no row.
    """
    parts = []
    for group in group_by_options(variants):
        for seed, variant in group.by_seed.items():
            steps = pd.DataFrame(read_metrics(workspace, variant.training.id), columns=["step", "old_share"])
            parts.append(steps.assign(label=group.label, strategy=group.strategy, seed=seed).dropna())
    columns = ["label", "strategy", "seed", "step", "old_share"]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


_COLUMNS = (
    "strategy",
    "initialisation",
    "steps",
    "seed_list",
    "differing",
    "old_share",
    "old_share_min",
    "old_share_max",
    "seconds",
)


def _group_facts(group: Group) -> dict[str, object]:
    variants = list(group.by_seed.values())
    shares = [s for v in variants if (s := v.training.summary.get("old_share")) is not None]
    seconds = [v.training.summary["seconds"] for v in variants if v.training.summary.get("seconds") is not None]
    return {
        "strategy": group.strategy,
        "initialisation": variants[0].training.initialisation,
        "steps": variants[0].training.options["steps"],
        "differing": group.differing,
        "seed_list": ", ".join(map(str, group.by_seed)),
        "old_share": sum(shares) / len(shares) if shares else None,
        "old_share_min": min(shares, default=None),
        "old_share_max": max(shares, default=None),
        "seconds": sum(seconds) / len(seconds) if seconds else None,
    }


def _facts(variant: TrainedVariant) -> dict[str, Any]:
    """All that decides a training but its seed."""
    training = variant.training
    options = {name: value for name, value in _all_options(training.options).items() if name != "seed"}
    return options | {"split": training.split, "row limit": training.made_by.get("row_limit")}


def _all_options(options: dict[str, Any]) -> dict[str, Any]:
    """Options of a training; one that was unknown at its time had its default."""
    from muscle_core.compat.config import CompatConfig

    return CompatConfig().as_dict() | options


def _text(value: object) -> str:
    if value is None:
        return "none"
    return (
        "+".join(map(str, value))
        if isinstance(value, list)
        else f"{value:g}"
        if isinstance(value, float)
        else str(value)
    )
