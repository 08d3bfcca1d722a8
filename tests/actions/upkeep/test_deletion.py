"""Deletion with what depends on it, on SQLite and PostgreSQL: previews, refusals, rows before files."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from furnished import TRAINING, add_job, age, furnish, tree

from muscle_core.actions.updates.compare import compare_versions
from muscle_core.actions.upkeep.cleanup import find_orphans
from muscle_core.actions.upkeep.deletion import delete, plan_deletion
from muscle_core.errors import ConfigError, JobError, StoreError
from muscle_core.jobs import list_jobs, request_cancel
from muscle_core.store import (
    EvaluationRun,
    ModelVersion,
    TrainingRun,
    Workspace,
    get_version,
    list_datasets,
    list_runs,
    list_training_runs,
    list_versions,
)
from muscle_core.store.tables import ENSEMBLE, Table


@pytest.fixture
def full(furnished_workspace: Workspace) -> Workspace:
    return furnished_workspace


@pytest.fixture
def furnished(workspace: Workspace, tmp_path: Path) -> Workspace:
    furnish(workspace, tmp_path)
    return workspace


def names(workspace: Workspace) -> list[str]:
    return sorted(version.name for version in list_versions(workspace))


def test_a_trained_version_goes_with_its_training_job_adapter_and_answers(full: Workspace) -> None:
    plan = plan_deletion(full, "version", "compat")
    assert [text.split()[0] for text in plan.along] == ["training", "job"]
    assert [text.split()[0] for text in plan.dependents] == ["run"]
    [run] = plan.rows[EvaluationRun]
    assert plan.paths == [f"adapters/{TRAINING}", "answers/of-compat", f"jobs/{TRAINING}", f"predictions/{run}"]
    before = tree(full.home)
    assert plan.size == sum(len(text) for path, text in before.items() if path.startswith(tuple(plan.paths)))
    with pytest.raises(StoreError, match=r"others depend on it \(1\): run .*compat on choice, test.*--with-dependents"):
        delete(full, "version", "compat")
    assert tree(full.home) == before
    assert names(full) == ["compat", "new", "old"]
    gone = delete(full, "version", "compat", with_dependents=True)
    assert gone.paths == plan.paths
    assert names(full) == ["new", "old"]
    assert (list_training_runs(full), list_jobs(full), len(list_runs(full))) == ([], [], 2)
    kept = {path: text for path, text in before.items() if not path.startswith(tuple(plan.paths))}
    assert tree(full.home) == kept
    assert compare_versions(full, "old", "new", "choice").n == 30


def test_a_teacher_takes_the_trainings_with_it_and_children_lose_their_parent(full: Workspace) -> None:
    with full.writing() as session:
        members = [{"id": "0" * 32}, {"id": "1" * 32}]
        session.add(ModelVersion(name="both", role=ENSEMBLE, parent_id="1" * 32, made_by={"ensemble_of": members}))
        session.add(ModelVersion(name="child", role="new", base="hub/other", parent_id="0" * 32))
    plan = plan_deletion(full, "version", "old")
    assert sorted(plan.unlinked) == ["child", "new"]
    words = " ".join(plan.dependents)
    assert all(text in words for text in ("version 'both'", "version 'compat'", "training", "run"))
    assert "bases/small" in plan.paths
    delete(full, "version", "old", with_dependents=True)
    assert names(full) == ["child", "new"]
    assert get_version(full, "child").parent_id is None
    assert [run.version_id for run in list_runs(full)] == ["1" * 32]


def test_a_dataset_without_dependents_goes_at_once_and_a_used_one_does_not(full: Workspace) -> None:
    gone = delete(full, "dataset", "unused")
    assert gone.dependents == []
    assert [dataset.name for dataset in list_datasets(full)] == ["choice"]
    with pytest.raises(StoreError, match="depend on it"):
        delete(full, "dataset", "choice")
    delete(full, "dataset", "choice", with_dependents=True)
    assert names(full) == ["new", "old"]
    assert not list_datasets(full)
    assert not list_runs(full)
    assert sorted({path.split("/")[0] for path in tree(full.home)}) == ["answers", "bases", "teachers"]


def test_a_run_goes_alone(furnished: Workspace) -> None:
    run = list_runs(furnished)[0]
    assert delete(furnished, "run", run.id[:8]).paths == [f"predictions/{run.id}"]
    assert len(list_runs(furnished)) == 2
    assert not furnished.path(run.path).exists()


def test_a_training_is_named_by_its_id_or_by_the_version_it_made(furnished: Workspace) -> None:
    by_id, by_name = (plan_deletion(furnished, "training", text) for text in (TRAINING[:8], "compat"))
    assert (by_id.along, by_id.dependents, by_id.paths) == (by_name.along, by_name.dependents, by_name.paths)
    assert "version 'compat'" in by_id.along
    delete(furnished, "training", "compat", with_dependents=True)
    assert names(furnished) == ["new", "old"]
    assert list_training_runs(furnished) == []


def test_a_job_goes_without_its_training_whose_steps_stay(furnished: Workspace) -> None:
    plan = delete(furnished, "job", TRAINING[:6])
    assert plan.paths == [f"jobs/{TRAINING}/checkpoints", f"jobs/{TRAINING}/log.txt"]
    assert [file.name for file in (furnished.home / "jobs" / TRAINING).iterdir()] == ["metrics.jsonl"]
    assert list_jobs(furnished) == []
    assert len(list_training_runs(furnished)) == 1


@pytest.mark.parametrize(
    ("kind", "name", "payload"),
    [
        ("version", "new", {"versions": ["new"], "dataset": "unused"}),
        ("version", "old", {"old": "old"}),
        ("version", "new", {"deep": [{"x": ["compat"]}]}),  # a dependent of it
        ("dataset", "choice", {"dataset": "choice"}),
    ],
)
def test_nothing_goes_that_a_job_uses(furnished: Workspace, kind: str, name: str, payload: dict) -> None:
    before = tree(furnished.home)
    add_job(furnished, "9" * 32, "queued", **payload)
    with pytest.raises(StoreError, match=r"in use: job 99999999 .*queued.*jobs cancel"):
        delete(furnished, kind, name, with_dependents=True)
    request_cancel(furnished, "9" * 32)
    assert {path: text for path, text in tree(furnished.home).items() if "9" * 32 not in path} == before
    delete(furnished, kind, name, with_dependents=True)


def test_a_job_that_is_not_over_is_not_deleted(furnished: Workspace) -> None:
    add_job(furnished, "9" * 32, "running")
    with pytest.raises(StoreError, match="in use"):
        delete(furnished, "job", "999")


def test_what_others_still_use_stays(furnished: Workspace) -> None:
    version = get_version(furnished, "compat")
    with furnished.writing() as session:  # the same weights under another name, and its adapter by its full path
        session.add(
            ModelVersion(
                name="twin",
                role="compat",
                base=version.base,
                base_fingerprint=version.fingerprint.split(":")[0],
                adapter=str(furnished.home / str(version.adapter)),
                adapter_fingerprint=version.adapter_fingerprint,
            )
        )
    plan = delete(furnished, "version", "compat", with_dependents=True)
    assert all(not path.startswith(("adapters", "answers")) for path in plan.paths)
    assert (furnished.home / "adapters" / TRAINING / "adapter_model.safetensors").is_file()


def test_rows_of_further_tables_go_along(furnished: Workspace) -> None:
    known = {"model_versions", "datasets", "evaluation_runs", "training_runs", "jobs"}
    further = sa.Table(
        "job_notes",
        Table.metadata,
        sa.Column("job_id", sa.String(32), sa.ForeignKey("jobs.id")),
        sa.Column("text", sa.Text()),
    )
    try:
        further.create(furnished.engine)
        with furnished.writing() as session:
            session.execute(further.insert().values(job_id=TRAINING, text="x"))
        plan = delete(furnished, "job", TRAINING)
        assert plan.along == ["1 rows of job_notes"]
        with furnished.reading() as session:
            assert session.scalar(sa.select(sa.func.count()).select_from(further)) == 0
    finally:
        Table.metadata.remove(further)
    assert known <= set(Table.metadata.tables)


def test_a_kill_between_rows_and_files_leaves_only_what_the_clean_up_finds(furnished: Workspace) -> None:
    code = (
        "import os, signal\n"
        "from muscle_core.actions.upkeep import deletion\n"
        "from muscle_core.store import Workspace\n"
        "Workspace.discard = lambda self, path: os.kill(os.getpid(), signal.SIGKILL)\n"
        "deletion.delete(Workspace.open(), 'version', 'compat', with_dependents=True)\n"
    )
    planned = plan_deletion(furnished, "version", "compat").paths
    ended = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[3], env=os.environ)
    assert ended.returncode == -signal.SIGKILL
    assert names(furnished) == ["new", "old"]
    assert list_training_runs(furnished) == []
    assert all((furnished.home / path).exists() for path in planned)
    age(furnished.home, days=8)
    assert sorted(orphan.path for orphan in find_orphans(furnished)) == planned


def test_unknown_names_and_kinds_are_refused(furnished: Workspace) -> None:
    for kind, name, error, words in (
        ("version", "comat", StoreError, "Did you mean 'compat'"),
        ("dataset", "x", StoreError, "no dataset"),
        ("run", "zz", StoreError, "none begins so.*runs list"),
        ("training", "", StoreError, "none begins|several begin"),
        ("job", "zz", JobError, "no job begins"),
        ("model", "x", ConfigError, "known: version, dataset"),
    ):
        with pytest.raises(error, match=words):
            delete(furnished, kind, name)
    with furnished.reading() as session:
        assert session.get(TrainingRun, TRAINING) is not None
