"""What the pages and the commands say about a job in each of its states; the states are made in the queue itself."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import sqlalchemy as sa
from jobs_running import submit_training
from streamlit.testing.v1 import AppTest
from typer.testing import CliRunner

from muscle_core.actions.background.words import waiting, why_again
from muscle_core.actions.evaluation.evaluate import evaluate
from muscle_core.actions.library.models import add_model_version
from muscle_core.actions.strategies.ablation import submit_ablation
from muscle_core.actions.strategies.ablation_plan import AblationRequest
from muscle_core.actions.training.presets import compat_preset
from muscle_core.jobs import Slots, Work, finish, get_job, give_back, history, jobs_after, leases, queue, request_cancel
from muscle_core.store import Job, Workspace

ROOT = Path(__file__).resolve().parents[2]
RESULT = {"old": "task-old", "new": "task-new", "dataset": "choice", "split": "test", "version": "trained-s0"}


@pytest.fixture
def pair(filled: Workspace, tiny_bases: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """Two evaluated versions; no worker takes the jobs away, and pages believe that one is alive."""
    import streamlit as st

    st.cache_resource.clear()
    monkeypatch.setenv("MUSCLE_APP_WORKER", "0")
    monkeypatch.setattr("muscle_core.ui.worker.worker_alive", lambda workspace: True)
    for role in ("old", "new"):
        add_model_version(filled, f"task-{role}", str(tiny_bases[role]), role=role)
        evaluate(filled, f"task-{role}", "choice")
    return filled


def queued(workspace: Workspace, seed: int = 0) -> str:
    return submit_training(workspace, 100, seed=seed, initialisation="scratch")


def claimed(workspace: Workspace, job_id: str, worker: str = "main@here") -> Job:
    """A job that a worker has claimed, before all others."""
    with workspace.writing() as session:
        session.execute(sa.update(Job).where(Job.id == job_id).values(priority=int(time.time())))
    job = leases.claim(workspace, worker, f"here:{workspace.home}", Slots(cpu=99))
    assert job is not None
    assert job.id == job_id
    return job


def running(workspace: Workspace, seed: int = 0, done: int = 40) -> Job:
    job = claimed(workspace, queued(workspace, seed))
    leases.beat(workspace, job.id, job.token, progress={"stage": "training", "done": done, "total": 100})
    return job


def opened(job_id: str = "", page: str = "training") -> AppTest:
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    for key, value in {"old": "task-old", "new": "task-new", "job": job_id[:8]}.items():
        if value:
            app.query_params[key] = value
    app = app.run().switch_page(f"pages/{page}.py").run()
    assert not app.exception, app.exception
    return app


def press(app: AppTest, label: str) -> None:
    next(button for button in app.button if button.label == label).click().run()
    assert not app.exception, app.exception


def said(elements: object) -> str:
    return "\n".join(str(element.value) for element in elements).replace("\\", "")  # type: ignore[attr-defined]


def labels(app: AppTest) -> set[str]:
    return {button.label for button in app.button} - {"Start training"}


_OF_THE_FORM = ("More options", "Advanced", "Where these figures come from", "The same as a command or a recipe")


def folded(app: AppTest) -> list[str]:
    return [expander.label for expander in app.expander if expander.label not in _OF_THE_FORM]


def table(app: AppTest):
    return app.table[-1].value.set_index("job")


def test_a_queued_job_says_what_it_waits_for(pair: Workspace) -> None:
    first, second = queued(pair), queued(pair, seed=1)
    app = opened(second)
    assert "Waits for a worker, and 1 other job comes first." in said(app.info)
    assert labels(app) == {"Cancel this job"}
    claimed(pair, first)
    app.run()
    assert "Waits for a free slot. Running now: Train token_correctness, seed 0" in said(app.info)
    assert f"(job {first[:8]})" in said(app.info)
    [evaluation] = jobs_after(pair, second)
    app = opened(evaluation.id)
    assert "Waits until another job has succeeded: Train token_correctness, seed 1" in said(app.info)
    rows = table(app)
    assert list(rows.columns) == ["state", "what", "waits for", "submitted", "time", "tries"]
    assert rows.loc[second[:8], "waits for"] == "a free slot"
    assert rows.loc[evaluation.id[:8], "waits for"] == f"job {second[:8]}"
    assert list(rows.loc[first[:8], ["waits for", "tries"]]) == ["–", 1]


def test_a_running_job_shows_its_progress_and_can_be_cancelled_once(pair: Workspace) -> None:
    job = running(pair)
    app = opened(job.id)
    assert "▶ running" in said(app.markdown)
    assert [bar.proto.text for bar in app.get("progress")] == ["training\\: 40 of 100"]
    assert labels(app) == {"Cancel this job"}
    press(app, "Cancel this job")
    assert get_job(pair, job.id).state == "cancelling"
    assert next(button for button in app.button if button.label == "Cancel this job").disabled
    assert "It stops at its next step and keeps what it has." in said(app.caption)
    assert not app.error


def test_buttons_follow_a_state_that_changed_elsewhere(pair: Workspace) -> None:
    job = running(pair)
    app = opened(job.id)
    finish(pair, job.id, job.token, "succeeded", result=RESULT)
    app.run()
    assert labels(app) == {"Cancel the evaluation"}
    press(app, "Cancel the evaluation")
    assert labels(app) == {"Resume the evaluation"}
    assert "Cancelled: before it started." in said(app.info)
    press(app, "Resume the evaluation")
    evaluation = claimed(pair, jobs_after(pair, job.id)[0].id)
    finish(pair, evaluation.id, evaluation.token, "succeeded", result={**RESULT, "runs": ["r"]})
    app.run()
    assert "Trained and evaluated: trained-s0" in said(app.success)
    assert labels(app) == {"See it in Masking", "Read its samples"}


def test_a_cancelled_job_says_what_is_kept_and_brings_back_what_needs_it(pair: Workspace) -> None:
    job = running(pair)
    request_cancel(pair, job.id)
    finish(pair, job.id, job.token, "cancelled", error="stopped after 40 steps; its checkpoint is kept.")
    app = opened(job.id)
    assert "Cancelled: stopped after 40 steps; its checkpoint is kept." in said(app.info)
    assert "The evaluation was cancelled with this job. Resuming this job brings it back." in said(app.caption)
    assert not app.error
    [evaluation] = jobs_after(pair, job.id)
    app = opened(evaluation.id)
    assert labels(app) == {"Resume this job", "Show the job it needs"}
    press(app, "Show the job it needs")
    assert app.selectbox(key="job").value == job.id[:8]
    press(app, "Resume this job")
    assert {one.state for one in (get_job(pair, job.id), get_job(pair, evaluation.id))} == {"queued"}


def test_a_failed_job_shows_its_message_and_folds_the_rest(pair: Workspace) -> None:
    job = running(pair)
    message = "unexpected ValueError: <b>no</b> *such* shape. This is a bug; the log holds the details."
    finish(pair, job.id, job.token, "failed", error=message, traceback="Traceback: deep inside", log_tail="last words")
    app = opened(job.id)
    assert said(app.error) == f"Failed: {message}"
    assert labels(app) == {"Resume this job"}
    assert folded(app) == ["Traceback", "Last lines of the log", "History", "All jobs"]
    assert not any(expander.proto.expanded for expander in app.expander)
    texts = [code.value for one in app.expander if one.label not in _OF_THE_FORM for code in one.code]
    assert texts == ["Traceback: deep inside", "last words"]
    press(app, "Resume this job")
    assert get_job(pair, job.id).state == "queued"
    assert not app.error


def test_a_long_message_is_cut_at_a_line_and_kept_whole_below(pair: Workspace) -> None:
    job = running(pair)
    message = "60 problems:" + "".join(f"\n  - sample {number} is too long" for number in range(60))
    finish(pair, job.id, job.token, "failed", error=message)
    app = opened(job.id)
    assert "sample 10 is too long" in said(app.error)
    assert "sample 11 is too long" not in said(app.error)
    assert said(app.error).endswith("… and 49 more lines")
    assert folded(app)[0] == "The whole message"
    whole = next(expander for expander in app.expander if expander.label == "The whole message")
    assert whole.code[0].value == message


def test_a_training_whose_evaluation_failed_offers_that_one(pair: Workspace) -> None:
    job = running(pair)
    finish(pair, job.id, job.token, "succeeded", result=RESULT)
    evaluation = claimed(pair, jobs_after(pair, job.id)[0].id)
    finish(pair, evaluation.id, evaluation.token, "failed", error="the disk is full.", log_tail="last words")
    app = opened(job.id)
    assert "Failed: the disk is full." in said(app.error)
    assert labels(app) == {"Resume the evaluation"}
    assert "Last lines of the log of the evaluation" in folded(app)
    press(app, "Resume the evaluation")
    assert get_job(pair, evaluation.id).state == "queued"


def test_a_lost_job_says_how_often_it_was_started(pair: Workspace) -> None:
    job_id = queued(pair)
    for number in range(leases.MOST_ATTEMPTS):
        claimed(pair, job_id, f"main@node-{number}")
        with pair.writing() as session:
            session.execute(sa.update(Job).values(lease_until=1.0))
    app = opened(job_id)
    assert "Its process does not answer any more." in said(app.warning)
    leases.settle(pair)
    app.run()
    times = leases.MOST_ATTEMPTS
    assert f"Lost: its worker and its process ended {times} times in a row" in said(app.error)
    again = f"its worker no longer answered and another one took it over ({times - 1} times)."
    assert f"Started {times} times: {again}" in said(app.caption)


def test_a_job_that_is_queued_again_says_why(pair: Workspace) -> None:
    job = running(pair)
    leases.bury(pair, job.id, job.token, "ended by signal 9", "")
    app = opened(job.id)
    assert "Started once, then its process died (ended by signal 9)." in said(app.caption)
    assert "Waits for a worker." in said(app.info)
    assert not app.get("progress")


def test_a_long_history_in_plain_words(pair: Workspace) -> None:
    job_id = queued(pair)
    for _ in range(30):
        job = claimed(pair, job_id)
        leases.beat(pair, job_id, job.token, saved=1)
        leases.bury(pair, job_id, job.token, "ended by signal 9", "")
    give_back(pair, job_id, claimed(pair, job_id).token, "the worker stopped")
    claimed(pair, job_id)
    app = opened(job_id)
    why = "Started 32 times: its process died (30 times, ended by signal 9); its worker was stopped and gave it back."
    assert why in said(app.caption)
    events = app.table[0].value
    assert len(events) == len(history(pair, job_id)) == 64
    assert list(events.loc[1])[1:] == ["started", "on here, cpu", r"main\@here"]  # without the folder
    assert table(app).loc[job_id[:8], "tries"] == 32
    assert [why_again(history(pair, job_id)[:number]) for number in (0, 1, 2)] == ["", "", ""]


def test_a_link_opens_a_job_that_the_list_has_no_more_and_refuses_one_that_never_was(
    pair: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("muscle_core.ui.training.jobs._MOST_JOBS", 2)
    first = queued(pair)
    queued(pair, seed=1)
    app = opened(first)
    assert app.selectbox(key="job").value == first[:8]
    assert "The newest 2 jobs" in folded(app)
    app = opened("nosuchjob")
    assert "There is no job nosuchjo in this workspace." in said(app.warning)


def test_a_job_without_a_worker_says_how_to_start_one(pair: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("muscle_core.ui.worker.worker_alive", lambda workspace: False)
    monkeypatch.setattr("muscle_core.ui.worker._PATIENCE_SECONDS", 0.0)
    pair.path("worker.log").write_text('{"what": "database does not answer"}\n')
    app = opened(queued(pair))
    assert "Start one: python -m muscle_core worker" in said(app.warning)
    assert any("database does not answer" in code.value for code in app.code)
    running(pair, seed=1)  # on another machine: the queue moves on
    app.run()
    assert not app.warning


def test_the_ablation_panel_names_what_failed_once_and_opens_it(pair: Workspace) -> None:
    strategies = ["token_correctness", "always_old", "always_new", "old_correct"]
    request = AblationRequest("task-old", "task-new", "choice", compat_preset("scratch"), strategies, [0])
    jobs = [claimed(pair, one.job_id) for one in submit_ablation(pair, request).submissions]
    for job, state in zip(jobs, ("failed", "failed", "lost", "cancelled"), strict=True):
        finish(pair, job.id, job.token, state, error="the loss of step 17 is not finite.")
    app = opened(page="masking")
    app.multiselect(key="ablation_strategies").set_value(strategies).run()
    cells = app.dataframe[-1].value["seed 0"].tolist()
    assert cells[:2] == ["✗ failed, to be done again"] * 2
    assert cells[2:] == ["✗ lost, to be resumed", "◼ cancelled, to be resumed"]
    [error] = app.error
    named = f"token_correctness, seed 0 (job {jobs[0].id[:8]}); always_old, seed 0 (job {jobs[1].id[:8]}) failed: the"
    assert said([error]).startswith(named)
    press(app, "Look at what failed")
    assert "Failed: the loss of step 17 is not finite." in said(app.error)


def test_the_commands_say_what_a_job_waits_for_and_what_happened(pair: Workspace) -> None:
    from muscle_core.cli import app as commands

    job = running(pair)
    leases.bury(pair, job.id, job.token, "ended by signal 9", "")
    claimed(pair, job.id)
    [evaluation] = jobs_after(pair, job.id)
    listed = CliRunner().invoke(commands, ["jobs", "list"]).output.splitlines()
    assert listed[0].split()[:6] == ["id", "state", "progress", "waits", "for", "tries"]
    line = next(line for line in listed if line.startswith(evaluation.id[:8]))
    assert f"job {job.id[:8]}  0 " in line
    shown = CliRunner().invoke(commands, ["jobs", "show", job.id[:8]]).output
    assert "Started 2 times: its process died (ended by signal 9)." in shown
    assert shown.count("started") == 2
    shown = CliRunner().invoke(commands, ["jobs", "show", evaluation.id[:8]]).output
    assert "Waits until another job has succeeded: Train token_correctness" in shown


def test_more_than_three_needs_are_counted(workspace: Workspace) -> None:
    works = [Work("evaluate", f"part {number}", {"number": number}) for number in range(5)]
    table_id = queue.submit_all(workspace, [*works, Work("evaluate", "table", {}, needs=range(5))])[-1].job_id
    waits = waiting(workspace, [get_job(workspace, table_id)])[table_id]
    assert waits.short == "5 jobs"
    assert waits.sentence.startswith("Waits until 5 other jobs have succeeded: part 0 (job ")
    assert waits.sentence.endswith("; and 2 more.")
