"""Mixes and the ensemble as background jobs: once, what is missing only, refused before anything is queued."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers import save_random_adapter

from muscle_core.actions.evaluation.evaluate import evaluate
from muscle_core.actions.library.models import add_model_version
from muscle_core.actions.strategies.references import (
    ENSEMBLE_KIND,
    MIX,
    expected_time,
    fronts,
    is_ensemble_there,
    mixes,
    submit_ensemble,
    submit_mixes,
    under_way,
)
from muscle_core.actions.updates.compare import (
    VersionPair,
    compare_trained,
    evaluated_ensemble,
    trained_variants,
    version_pair,
)
from muscle_core.comparison.pareto import measures_of
from muscle_core.errors import ConfigError, ModelError
from muscle_core.jobs import Slots, get_job, leases, list_jobs
from muscle_core.store import Workspace, get_version


@pytest.fixture
def pair(
    filled: Workspace, tiny_bases: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Workspace, VersionPair]:
    monkeypatch.setattr("muscle_core.actions.strategies.references.ensure_worker", lambda workspace: None)
    for seed, (name, base) in enumerate((("task-old", "old"), ("task-new", "new"), ("other", "new"))):
        folder = save_random_adapter(tmp_path / name, tiny_bases[base], seed)
        add_model_version(filled, name, str(tiny_bases[base]), adapter=str(folder))
        evaluate(filled, name, "choice")
    return filled, version_pair(filled, "task-old", "task-new", "choice")


def run_next(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> str:
    from muscle_core.actions.background.run_job import run_job
    from muscle_core.jobs.child import TOKEN_VARIABLE

    job = leases.claim(workspace, "test@here", f"here:{workspace.home}", Slots(cpu=9))
    monkeypatch.setenv(TOKEN_VARIABLE, job.token)
    return run_job(workspace, job.id)


def test_mixes_are_queued_once_made_and_stand_on_their_line(
    pair: tuple[Workspace, VersionPair], monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace, update = pair
    other, new = (get_version(workspace, name) for name in ("other", "task-new"))
    assert mixes(workspace, update, other, new) == {}
    first = submit_mixes(workspace, update, "other", "task-new", [0.75, 0.25])
    again = submit_mixes(workspace, update, "other", "task-new", [0.25, 0.75])
    assert (first.is_new, again) == (True, (first.job_id, False))
    assert under_way(workspace, update, MIX).id == first.job_id
    assert under_way(workspace, update, ENSEMBLE_KIND) is None
    assert run_next(workspace, monkeypatch) == "succeeded"
    result = get_job(workspace, first.job_id).result
    assert (result["old"], result["new"], len(result["versions"]), len(result["runs"])) == (
        "task-old",
        "task-new",
        2,
        2,
    )
    found = mixes(workspace, update, other, new)
    assert list(found) == [0.25, 0.75]
    assert all(variant.run is not None for variant in found.values())
    frame = compare_trained(workspace, "task-old", "task-new", "choice")
    [front] = fronts(trained_variants(workspace, *update), frame, measures_of(frame))
    # "other" was not trained here, so that it is no row; the new version is the end of the line.
    assert (front.first, front.second, front.foreign) == ("other", "task-new", False)
    assert list(front.points["alpha"]) == [0.25, 0.75, 1.0]
    assert front.points["version"].iloc[-1] == "task-new"
    assert front.points["nfr"].iloc[0] == frame.set_index("version").loc[found[0.25].version.name, "nfr"]


def test_the_ensemble_is_queued_once_and_evaluated(
    pair: tuple[Workspace, VersionPair], monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace, update = pair
    assert not is_ensemble_there(workspace, update)
    job = submit_ensemble(workspace, update)
    assert submit_ensemble(workspace, update) == (job.job_id, False)
    assert run_next(workspace, monkeypatch) == "succeeded"
    assert is_ensemble_there(workspace, update)
    assert get_job(workspace, job.job_id).result["versions"] == [evaluated_ensemble(workspace, *update).version.name]


def test_the_time_is_that_of_the_evaluations_there_are(pair: tuple[Workspace, VersionPair]) -> None:
    from muscle_core.actions.updates.compare import predictions_of, require_run

    workspace, update = pair
    means = [
        predictions_of(workspace, require_run(workspace, version, update.dataset, "test"))["latency_seconds"].mean()
        for version in (update.old, update.new)
    ]
    one = expected_time(workspace, update, 1)
    assert one.value == pytest.approx(sum(means) / 2 * 30)
    assert expected_time(workspace, update, 3, both_models=True).value == pytest.approx(6 * one.value)


def test_what_cannot_work_is_refused_and_nothing_queued(pair: tuple[Workspace, VersionPair]) -> None:
    workspace, update = pair
    for shares, error, words in (([], ConfigError, "at least one share"), ([1.5], ConfigError, "from 0 to 1")):
        with pytest.raises(error, match=words):
            submit_mixes(workspace, update, "other", "task-new", shares)
    with pytest.raises(ModelError, match="nothing to interpolate"):
        submit_mixes(workspace, update, "old", "task-new", [0.5])
    with pytest.raises(ModelError, match="of the same version"):
        submit_mixes(workspace, update, "task-new", "task-new", [0.5])
    assert list_jobs(workspace) == []
