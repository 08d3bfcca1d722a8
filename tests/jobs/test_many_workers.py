"""Several workers and several clients at once: each job is run exactly once, on SQLite and PostgreSQL."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
import sqlalchemy as sa
from jobs_running import ROOT, start_worker

from muscle_core.actions.evaluation.evaluate import evaluate
from muscle_core.jobs import ACTIVE, history, list_jobs
from muscle_core.store import Workspace
from muscle_core.store.tables import JobEvent

# A client of its own: queues short jobs, each twice, as a double click does.
_CLIENT = """
import sys
from muscle_core.jobs import Work, submit
from muscle_core.store import Workspace
workspace, client, count = Workspace.open(), sys.argv[1], int(sys.argv[2])
payload = {"versions": ["old"], "dataset": "choice", "split": "test", "limit": 3}
for number in range(count):
    work = Work("evaluate", f"short {client}-{number}", {**payload, "name": f"{client}-{number}"})
    assert submit(workspace, work).is_new
    submit(workspace, work)
"""


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def shared(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch):
    """A workspace whose short jobs find their evaluation done."""
    if request.param == "postgresql":
        monkeypatch.setenv("MUSCLE_DATABASE_URL", request.getfixturevalue("postgres_url"))
    filled = request.getfixturevalue("filled")  # opened after the variable is set
    evaluate(filled, "old", "choice", limit=3)
    return filled


def run_many(workspace: Workspace, jobs: int, clients: int, workers: int) -> None:
    names = [f"w{number}" for number in range(workers)]
    started = [start_worker(workspace.home, "--name", name, "--cpu-slots", "4", "--idle-exit", "20") for name in names]
    submitting = [
        subprocess.Popen([sys.executable, "-c", _CLIENT, str(client), str(jobs // clients)], cwd=ROOT)
        for client in range(clients)
    ]
    try:
        assert [client.wait(120) for client in submitting] == [0] * clients
        deadline = time.monotonic() + 60 + 5 * jobs
        while _open(workspace):
            assert time.monotonic() < deadline
            time.sleep(0.5)
    finally:
        for worker in started:
            worker.end()
    done = list_jobs(workspace, limit=10 * jobs)
    assert len(done) == jobs
    assert {job.state for job in done} == {"succeeded"}
    with workspace.reading() as session:
        counts = session.execute(sa.select(JobEvent.what, sa.func.count()).group_by(JobEvent.what)).all()
    assert dict(map(tuple, counts)) == {"submitted": jobs, "claimed": jobs, "succeeded": jobs}
    for job in done:
        lines = workspace.path(f"jobs/{job.id}/progress.jsonl").read_text().splitlines()
        assert sum('"begin"' in line for line in lines) == 1
        assert "locked" not in workspace.path(f"jobs/{job.id}/log.txt").read_text()
    claimed = {str(job.worker).split("@")[0] for job in done}
    assert claimed <= set(names)
    assert len(claimed) > 1
    for worker in started:
        assert "does not answer" not in worker.log.read_text()
    assert history(workspace, done[0].id)[0].what == "submitted"


def _open(workspace: Workspace) -> bool:
    return any(job.state in ACTIVE for job in list_jobs(workspace, limit=10_000))


def test_every_job_is_run_exactly_once(shared: Workspace) -> None:
    run_many(shared, jobs=16, clients=4, workers=2)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_500_jobs_are_run_exactly_once(shared: Workspace) -> None:
    run_many(shared, jobs=500, clients=4, workers=4 if shared.engine.dialect.name == "postgresql" else 2)
