"""The references that need no training, mixes of two adapters and the ensemble: what is there, and the rest as jobs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import pandas as pd
import sqlalchemy as sa

from muscle_core.actions.evaluation.pairs import check_pair
from muscle_core.actions.strategies.interpolate import SHARES, check_mixes
from muscle_core.actions.training.earlier import Part
from muscle_core.actions.training.estimate import evaluation_time
from muscle_core.actions.updates.compare import TrainedVariant, VersionPair, evaluated_ensemble, trained_variants
from muscle_core.comparison.pareto import Measures
from muscle_core.errors import ConfigError
from muscle_core.jobs import ACTIVE, Submission, Work, ensure_worker, submit_all
from muscle_core.store import Job, ModelVersion, Workspace, check_split, get_dataset
from muscle_core.store.tables import INTERPOLATION

MIX, ENSEMBLE_KIND = "interpolate", "ensemble"  # kinds of jobs
USUAL_SHARES = SHARES


class Front(NamedTuple):
    """Mixes of two adapters, from one to the other.

    Attributes:
        first: version whose adapter has the weight 1 - alpha.
        second: version whose adapter has the weight alpha.
        foreign: whether one of both adapters is for another base, so that its end is not a version of this table.
        points: rows of the table of versions by rising `alpha`; the two ends are among them where they are in it.
    """

    first: str
    second: str
    foreign: bool
    points: pd.DataFrame


def mixes(
    workspace: Workspace, pair: VersionPair, first: ModelVersion, second: ModelVersion
) -> dict[float, TrainedVariant]:
    """The mixes of two versions' adapters that are there, by the weight of the second one."""
    found = {}
    for variant in trained_variants(workspace, pair.old, pair.new, pair.dataset, pair.split):
        options = variant.training.options
        if variant.training.kind == INTERPOLATION and (options["first"], options["second"]) == (first.id, second.id):
            found[float(options["share"])] = variant
    return dict(sorted(found.items()))


def fronts(variants: Sequence[TrainedVariant], frame: pd.DataFrame, measures: Measures) -> list[Front]:
    """The lines that mixes draw through a table of versions.

    Args:
        variants: trainings and mixes of the pair.
        frame: result of `compare_trained`.
        measures: the columns that have to be known.
    """
    rows = frame[frame[list(measures)].notna().all(axis=1)].set_index("version", drop=False)
    groups: dict[tuple[str, str], list[tuple[float, str]]] = {}
    foreign: dict[tuple[str, str], bool] = {}
    for variant in variants:
        options = variant.training.options
        if variant.training.kind != INTERPOLATION or variant.version.name not in rows.index:
            continue
        key = (str(options["first_name"]), str(options["second_name"]))
        groups.setdefault(key, []).append((float(options["share"]), variant.version.name))
        foreign[key] = bool(options.get("from_another_base"))
    found = []
    for (first, second), points in groups.items():
        ends = [(alpha, name) for alpha, name in ((0.0, first), (1.0, second)) if name in rows.index]
        line = sorted({alpha: (alpha, name) for alpha, name in [*points, *ends]}.values())
        part = rows.loc[[name for _, name in line]].reset_index(drop=True)
        part.insert(0, "alpha", [alpha for alpha, _ in line])
        found.append(Front(first, second, foreign[first, second], part))
    return found


def submit_mixes(
    workspace: Workspace,
    pair: VersionPair,
    first: str,
    second: str,
    shares: Sequence[float],
    *,
    other_base: bool = False,
) -> Submission:
    """Queue the making and evaluation of mixes of two adapters; what is there is not made again.

    Args:
        workspace: where all is.
        pair: the update, and the split to evaluate on.
        first: version whose adapter has the weight 1 - share.
        second: version whose adapter has the weight of the share.
        shares: from 0 to 1.
        other_base: one adapter may be for another base, if its shapes fit.

    Raises:
        StoreError, ConfigError, ModelError: something cannot be used; nothing is queued.
    """
    if not shares:
        raise ConfigError("name at least one share of the second adapter, from 0 to 1.")
    names = (pair.old.name, pair.new.name, pair.dataset.name)
    check_mixes(workspace, *names, first, second, shares, split=pair.split)
    listed = ", ".join(f"{share:g}" for share in sorted(shares))
    title = f"Mix {first} with {second} ({listed}) for {pair.old.name} → {pair.new.name} on {pair.dataset.name}"
    payload = {**_named(pair), "first": first, "second": second, "shares": sorted(shares), "other_base": other_base}
    return _queued(workspace, Work(MIX, title, payload))


def submit_ensemble(workspace: Workspace, pair: VersionPair) -> Submission:
    """Queue the evaluation of both versions together.

    Raises:
        StoreError, ModelError: something cannot be used; nothing is queued.
    """
    check_pair(workspace, pair.old.name, pair.new.name)
    check_split(get_dataset(workspace, pair.dataset.name), pair.split)
    title = f"Evaluate {pair.old.name} and {pair.new.name} together on {pair.dataset.name} ({pair.split})"
    return _queued(workspace, Work(ENSEMBLE_KIND, title, _named(pair)))


def under_way(workspace: Workspace, pair: VersionPair, kind: str) -> Job | None:
    """The job of a kind that is under way for a pair."""
    wanted = _named(pair)
    with workspace.reading() as session:
        jobs = session.scalars(sa.select(Job).where(Job.kind == kind, Job.state.in_(ACTIVE)).order_by(Job.created_at))
        return next((job for job in jobs if {key: job.payload.get(key) for key in wanted} == wanted), None)


def expected_time(workspace: Workspace, pair: VersionPair, evaluations: int, *, both_models: bool = False) -> Part:
    """Seconds that evaluations on the pair's split take, by those of its versions; mixing itself takes moments.

    Args:
        workspace: where it would run.
        pair: the update, and the split.
        evaluations: how many.
        both_models: each sample is asked of both versions.
    """
    times = evaluations * (2 if both_models else 1)
    return evaluation_time(
        workspace, (pair.old, pair.new), pair.dataset, pair.split, pair.dataset.splits[pair.split] * times
    )


def is_ensemble_there(workspace: Workspace, pair: VersionPair) -> bool:
    """Whether both versions were evaluated together on the split."""
    return evaluated_ensemble(workspace, pair.old, pair.new, pair.dataset, pair.split) is not None


def _named(pair: VersionPair) -> dict[str, Any]:
    return {"old": pair.old.name, "new": pair.new.name, "dataset": pair.dataset.name, "split": pair.split}


def _queued(workspace: Workspace, work: Work) -> Submission:
    submission = submit_all(workspace, [work])[0]
    ensure_worker(workspace)
    return submission
