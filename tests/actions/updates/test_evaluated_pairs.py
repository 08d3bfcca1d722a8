"""Which pairs can be compared, and in which order they are offered."""

from __future__ import annotations

from pathlib import Path

from furnished import furnish
from reports import add_update

from muscle_core.actions.updates.evaluated_pairs import EvaluatedPair, evaluated_pairs, evaluated_places, matching_pairs
from muscle_core.store import Workspace


def test_pairs_share_a_place_and_updates_come_first(workspace: Workspace, tmp_path: Path) -> None:
    furnish(workspace, tmp_path)
    add_update(workspace, tmp_path, "math", rows=8)
    places = evaluated_places(workspace)
    assert [(place.label, [version.name for version in place.versions]) for place in places] == [
        ("choice", ["old", "new", "compat"]),
        ("math", ["math-old", "math-new"]),
    ]
    pairs = evaluated_pairs(workspace, places)
    assert [(pair.old, pair.new, pair.kind) for pair in pairs[:2]] == [
        ("old", "new", "update"),
        ("old", "compat", "compat"),
    ]
    assert len(pairs) == 6 + 2
    assert {pair.places for pair in pairs if pair.old.startswith("math")} == {(1,)}


def test_nothing_evaluated_gives_no_pair(workspace: Workspace) -> None:
    assert evaluated_pairs(workspace, evaluated_places(workspace)) == []


def test_a_search_needs_every_word_and_keeps_one_pair_first() -> None:
    pairs = [EvaluatedPair(old, new, (0,), "other") for old, new in (("A-1", "b"), ("b", "A-1"), ("c", "b"))]
    assert matching_pairs(pairs, "a-1 B") == pairs[:2]
    assert matching_pairs(pairs, "", ("c", "b")) == [pairs[2], *pairs[:2]]
    assert matching_pairs(pairs, "d") == []
