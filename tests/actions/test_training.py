"""Train adapters through the workspace, with real tiny models; and see what a run records."""

from __future__ import annotations

from pathlib import Path

import pytest

from muscle_core.actions.compare import compare_trained
from muscle_core.actions.evaluate import evaluate
from muscle_core.actions.imports import import_predictions
from muscle_core.actions.models import add_model_version
from muscle_core.actions.train import check_compat, read_metrics, train_compat, train_task
from muscle_core.compat.config import CompatConfig, TaskConfig
from muscle_core.errors import Cancelled, ConfigError, ModelError
from muscle_core.interchange import ImportColumns
from muscle_core.models.spec import recorded_base_fingerprint
from muscle_core.store import Workspace, get_version, list_training_runs, list_versions

FAST = {"steps": 3, "batch_size": 4, "warmup_steps": 0, "lora_rank": 2, "lora_alpha": 4}


@pytest.fixture
def trained(filled: Workspace) -> Workspace:
    """Task adapters on both bases, evaluated."""
    for role in ("old", "new"):
        train_task(filled, f"task-{role}", role, "choice", TaskConfig(**FAST), role=role)
        evaluate(filled, f"task-{role}", "choice")
    return filled


def test_a_task_adapter_becomes_a_version_with_its_lineage(trained: Workspace) -> None:
    version = get_version(trained, "task-new")
    assert version.adapter is not None
    assert recorded_base_fingerprint(Path(version.adapter)) == version.base_fingerprint
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


def test_a_stopped_training_leaves_nothing(trained: Workspace) -> None:
    before = {v.name for v in list_versions(trained)}, sorted(trained.path("adapters").iterdir())
    with pytest.raises(Cancelled):
        train_compat(trained, "task-old", "task-new", "choice", CompatConfig(**FAST), should_stop=lambda: True)
    assert ({v.name for v in list_versions(trained)}, sorted(trained.path("adapters").iterdir())) == before


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
