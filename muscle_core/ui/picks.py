"""The sidebar's picks: dataset, split, old and new version, optional compat version. They live in the URL."""

from __future__ import annotations

from typing import NamedTuple

import streamlit as st

from muscle_core.actions.updates.compare import trained_variants
from muscle_core.actions.updates.evaluated_pairs import MADE_HERE
from muscle_core.store import Dataset, ModelVersion, Workspace, list_datasets, list_runs, list_versions
from muscle_core.ui import words
from muscle_core.ui.empty import demo_progress_in_sidebar
from muscle_core.ui.url import linked_select

_NO_COMPAT = "none"


class Picks(NamedTuple):
    """What the sidebar says. `old` and `new` differ; both were evaluated on the split."""

    dataset: Dataset
    split: str
    old: ModelVersion
    new: ModelVersion
    compat: ModelVersion | None


def choose(workspace: Workspace, *, with_compat: bool = False) -> Picks | None:
    """Draw the sidebar; None where nothing can be compared yet (the page then says what to do).

    Args:
        workspace: where to look.
        with_compat: offer the compatibility adapters trained for the pair as a third version.
    """
    runs = list_runs(workspace)
    versions = {version.id: version for version in list_versions(workspace)}
    evaluated: dict[tuple[str, str], list[ModelVersion]] = {}
    for run in reversed(runs):
        group = evaluated.setdefault((run.dataset_id, run.split), [])
        if versions[run.version_id] not in group:
            group.append(versions[run.version_id])
    comparable = {key: group for key, group in evaluated.items() if len(group) >= 2}
    datasets = {d.name: d for d in list_datasets(workspace) if any(key[0] == d.id for key in comparable)}
    if not datasets:
        return None
    demo_progress_in_sidebar(workspace)
    with st.sidebar:
        dataset = datasets[linked_select(words.DATASET, list(datasets), "dataset")]
        splits = sorted({split for dataset_id, split in comparable if dataset_id == dataset.id}, key=_test_first)
        split = linked_select(words.SPLIT, splits, "split") if len(splits) > 1 else splits[0]
        by_name = {version.name: version for version in comparable[dataset.id, split]}
        parents = {version.parent_id for version in by_name.values()}
        old_names = sorted(
            by_name,
            key=lambda name: (
                by_name[name].role in MADE_HERE,
                by_name[name].role != "old",
                by_name[name].id not in parents,
            ),
        )
        old = by_name[linked_select(words.OLD_VERSION, old_names, "old")]
        new_names = sorted(
            (name for name in by_name if name != old.name),
            key=lambda name: (
                by_name[name].role in MADE_HERE,
                by_name[name].parent_id != old.id,
                by_name[name].role != "new",
            ),
        )
        new = by_name[linked_select(words.NEW_VERSION, new_names, "new")]
        compat = None
        if with_compat:
            variants = {
                v.version.name: v.version for v in trained_variants(workspace, old, new, dataset, split) if v.run
            }
            if variants:
                name = linked_select(words.COMPAT_VERSION, [_NO_COMPAT, *variants], "compat")
                compat = variants.get(name)
    return Picks(dataset, split, old, new, compat)


def _test_first(split: str) -> tuple[bool, str]:
    return split != "test", split
