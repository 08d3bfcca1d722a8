"""What the Masking page reads, cached until another version was evaluated; cached objects are never changed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd
import streamlit as st

from muscle_core.actions.strategies.choose import choose
from muscle_core.actions.strategies.over_seeds import compare_over_seeds, old_shares
from muscle_core.actions.strategies.references import Front, fronts
from muscle_core.actions.updates.compare import (
    EvaluatedEnsemble,
    TrainedVariant,
    VersionPair,
    compare_trained,
    require_run,
)
from muscle_core.comparison.choice import Choice
from muscle_core.comparison.pareto import Measures, measures_of
from muscle_core.store import Workspace
from muscle_core.ui.masking import words


class Compared(NamedTuple):
    """All that is known of the strategies of an update.

    Attributes:
        versions: result of `compare_trained`.
        strategies: result of `compare_over_seeds`.
        measures: what should be high, and what low.
        fronts: lines of mixes.
        choice: the strategy that keeps the gain and breaks least; None where nothing was trained.
    """

    versions: pd.DataFrame
    strategies: pd.DataFrame
    measures: Measures
    fronts: list[Front]
    choice: Choice | None


def compared(
    workspace: Workspace, pair: VersionPair, variants: Sequence[TrainedVariant], ensemble: EvaluatedEnsemble | None
) -> Compared:
    """Compare the strategies of an update.

    Raises:
        StoreError, DataError: predictions cannot be read or compared.
    """
    runs = [require_run(workspace, version, pair.dataset, pair.split).id for version in (pair.old, pair.new)]
    runs += [variant.run.id for variant in variants if variant.run is not None]
    runs += [] if ensemble is None else [ensemble.run.id]
    key = json.dumps([str(workspace.home), [pair.old.name, pair.new.name, pair.dataset.id, pair.split], runs])
    return _compared(key, workspace, pair, tuple(variants))


@st.cache_resource(max_entries=8, show_spinner=words.READING)
def _compared(key: str, _workspace: Workspace, _pair: VersionPair, _variants: tuple[TrainedVariant, ...]) -> Compared:
    names = (_pair.old.name, _pair.new.name, _pair.dataset.name)
    versions = compare_trained(_workspace, *names, split=_pair.split)
    strategies = compare_over_seeds(_workspace, *names, _variants, split=_pair.split)
    measures = measures_of(versions)
    return Compared(
        versions,
        strategies,
        measures,
        fronts(_variants, versions, measures),
        choose(_workspace, _pair, _variants, strategies),
    )


def shares(workspace: Workspace, variants: Sequence[TrainedVariant]) -> pd.DataFrame:
    """Share of tokens aligned to the old version in each step of trainings; see `old_shares`."""
    return _shares(str(workspace.home), tuple(one.training.id for one in variants), workspace, tuple(variants))


@st.cache_resource(max_entries=8, show_spinner=words.READING_LOGS)
def _shares(
    home: str, trainings: tuple[str, ...], _workspace: Workspace, _variants: tuple[TrainedVariant, ...]
) -> pd.DataFrame:
    return old_shares(_workspace, _variants)
