"""What the workspace holds, as the Library lists and shows it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from furnished import TRAINING, furnish

from muscle_core.actions.imports.outputs import import_predictions
from muscle_core.actions.library.datasets import load_samples, samples_by_id
from muscle_core.actions.library.inventory import (
    comparison_of,
    evaluated_on,
    first_samples,
    holds_words,
    inventory,
    library_text,
    lineage,
    origin_of,
    places,
    right_of,
    runs_at,
    samples_of_run,
    trainings_with,
)
from muscle_core.actions.library.models import set_parent
from muscle_core.actions.updates.replicas import declare_replica
from muscle_core.errors import DataError
from muscle_core.interchange import ImportColumns
from muscle_core.store import Workspace, get_dataset


@pytest.fixture
def held(workspace: Workspace, tmp_path: Path):
    """Versions old -> new -> compat (trained by a job), and `alone`, imported."""
    furnish(workspace, tmp_path)
    file = tmp_path / "alone.json"
    samples = load_samples(workspace, get_dataset(workspace, "unused"), "test")
    file.write_text(json.dumps([{"id": sample.id, "answer": sample.choices[0]} for sample in samples[:7]]))
    import_predictions(workspace, "alone", "unused", file, ImportColumns(prediction="answer"))
    return inventory(workspace)


def run_of(held, name: str):
    version = held.version_named(name)
    return version, next(run for run in held.runs.values() if run.version_id == version.id)


def test_what_made_each_version_is_told(held) -> None:
    found = {version.name: origin_of(held, version) for version in held.versions.values()}
    assert found == {"old": "added", "new": "added", "compat": "compat", "alone": "imported"}


def test_a_run_is_shown_where_its_version_belongs(held) -> None:
    base = {"dataset": "choice", "split": "test"}
    assert comparison_of(held, *run_of(held, "new")) == {**base, "old": "old", "new": "new"}
    assert comparison_of(held, *run_of(held, "old")) == {**base, "old": "old", "new": "new"}  # before what follows it
    assert comparison_of(held, *run_of(held, "compat")) == {**base, "old": "old", "new": "compat"}
    # The Samples page has a place for an adapter beside the update it was trained for.
    assert samples_of_run(held, *run_of(held, "compat")) == {**base, "old": "old", "new": "new", "compat": "compat"}
    assert comparison_of(held, *run_of(held, "alone")) is None
    assert samples_of_run(held, *run_of(held, "alone")) is None


def test_figures_of_a_place_have_their_counts(held) -> None:
    first, second = places(held)
    assert (first.key, first.versions, second.key, second.versions) == ("choice/test", 3, "unused/test", 1)
    runs = runs_at(held, second)
    [run] = runs.values()
    rate = right_of(run)
    samples = 7
    assert rate.denominator == samples
    assert rate.numerator == run.summary["right"]
    assert rate.low <= rate.value <= rate.high
    assert runs_at(held, None) == {}
    assert {held.versions[key].name: count for key, count in evaluated_on(held).items()} == {
        "old": 1,
        "new": 1,
        "compat": 1,
        "alone": 1,
    }


def test_the_largest_run_counts_then_the_newest(workspace: Workspace, held, tmp_path: Path) -> None:
    samples = load_samples(workspace, get_dataset(workspace, "unused"), "test")
    for count in (9, 5):
        file = tmp_path / f"{count}.json"
        file.write_text(json.dumps([{"id": sample.id, "answer": sample.choices[0]} for sample in samples[:count]]))
        import_predictions(workspace, "alone", "unused", file, ImportColumns(prediction="answer"))
    again = inventory(workspace)
    place = next(place for place in places(again) if place.dataset.name == "unused")
    assert [run.rows for run in runs_at(again, place).values()] == [9]


def test_lineage_names_parent_children_and_replicas(workspace: Workspace, held) -> None:
    set_parent(workspace, "alone", "old")
    declare_replica(workspace, "alone", "old")
    held = inventory(workspace)
    assert lineage(held, held.version_named("old")) == [("child", "new"), ("child", "alone"), ("replica", "alone")]
    assert lineage(held, held.version_named("alone")) == [("parent", "old"), ("replica", "old")]
    assert [training.id for training in trainings_with(held, held.version_named("old"))] == [TRAINING]
    assert held.name_of("gone") is None


@pytest.mark.parametrize(
    ("search", "found"), [("", True), ("CHOICE v2", True), ("v2 s0", True), ("math", False), ("v2 seed", False)]
)
def test_every_searched_word_must_be_there(search: str, found: bool) -> None:
    assert holds_words(search, ["demo-choice-v2", None, "token_correctness-s0"]) is found


def test_first_samples_are_those_of_the_split(workspace: Workspace, held) -> None:
    dataset = get_dataset(workspace, "choice")
    for split, count in (("test", 5), ("train", 5), ("test", 100)):
        expected = load_samples(workspace, dataset, split)
        assert first_samples(workspace, dataset, split, count) == expected[:count]
    ids = [sample.id for sample in load_samples(workspace, dataset, "test")]
    found = samples_by_id(workspace, dataset, "test", {ids[9], ids[2], "gone"})
    assert [sample.id for sample in found] == [ids[2], ids[9]]
    workspace.path(dataset.path).write_bytes(b"nothing")
    with pytest.raises(DataError, match="damaged"):
        first_samples(workspace, dataset, "test")


def test_what_made_an_object_is_one_line() -> None:
    made = {"muscle_core": "1", "python": "3.11", "libraries": {"torch": "2"}, "machine": "Linux"}
    assert library_text(made) == "muscle_core 1, Python 3.11, torch 2, Linux"
    assert library_text({}) == ""
