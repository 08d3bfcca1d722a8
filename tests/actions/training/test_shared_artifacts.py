"""Two machines (workspace folders) with one database and one shared place: what one makes, the other finds."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from helpers import choice_rows
from s3 import Line, Server

from muscle_core.actions.background.submit import compat_works
from muscle_core.actions.evaluation.evaluate import EvaluationOptions, evaluate
from muscle_core.actions.library.datasets import add_dataset_rows, load_samples
from muscle_core.actions.library.models import add_model_version
from muscle_core.actions.strategies.interpolate import interpolate_versions
from muscle_core.actions.training.step_records import read_metrics
from muscle_core.actions.training.train import train_compat, train_task
from muscle_core.actions.updates.compare import compare_versions
from muscle_core.actions.upkeep.sharing import share_workspace
from muscle_core.cli.share import share_command
from muscle_core.compat.config import CompatConfig, TaskConfig
from muscle_core.errors import Cancelled, ConfigError, StoreError
from muscle_core.jobs import get_job, run_worker, submit
from muscle_core.scoring.engine import local_engine
from muscle_core.store import (
    LOG,
    ArtifactsUnreachable,
    Dataset,
    Workspace,
    artifacts,
    get_dataset,
    get_version,
    job_file,
    job_files,
    list_training_runs,
    spec_of,
)

FAST = {"steps": 4, "batch_size": 4, "warmup_steps": 0, "lora_rank": 2, "lora_alpha": 4}
COMPAT = CompatConfig(checkpoint_every=1, initialisation="scratch", **FAST)


class Machines(NamedTuple):
    a: Workspace
    b: Workspace


@pytest.fixture
def machines(
    request: pytest.FixtureRequest, tmp_path: Path, tiny_bases: dict[str, Path], monkeypatch: pytest.MonkeyPatch
):
    """Two machines that share an S3 bucket and a database; on the first, the versions `old` and `new` and a dataset."""
    database, place = getattr(request, "param", ("sqlite", "s3"))
    if place == "s3":
        url = f"s3://{request.getfixturevalue('bucket')}/team"
    else:
        (tmp_path / "mounted").mkdir()
        url = f"file://{tmp_path}/mounted"
    monkeypatch.setenv("MUSCLE_ARTIFACTS", url)
    sqlite = f"sqlite:///{tmp_path}/shared.db"
    monkeypatch.setenv(
        "MUSCLE_DATABASE_URL", sqlite if database == "sqlite" else request.getfixturevalue("postgres_url")
    )
    monkeypatch.setattr(job_files, "_LOOK_SECONDS", 0.0)
    made = Machines(Workspace.open(tmp_path / "a"), Workspace.open(tmp_path / "b"))
    for role in ("old", "new"):
        add_model_version(made.a, role, str(tiny_bases[role]), role=role)
    rows = {"train": choice_rows(24, 300), "test": choice_rows(70)}
    add_dataset_rows(
        made.a,
        "choice",
        "multiple_choice",
        {split: [(row["id"], row) for row in group] for split, group in rows.items()},
        template="Question : {input} Answer :",
    )
    yield made
    for workspace in made:
        workspace.close()


def _compat(workspace: Workspace, run_id: str | None = None, **more: object) -> str:
    version = train_compat(workspace, "old", "new", "choice", COMPAT, run_id=run_id, **more)  # type: ignore[arg-type]
    return str(get_version(workspace, version.name).adapter_fingerprint)


def _weights(workspace: Workspace, fingerprint: str) -> bytes:
    run = next(r for r in list_training_runs(workspace) if _result(workspace, r).adapter_fingerprint == fingerprint)
    adapter = spec_of(workspace, _result(workspace, run)).adapter
    return (Path(str(adapter)) / "adapter_model.safetensors").read_bytes()


def _result(workspace: Workspace, run):
    from muscle_core.store import list_versions

    return next(v for v in list_versions(workspace) if v.id == run.result_version_id)


def _stop_at(step: int) -> dict[str, Callable]:
    seen: list[dict[str, float]] = []
    return {"report": seen.append, "should_stop": lambda: len(seen) == step}


@pytest.mark.parametrize(
    "machines",
    [("sqlite", "s3"), ("sqlite", "file"), pytest.param(("postgres", "s3"), marks=pytest.mark.postgres)],
    indirect=True,
    ids=["s3", "mounted-folder", "postgres-s3"],
)
def test_a_dataset_of_one_machine_is_evaluated_on_the_other_and_compared_on_the_first(machines: Machines) -> None:
    a, b = machines
    runs = [evaluate(b, name, "choice") for name in ("old", "new")]
    assert not a.path("predictions").exists()
    found = compare_versions(a, "old", "new", "choice")
    assert sorted(path.name for path in a.path("predictions").iterdir()) == sorted(run.id for run in runs)
    # What is known is not asked again, wherever.
    assert evaluate(a, "old", "choice").id == runs[0].id
    # Once fetched, it is read without the shared place.
    assert a.artifacts is not None
    for key in a.artifacts.everything():
        a.artifacts.remove(key)
    assert compare_versions(a, "old", "new", "choice").nfr == found.nfr


def test_an_evaluation_that_is_taken_over_asks_nothing_twice(machines: Machines) -> None:
    a, b = machines
    asked: list[str] = []

    def engine(job, shards):
        def noted():
            for number, samples in shards:
                asked.extend(sample.id for sample in samples)
                yield number, samples

        return local_engine(job, noted())

    with pytest.raises(Cancelled, match="after 64 samples"):
        evaluate(a, "old", "choice", engine=engine, should_stop=lambda: True)
    run = evaluate(b, "old", "choice", engine=engine)
    assert (run.rows, len(asked), len(set(asked))) == (70, 70, 70)


def test_a_training_that_goes_from_machine_to_machine_ends_bit_identical(machines: Machines) -> None:
    a, b = machines
    assert a.artifacts is not None
    with pytest.raises(Cancelled, match="stopped after 2 steps"):
        _compat(a, "r1", **_stop_at(2))
    assert a.artifacts.names("jobs/r1/checkpoints") == ["checkpoint-2"]  # the one before is removed
    assert [step["step"] for step in read_metrics(b, "r1")] == [1, 2]
    # What a kill has left there is neither taken for a checkpoint nor in the way.
    b.path("jobs/r1/checkpoints/checkpoint-2").mkdir(parents=True)
    with pytest.raises(Cancelled, match="stopped after 3 steps"):
        _compat(b, "r1", **_stop_at(1))
    assert [step["step"] for step in read_metrics(a, "r1")] == [1, 2, 3]
    steps: list[float] = []
    resumed = _compat(a, "r1", report=lambda step: steps.append(step["step"]))
    assert steps == [4]
    for workspace in machines:
        assert [step["step"] for step in read_metrics(workspace, "r1")] == [1, 2, 3, 4]
    assert a.artifacts.names("jobs/r1/checkpoints") == []
    undisturbed = _compat(b)
    assert undisturbed == resumed
    assert _weights(a, undisturbed) == _weights(b, resumed)
    assert _compat(b, "r1", report=lambda step: pytest.fail("trained again")) == resumed


def test_of_two_machines_at_the_same_training_one_wins(machines: Machines) -> None:
    a, b = machines
    winner: list[str] = []

    def overtake(step: dict[str, float]) -> None:
        if step["step"] == 4:  # a is taken for dead, and b goes on
            winner.append(_compat(b, "r1"))

    assert _compat(a, "r1", report=overtake) == winner[0]
    [run] = list_training_runs(a)
    assert a.artifacts is not None
    assert [f"adapters/{name}" for name in a.artifacts.names("adapters")] == [_result(a, run).adapter]
    assert evaluate(a, _result(a, run).name, "choice", limit=3).rows == 3


def test_adapters_made_on_one_machine_are_used_on_the_other(machines: Machines) -> None:
    a, b = machines
    for role in ("old", "new"):
        train_task(a, f"task-{role}", role, "choice", TaskConfig(**FAST), role=role)
    assert not b.path("adapters").exists()
    mixed = interpolate_versions(b, "task-old", "task-new", "choice", "task-old", "task-new", 0.5, other_base=True)
    assert evaluate(a, mixed.name, "choice", limit=3).rows == 3
    adapter = get_version(a, mixed.name).adapter
    shutil.rmtree(b.path("adapters"))
    assert add_model_version(b, "again", str(get_version(b, "new").base), adapter=adapter).adapter == adapter


def test_a_job_of_one_machine_runs_on_the_other(machines: Machines, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = machines
    work, _ = compat_works("old", "new", "choice", COMPAT, train_split="train", test_split="test")
    job = submit(a, work).job_id
    log = job_file(a, job, LOG)
    log.parent.mkdir(parents=True)
    log.write_text("said on the first machine\n")
    job_files.publish_job_files(a, job)
    assert run_worker(b, once=True) == 1
    assert get_job(a, job).state == "succeeded", get_job(a, job).error
    assert job_file(b, job, LOG).read_text().startswith("said on the first machine\n")
    assert job_file(a, job, LOG).read_text() == job_file(b, job, LOG).read_text()
    assert [step["step"] for step in read_metrics(a, job)] == [1, 2, 3, 4]
    assert evaluate(a, "new-token_correctness-s0", "choice").origin == "evaluated"


def test_a_file_that_is_being_written_here_is_not_replaced(machines: Machines) -> None:
    a, _ = machines
    with (a.job_folder("j") / LOG).open("a", buffering=1) as stream:
        for text in ("one\n", "two\n", "three\n"):
            job_files.publish_job_files(a, "j")
            stream.write(text)
            assert job_file(a, "j", LOG).read_text().endswith(text)
    assert job_file(a, "j", LOG).read_text() == "one\ntwo\nthree\n"


def test_damaged_copies_are_refused_and_what_can_be_made_anew_is(
    machines: Machines, s3: Server, bucket: str, tmp_path: Path
) -> None:
    a, b = machines
    run = evaluate(a, "old", "choice")
    for found in s3.client().list_objects_v2(Bucket=bucket)["Contents"]:
        if not found["Key"].endswith("_manifest.json"):
            s3.client().put_object(Bucket=bucket, Key=found["Key"], Body=b"damaged")
    dataset = get_dataset(b, "choice")
    with pytest.raises(StoreError, match=f"{dataset.path} at .* is damaged: .*checksum"):
        load_samples(b, dataset, "test")
    rows = {"train": choice_rows(24, 300), "test": choice_rows(70)}
    given = {split: [(row["id"], row) for row in group] for split, group in rows.items()}
    add_dataset_rows(b, "choice", "multiple_choice", given, template="Question : {input} Answer :")
    again = evaluate(b, "old", "choice")
    assert again.id != run.id
    third = Workspace.open(tmp_path / "c")
    assert len(load_samples(third, dataset, "test")) == 70
    assert evaluate(third, "old", "choice").id == again.id
    third.close()


def test_a_failing_line_costs_no_training_and_removes_nothing(
    machines: Machines, s3: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    line = Line(s3.port)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{line.port}")
    monkeypatch.setattr(artifacts, "_WAITS", ())
    c = Workspace.open(tmp_path / "c")
    cut_at = {2: line.cut, 3: line.mend, 4: line.cut}
    with pytest.raises(StoreError, match=r"is trained, but cannot be shared .* kept in .*adapters.*resume the job"):
        _compat(c, "r1", report=lambda step: cut_at.get(int(step["step"]), lambda: None)())
    assert "checkpoint-2 is not shared" in caplog.text
    assert list_training_runs(c) == []
    assert len(list(c.path("adapters").iterdir())) == 1
    with pytest.raises(ArtifactsUnreachable):
        evaluate(c, "old", "choice")
    line.mend()
    steps: list[float] = []
    resumed = _compat(c, "r1", report=lambda step: steps.append(step["step"]))
    assert steps == [4]
    run = evaluate(c, "old", "choice")
    # A known run that cannot be fetched is no reason to remove it.
    d = Workspace.open(tmp_path / "d")
    load_samples(d, get_dataset(d, "choice"), "test")
    line.cut()
    with pytest.raises(ArtifactsUnreachable):
        evaluate(d, "old", "choice")
    line.mend()
    assert evaluate(d, "old", "choice").id == run.id
    assert _compat(machines.b) == resumed
    for workspace in (c, d):
        workspace.close()
    line.close()


def test_what_was_made_before_there_was_a_shared_place_is_shared_by_a_command(
    filled: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    with pytest.raises(ConfigError, match="set MUSCLE_ARTIFACTS"):
        share_workspace(filled)
    evaluate(filled, "old", "choice")
    version = train_task(filled, "task", "new", "choice", TaskConfig(**FAST), run_id="r1")
    (tmp_path / "mounted").mkdir()
    monkeypatch.setenv("MUSCLE_ARTIFACTS", f"file://{tmp_path}/mounted")
    lost = Dataset(
        name="lost", task_kind="math", splits={}, fingerprint="", template="", decoding={}, path="datasets/lost.parquet"
    )
    with filled.writing() as session:
        session.add(lost)
    for _ in range(2):
        share_command()
        told = capsys.readouterr()
        assert told.out == "3 artefacts of this machine are shared\n"
        assert "neither here nor shared: datasets/lost.parquet" in told.err
    monkeypatch.setenv("MUSCLE_DATABASE_URL", f"sqlite:///{filled.home}/muscle.db")
    other = Workspace.open(tmp_path / "other")
    assert evaluate(other, version.name, "choice").rows == 30
    assert [step["step"] for step in read_metrics(other, "r1")] == [1, 2, 3, 4]
    evaluate(
        other, "old", "choice", options=EvaluationOptions(scoring="per_byte"), engine=lambda *_: pytest.fail("asked")
    )
    other.close()
