"""A look at tokens as a job: kept in the workspace, done once, and gone with what it is of. Real tiny models."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from furnished import age
from helpers import choice_rows, save_random_adapter
from jobs_running import start_worker, wait_for

from muscle_core.actions.background.submit import submit_token_views
from muscle_core.actions.imports.outputs import import_predictions
from muscle_core.actions.library.datasets import add_dataset_rows, load_samples
from muscle_core.actions.library.models import add_model_version
from muscle_core.actions.strategies.token_view import job_of_tokens, keep_token_views, view_tokens, why_no_tokens
from muscle_core.actions.upkeep.cleanup import find_orphans, remove_orphans
from muscle_core.actions.upkeep.deletion import delete, plan_deletion
from muscle_core.compat import STRATEGIES
from muscle_core.errors import Cancelled, DataError, ModelError, StoreError
from muscle_core.interchange import ImportColumns
from muscle_core.jobs import FINAL, get_job, list_jobs
from muscle_core.store import Workspace, get_dataset, get_version
from muscle_core.store.disk import disk_use
from muscle_core.store.kept_tokens import KeptTokens, TokensOf, read_tokens, whose_tokens

TRIPLE = ("task-old", "task-new", "choice")


@pytest.fixture
def tuned(filled: Workspace, tiny_bases: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """`task-old` on the old base, `task-new` and `compat` on the new one; submissions start no worker."""
    monkeypatch.setattr("muscle_core.actions.background.submit.ensure_worker", lambda workspace: None)
    for seed, (name, base) in enumerate((("task-old", "old"), ("task-new", "new"), ("compat", "new"))):
        folder = save_random_adapter(tmp_path / name, tiny_bases[base], seed, r=2 + seed)
        add_model_version(filled, name, str(tiny_bases[base]), adapter=str(folder), role=base)
    return filled


def whose(workspace: Workspace, student: str = "task-new", dataset: str = "choice") -> TokensOf:
    versions = [get_version(workspace, name) for name in ("task-old", "task-new", student)]
    return TokensOf(*versions, get_dataset(workspace, dataset))


def sample(workspace: Workspace, identity: str, dataset: str = "choice"):
    samples = load_samples(workspace, get_dataset(workspace, dataset), "test")
    return next(one for one in samples if one.id == identity)


def kept(workspace: Workspace, identity: str, student: str = "task-new") -> KeptTokens | None:
    return read_tokens(workspace, whose(workspace, student), sample(workspace, identity))


def test_a_worker_keeps_what_a_training_would_see(tuned: Workspace) -> None:
    submission = submit_token_views(tuned, *TRIPLE, ["c4", "c0"], compat_name="compat")
    worker = start_worker(tuned.home, "--once")
    try:
        job = wait_for(tuned, submission.job_id, lambda job: job.state in FINAL)
    finally:
        worker.end()
    assert (job.state, job.error, job.result) == ("succeeded", None, {"refused": {}})
    for identity, view in zip(
        ["c4", "c0"], view_tokens(tuned, *TRIPLE, ["c4", "c0"], compat_name="compat"), strict=True
    ):
        found = kept(tuned, identity, "compat")
        assert found.text == view.text
        assert found.follows == view.follows
        assert set(found.follows) == set(STRATEGIES)
        frame = view.frame()
        for name in ("old", "new", "student"):
            assert found.argmax[name] == view.models[name].argmax_text
            assert found.probability[name] == pytest.approx(frame[f"{name}_probability"], abs=1e-5)
    assert kept(tuned, "c0") is None  # of another student
    assert kept(tuned, "c1", "compat") is None


def test_a_double_click_is_one_job_and_the_page_finds_it(tuned: Workspace) -> None:
    first, second = (submit_token_views(tuned, *TRIPLE, ["c0", "c1"]) for _ in range(2))
    assert (first.is_new, second.is_new, first.job_id == second.job_id) == (True, False, True)
    jobs = list_jobs(tuned)
    assert [job.kind for job in jobs] == ["view_tokens"]
    found = job_of_tokens(jobs, whose(tuned), "test", "c1")
    assert found is not None
    assert found.id == first.job_id
    assert job_of_tokens(jobs, whose(tuned), "test", "c2") is None
    assert job_of_tokens(jobs, whose(tuned), "train", "c1") is None
    assert job_of_tokens(jobs, whose(tuned, "compat"), "test", "c1") is None
    # It takes seconds and somebody waits for it: before the trainings that wait.
    assert get_job(tuned, first.job_id).priority > 0


def test_what_is_kept_is_not_looked_at_again(tuned: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[int, int]] = []
    monkeypatch.setattr("muscle_core.actions.strategies.token_view._TOGETHER", 2)
    ids = [f"c{n}" for n in range(5)]
    with pytest.raises(Cancelled, match="tokens of 2 of 5 samples; they are kept"):
        keep_token_views(tuned, *TRIPLE, ids, should_stop=lambda: True)
    assert [kept(tuned, identity) is not None for identity in ids] == [True, True, False, False, False]
    assert keep_token_views(tuned, *TRIPLE, ids, report=lambda *how_far: told.append(how_far)) == {}
    assert told == [(2, 5), (4, 5), (5, 5)]
    monkeypatch.setattr("muscle_core.models.load.load_model", lambda spec: pytest.fail("a model was loaded"))
    assert keep_token_views(tuned, *TRIPLE, ids) == {}
    # A damaged file is as if it was not there.
    place = tuned.path(whose(tuned).path_of(sample(tuned, "c0")))
    place.write_text(place.read_text()[:40])
    assert kept(tuned, "c0") is None


def test_a_sample_that_cannot_be_shown_does_not_stop_the_others(tuned: Workspace) -> None:
    rows = [
        ("bare", {"id": "bare", "prompt": "the cat"}),
        ("long", {"id": "long", "prompt": "cat " * 300, "response": "x"}),
        ("fine", {"id": "fine", "prompt": "the dog", "response": "runs"}),
    ]
    add_dataset_rows(tuned, "free", "instruction", {"test": rows})
    refused = keep_token_views(tuned, "task-old", "task-new", "free", ["bare", "long", "fine"])
    assert refused.keys() == {"bare", "long"}
    assert "no reference answer" in refused["bare"]
    assert "256 tokens" in refused["long"]
    assert read_tokens(tuned, whose(tuned, dataset="free"), sample(tuned, "fine", "free")) is not None


def test_what_cannot_be_asked_is_refused_before_it_is_queued(tuned: Workspace, tmp_path: Path) -> None:
    file = tmp_path / "outputs.csv"
    file.write_text("id,answer\nc0,1\n")
    import_predictions(tuned, "outputs-only", "choice", file, ImportColumns(prediction="answer"))
    with pytest.raises(ModelError, match="imported outputs only"):
        submit_token_views(tuned, "outputs-only", "task-new", "choice", ["c0"])
    with pytest.raises(StoreError, match="no sample 'c99'"):
        submit_token_views(tuned, *TRIPLE, ["c99"])
    for ids in ([], [f"c{n}" for n in range(30)] * 7):
        with pytest.raises(DataError, match="1 to 200 samples"):
            submit_token_views(tuned, *TRIPLE, ids)
    assert list_jobs(tuned) == []
    assert why_no_tokens(whose(tuned)) is None
    without = whose(tuned)._replace(old=get_version(tuned, "outputs-only"))
    assert "imported outputs only" in why_no_tokens(without)


def test_a_look_goes_with_its_version_and_with_its_dataset(tuned: Workspace) -> None:
    rows = [(row["id"], row) for row in choice_rows(2)]
    add_dataset_rows(tuned, "other", "multiple_choice", {"test": rows})
    keep_token_views(tuned, *TRIPLE, ["c0"])
    keep_token_views(tuned, *TRIPLE, ["c0"], compat_name="compat")
    keep_token_views(tuned, "task-old", "task-new", "other", ["c0"])
    folders = {whose_tokens(folder)["student"]: folder for folder in tuned.home.glob("tokens/*")}
    assert len(list(tuned.home.glob("tokens/*"))) == 3
    uses = {use.name for use in disk_use(tuned) if use.kind == "token views"}
    assert uses == {"task-old → task-new"}
    of_compat = folders[get_version(tuned, "compat").fingerprint].relative_to(tuned.home).as_posix()
    assert of_compat in plan_deletion(tuned, "version", "compat").paths
    delete(tuned, "version", "compat")
    assert len(list(tuned.home.glob("tokens/*"))) == 2
    assert kept(tuned, "c0") is not None
    delete(tuned, "dataset", "other")
    assert len(list(tuned.home.glob("tokens/*"))) == 1
    assert kept(tuned, "c0") is not None


def test_the_clean_up_takes_what_is_of_nothing(tuned: Workspace) -> None:
    keep_token_views(tuned, *TRIPLE, ["c0", "c1"])
    [folder] = tuned.home.glob("tokens/*")
    (folder / "abc.partial").write_text("{")
    age(folder)
    assert [orphan.path for orphan in find_orphans(tuned)] == [f"tokens/{folder.name}/abc.partial"]
    asked = json.loads((folder / "asked.json").read_text())
    (folder / "asked.json").write_text(json.dumps({**asked, "old": "gone"}))
    age(folder)
    [orphan] = [one for one in remove_orphans(tuned) if one.path.count("/") == 1]
    assert orphan.path == f"tokens/{folder.name}"
    assert not folder.exists()


def test_another_machine_fetches_a_look_that_was_shared(
    tuned: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MUSCLE_ARTIFACTS", f"file://{tmp_path}/shared")
    (tmp_path / "shared").mkdir()
    here = Workspace.open()
    keep_token_views(here, *TRIPLE, ["c0"])
    of, one = whose(here), sample(here, "c0")
    there = Workspace.open(tmp_path / "other")
    assert read_tokens(there, of, one) is None  # nothing is asked for over the network unless that is wanted
    assert read_tokens(there, of, one, fetch=True) == read_tokens(here, of, one)
    [folder] = there.home.glob("tokens/*")
    assert whose_tokens(folder) == of.asked()
    assert read_tokens(there, of, sample(here, "c1"), fetch=True) is None
    delete(here, "version", "task-old")
    assert list(tmp_path.glob("shared/tokens/*/*")) == []
    for opened in (here, there):
        opened.close()
