"""The job queue on SQLite and PostgreSQL: one submission, one claim, fenced writes, honest end states."""

from __future__ import annotations

import threading

import pytest

from muscle_core.errors import JobError
from muscle_core.jobs import Slots, Work, leases, queue
from muscle_core.store import Job, Workspace

PLENTY = Slots(cpu=1000)


def _submit(store: Workspace, payload: dict, **facts) -> queue.Submission:
    return queue.submit(store, Work("evaluate", "t", payload, **facts))


def _claim(store: Workspace, slots: Slots = PLENTY, machine: str = "here", **facts) -> Job | None:
    return leases.claim(store, f"w@{machine}", machine, slots, **facts)


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
    results = _in_threads(8, lambda: _submit(store, {"a": 1}))
    assert len({result.job_id for result in results}) == 1
    assert sum(result.is_new for result in results) == 1


def test_ten_double_submissions_are_ten_jobs_each_with_its_evaluation(store: Workspace) -> None:
    def submit(number: int) -> list[queue.Submission]:
        train, evaluate = Work("train_compat", "t", {"a": number}), Work("evaluate", "e", {"a": number}, needs=(-1,))
        return queue.submit_all(store, [train, evaluate])

    numbers = iter([*range(10), *range(10)])
    results = _in_threads(20, lambda: submit(next(numbers)))
    assert sum(one.is_new for pair in results for one in pair) == 20
    assert sorted(job.kind for job in queue.list_jobs(store)) == ["evaluate"] * 10 + ["train_compat"] * 10


def test_many_submissions_of_one_process_are_all_taken(store: Workspace) -> None:
    """A driver that prepares what it is asked often asks another way then."""
    assert all(_submit(store, {"a": number}).is_new for number in range(30))
    assert not any(_submit(store, {"a": number}).is_new for number in range(30))


def test_other_work_is_another_job_and_finished_work_may_be_submitted_again(store: Workspace) -> None:
    first = _submit(store, {"a": 1})
    assert _submit(store, {"a": 2}).is_new
    assert not _submit(store, {"a": 1}).is_new
    queue.request_cancel(store, first.job_id)
    assert _submit(store, {"a": 1}).is_new


def test_of_eight_workers_each_job_is_claimed_by_one(store: Workspace) -> None:
    submitted = {_submit(store, {"a": n}).job_id for n in range(5)}
    claimed = [job.id for job in _in_threads(8, lambda: _claim(store)) if job is not None]
    while (job := _claim(store)) is not None:
        claimed.append(job.id)
    assert sorted(claimed) == sorted(submitted)


def test_the_oldest_job_comes_first(store: Workspace) -> None:
    first = _submit(store, {"a": 1})
    _submit(store, {"a": 2})
    job = _claim(store)
    assert job is not None
    assert job.id == first.job_id


def test_a_beat_says_go_then_cancel_and_gone_to_a_stale_owner(store: Workspace) -> None:
    _submit(store, {})
    job = _claim(store)
    assert job is not None
    assert leases.beat(store, job.id, job.token) == "go"
    queue.request_cancel(store, job.id)
    assert queue.get_job(store, job.id).state == "cancelling"
    assert leases.beat(store, job.id, job.token) == "cancel"
    job.token = "0" * 32
    assert leases.beat(store, job.id, job.token) == "gone"


def test_a_queued_job_is_cancelled_at_once_and_never_claimed(store: Workspace) -> None:
    job_id = _submit(store, {}).job_id
    queue.request_cancel(store, job_id)
    assert queue.get_job(store, job_id).state == "cancelled"
    assert _claim(store) is None


def test_a_job_that_is_over_keeps_its_end(store: Workspace) -> None:
    _submit(store, {})
    job = _claim(store)
    assert job is not None
    leases.finish(store, job.id, job.token, "succeeded", result={"x": 1})
    leases.finish(store, job.id, job.token, "failed", error="late")
    ended = queue.get_job(store, job.id)
    assert (ended.state, ended.result, ended.error) == ("succeeded", {"x": 1}, None)


def test_jobs_are_found_by_the_beginning_of_their_id(store: Workspace) -> None:
    job_id = _submit(store, {}).job_id
    assert queue.get_job(store, job_id[:8]).id == job_id
    with pytest.raises(JobError, match="no job begins"):
        queue.get_job(store, "zzzz")
    with pytest.raises(JobError):
        queue.get_job(store, "")


def test_only_the_holder_of_the_claim_writes_the_job(store: Workspace) -> None:
    _submit(store, {})
    job = _claim(store)
    assert job is not None
    assert leases.beat(store, job.id, job.token, progress={"done": 1}) == "go"
    assert leases.beat(store, job.id, "0" * 32, progress={"done": 99}) == "gone"
    leases.finish(store, job.id, "0" * 32, "succeeded")
    kept = queue.get_job(store, job.id)
    assert (kept.state, kept.progress) == ("running", {"done": 1})


@pytest.mark.parametrize("end", ["cancelled", "failed", "lost"])
def test_a_job_that_did_not_succeed_can_be_queued_again(store: Workspace, end: str) -> None:
    job_id = _submit(store, {"a": 1}).job_id
    first = _claim(store)
    assert first is not None
    leases.finish(store, first.id, first.token, end, error="why")
    queue.resume(store, job_id[:8])
    again = _claim(store)
    assert again is not None
    assert (again.id, again.state, again.error, again.cancel_requested) == (job_id, "running", None, False)
    assert again.token != first.token
    leases.finish(store, first.id, first.token, "failed", error="late word of the first child")
    assert queue.get_job(store, job_id).state == "running"


def test_jobs_under_way_and_succeeded_ones_are_not_queued_again(store: Workspace) -> None:
    job_id = _submit(store, {}).job_id
    with pytest.raises(JobError, match="is queued; only cancelled, failed and lost jobs"):
        queue.resume(store, job_id)
    job = _claim(store)
    assert job is not None
    leases.finish(store, job.id, job.token, "succeeded")
    with pytest.raises(JobError, match="is succeeded"):
        queue.resume(store, job_id)


def test_work_that_is_under_way_in_another_job_is_not_queued_twice(store: Workspace) -> None:
    first = _submit(store, {"same": 1}).job_id
    queue.request_cancel(store, first)
    second = _submit(store, {"same": 1})
    assert second.is_new
    with pytest.raises(JobError, match="already under way in another job"):
        queue.resume(store, first)
    assert queue.get_job(store, first).state == "cancelled"
