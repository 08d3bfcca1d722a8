"""The job queue on SQLite and PostgreSQL: one submission, one claim, fenced writes, honest end states."""

from __future__ import annotations

import threading
import time

import pytest
import sqlalchemy as sa

from muscle_core.errors import JobError
from muscle_core.jobs import queue
from muscle_core.store import Job, Workspace


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def store(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch):
    if request.param == "postgresql":
        monkeypatch.setenv("MUSCLE_DATABASE_URL", request.getfixturevalue("postgres_url"))
    workspace = Workspace.open()
    yield workspace
    workspace.close()


def _in_threads(count: int, work) -> list:
    results: list = []
    barrier = threading.Barrier(count)

    def run() -> None:
        barrier.wait()
        results.append(work())

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == count, "a thread ended with an error"
    return results


def test_eight_clicks_at_once_are_one_job(store: Workspace) -> None:
    results = _in_threads(8, lambda: queue.submit(store, "evaluate", "t", {"a": 1}))
    assert len({result.job_id for result in results}) == 1
    assert sum(result.is_new for result in results) == 1


def test_other_work_is_another_job_and_finished_work_may_be_submitted_again(store: Workspace) -> None:
    first = queue.submit(store, "evaluate", "t", {"a": 1})
    assert queue.submit(store, "evaluate", "t", {"a": 2}).is_new
    assert not queue.submit(store, "evaluate", "t", {"a": 1}).is_new
    queue.request_cancel(store, first.job_id)
    assert queue.submit(store, "evaluate", "t", {"a": 1}).is_new


def test_of_eight_workers_each_job_is_claimed_by_one(store: Workspace) -> None:
    submitted = {queue.submit(store, "evaluate", "t", {"a": n}).job_id for n in range(5)}
    claimed = [job.id for job in _in_threads(8, lambda: queue.claim(store, "w")) if job is not None]
    while (job := queue.claim(store, "w")) is not None:
        claimed.append(job.id)
    assert sorted(claimed) == sorted(submitted)


def test_the_oldest_job_comes_first(store: Workspace) -> None:
    first = queue.submit(store, "evaluate", "t", {"a": 1})
    queue.submit(store, "evaluate", "t", {"a": 2})
    job = queue.claim(store, "w")
    assert job is not None
    assert job.id == first.job_id


def test_a_beat_says_go_then_cancel_and_gone_to_a_stale_owner(store: Workspace) -> None:
    queue.submit(store, "evaluate", "t", {})
    job = queue.claim(store, "w")
    assert job is not None
    assert queue.beat(store, job) == "go"
    queue.request_cancel(store, job.id)
    assert queue.get_job(store, job.id).state == "cancelling"
    assert queue.beat(store, job) == "cancel"
    job.token = "0" * 32
    assert queue.beat(store, job) == "gone"


def test_a_queued_job_is_cancelled_at_once_and_never_claimed(store: Workspace) -> None:
    job_id = queue.submit(store, "evaluate", "t", {}).job_id
    queue.request_cancel(store, job_id)
    assert queue.get_job(store, job_id).state == "cancelled"
    assert queue.claim(store, "w") is None


def test_a_job_that_is_over_keeps_its_end(store: Workspace) -> None:
    queue.submit(store, "evaluate", "t", {})
    job = queue.claim(store, "w")
    assert job is not None
    queue.finish(store, job.id, job.token, "succeeded", result={"x": 1})
    queue.finish(store, job.id, job.token, "failed", error="late")
    ended = queue.get_job(store, job.id)
    assert (ended.state, ended.result, ended.error) == ("succeeded", {"x": 1}, None)


def test_a_job_without_heartbeat_is_lost_and_says_so(store: Workspace) -> None:
    queue.submit(store, "evaluate", "t", {})
    job = queue.claim(store, "w")
    assert job is not None
    assert queue.mark_lost(store) == 0
    with store.writing() as session:
        session.execute(sa.update(Job).values(heartbeat=time.time() - queue.LEASE_SECONDS - 1))
    assert queue.mark_lost(store) == 1
    assert "worker stopped" in str(queue.get_job(store, job.id).error)


def test_jobs_are_found_by_the_beginning_of_their_id(store: Workspace) -> None:
    job_id = queue.submit(store, "evaluate", "t", {}).job_id
    assert queue.get_job(store, job_id[:8]).id == job_id
    with pytest.raises(JobError, match="no job begins"):
        queue.get_job(store, "zzzz")
    with pytest.raises(JobError):
        queue.get_job(store, "")


def test_only_the_holder_of_the_claim_writes_the_job(store: Workspace) -> None:
    queue.submit(store, "evaluate", "t", {})
    job = queue.claim(store, "w")
    assert job is not None
    assert queue.write_progress(store, job.id, job.token, {"done": 1})
    assert not queue.write_progress(store, job.id, "0" * 32, {"done": 99})
    queue.finish(store, job.id, "0" * 32, "succeeded")
    kept = queue.get_job(store, job.id)
    assert (kept.state, kept.progress) == ("running", {"done": 1})


def test_a_lost_job_takes_no_more_words_from_its_old_child(store: Workspace) -> None:
    queue.submit(store, "evaluate", "t", {})
    job = queue.claim(store, "w")
    assert job is not None
    with store.writing() as session:
        session.execute(sa.update(Job).values(heartbeat=time.time() - queue.LEASE_SECONDS - 1))
    queue.mark_lost(store)
    assert not queue.write_progress(store, job.id, job.token, {"done": 2})
    queue.finish(store, job.id, job.token, "succeeded")
    assert queue.get_job(store, job.id).state == "lost"


@pytest.mark.parametrize("end", ["cancelled", "failed", "lost"])
def test_a_job_that_did_not_succeed_can_be_queued_again(store: Workspace, end: str) -> None:
    job_id = queue.submit(store, "evaluate", "t", {"a": 1}).job_id
    first = queue.claim(store, "w")
    assert first is not None
    queue.finish(store, first.id, first.token, end, error="why")
    queue.resume(store, job_id[:8])
    again = queue.claim(store, "w2")
    assert again is not None
    assert (again.id, again.state, again.error, again.cancel_requested) == (job_id, "running", None, False)
    assert again.token != first.token
    queue.finish(store, first.id, first.token, "failed", error="late word of the first child")
    assert queue.get_job(store, job_id).state == "running"


def test_jobs_under_way_and_succeeded_ones_are_not_queued_again(store: Workspace) -> None:
    job_id = queue.submit(store, "evaluate", "t", {}).job_id
    with pytest.raises(JobError, match="is queued; only cancelled, failed and lost jobs"):
        queue.resume(store, job_id)
    job = queue.claim(store, "w")
    assert job is not None
    queue.finish(store, job.id, job.token, "succeeded")
    with pytest.raises(JobError, match="is succeeded"):
        queue.resume(store, job_id)


def test_work_that_is_under_way_in_another_job_is_not_queued_twice(store: Workspace) -> None:
    first = queue.submit(store, "evaluate", "t", {"same": 1}).job_id
    queue.request_cancel(store, first)
    second = queue.submit(store, "evaluate", "t", {"same": 1})
    assert second.is_new
    with pytest.raises(JobError, match="already under way in another job"):
        queue.resume(store, first)
    assert queue.get_job(store, first).state == "cancelled"
