"""Two trainings side by side: in what they differ, and what came of each."""

from __future__ import annotations

from typing import Any, NamedTuple

import sqlalchemy as sa

from muscle_core.actions.updates.compare import compared_columns_of, latest_run
from muscle_core.comparison import compare, pool_seeds
from muscle_core.compat.config import CompatConfig, TaskConfig
from muscle_core.errors import StoreError
from muscle_core.metrics import Interval
from muscle_core.store import Dataset, ModelVersion, TrainingRun, Workspace
from muscle_core.store.tables import INTERPOLATION

SUMMARY = ("steps", "seconds", "teacher_seconds", "loss", "token_accuracy", "old_share", "best_step", "peak_memory_mb")


class Setting(NamedTuple):
    """One setting of two trainings.

    Attributes:
        group: "training", "options", "data", "versions" or "made by".
        name: of the setting.
        first: value in the first training; None where it has none.
        second: value in the second one.
    """

    group: str
    name: str
    first: Any
    second: Any

    @property
    def differs(self) -> bool:
        """Whether the two values are not the same."""
        return bool(self.first != self.second)


class Outcome(NamedTuple):
    """What a training's version reaches on a split, against the training's old version.

    Attributes:
        summary: facts of the training by name of `SUMMARY`; None where they are not known.
        figures: `accuracy`, `nfr` and `nfr_mc`, `mean_change` and `regression`; empty where it was not evaluated.
        score: name of the score, or None.
        n: samples compared.
    """

    summary: dict[str, float | None]
    figures: dict[str, Interval]
    score: str | None
    n: int


class Difference(NamedTuple):
    """Second minus first, sample by sample.

    Attributes:
        measure: "nfr" or "regression".
        change: with its 95 % interval (paired bootstrap).
        n: samples that both answered.
    """

    measure: str
    change: Interval
    n: int


def get_training(workspace: Workspace, run_id: str) -> TrainingRun:
    """A training run by its id or the beginning of it.

    Raises:
        StoreError: there is none, or several begin so.
    """
    with workspace.reading() as session:
        query = sa.select(TrainingRun).where(TrainingRun.id.startswith(run_id, autoescape=True)).limit(2)
        found = list(session.scalars(query))
    if len(found) != 1 or not run_id:
        raise StoreError(f"{'several trainings begin' if len(found) > 1 else 'no training begins'} with {run_id!r}.")
    return found[0]


def compare_settings(workspace: Workspace, first: TrainingRun, second: TrainingRun) -> list[Setting]:
    """All that two trainings were told and made with, by group; an option unknown at its time had its default."""
    facts = [_facts(workspace, run) for run in (first, second)]
    keys = dict.fromkeys([*facts[0], *facts[1]])
    groups = {group: place for place, group in enumerate(dict.fromkeys(group for group, _ in keys))}
    found = [Setting(*key, facts[0].get(key), facts[1].get(key)) for key in keys]
    return sorted(found, key=lambda setting: groups[setting.group])


def outcome(workspace: Workspace, run: TrainingRun, split: str) -> Outcome:
    """What came of a training, on a split of the dataset that it was trained on.

    Raises:
        StoreError, DataError: its predictions cannot be read or compared.
    """
    # What makes a mix takes no steps.
    summary = {name: None if run.kind == INTERPOLATION else run.summary.get(name) for name in SUMMARY}
    found = _tables(workspace, run, split)
    if found is None:
        return Outcome(summary, {}, None, 0)
    old, made, kind = found
    compared = compare(old, made, task_kind=kind, old_name="old", new_name="made")
    figures: dict[str, Interval] = {}
    for name, rate in (("accuracy", compared.accuracy_new), ("nfr", compared.nfr), ("nfr_mc", compared.nfr_mc)):
        if compared.counts is not None and rate is not None:
            figures[name] = Interval(rate.value, rate.low, rate.high)
    if compared.score is not None:
        change = compared.continuous[compared.score]
        figures["mean_change"], figures["regression"] = change.mean_change, change.regression
    return Outcome(summary, figures, compared.score, compared.n)


def difference(workspace: Workspace, first: TrainingRun, second: TrainingRun, split: str) -> Difference | None:
    """How much more (or less) the second one breaks; None where they have no update or samples in common.

    Raises:
        StoreError, DataError: predictions cannot be read or compared.
    """
    if (first.old_version_id, first.dataset_id) != (second.old_version_id, second.dataset_id) or first.id == second.id:
        return None
    tables = [_tables(workspace, run, split) for run in (first, second)]
    if tables[0] is None or tables[1] is None:
        return None
    old, before, kind = tables[0]
    frame = pool_seeds(old, before, {"second": [tables[1][1]]}, task_kind=kind, old_name="old", new_name="first")
    row = frame.iloc[1]
    measure = "nfr" if "nfr_change" in frame else "regression" if "regression_change" in frame else None
    if measure is None:
        return None
    return Difference(
        measure, Interval(*(float(row[f"{measure}_change{end}"]) for end in ("", "_low", "_high"))), int(row["n"])
    )


def _tables(workspace: Workspace, run: TrainingRun, split: str) -> tuple[Any, Any, str] | None:
    """Predictions of its old version and of what it made, and the kind of task; None where one was not evaluated."""
    with workspace.reading() as session:
        dataset = session.get(Dataset, run.dataset_id)
        versions = [session.get(ModelVersion, key) for key in (run.old_version_id, run.result_version_id) if key]
    if dataset is None or split not in dataset.splits or len(versions) < 2:
        return None
    runs = [latest_run(workspace, version, dataset, split) for version in versions if version is not None]
    if len(runs) < 2 or any(one is None for one in runs):
        return None
    old, made = (compared_columns_of(workspace, one) for one in runs if one is not None)
    return old, made, dataset.task_kind


def _facts(workspace: Workspace, run: TrainingRun) -> dict[tuple[str, str], Any]:
    named = {"old": run.old_version_id, "new": run.new_version_id, "result": run.result_version_id}
    with workspace.reading() as session:
        dataset = session.get(Dataset, run.dataset_id)
        versions = {name: session.get(ModelVersion, key) for name, key in named.items() if key is not None}
    made = run.made_by
    facts: dict[tuple[str, str], Any] = {("training", "kind"): run.kind}
    options = {"compat": CompatConfig().as_dict(), "task": TaskConfig().as_dict()}.get(run.kind, {}) | run.options
    if run.kind == INTERPOLATION:
        options = {key: value for key, value in options.items() if key not in ("first", "second")}
    facts |= {("options", name): value for name, value in options.items()}
    facts |= {
        ("data", "dataset"): None if dataset is None else dataset.name,
        ("data", "fingerprint"): made.get("dataset_fingerprint"),
        ("data", "split"): run.split,
        ("data", "first samples only"): made.get("row_limit"),
        ("data", "validation split"): made.get("validation_split"),
    }
    for role, version in versions.items():
        facts["versions", role] = None if version is None else version.name
        if role != "result":
            facts["versions", f"{role}, fingerprint"] = made.get(f"{role}_fingerprint")
    facts |= {("made by", name): made.get(name) for name in ("muscle_core", "python", "machine")}
    facts |= {("made by", name): value for name, value in made.get("libraries", {}).items()}
    return facts


def known_trainings(workspace: Workspace) -> dict[str, str]:
    """Ids of all trainings, newest first, with the name of the version that each made."""
    query = (
        sa.select(TrainingRun.id, ModelVersion.name)
        .join(ModelVersion, TrainingRun.result_version_id == ModelVersion.id)
        .order_by(TrainingRun.created_at.desc(), TrainingRun.id)
    )
    with workspace.reading() as session:
        return {row[0]: row[1] for row in session.execute(query)}


class Offered(NamedTuple):
    """A training that can be set against another one.

    Attributes:
        id: of the training run.
        name: of the version that it made.
        kind: "compat", "task" or INTERPOLATION.
        of_update: it is a compatibility training of the update in question.
    """

    id: str
    name: str
    kind: str
    of_update: bool


def offered_trainings(workspace: Workspace, old: ModelVersion, new: ModelVersion, dataset: Dataset) -> list[Offered]:
    """All trainings, newest first: the compatibility trainings of an update, then other trainings, then mixes."""
    query = (
        sa.select(TrainingRun, ModelVersion.name)
        .join(ModelVersion, TrainingRun.result_version_id == ModelVersion.id)
        .order_by(TrainingRun.created_at.desc(), TrainingRun.id)
    )
    with workspace.reading() as session:
        rows = [(row[0], row[1]) for row in session.execute(query)]
    update = ("compat", old.id, new.id, dataset.id)
    found = [
        Offered(run.id, name, run.kind, (run.kind, run.old_version_id, run.new_version_id, run.dataset_id) == update)
        for run, name in rows
    ]
    return sorted(found, key=lambda one: (not one.of_update, one.kind == INTERPOLATION))
