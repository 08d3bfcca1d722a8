"""Imports in the background by real workers: whole or not at all, whatever is killed, and nothing left of the file."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from furnished import age
from jobs_running import ROOT, Started, job_processes, start_worker, wait_for
from typer.testing import CliRunner

from muscle_core.actions.background.submit import cancel_job, resume_job, submit_import
from muscle_core.actions.imports.request import ImportRequest
from muscle_core.actions.imports.uploads import remove_ended_uploads
from muscle_core.actions.library.models import add_imported_version
from muscle_core.actions.upkeep.cleanup import find_orphans, remove_orphans
from muscle_core.actions.upkeep.deletion import plan_deletion
from muscle_core.cli import app
from muscle_core.errors import ConfigError, DataError, StoreError
from muscle_core.interchange import ImportColumns
from muscle_core.jobs import FINAL, get_job, history
from muscle_core.store import (
    Workspace,
    get_dataset,
    get_version,
    list_datasets,
    list_runs,
    list_versions,
    read_predictions,
)

COLUMNS = ImportColumns(prediction="answer", input="question", gold="gold")


@pytest.fixture(autouse=True)
def _no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("muscle_core.actions.background.submit.ensure_worker", lambda workspace: None)


def table(folder: Path, name: str, right: int, of: int = 40) -> Path:
    file = folder / f"{name}.jsonl"
    with file.open("w") as stream:
        for n in range(of):
            row = {"id": f"q{n}", "question": f"{n} plus 1?", "gold": str(n + 1), "answer": str(n + 1 + (n >= right))}
            stream.write(json.dumps(row) + "\n")
    return file


def asked(file: Path, version: str = "theirs", **more: object) -> ImportRequest:
    return ImportRequest(file, version=version, dataset="sums", task="math", columns=COLUMNS, **more)  # type: ignore[arg-type]


def uploads(workspace: Workspace) -> list[str]:
    return sorted(path.name for path in workspace.path("uploads").glob("*/*"))


def objects(workspace: Workspace) -> tuple[int, int, int]:
    return len(list_versions(workspace)), len(list_datasets(workspace)), len(list_runs(workspace))


def files(workspace: Workspace) -> list[str]:
    return sorted(path.name for folder in ("datasets", "predictions") for path in workspace.path(folder).glob("*"))


def worked(workspace: Workspace, job_id: str, *arguments: str, **variables: str):
    """The job, once a worker has brought it to its end."""
    worker = start_worker(workspace.home, "--once", *arguments, **variables)
    try:
        return wait_for(workspace, job_id, lambda job: job.state in FINAL)
    finally:
        worker.wait(30)
        worker.end()


def slowed(home: Path, seconds: float, stage: str) -> dict[str, str]:
    """Environment in which a job waits at a stage; nothing of the project knows of it."""
    folder = home / "stages"
    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text(
        "import sys, time\n"
        "if 'run_job' in ' '.join(sys.orig_argv):\n"
        "    from muscle_core.jobs.child import JobProcess\n"
        "    write = JobProcess.write\n"
        "    def slowly(self, stage, *arguments, **facts):\n"
        "        write(self, stage, *arguments, **facts)\n"
        f"        if stage.startswith({stage!r}):\n"
        "            self._beat()\n"
        f"            end = time.time() + {seconds}\n"
        "            while time.time() < end and not self.stop_requested:\n"
        "                time.sleep(0.05)\n"
        "    JobProcess.write = slowly\n"
    )
    return {"PYTHONPATH": f"{folder}:{ROOT}"}


def test_a_worker_imports_an_upload_and_removes_it(workspace: Workspace, tmp_path: Path) -> None:
    add_imported_version(workspace, "before")
    file = table(tmp_path, "answers", 30)
    first = submit_import(workspace, asked(file), parent="before", uploaded=True)
    file.unlink()  # as the browser forgets it
    assert uploads(workspace) == ["answers.jsonl"]
    job = worked(workspace, first.job_id)
    assert (job.state, job.error) == ("succeeded", None)
    [imported] = job.result["imported"]
    assert (imported["version"], imported["rows"], imported["is_new"]) == ("theirs", 40, True)
    assert imported["summary"] == "75.0 % right (30 of 40)"
    assert (job.result["dataset"], job.result["made_dataset"]) == ("sums", True)
    [run] = list_runs(workspace)
    assert run.id == imported["run"]
    assert int(read_predictions(workspace.path(run.path))["correct"].sum()) == 30
    assert run.made_by["file"] == "answers.jsonl"  # its own name, not where it lay
    assert get_version(workspace, "theirs").parent_id == get_version(workspace, "before").id
    assert uploads(workspace) == []
    assert not workspace.path(f"jobs/{job.id}/writing.txt").exists()


def test_a_double_click_is_one_job_and_another_choice_another(workspace: Workspace, tmp_path: Path) -> None:
    file = table(tmp_path, "answers", 30)
    first, second = (submit_import(workspace, asked(file), uploaded=True) for _ in range(2))
    assert (first.is_new, second.is_new, first.job_id == second.job_id) == (True, False, True)
    other = submit_import(workspace, asked(file, "another"), uploaded=True)
    assert other.is_new
    assert uploads(workspace) == ["answers.jsonl"]
    cancel_job(workspace, first.job_id)
    assert uploads(workspace) == ["answers.jsonl"]  # the other one needs it
    cancel_job(workspace, other.job_id)
    assert uploads(workspace) == []


def test_what_cannot_be_imported_is_refused_before_it_is_queued(workspace: Workspace, tmp_path: Path) -> None:
    file = table(tmp_path, "answers", 30)
    (tmp_path / "empty.jsonl").touch()
    for request, parent, error, words in (
        (asked(tmp_path / "gone.jsonl"), None, DataError, "no such file"),
        (asked(tmp_path / "empty.jsonl"), None, DataError, "empty"),
        (asked(file, "a b"), None, ConfigError, "not usable"),
        (asked(file), "nobody", StoreError, "nobody"),
        (asked(file, "a,b"), "nobody", ConfigError, "single version"),
        (asked(file, format="odd"), None, ConfigError, "odd"),
    ):
        with pytest.raises(error, match=words):
            submit_import(workspace, request, parent=parent, uploaded=True)
    assert uploads(workspace) == []


def test_a_damaged_file_is_refused_with_its_line_and_nothing_stays(workspace: Workspace, tmp_path: Path) -> None:
    file = table(tmp_path, "answers", 30)
    file.write_text(file.read_text() + '{"id": "q40", "question": "half\n')
    job = worked(workspace, submit_import(workspace, asked(file), uploaded=True).job_id)
    assert job.state == "failed"
    assert job.error.startswith("answers.jsonl:41: not a JSON object")
    assert "uploads" not in job.error
    assert (objects(workspace), uploads(workspace), files(workspace)) == ((0, 0, 0), [], [])
    with pytest.raises(DataError, match=r"answers.jsonl is no longer there: the upload is removed"):
        resume_job(workspace, job.id)


def killed_while(workspace: Workspace, job_id: str, stage: str) -> Started:
    """A worker whose job's process was killed (-9) at a stage."""
    worker = start_worker(workspace.home, "--idle-exit", "20", **slowed(workspace.home, 60, stage))
    wait_for(workspace, job_id, lambda job: job.progress.get("stage", "").startswith(stage))
    [process] = job_processes(workspace.home)
    (workspace.home / "stages" / "sitecustomize.py").write_text("")  # the next process is as quick as any
    process.kill()
    return worker


@pytest.mark.parametrize(
    "stage",
    [
        "writing the answers",
        pytest.param("checking the answers", marks=pytest.mark.slow),
        pytest.param("writing it down", marks=pytest.mark.slow),
    ],
)
def test_a_killed_import_is_done_again_and_leaves_nothing_half_written(
    workspace: Workspace, tmp_path: Path, stage: str
) -> None:
    job_id = submit_import(workspace, asked(table(tmp_path, "answers", 30)), uploaded=True).job_id
    worker = killed_while(workspace, job_id, stage)
    try:
        job = wait_for(workspace, job_id, lambda job: job.state in FINAL)
    finally:
        worker.end()
    assert (job.state, job.error) == ("succeeded", None)
    assert "process died" in [event.what for event in history(workspace, job_id)]
    assert objects(workspace) == (1, 1, 1)
    # The dataset and the run, and nothing of the process that was killed.
    assert files(workspace) == sorted([Path(get_dataset(workspace, "sums").path).name, list_runs(workspace)[0].id])
    assert uploads(workspace) == []


def test_a_running_import_is_cancelled_and_can_be_submitted_again(workspace: Workspace, tmp_path: Path) -> None:
    file = table(tmp_path, "answers", 30)
    job_id = submit_import(workspace, asked(file), uploaded=True).job_id
    worker = start_worker(workspace.home, "--once", **slowed(workspace.home, 60, "writing the answers"))
    try:
        wait_for(workspace, job_id, lambda job: job.progress.get("stage", "").startswith("writing the answers"))
        assert cancel_job(workspace, job_id).state == "cancelling"
        assert uploads(workspace) == ["answers.jsonl"]  # it still runs
        begun = time.monotonic()
        job = wait_for(workspace, job_id, lambda job: job.state in FINAL, 20)
        assert time.monotonic() - begun < 10
    finally:
        worker.wait(30)
        worker.end()
    assert (job.state, job.error) == ("cancelled", "the import was cancelled; nothing was written.")
    assert (objects(workspace), uploads(workspace), files(workspace)) == ((0, 0, 0), [], [])
    (workspace.home / "stages" / "sitecustomize.py").write_text("")
    again = submit_import(workspace, asked(file), uploaded=True)
    assert again.is_new
    assert worked(workspace, again.job_id).state == "succeeded"


def test_a_file_of_ones_own_stays_and_its_import_can_be_resumed(workspace: Workspace, tmp_path: Path) -> None:
    file = table(tmp_path, "answers", 30)
    submission = submit_import(workspace, asked(file))
    assert not workspace.path("uploads").exists()
    cancel_job(workspace, submission.job_id)
    resume_job(workspace, submission.job_id)
    assert worked(workspace, submission.job_id).state == "succeeded"
    assert file.is_file()
    # The same again is known: it says so and writes nothing.
    job = worked(workspace, submit_import(workspace, asked(file)).job_id)
    assert [run["is_new"] for run in job.result["imported"]] == [False]
    assert objects(workspace) == (1, 1, 1)


def test_clean_up_knows_uploads_and_deletion_what_an_import_uses(workspace: Workspace, tmp_path: Path) -> None:
    add_imported_version(workspace, "theirs")
    job_id = submit_import(workspace, asked(table(tmp_path, "answers", 30)), uploaded=True).job_id
    age(workspace.path("uploads"), 7200)
    assert find_orphans(workspace) == []
    assert plan_deletion(workspace, "version", "theirs").users != []
    with workspace.writing() as session:  # as after a machine that died at the wrong moment
        session.merge(get_job(workspace, job_id)).state = "failed"
    [orphan] = remove_orphans(workspace)
    assert orphan.why == "the import that needed it is over"
    assert uploads(workspace) == []
    assert remove_ended_uploads(workspace) == []


def test_the_command_queues_an_import_once(workspace: Workspace, tmp_path: Path) -> None:
    file = table(tmp_path, "answers", 30)
    words = ["runs", "import", "theirs", str(file), "-d", "sums", "--task", "math", "--prediction", "answer"]
    words += ["--input", "question", "--gold", "gold", "--background"]
    first, second = (CliRunner().invoke(app, words) for _ in range(2))
    assert first.output.startswith("queued job ")
    assert second.output.startswith("already under way: job ")
    job = worked(workspace, first.output.split()[-1])
    assert (job.state, objects(workspace)) == ("succeeded", (1, 1, 1))
