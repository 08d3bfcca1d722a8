"""Train adapters through the workspace, with real tiny models; and see what a run records."""

from __future__ import annotations

from pathlib import Path

import pytest
from built import FilledAnd

from muscle_core.actions.evaluation.evaluate import evaluate
from muscle_core.actions.imports.outputs import import_predictions
from muscle_core.actions.library.models import add_imported_version as import_version
from muscle_core.actions.library.models import add_model_version
from muscle_core.actions.training import train
from muscle_core.actions.training import trained as saving
from muscle_core.actions.training.step_records import read_metrics
from muscle_core.actions.training.train import check_compat, check_held_out, train_compat, train_task
from muscle_core.actions.updates.compare import compare_trained, compare_versions
from muscle_core.compat.config import CompatConfig, TaskConfig
from muscle_core.errors import Cancelled, ConfigError, DataError, ModelError, StoreError
from muscle_core.interchange import ImportColumns
from muscle_core.models.spec import recorded_base_fingerprint
from muscle_core.store import Workspace, get_dataset, get_version, list_training_runs, list_versions

FAST = {"steps": 3, "batch_size": 4, "warmup_steps": 0, "lora_rank": 2, "lora_alpha": 4}


def _trained(workspace: Workspace) -> None:
    for role in ("old", "new"):
        train_task(workspace, f"task-{role}", role, "choice", TaskConfig(**FAST), role=role)
        evaluate(workspace, f"task-{role}", "choice")


@pytest.fixture
def trained(filled_and: FilledAnd) -> Workspace:
    """Task adapters on both bases, evaluated."""
    return filled_and(_trained)


def test_a_task_adapter_becomes_a_version_with_its_lineage(trained: Workspace) -> None:
    version = get_version(trained, "task-new")
    assert version.adapter is not None
    assert version.adapter.startswith("adapters/")
    assert recorded_base_fingerprint(trained.path(version.adapter)) == version.base_fingerprint
    run = next(run for run in list_training_runs(trained) if run.result_version_id == version.id)
    assert (run.kind, run.strategy, run.summary["steps"]) == ("task", None, 3)
    assert run.made_by["libraries"]["torch"].startswith("2.13.0")
    assert [step["step"] for step in read_metrics(trained, run.id)] == [1, 2, 3]


def test_a_compat_adapter_is_trained_compared_and_recorded(trained: Workspace) -> None:
    config = CompatConfig(strategy="token_correctness", initialisation="old", **FAST)
    version = train_compat(trained, "task-old", "task-new", "choice", config)
    assert version.name == "task-new-token_correctness-s0"
    assert version.role == "compat"
    assert version.parent_id == get_version(trained, "task-new").id
    evaluate(trained, version.name, "choice")
    table = compare_trained(trained, "task-old", "task-new", "choice")
    assert list(table["version"]) == ["task-new", version.name]
    assert table["strategy"].iloc[1] == "token_correctness"
    assert 0 <= table["old_share"].iloc[1] <= 1
    run = next(run for run in list_training_runs(trained) if run.kind == "compat")
    assert run.made_by["old_fingerprint"] == get_version(trained, "task-old").fingerprint
    assert CompatConfig.from_dict(run.options) == config


def test_names_are_numbered_rather_than_overwritten(trained: Workspace) -> None:
    config = CompatConfig(initialisation="new", **FAST)
    names = [train_compat(trained, "task-old", "task-new", "choice", config).name for _ in range(2)]
    assert names == ["task-new-token_correctness-s0", "task-new-token_correctness-s0-2"]
    with pytest.raises(ConfigError, match="already a model version"):
        train_compat(trained, "task-old", "task-new", "choice", config, name=names[0])


def test_a_stopped_training_goes_on_when_it_is_called_again_with_its_id(trained: Workspace) -> None:
    before = {v.name for v in list_versions(trained)}, sorted(trained.path("adapters").iterdir())
    config = CompatConfig(**FAST)

    def run(**more: object) -> str:
        version = train_compat(trained, "task-old", "task-new", "choice", config, run_id="r1", **more)
        return str(get_version(trained, version.name).adapter_fingerprint)

    with pytest.raises(Cancelled, match="stopped after 1 steps; its checkpoint is kept"):
        run(should_stop=lambda: True)
    assert ({v.name for v in list_versions(trained)}, sorted(trained.path("adapters").iterdir())) == before
    assert [step["step"] for step in read_metrics(trained, "r1")] == [1]
    steps: list[float] = []
    resumed = run(report=lambda step: steps.append(step["step"]))
    assert steps == [2, 3]
    assert [step["step"] for step in read_metrics(trained, "r1")] == [1, 2, 3]
    undisturbed = train_compat(trained, "task-old", "task-new", "choice", config)
    assert undisturbed.adapter_fingerprint == resumed
    assert not trained.path("jobs/r1/checkpoints").exists()
    # After its end, the same id gives what it made.
    assert run(report=lambda step: pytest.fail("trained again")) == resumed


def test_all_strategies_share_what_the_teachers_said(trained: Workspace) -> None:
    asked: list[str] = []
    for strategy in ("token_correctness", "always_old", "cross_entropy", "old_correct"):
        config = CompatConfig(strategy=strategy, **FAST)
        train_compat(
            trained,
            "task-old",
            "task-new",
            "choice",
            config,
            report_stage=lambda stage, done, total: asked.append(stage) if done == total else None,
        )
    assert asked == ["asking the old version", "asking the new version"]
    assert len([path for path in trained.path(train.STORES).iterdir() if path.is_dir()]) == 2


def test_early_stopping_looks_at_another_split(trained: Workspace) -> None:
    config = CompatConfig(validation_every=1, patience=1, **FAST)
    with pytest.raises(ConfigError, match="needs another split than 'train'"):
        train_compat(trained, "task-old", "task-new", "choice", config, validation_split="train")
    with pytest.raises(StoreError, match="validation"):
        train_compat(trained, "task-old", "task-new", "choice", config)
    version = train_compat(trained, "task-old", "task-new", "choice", config, validation_split="test")
    run = next(run for run in list_training_runs(trained) if run.result_version_id == version.id)
    first = read_metrics(trained, run.id)[0]
    assert first["validation_quality"] <= 1
    assert run.summary["best_step"] in (1, 2, 3)
    # The best adapter is what was saved: evaluated as usual, it flips as often as that look said.
    best = read_metrics(trained, run.id)[run.summary["best_step"] - 1]
    evaluate(trained, version.name, "choice")
    found = compare_versions(trained, "task-old", version.name, "choice")
    assert found.nfr.value == pytest.approx(best["validation_harm"])


def test_other_tokenizers_are_refused_before_anything_is_written(
    trained: Workspace, tiny_bases: dict[str, Path]
) -> None:
    add_model_version(trained, "foreign", str(tiny_bases["foreign"]))
    with pytest.raises(ModelError, match="tokenizers of 'foreign' and 'task-new' differ"):
        train_compat(trained, "foreign", "task-new", "choice", CompatConfig(initialisation="new", **FAST))
    assert all(run.kind == "task" for run in list_training_runs(trained))


def test_versions_that_cannot_be_trained_are_refused(trained: Workspace, tmp_path: Path) -> None:
    file = tmp_path / "outputs.csv"
    file.write_text("id,answer\nc0,1\n")
    import_predictions(trained, "outputs-only", "choice", file, ImportColumns(prediction="answer"))
    with pytest.raises(ModelError, match="imported outputs only"):
        check_compat(trained, "outputs-only", "task-new", "choice", CompatConfig())
    with pytest.raises(ModelError, match="same version"):
        check_compat(trained, "task-new", "task-new", "choice", CompatConfig())
    with pytest.raises(ModelError, match="'old' is a plain base; choose initialisation 'scratch'"):
        check_compat(trained, "old", "new", "choice", CompatConfig(initialisation="old"))


def test_an_adapter_for_another_base_is_refused(trained: Workspace, tiny_bases: dict[str, Path]) -> None:
    adapter = get_version(trained, "task-new").adapter
    with pytest.raises(ModelError, match="trained on another base"):
        add_model_version(trained, "mixed", str(tiny_bases["old"]), adapter=adapter)
    with pytest.raises(ModelError):
        add_model_version(trained, "mixed", str(tiny_bases["wide"]), adapter=adapter)
    assert "mixed" not in {v.name for v in list_versions(trained)}


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"role": "king"}, ConfigError, "role must be one of"),
        ({"parent": "nobody"}, StoreError, "no model version named 'nobody'"),
        ({"name": "a b"}, ConfigError, "not usable"),
        ({"name": "old"}, ConfigError, "already a model version"),
        ({"base": "~nobody-of-that-name/x"}, ModelError, "cannot be used"),
    ],
)
def test_all_is_checked_before_training(
    filled: Workspace, monkeypatch: pytest.MonkeyPatch, options: dict, error: type, words: str
) -> None:
    monkeypatch.setattr("muscle_core.compat.fit.fit_task_adapter", lambda *args, **kwargs: pytest.fail("trained"))
    given = {"name": "t", "base": "old", **options}
    with pytest.raises(error, match=words):
        train_task(filled, given.pop("name"), given.pop("base"), "choice", TaskConfig(**FAST), **given)


def test_a_name_that_is_taken_during_training_gets_a_number(filled: Workspace) -> None:
    def take(step: dict[str, float]) -> None:
        if step["step"] == 1:
            import_version(filled, "t")

    version = train_task(filled, "t", "old", "choice", TaskConfig(**FAST), report=take)
    assert version.name == "t-2"
    assert get_version(filled, "t-2").adapter == version.adapter
    assert [run.result_version_id for run in list_training_runs(filled)] == [version.id]


def test_a_name_that_is_taken_while_saving_gets_a_number(filled: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    import_version(filled, "t")
    free, calls = saving.free_name, []

    def free_at_first(workspace: Workspace, wanted: str) -> str:
        calls.append(wanted)
        return wanted if len(calls) == 1 else free(workspace, wanted)

    monkeypatch.setattr(saving, "free_name", free_at_first)
    monkeypatch.setattr(train, "check_new_version", lambda *args: None)
    version = train_task(filled, "t", "old", "choice", TaskConfig(**FAST))
    assert (version.name, len(calls)) == ("t-2", 2)
    assert get_version(filled, "t-2").id == version.id
    assert [run.result_version_id for run in list_training_runs(filled)] == [version.id]


def test_version_and_training_run_are_saved_together_or_not_at_all(
    filled: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saving, "made_by", lambda **facts: {"not JSON": object()})
    with pytest.raises(Exception, match="JSON serializable"):
        train_task(filled, "t", "old", "choice", TaskConfig(**FAST))
    assert "t" not in {version.name for version in list_versions(filled)}
    assert list_training_runs(filled) == []
    assert list(filled.path("adapters").iterdir()) == []


def test_the_revision_of_the_base_is_kept(filled: Workspace, tiny_bases: dict[str, Path]) -> None:
    add_model_version(filled, "pinned", str(tiny_bases["old"]), revision="abc")
    version = train_task(filled, "t", "pinned", "choice", TaskConfig(**FAST))
    assert (version.base, version.revision) == (str(tiny_bases["old"]), "abc")


def test_the_workspace_can_be_moved(trained: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained.close()
    trained.home.rename(tmp_path / "elsewhere")
    moved = Workspace.open(tmp_path / "elsewhere")
    assert evaluate(moved, "task-old", "choice", limit=5).rows == 5
    train_compat(moved, "task-old", "task-new", "choice", CompatConfig(**FAST))
    adapter = get_version(moved, "task-old").adapter
    assert add_model_version(moved, "again", get_version(moved, "old").base, adapter=adapter).adapter == adapter
    moved.close()


def test_an_adapter_is_not_judged_by_what_it_was_trained_on(filled: Workspace) -> None:
    dataset = get_dataset(filled, "choice")
    check_held_out(dataset, "train", "test")
    with pytest.raises(ConfigError, match="Train on another split"):
        check_held_out(dataset, "test", "test")
    with pytest.raises(StoreError, match="no split 'dev'"):
        check_held_out(dataset, "train", "dev")


def test_bad_submissions_are_refused_and_nothing_is_queued(trained: Workspace) -> None:
    from muscle_core.actions.background.submit import submit_compat, submit_evaluation
    from muscle_core.jobs import list_jobs

    pair = ("task-old", "task-new", "choice", CompatConfig(**FAST))
    with pytest.raises(ConfigError, match="Train on another split"):
        submit_compat(trained, *pair, train_split="test")
    with pytest.raises(ConfigError, match="already a model version"):
        submit_compat(trained, *pair, name="task-old")
    with pytest.raises(DataError, match="at least 1"):
        submit_compat(trained, *pair, limit=0)
    with pytest.raises(DataError, match="at least 1"):
        submit_evaluation(trained, ["old"], "choice", limit=0)
    assert list_jobs(trained) == []


def test_preset_options_are_changed_by_name(workspace: Workspace) -> None:
    from muscle_core.actions.training.presets import compat_preset

    assert compat_preset("quick", {"seed": 5, "strategy": "always_old"}).seed == 5
    assert compat_preset("quick").steps == 50
    for changes in ({"name": "x"}, {"seed": None}, {"strategy": {}}):
        with pytest.raises(ConfigError, match=next(iter(changes))):
            compat_preset("quick", changes)


def test_damaged_step_records_are_told_with_their_line(workspace: Workspace) -> None:
    from muscle_core.actions.training.step_records import read_metrics

    file = workspace.job_folder("a" * 32) / "metrics.jsonl"
    file.write_text('{"step": 1, "loss": null}\n{"step": 2, \n')
    with pytest.raises(StoreError, match=r"training aaaaaaaa are damaged: .*metrics\.jsonl, line 2"):
        read_metrics(workspace, "a" * 32)
    file.write_text('{"step": 1, "loss": null}\n{"step": 2, "los')  # a running one: its last line is half-written
    assert [record["step"] for record in read_metrics(workspace, "a" * 32)] == [1]
