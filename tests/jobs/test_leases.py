"""Leases, slots, needs and history of the queue, on SQLite and PostgreSQL: each row that `jobs.md` measured."""

from __future__ import annotations

import time

import pytest
import sqlalchemy as sa

from muscle_core.errors import ConfigError, JobError
from muscle_core.jobs import Slots, Work, leases, queue
from muscle_core.store import Job, Workspace


def _submit(store: Workspace, name: object, **facts) -> str:
    return queue.submit(store, Work("evaluate", f"job {name}", {"name": name}, **facts)).job_id


def _claim(store: Workspace, machine: str = "a", slots: Slots | None = None, **facts) -> Job | None:
    return leases.claim(store, f"w@{machine}", machine, slots or Slots(cpu=99), **facts)


def _claimed(store: Workspace, **facts) -> Job:
    job = _claim(store, **facts)
    assert job is not None
    return job


def _expire(store: Workspace) -> None:
    with store.writing() as session:
        session.execute(sa.update(Job).values(lease_until=time.time() - 3600))


@pytest.fixture(autouse=True)
def _server_is_up_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    # The test's PostgreSQL has just started, and nothing is taken over within a lease of that.
    monkeypatch.setenv("MUSCLE_LEASE_SECONDS", "1")


def _wait_out_the_start(store: Workspace) -> None:
    if store.engine.dialect.name == "postgresql":
        time.sleep(1.1)


def _states(store: Workspace) -> dict[str, str]:
    return {job.payload["name"]: job.state for job in queue.list_jobs(store)}


def test_a_job_is_taken_over_once_its_lease_is_over_and_not_before(store: Workspace) -> None:
    _wait_out_the_start(store)
    _submit(store, 1)
    first = _claimed(store)
    assert _claim(store, machine="b") is None
    _expire(store)
    assert _claim(store, machine="b", take_over=False) is None  # whoever was without the database waits
    second = _claimed(store, machine="b")
    assert (second.id, second.machine, second.attempts) == (first.id, "b", 1)
    assert second.token != first.token
    assert leases.beat(store, first.id, first.token) == "gone"
    assert leases.beat(store, first.id, second.token) == "go"
    assert not leases.finish(store, first.id, first.token, "succeeded")
    assert leases.finish(store, first.id, second.token, "succeeded")
    what = [event.what for event in queue.history(store, first.id)]
    assert what == ["submitted", "claimed", "taken over", "claimed", "succeeded"]


def test_a_beat_keeps_a_job_from_being_taken_over(store: Workspace) -> None:
    _wait_out_the_start(store)
    _submit(store, 1)
    job = _claimed(store)
    _expire(store)
    assert leases.beat(store, job.id, job.token, progress={"done": 3}) == "go"
    assert _claim(store, machine="b") is None
    assert queue.get_job(store, job.id).progress == {"done": 3}


@pytest.mark.postgres
def test_nothing_is_taken_over_right_after_the_start_of_the_server(
    store: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    if store.engine.dialect.name != "postgresql":
        pytest.skip("SQLite has no server that could be away")
    monkeypatch.setenv("MUSCLE_LEASE_SECONDS", "3600")
    _submit(store, 1)
    _claimed(store)
    _expire(store)
    assert _claim(store, machine="b") is None
    assert leases.settle(store) == 0


def test_a_job_that_dies_again_and_again_with_nothing_saved_is_lost(store: Workspace) -> None:
    _wait_out_the_start(store)
    job_id = _submit(store, 1)
    for attempt in range(leases.MOST_ATTEMPTS):
        assert _claimed(store, machine=f"m{attempt}").attempts == attempt
        assert leases.settle(store) == 0
        _expire(store)
    assert _claim(store, machine="last") is None
    assert leases.settle(store) == 1
    job = queue.get_job(store, job_id)
    assert job.state == "lost"
    assert "nothing saved in between" in str(job.error)
    queue.resume(store, job_id)
    assert _claimed(store).attempts == 0


def test_what_it_saved_makes_a_dying_job_worth_another_try(store: Workspace) -> None:
    _wait_out_the_start(store)
    _submit(store, 1)
    for attempt in range(3 * leases.MOST_ATTEMPTS):
        job = _claimed(store, machine=f"m{attempt}")
        leases.beat(store, job.id, job.token, saved=1)
        _expire(store)
    assert leases.settle(store) == 0
    assert queue.get_job(store, job.id).saves == 3 * leases.MOST_ATTEMPTS


def test_a_process_that_died_is_queued_again_and_given_up_as_failed(store: Workspace) -> None:
    job_id = _submit(store, 1)
    for _ in range(leases.MOST_ATTEMPTS - 1):
        job = _claimed(store)
        assert leases.bury(store, job.id, job.token, "ended by signal 9", "too often") == "queued"
    job = _claimed(store)
    assert leases.bury(store, job.id, job.token, "ended by signal 9", "too often") == "failed"
    assert queue.get_job(store, job_id).error == "too often"
    assert leases.bury(store, job.id, job.token, "again", "too often") is None


def test_what_a_stopping_worker_gives_back_is_no_failed_attempt(store: Workspace) -> None:
    _submit(store, 1)
    for _ in range(3 * leases.MOST_ATTEMPTS):
        job = _claimed(store)
        assert leases.give_back(store, job.id, job.token, "the worker stopped") == "queued"
    assert _claimed(store).attempts == 0


def test_a_cancel_while_worker_and_process_are_dead_is_honoured(store: Workspace) -> None:
    _wait_out_the_start(store)
    job_id = _submit(store, 1)
    job = _claimed(store)
    queue.request_cancel(store, job_id)
    assert queue.get_job(store, job_id).state == "cancelling"
    _expire(store)
    assert _claim(store, machine="b") is None  # not run once more only to be stopped
    assert leases.settle(store) == 1
    assert queue.get_job(store, job_id).state == "cancelled"
    assert leases.give_back(store, job.id, job.token, "late") is None


def test_a_cancelled_job_that_its_worker_gives_back_is_cancelled(store: Workspace) -> None:
    _submit(store, 1)
    job = _claimed(store)
    queue.request_cancel(store, job.id)
    assert leases.give_back(store, job.id, job.token, "the worker stopped") == "cancelled"


def test_higher_priority_comes_first_and_orphans_before_all(store: Workspace) -> None:
    _wait_out_the_start(store)
    orphan = _submit(store, "orphan")
    _claimed(store)
    _expire(store)
    _submit(store, "low", priority=-1)
    _submit(store, "usual")
    _submit(store, "high", priority=5)
    order = [_claimed(store, machine="b").id for _ in range(4)]
    assert [queue.get_job(store, job).payload["name"] for job in order] == ["orphan", "high", "usual", "low"]
    assert order[0] == orphan


def test_a_machine_runs_as_many_jobs_as_it_has_slots(store: Workspace) -> None:
    for number in range(4):
        _submit(store, number)
    two = Slots(cpu=2)
    first, second = _claimed(store, slots=two), _claimed(store, slots=two)
    assert _claim(store, slots=two) is None  # another worker of the same machine gets none either
    assert leases.claim(store, "second@a", "a", two) is None
    assert _claim(store, machine="b", slots=two) is not None
    leases.finish(store, first.id, first.token, "succeeded")
    assert _claim(store, slots=two) is not None
    assert second.device == "cpu"


def test_each_job_gets_a_gpu_of_its_own_and_cpu_work_leaves_them_free(store: Workspace) -> None:
    for name, slot in (("train", "any"), ("evaluate", "gpu"), ("third", "any"), ("table", "cpu")):
        _submit(store, name, slot=slot)
    slots = Slots(cpu=1, gpu=2)
    got = {}
    while (job := _claim(store, slots=slots)) is not None:
        got[job.payload["name"]] = job.device
    assert got == {"train": "gpu:0", "evaluate": "gpu:1", "table": "cpu"}  # the third waits for a GPU
    assert _claimed(store, machine="laptop", slots=Slots(cpu=1)).payload["name"] == "third"
    _submit(store, "needs a GPU", slot="gpu")
    assert _claim(store, machine="other laptop") is None


def test_a_job_waits_for_what_it_needs(store: Workspace) -> None:
    works = [
        Work("evaluate", "train", {"name": "train"}),
        Work("evaluate", "evaluate", {"name": "evaluate"}, needs=(-1,)),
        Work("evaluate", "table", {"name": "table"}, needs=(0, 1), priority=9),
    ]
    submitted = queue.submit_all(store, works)
    assert [one.is_new for one in submitted] == [True] * 3
    assert queue.submit_all(store, works) == [one._replace(is_new=False) for one in submitted]
    for name in ("train", "evaluate", "table"):
        job = _claimed(store)
        assert job.payload["name"] == name
        assert _claim(store) is None
        leases.finish(store, job.id, job.token, "succeeded")
    assert queue.get_job(store, submitted[2].job_id).payload["after"] == [one.job_id for one in submitted[:2]]
    assert [job.id for job in queue.jobs_after(store, submitted[0].job_id)] == [one.job_id for one in submitted[1:]]
    assert [job.id for job in queue.jobs_before(store, submitted[1].job_id)] == [submitted[0].job_id]


@pytest.mark.parametrize("end", ["failed", "cancelled", "queued and cancelled"])
def test_what_needs_a_job_that_did_not_succeed_is_cancelled_and_follows_its_resume(store: Workspace, end: str) -> None:
    first, second, third = (
        one.job_id
        for one in queue.submit_all(
            store,
            [
                Work("evaluate", name, {"name": name}, needs=(-1,) if name != "train" else ())
                for name in ("train", "evaluate", "table")
            ],
        )
    )
    if end == "queued and cancelled":
        queue.request_cancel(store, first)
    else:
        job = _claimed(store)
        leases.finish(store, job.id, job.token, end, error="why")
    assert [queue.get_job(store, one).state for one in (second, third)] == ["cancelled", "cancelled"]
    assert f"it needs job {first[:8]}" in str(queue.get_job(store, second).error)
    queue.resume(store, first)
    assert set(_states(store).values()) == {"queued"}
    assert _claimed(store).id == first


def test_resuming_what_waits_resumes_what_it_waits_for(store: Workspace) -> None:
    works = [Work("evaluate", "t", {"name": "train"}), Work("evaluate", "e", {"name": "evaluate"}, needs=(-1,))]
    first, second = (one.job_id for one in queue.submit_all(store, works))
    queue.request_cancel(store, first)
    queue.resume(store, second)
    assert _states(store) == {"train": "queued", "evaluate": "queued"}


def test_a_submission_is_all_or_nothing(store: Workspace) -> None:
    works = [Work("evaluate", "t", {"name": 1}), Work("evaluate", "t", {"name": 2}, needs=("no-such-job",))]
    with pytest.raises(JobError, match="needs jobs that do not exist: no-such-job"):
        queue.submit_all(store, works)
    with pytest.raises(ConfigError, match="slot must be one of any, cpu, gpu, got 'tpu'"):
        queue.submit_all(store, [works[0], Work("evaluate", "t", {"name": 3}, slot="tpu")])
    assert queue.list_jobs(store) == []


def test_a_look_tells_when_there_is_nothing_to_do(store: Workspace) -> None:
    _wait_out_the_start(store)
    assert leases.is_quiet(store)
    first, second = (
        one.job_id
        for one in queue.submit_all(
            store, [Work("evaluate", "t", {"name": 1}), Work("evaluate", "t", {"name": 2}, needs=(-1,))]
        )
    )
    assert not leases.is_quiet(store)
    job = _claimed(store)
    assert leases.is_quiet(store)  # the second waits for the first
    _expire(store)
    assert not leases.is_quiet(store)
    assert leases.is_quiet(store, take_over=False)
    leases.finish(store, job.id, job.token, "succeeded")
    assert not leases.is_quiet(store)
    assert _claimed(store).id == second
    assert first == job.id


def test_one_of_two_workers_adopts(store: Workspace) -> None:
    _submit(store, 1)
    job = _claimed(store)
    assert leases.orphans(store, "a", [job.id]) == []
    assert leases.orphans(store, "b", []) == []
    [orphan] = leases.orphans(store, "a", [])
    assert leases.adopt(store, orphan, "second@a")
    assert not leases.adopt(store, orphan, "third@a")
    kept = queue.get_job(store, job.id)
    assert (kept.worker, kept.token) == ("second@a", job.token)  # its process goes on with the claim it has


@pytest.mark.parametrize("text", ["0", "soon", "nan", "1e9"])
def test_a_lease_that_cannot_be_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("MUSCLE_LEASE_SECONDS", text)
    with pytest.raises(ConfigError, match="MUSCLE_LEASE_SECONDS must be seconds from 1 to 3,600"):
        leases.lease_seconds()
