"""Which pairs of versions can be compared, and on which datasets, from the runs that the workspace holds."""

from __future__ import annotations

from typing import Literal, NamedTuple

from muscle_core.store import (
    Dataset,
    ModelVersion,
    Workspace,
    list_datasets,
    list_runs,
    list_training_runs,
    list_versions,
)
from muscle_core.store.tables import ENSEMBLE

MADE_HERE = ("compat", ENSEMBLE)  # roles of what answers to an update; offered last as versions of their own
_ORDER = ("update", "compat", "other")


class Place(NamedTuple):
    """A split of a dataset, and the versions that were evaluated there in the order in which they were added."""

    dataset: Dataset
    split: str
    versions: tuple[ModelVersion, ...]

    @property
    def label(self) -> str:
        """The dataset's name, with the split where it is not the test split."""
        return self.dataset.name if self.split == "test" else f"{self.dataset.name} ({self.split})"


class EvaluatedPair(NamedTuple):
    """An ordered pair of versions.

    Attributes:
        old: name of the old version.
        new: name of the new version.
        places: numbers of the places where both were evaluated.
        kind: "update" where the workspace records the new version as following the old one, "compat" where it was
            trained or mixed for an update of the old one, else "other".
    """

    old: str
    new: str
    places: tuple[int, ...]
    kind: Literal["update", "compat", "other"]


def evaluated_places(workspace: Workspace) -> list[Place]:
    """Every split on which two versions or more were evaluated, the datasets in the order in which they were added."""
    ran: dict[tuple[str, str], set[str]] = {}
    for run in list_runs(workspace):
        ran.setdefault((run.dataset_id, run.split), set()).add(run.version_id)
    versions = list_versions(workspace)
    places = []
    for dataset in list_datasets(workspace):
        for split in sorted(split for dataset_id, split in ran if dataset_id == dataset.id):
            here = tuple(version for version in versions if version.id in ran[dataset.id, split])
            if len(here) >= 2:
                places.append(Place(dataset, split, here))
    return places


def evaluated_pairs(workspace: Workspace, places: list[Place]) -> list[EvaluatedPair]:
    """Every ordered pair that shares a place: updates first, then what was made for them.

    Args:
        workspace: where all is.
        places: result of `evaluated_places`.
    """
    known = {version.id: version for place in places for version in place.versions}
    updates: set[tuple[str | None, str | None]] = {
        (version.parent_id, version.id) for version in known.values() if version.role not in MADE_HERE
    }
    repairs = set()
    for training in list_training_runs(workspace):
        updates.add((training.old_version_id, training.new_version_id))
        repairs.add((training.old_version_id, training.result_version_id))
    found: dict[tuple[str, str], list[int]] = {}
    for number, place in enumerate(places):
        for old in place.versions:
            for new in place.versions:
                if old.id != new.id:
                    found.setdefault((old.id, new.id), []).append(number)
                    if (old.role, new.role) == ("old", "new"):
                        updates.add((old.id, new.id))

    def kind(ids: tuple[str, str]) -> Literal["update", "compat", "other"]:
        return "update" if ids in updates else "compat" if ids in repairs else "other"

    pairs = [
        EvaluatedPair(known[ids[0]].name, known[ids[1]].name, tuple(numbers), kind(ids))
        for ids, numbers in found.items()
    ]
    return sorted(pairs, key=lambda pair: (_ORDER.index(pair.kind), -len(pair.places)))


def matching_pairs(
    pairs: list[EvaluatedPair], search: str = "", first: tuple[str, str] | None = None
) -> list[EvaluatedPair]:
    """Pairs whose names hold all the searched words, in their order but for one that comes first.

    Args:
        pairs: result of `evaluated_pairs`.
        search: words, upper and lower case alike.
        first: old and new version of the pair that comes first.
    """
    words = search.lower().split()
    found = [pair for pair in pairs if all(word in f"{pair.old} {pair.new}".lower() for word in words)]
    return sorted(found, key=lambda pair: (pair.old, pair.new) != first)
