"""Ablations with real tiny models: nothing is done twice, what was cut off goes on, bad options queue nothing."""

from __future__ import annotations

import fcntl
import json

import pytest
from built import FilledAnd

from muscle_core.actions.background.run_job import run_job
from muscle_core.actions.evaluation.evaluate import evaluate
from muscle_core.actions.strategies.ablation import run_ablation, submit_ablation
from muscle_core.actions.strategies.ablation_plan import AblationRequest, estimated_seconds, plan_ablation
from muscle_core.actions.strategies.over_seeds import compare_over_seeds, group_by_options, old_shares
from muscle_core.actions.training.step_records import read_metrics
from muscle_core.actions.training.train import train_compat, train_task
from muscle_core.actions.updates.compare import compare_trained, trained_variants
from muscle_core.compat.config import CompatConfig, TaskConfig
from muscle_core.errors import Cancelled, ConfigError, JobError
from muscle_core.jobs import Slots, get_job, list_jobs, request_cancel
from muscle_core.jobs.leases import claim
from muscle_core.store import Workspace, get_dataset, get_version, list_training_runs

FAST = {"steps": 3, "batch_size": 4, "warmup_steps": 0, "lora_rank": 2, "lora_alpha": 4}
PAIR = ("task-old", "task-new", "choice")
CONFIG = CompatConfig(**FAST)


def _trained(workspace: Workspace) -> None:
    for role in ("old", "new"):
        train_task(workspace, f"task-{role}", role, "choice", TaskConfig(**FAST), role=role)


@pytest.fixture
def trained(filled_and: FilledAnd, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """Task adapters on both bases; no worker takes the jobs away."""
    monkeypatch.setattr("muscle_core.actions.strategies.ablation.ensure_worker", lambda workspace: None)
    monkeypatch.setattr("muscle_core.actions.background.submit.ensure_worker", lambda workspace: None)
    return filled_and(_trained)


def compat_runs(workspace: Workspace) -> list[tuple[str | None, int]]:
    return sorted((run.strategy, run.seed) for run in list_training_runs(workspace) if run.kind == "compat")


def run_queued(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Run all queued jobs here, as the worker's child does; returns their ids."""
    ran = []
    while (job := claim(workspace, "test", "here", Slots())) is not None:
        monkeypatch.setenv("MUSCLE_JOB_TOKEN", str(job.token))
        assert run_job(workspace, job.id) == "succeeded", get_job(workspace, job.id).error
        ran.append(job.id)
    return ran


def test_submitted_trainings_run_share_the_teachers_and_are_not_repeated(
    trained: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = {"strategies": ["token_correctness", "always_old"], "seeds": [0, 1]}
    done = train_compat(trained, *PAIR, CONFIG)
    evaluate(trained, done.name, "choice")
    submitted = submit_ablation(trained, AblationRequest(*PAIR, CONFIG, **wanted))
    assert [cell.label for cell in submitted.there] == ["token_correctness, seed 0"]
    assert [one.is_new for one in submitted.submissions] == [True, True, True]
    titles = [job.title for job in reversed(list_jobs(trained))]
    assert titles[0] == "Train always_old, seed 0, for task-old → task-new on choice"
    again = submit_ablation(trained, AblationRequest(*PAIR, CONFIG, **wanted))
    assert [one.job_id for one in again.submissions] == [one.job_id for one in submitted.submissions]
    assert not any(one.is_new for one in again.submissions)
    assert (
        len(run_queued(trained, monkeypatch)) == 9
    )  # three trainings, evaluations of these and of both versions, one table
    table = next(job for job in list_jobs(trained) if job.kind == "compare_ablation").result["table"]
    assert [row["seeds"] for row in table] == ["–", "0, 1", "0, 1"]
    assert len([path for path in trained.path("teachers").iterdir() if path.is_dir()]) == 2  # one a teacher, for all
    assert len(compat_runs(trained)) == 4
    last = submit_ablation(trained, AblationRequest(*PAIR, CONFIG, **wanted))
    assert (last.submissions, len(last.there)) == ([], 4)
    assert len(list_jobs(trained)) == 9


def test_other_options_splits_and_rows_are_other_trainings(trained: Workspace) -> None:
    def missing(config: CompatConfig = CONFIG, **more: object) -> bool:
        plan = plan_ablation(trained, AblationRequest(*PAIR, config, ["token_correctness"], [0], **more))
        return plan.cells[0].variant is None

    assert missing()
    train_compat(trained, *PAIR, CONFIG, limit=24)
    assert not missing()
    assert not missing(limit=24)  # all 24 rows there are
    assert not missing(limit=500)
    assert missing(limit=10)
    assert missing(CompatConfig(**{**FAST, "steps": 4}))
    assert missing(train_split="test", test_split="train")


def test_what_is_trained_but_not_evaluated_is_only_evaluated(
    trained: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_compat(trained, *PAIR, CONFIG)
    submit_ablation(trained, AblationRequest(*PAIR, CONFIG, strategies=["token_correctness"], seeds=[0]))
    assert [job.kind for job in list_jobs(trained)] == ["compare_ablation", *["evaluate"] * 3]
    run_queued(trained, monkeypatch)
    plan = plan_ablation(trained, AblationRequest(*PAIR, CONFIG, strategies=["token_correctness"], seeds=[0]))
    assert plan.cells[0].evaluated


def test_a_cancelled_job_is_resumed_rather_than_begun_anew(trained: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = {"strategies": ["token_correctness"], "seeds": [0]}
    first = submit_ablation(trained, AblationRequest(*PAIR, CONFIG, **wanted)).submissions[0]
    request_cancel(trained, first.job_id)
    assert plan_ablation(trained, AblationRequest(*PAIR, CONFIG, **wanted)).cells[0].is_missing
    second = submit_ablation(trained, AblationRequest(*PAIR, CONFIG, **wanted)).submissions[0]
    assert second == (first.job_id, True)
    assert run_queued(trained, monkeypatch)[0] == first.job_id
    assert [job.state for job in list_jobs(trained)] == ["succeeded"] * 5


def test_all_problems_are_told_at_once_and_nothing_is_queued(trained: Workspace) -> None:
    early = CompatConfig(**FAST, validation_every=1)
    with pytest.raises(ConfigError) as caught:
        submit_ablation(
            trained, AblationRequest("task-older", "task-new", "choice", early, ["magic", "always_old"], [-1], limit=0)
        )
    message = str(caught.value)
    for words in (
        "unknown strategy 'magic'",
        "seed must be",
        "no model version named 'task-older'",
        "at least 1",
        "no split 'validation'",
    ):
        assert words in message
    with pytest.raises(ConfigError, match="Train on another split"):
        submit_ablation(trained, AblationRequest(*PAIR, CONFIG, ["always_old"], [0], train_split="test"))
    for wanted in ({"strategies": [], "seeds": [0]}, {"strategies": ["always_old"], "seeds": []}):
        with pytest.raises(ConfigError, match="name at least one"):
            submit_ablation(trained, AblationRequest(*PAIR, CONFIG, **wanted))
        with pytest.raises(ConfigError, match="name at least one"):
            run_ablation(trained, AblationRequest(*PAIR, CONFIG, **wanted))
    assert list_jobs(trained) == []
    assert compat_runs(trained) == []


def test_an_interrupted_foreground_run_goes_on_from_its_checkpoint(trained: Workspace) -> None:
    wanted = {"strategies": ["token_correctness", "cross_entropy"], "seeds": [0]}
    seen: list[tuple[str, str, int]] = []

    def report(label: str, stage: str, done: int, total: int) -> None:
        seen.append((label, stage, done))

    def in_second_step() -> bool:
        return bool(seen) and seen[-1] == ("cross_entropy, seed 0", "training", 2)

    with pytest.raises(Cancelled):
        run_ablation(trained, AblationRequest(*PAIR, CONFIG, **wanted), report=report, should_stop=in_second_step)
    assert compat_runs(trained) == [("token_correctness", 0)]
    seen.clear()
    plan = run_ablation(trained, AblationRequest(*PAIR, CONFIG, **wanted), report=report)
    assert [step for step in seen if step[1] == "training"] == [("cross_entropy, seed 0", "training", 3)]
    assert all(cell.evaluated for cell in plan.cells)
    run = next(v.training for v in plan.variants if v.training.strategy == "cross_entropy")
    assert [step["step"] for step in read_metrics(trained, run.id)] == [1, 2, 3]
    seen.clear()
    run_ablation(trained, AblationRequest(*PAIR, CONFIG, **wanted), report=report)
    assert seen == []
    assert compat_runs(trained) == [("cross_entropy", 0), ("token_correctness", 0)]


def test_an_adapter_left_by_a_kill_before_its_record_is_made_again(trained: Workspace) -> None:
    wanted = {"strategies": ["always_old"], "seeds": [0]}
    request = AblationRequest(*PAIR, CONFIG, **wanted)
    with pytest.raises(Cancelled):
        run_ablation(trained, request, should_stop=lambda: trained.path("jobs").exists())
    run_id = next(path.parent.name for path in trained.path("jobs").glob("*/lock"))
    left = trained.path(f"adapters/{run_id}-0123abcd")
    left.mkdir(parents=True)
    assert run_ablation(trained, AblationRequest(*PAIR, CONFIG, **wanted)).variants[0].training.id == run_id
    assert not left.exists()


def test_no_training_is_done_twice_at_once(trained: Workspace) -> None:
    wanted = {"strategies": ["always_old"], "seeds": [0]}
    request = AblationRequest(*PAIR, CONFIG, **wanted)
    with pytest.raises(Cancelled):
        run_ablation(trained, request, should_stop=lambda: trained.path("jobs").exists())
    lock = next(trained.path("jobs").glob("*/lock"))
    with lock.open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(JobError, match="another process"):
            run_ablation(trained, AblationRequest(*PAIR, CONFIG, **wanted))
    submit_ablation(trained, AblationRequest(*PAIR, CONFIG, **wanted))
    with pytest.raises(JobError, match="under way in the background"):
        run_ablation(trained, AblationRequest(*PAIR, CONFIG, **wanted))


def test_only_equal_options_are_pooled_and_the_table_agrees_with_the_single_rows(trained: Workspace) -> None:
    strategies = ["token_correctness", "cross_entropy"]
    run_ablation(trained, AblationRequest(*PAIR, CONFIG, strategies=strategies, seeds=[0, 1]))
    longer = CompatConfig(**{**FAST, "steps": 4})
    run_ablation(trained, AblationRequest(*PAIR, longer, strategies=["token_correctness"], seeds=[0]))
    old, new = (get_version(trained, name) for name in PAIR[:2])
    variants = trained_variants(trained, old, new, get_dataset(trained, "choice"))
    groups = group_by_options(variants)
    assert [(group.label, list(group.by_seed)) for group in groups] == [
        ("token_correctness, steps 3", [0, 1]),
        ("cross_entropy", [0, 1]),
        ("token_correctness, steps 4", [0]),
    ]
    assert groups[2].differing == "steps 4"
    table = compare_over_seeds(trained, *PAIR, variants).set_index("label")
    single = compare_trained(trained, *PAIR)
    for group in groups:
        names = [variant.version.name for variant in group.by_seed.values()]
        rows = single[single["version"].isin(names)]
        assert table.loc[group.label, "nfr"] == pytest.approx(rows["nfr"].mean())
        assert table.loc[group.label, "nfr_change"] == pytest.approx(rows["nfr_change"].mean())
        assert table.loc[group.label, "accuracy_change"] == pytest.approx(rows["accuracy_change"].mean())
        assert table.loc[group.label, "accuracy_min"] == pytest.approx(rows["accuracy"].min())
    assert table["seed_list"].tolist() == [None, "0, 1", "0, 1", "0"]
    assert table.loc["cross_entropy", "old_share"] is None
    shares = old_shares(trained, variants)
    assert set(shares["strategy"]) == {"token_correctness"}
    assert len(shares) == 3 + 3 + 4
    assert json.loads(shares.to_json(orient="records"))[0]["step"] == 1


def test_the_estimate_needs_a_measured_training(trained: Workspace) -> None:
    def plan(strategies: list[str]):
        return plan_ablation(trained, AblationRequest(*PAIR, CONFIG, strategies=strategies, seeds=[0, 1]))

    assert estimated_seconds(trained, plan(["always_old"])) is None
    train_compat(trained, *PAIR, CONFIG)
    seconds = next(run for run in list_training_runs(trained) if run.kind == "compat").summary["seconds"]
    assert estimated_seconds(trained, plan(["always_old"])) == (pytest.approx(2 * seconds), 1)
    # The trained one of two seeds is only evaluated, which is not estimated.
    assert estimated_seconds(trained, plan(["token_correctness"])) == (pytest.approx(seconds), 1)
