"""Clean-up: only what nothing refers to, only what is old, never answers of versions that are there."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa
from furnished import TRAINING, add_job, age, furnish, tree, write

from muscle_core.actions.upkeep.cleanup import find_orphans, remove_orphans
from muscle_core.errors import StoreError
from muscle_core.store import ModelVersion, Workspace
from muscle_core.store.disk import disk_use, keeping_files


@pytest.fixture
def furnished(workspace: Workspace, tmp_path: Path) -> Workspace:
    furnish(workspace, tmp_path)
    return workspace


def found(workspace: Workspace, **options: float) -> list[str]:
    return sorted(orphan.path for orphan in find_orphans(workspace, **options))


def litter(home: Path) -> list[str]:
    """What killed processes leave behind."""
    for path in (
        "datasets/gone-1.parquet",
        "datasets/half-1.partial",
        "predictions/gone/part-00000.parquet",
        "predictions/half.partial/part-00000.parquet",
        "adapters/gone/adapter_model.safetensors",
        "bases/gone/model.safetensors",
        "answers/of-old/half.partial",
        "jobs/gone/log.txt",
    ):
        write(home / path, "left")
    return [
        "adapters/gone",
        "answers/of-old/half.partial",
        "bases/gone",
        "datasets/gone-1.parquet",
        "datasets/half-1.partial",
        "jobs/gone",
        "predictions/gone",
        "predictions/half.partial",
    ]


def test_a_workspace_in_order_has_no_orphans_however_old(furnished: Workspace) -> None:
    age(furnished.home, days=20)
    assert found(furnished) == []
    age(furnished.home, days=40)
    assert found(furnished) == ["teachers/store"]
    assert found(furnished, teacher_days=50) == []


def test_what_killed_processes_left_is_found_and_removed_and_nothing_else(furnished: Workspace) -> None:
    before = tree(furnished.home)
    expected = litter(furnished.home)
    age(furnished.home, days=8)
    assert found(furnished) == expected
    assert tree(furnished.home) != before
    assert sorted(orphan.path for orphan in remove_orphans(furnished)) == expected
    assert tree(furnished.home) == before
    assert remove_orphans(furnished) == []


def test_what_is_younger_than_an_hour_is_left_alone(furnished: Workspace) -> None:
    litter(furnished.home)
    assert found(furnished) == []
    age(furnished.home, days=8)
    os.utime(furnished.home / "predictions" / "gone" / "part-00000.parquet")  # somebody writes on
    assert "predictions/gone" not in found(furnished)
    age(furnished.home, days=2)  # a training in the foreground, which has no job, may go on for a week
    assert "jobs/gone" not in found(furnished)


def test_answers_go_only_with_the_last_version_of_their_weights(furnished: Workspace) -> None:
    write(furnished.home / "answers" / "unknown" / "x.parquet", "of an earlier version of the workbench")
    with furnished.writing() as session:
        session.execute(
            sa.update(ModelVersion).where(ModelVersion.name == "compat").values(adapter_fingerprint="d" * 64)
        )
    assert found(furnished) == []
    age(furnished.home)
    [orphan] = find_orphans(furnished)
    assert (orphan.path, orphan.why) == ("answers/of-compat", "answers of 'compat', which is no more")


def test_what_an_active_job_may_be_making_stays(furnished: Workspace) -> None:
    add_job(furnished, "e" * 32, "running")
    write(furnished.home / "adapters" / ("e" * 32) / "adapter_model.safetensors", "being written")
    age(furnished.home, days=8)
    assert found(furnished) == []


def test_clean_up_waits_for_a_backup_and_then_refuses(furnished: Workspace) -> None:
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with keeping_files(furnished):
            held.set()
            release.wait(20)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(20)
    try:
        with pytest.raises(StoreError, match="another process copies, backs up or deletes"):
            remove_orphans(furnished)
    finally:
        release.set()
        holder.join()
    assert remove_orphans(furnished) == []


def test_disk_use_names_every_object_and_counts_all_bytes(furnished: Workspace) -> None:
    write(furnished.home / "predictions" / "gone" / "part-00000.parquet", "left")
    uses = disk_use(furnished)
    named = {(use.kind, use.name) for use in uses}
    assert named >= {
        ("dataset", "choice"),
        ("evaluation run", "new on choice (test)"),
        ("adapter", "compat"),
        ("base", "old"),
        ("answers", "compat"),
        ("teacher store", "old"),
        ("job", "Train"),
        ("left over in predictions", ""),
    }
    assert sum(use.size for use in uses if use.kind != "database") == sum(map(len, tree(furnished.home).values()))
    assert [use.size for use in uses] == sorted((use.size for use in uses), reverse=True)
    assert TRAINING in " ".join(use.path for use in uses)
