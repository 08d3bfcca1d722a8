"""What the workspace holds, told for lists and for a look at one object: what made it, and where it can be seen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from muscle_core.datasets.samples import read_sample_rows, sample_of
from muscle_core.errors import DataError
from muscle_core.metrics import Rate, rate
from muscle_core.store import (
    Dataset,
    EvaluationRun,
    ModelVersion,
    TrainingRun,
    Workspace,
    list_datasets,
    list_runs,
    list_training_runs,
    list_versions,
)
from muscle_core.store.tables import ENSEMBLE, INTERPOLATION
from muscle_core.tasks import Sample

Origin = Literal["added", "imported", "ensemble", "task", "compat", "mix"]


@dataclass(frozen=True)
class Inventory:
    """All objects of a workspace at one moment, by their ids.

    Attributes:
        versions: oldest first.
        datasets: oldest first.
        runs: newest first.
        trainings: newest first.
        made: the training that made a version, by the version's id.
    """

    versions: dict[str, ModelVersion]
    datasets: dict[str, Dataset]
    runs: dict[str, EvaluationRun]
    trainings: dict[str, TrainingRun]
    made: dict[str, TrainingRun]

    def version_named(self, name: str) -> ModelVersion | None:
        """A version by its name; None where there is none."""
        return next((version for version in self.versions.values() if version.name == name), None)

    def name_of(self, version_id: str | None) -> str | None:
        """Name of a version; None where there is none of that id."""
        version = self.versions.get(version_id or "")
        return None if version is None else version.name


def inventory(workspace: Workspace) -> Inventory:
    """Read what the workspace holds."""
    trainings = list_training_runs(workspace)
    return Inventory(
        {version.id: version for version in list_versions(workspace)},
        {dataset.id: dataset for dataset in list_datasets(workspace)},
        {run.id: run for run in list_runs(workspace)},
        {training.id: training for training in trainings},
        {training.result_version_id: training for training in reversed(trainings)},
    )


def origin_of(held: Inventory, version: ModelVersion) -> Origin:
    """What made a version: a training for a task or for compatibility, a mix of two adapters, or none of these."""
    training = held.made.get(version.id)
    if training is not None:
        return "mix" if training.kind == INTERPOLATION else "compat" if training.kind == "compat" else "task"
    if version.role == ENSEMBLE:
        return "ensemble"
    return "imported" if version.base is None else "added"


class Place(NamedTuple):
    """A split of a dataset on which versions were evaluated.

    Attributes:
        key: dataset and split as a URL names them.
        dataset: the dataset.
        split: of it.
        versions: how many versions were evaluated there.
    """

    key: str
    dataset: Dataset
    split: str
    versions: int


def places(held: Inventory) -> list[Place]:
    """Every split on which a version was evaluated, those with the most versions first."""
    found: dict[tuple[str, str], set[str]] = {}
    for run in held.runs.values():
        found.setdefault((run.dataset_id, run.split), set()).add(run.version_id)
    named = [
        Place(f"{held.datasets[dataset].name}/{split}", held.datasets[dataset], split, len(versions))
        for (dataset, split), versions in found.items()
    ]
    return sorted(named, key=lambda place: (-place.versions, place.key))


def runs_at(held: Inventory, place: Place | None) -> dict[str, EvaluationRun]:
    """The run that comparisons use of each version at a place, by the version's id: the largest, then the newest."""
    found: dict[str, EvaluationRun] = {}
    for run in held.runs.values() if place is not None else ():  # newest first
        if place is None or (run.dataset_id, run.split) != (place.dataset.id, place.split):
            continue
        if run.version_id not in found or run.rows > found[run.version_id].rows:
            found[run.version_id] = run
    return found


def right_of(run: EvaluationRun) -> Rate | None:
    """How many of a run's judged samples are right, with the interval; None where none was judged."""
    if "accuracy" not in run.summary:
        return None
    return rate(run.summary["right"], run.summary["judged"])


def holds_words(search: str, texts: Iterable[str | None]) -> bool:
    """Whether some texts together hold every searched word; upper and lower case are alike."""
    text = " ".join(one for one in texts if one).lower()
    return all(word in text for word in search.lower().split())


def evaluated_on(held: Inventory) -> dict[str, int]:
    """On how many datasets each version was evaluated, by the version's id."""
    found: dict[str, set[str]] = {}
    for run in held.runs.values():
        found.setdefault(run.version_id, set()).add(run.dataset_id)
    return {version: len(datasets) for version, datasets in found.items()}


def comparison_of(held: Inventory, version: ModelVersion, run: EvaluationRun) -> Mapping[str, str] | None:
    """Old and new version, dataset and split by which pages show a version's run; None where it is alone there.

    An adapter is shown as the new version after the old one that it was trained for, an update after its parent, an
    old version before the one that follows it; any other after the version that was evaluated there first.

    Args:
        held: the workspace.
        version: the version.
        run: one of its runs.
    """
    there = [
        one.version_id for one in reversed(held.runs.values())
        if (one.dataset_id, one.split) == (run.dataset_id, run.split)
    ]  # fmt: skip
    others = [held.versions[one] for one in dict.fromkeys(there) if one != version.id]
    if not others:
        return None
    place = {"dataset": held.datasets[run.dataset_id].name, "split": run.split}
    training, ids = held.made.get(version.id), {other.id for other in others}
    members = [member["id"] for member in version.made_by.get("ensemble_of", ())]
    before = [training.old_version_id if training is not None else None, *members[:1], version.parent_id]
    old = next((one for one in before if one in ids), None)
    if old is None:
        after = [other for other in others if other.parent_id == version.id]
        after.sort(key=lambda other: (other.id in held.made, other.role != "new"))
        if after:
            return {**place, "old": version.name, "new": after[0].name}
        old = others[0].id
    return {**place, "old": held.versions[old].name, "new": version.name}


def samples_of_run(held: Inventory, version: ModelVersion, run: EvaluationRun) -> Mapping[str, str] | None:
    """As `comparison_of`, for the Samples page, which sets an adapter beside the update that it was trained for."""
    picks, training = comparison_of(held, version, run), held.made.get(version.id)
    new = held.name_of(None if training is None else training.new_version_id)
    if picks is None or training is None or new is None or picks["new"] != version.name:
        return picks
    return {**picks, "new": new, "compat": version.name}


def lineage(held: Inventory, version: ModelVersion) -> list[tuple[Literal["parent", "child", "replica"], str]]:
    """Names of the versions next to one: its parent, the versions that follow it, and its replicas."""
    found: list[tuple[Literal["parent", "child", "replica"], str]] = []
    parent = held.name_of(version.parent_id)
    if parent is not None:
        found.append(("parent", parent))
    others = [other for other in held.versions.values() if other.id != version.id]
    found += [("child", other.name) for other in others if other.parent_id == version.id]
    group = version.replica_of or version.id
    found += [("replica", other.name) for other in others if group in (other.id, other.replica_of)]
    return found


def trainings_with(held: Inventory, version: ModelVersion) -> list[TrainingRun]:
    """The trainings that made a version or learned from it, newest first."""
    ids = ("result_version_id", "old_version_id", "new_version_id")
    return [one for one in held.trainings.values() if version.id in {getattr(one, name) for name in ids}]


def first_samples(workspace: Workspace, dataset: Dataset, split: str, count: int = 5) -> list[Sample]:
    """The first samples of a split; only as much of the dataset's file is read as that needs.

    Raises:
        StoreError: the shared place fails.
        DataError: the dataset's file is gone or damaged.
    """
    path = workspace.local(dataset.path)
    found: list[int] = []
    start = 0
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(columns=["split"], batch_size=65_536):
                inside = pc.indices_nonzero(pc.equal(batch["split"], split)).to_pylist()
                found += [start + row for row in inside[: count - len(found)]]
                start += batch.num_rows
                if len(found) >= count:
                    break
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"the file of dataset {dataset.name!r} is gone or damaged: {path} ({error}).") from error
    return [sample_of(row) for row in read_sample_rows(path, np.array(found, dtype=np.int64)).to_pylist()]


def library_text(made_by: Mapping[str, object]) -> str:
    """The versions of what made an object, in one line; "" where they were not recorded."""
    libraries = made_by.get("libraries")
    named: list[tuple[str, object]] = [(name, made_by.get(name.lower())) for name in ("muscle_core", "Python")]
    named += libraries.items() if isinstance(libraries, dict) else ()
    parts = [f"{name} {version}" for name, version in named if version]
    return ", ".join([*parts, *([str(made_by["machine"])] if made_by.get("machine") else [])])
