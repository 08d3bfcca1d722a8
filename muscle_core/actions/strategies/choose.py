"""Which of the strategies trained for an update keeps its gain and breaks least."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from muscle_core.actions.strategies.over_seeds import group_by_options
from muscle_core.actions.updates.compare import TrainedVariant, VersionPair, compared_columns_of, require_run
from muscle_core.comparison.choice import Choice, choose_strategy
from muscle_core.store import Workspace


def choose(
    workspace: Workspace, pair: VersionPair, variants: Sequence[TrainedVariant], frame: pd.DataFrame
) -> Choice | None:
    """Choose among the groups of trainings that differ only in their seed; mixes and ensembles are left out.

    Args:
        workspace: where all is.
        pair: the update.
        variants: its trainings.
        frame: result of `compare_over_seeds` for them.

    Returns:
        The choice, with names as in `frame["label"]`; None where nothing was trained and evaluated.

    Raises:
        StoreError, DataError: predictions cannot be read or compared.
    """
    groups = group_by_options([variant for variant in variants if variant.run is not None])
    if not groups:
        return None
    tables = {
        group.label: [compared_columns_of(workspace, v.run) for v in group.by_seed.values() if v.run is not None]
        for group in groups
    }
    old = compared_columns_of(workspace, require_run(workspace, pair.old, pair.dataset, pair.split))
    named = frame.drop(columns="strategy").rename(columns={"label": "strategy"})
    return choose_strategy(named, old, tables, task_kind=pair.dataset.task_kind)
