"""The database goes away while jobs run: nothing is lost, nothing runs twice, nobody steals."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from jobs_running import Started, job_lines, no_own_workers, start_worker, submit_training, task_adapters, wait_for
from postgres import PostgresCluster, fresh_database

from muscle_core.jobs import history
from muscle_core.store import Workspace

pytestmark = pytest.mark.postgres


@pytest.fixture
def cluster(postgres_bin: Path):
    own = PostgresCluster(postgres_bin)
    own.start()
    yield own
    own.remove()


def test_jobs_and_workers_outlive_a_restart_of_the_server(
    cluster: PostgresCluster, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MUSCLE_DATABASE_URL", fresh_database(cluster.server_url))
    monkeypatch.setenv("MUSCLE_LEASE_SECONDS", "4")
    no_own_workers(monkeypatch)
    workspace: Workspace = request.getfixturevalue("filled")
    task_adapters(workspace)
    job_id = submit_training(workspace, 200)
    workers: list[Started] = [
        start_worker(workspace.home, "--name", name, slow="0.05", MUSCLE_MACHINE=name) for name in ("a", "b")
    ]
    try:
        wait_for(workspace, job_id, lambda job: job.progress.get("done", 0) > 5)
        cluster.stop()
        time.sleep(8)  # twice the lease: all leases are over when it is back
        steps = _steps(workspace, job_id)
        time.sleep(2)
        # It waits at a step: for all that it knows another machine has the job by now.
        assert _steps(workspace, job_id) == steps
        assert all(worker.process.poll() is None for worker in workers)
        cluster.start()
        job = wait_for(workspace, job_id, lambda job: job.state == "succeeded", 120)
    finally:
        for worker in workers:
            worker.end()
    assert [event.what for event in history(workspace, job_id)] == ["submitted", "claimed", "succeeded"]
    assert len([line for line in job_lines(workspace, job_id) if line["what"] == "begin"]) == 1
    assert job.attempts == 0
    assert any("database does not answer" in worker.log.read_text() for worker in workers)


def _steps(workspace: Workspace, job_id: str) -> int:
    return workspace.path(f"jobs/{job_id}/metrics.jsonl").read_text().count("\n")
