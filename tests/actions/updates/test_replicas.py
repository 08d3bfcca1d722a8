"""Declared replicas: groups that merge, split and outlive a deletion, in the library and by command."""

from __future__ import annotations

from pathlib import Path

import pytest

from muscle_core.actions.library.models import add_imported_version, add_model_version
from muscle_core.actions.updates.replicas import declare_replica, replicas_of, undo_replica
from muscle_core.actions.upkeep.deletion import delete, plan_deletion
from muscle_core.errors import ConfigError, StoreError
from muscle_core.store import Workspace, get_version


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def hosts(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch):
    """Five versions with outputs only."""
    if request.param == "postgresql":
        monkeypatch.setenv("MUSCLE_DATABASE_URL", request.getfixturevalue("postgres_url"))
    workspace = Workspace.open()
    for name in "abcde":
        add_imported_version(workspace, name)
    yield workspace
    workspace.close()


def groups(workspace: Workspace) -> list[str]:
    """Every group once, its names joined."""
    found = {"".join(v.name for v in replicas_of(workspace, get_version(workspace, name))) for name in "abcde"}
    return sorted(found)


def test_replicas_form_groups_that_merge(hosts: Workspace) -> None:
    assert declare_replica(hosts, "b", "a") == ["a", "b"]
    assert declare_replica(hosts, "b", "a") == ["a", "b"], "again is no change"
    assert declare_replica(hosts, "a", "b") == ["a", "b"], "nor is the other way round"
    declare_replica(hosts, "d", "c")
    assert groups(hosts) == ["ab", "cd", "e"]
    assert declare_replica(hosts, "d", "b") == ["a", "b", "c", "d"]
    assert groups(hosts) == ["abcd", "e"]


@pytest.mark.parametrize("leaving", "abc")
def test_who_leaves_a_group_leaves_the_others_together(hosts: Workspace, leaving: str) -> None:
    declare_replica(hosts, "b", "a")
    declare_replica(hosts, "c", "b")
    others = "abc".replace(leaving, "")
    assert "".join(undo_replica(hosts, leaving)) == others
    assert groups(hosts) == sorted([others, leaving, "d", "e"])
    with pytest.raises(ConfigError, match="not declared a replica"):
        undo_replica(hosts, leaving)


@pytest.mark.parametrize("deleted", "abc")
def test_a_deleted_version_leaves_its_replicas_together(hosts: Workspace, deleted: str) -> None:
    declare_replica(hosts, "b", "a")
    declare_replica(hosts, "c", "b")
    others = "abc".replace(deleted, "")
    assert "".join(plan_deletion(hosts, "version", deleted).replicas) == others
    delete(hosts, "version", deleted)
    first = replicas_of(hosts, get_version(hosts, others[0]))
    assert "".join(version.name for version in first) == others


def test_what_is_no_replica_is_refused(filled: Workspace, tiny_bases: dict[str, Path]) -> None:
    with pytest.raises(ConfigError, match=r"no replica of '(old|new)': their weights or adapters differ"):
        declare_replica(filled, "old", "new")
    with pytest.raises(ConfigError, match="no replica of itself"):
        declare_replica(filled, "old", "old")
    with pytest.raises(StoreError, match="Did you mean 'old'"):
        declare_replica(filled, "new", "olt")
    add_model_version(filled, "old-again", str(tiny_bases["old"]))
    add_imported_version(filled, "behind-a-host")
    assert declare_replica(filled, "old-again", "old") == ["old", "old-again"]
    assert len(declare_replica(filled, "behind-a-host", "old")) == 3
    with pytest.raises(ConfigError, match="weights or adapters differ"):
        declare_replica(filled, "behind-a-host", "new")  # it stands for "old" already
