"""The compatibility adapters of the demo: made by its recipe from its weights and rows, and loaded with the record."""

from __future__ import annotations

import json

import pytest

from muscle_core.actions.library.demo import load_demo
from muscle_core.actions.strategies.ablation import AblationRequest, plan_ablation
from muscle_core.actions.training.step_records import read_metrics
from muscle_core.actions.updates.compare import trained_variants
from muscle_core.demo.rebuild import COMPAT, TRAINING_RECORD, WEIGHTS
from muscle_core.demo.recipe import COMPAT_ADAPTERS, TASKS, VERSIONS, compat_name, dataset_name, version_name
from muscle_core.errors import Cancelled
from muscle_core.store import Workspace, get_dataset, get_version


def load_without_evaluations(workspace: Workspace) -> None:
    reached = []
    with pytest.raises(Cancelled):
        load_demo(
            workspace,
            report=lambda stage, done, total: reached.append(stage),
            should_stop=lambda: reached[-1].startswith("evaluating"),
        )


def test_each_adapter_is_there_with_the_training_that_made_it(workspace: Workspace) -> None:
    load_without_evaluations(workspace)
    load_without_evaluations(workspace)  # again: nothing is doubled
    for task in TASKS:
        dataset = get_dataset(workspace, dataset_name(task))
        old, new = (get_version(workspace, version_name(task, version)) for version in VERSIONS)
        [variant] = trained_variants(workspace, old, new, dataset)
        assert (variant.version.name, variant.version.role) == (compat_name(task), "compat")
        assert variant.version.parent_id == new.id
        training = variant.training
        assert training.options == COMPAT_ADAPTERS[task].as_dict()
        # What the record says it was made from is what lies in the workspace.
        assert training.made_by["dataset_fingerprint"] == dataset.fingerprint
        assert training.made_by["old_fingerprint"] == old.fingerprint
        assert training.made_by["new_fingerprint"] == new.fingerprint
        steps = read_metrics(workspace, training.id)
        assert [record["step"] for record in steps] == list(range(1, training.options["steps"] + 1))
        assert steps[-1]["loss"] == pytest.approx(training.summary["loss"], rel=1e-4)


def test_a_comparison_of_strategies_takes_it_for_trained(workspace: Workspace) -> None:
    load_without_evaluations(workspace)
    names = [version_name("choice", version) for version in VERSIONS]
    config = COMPAT_ADAPTERS["choice"]
    request = AblationRequest(*names, dataset_name("choice"), config, [config.strategy], [0, 1], "train", "test")
    found = {cell.config.seed: cell.variant for cell in plan_ablation(workspace, request).cells}
    assert found[0] is not None
    assert found[0].version.name == compat_name("choice")
    assert found[1] is None


@pytest.mark.parametrize("task", TASKS)
def test_nothing_of_the_machine_that_trained_it_is_left_in_its_files(task: str) -> None:
    folder = WEIGHTS / f"{task}-{COMPAT}"
    config = json.loads((folder / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == f"base-{VERSIONS[-1]}"
    record = json.loads((folder / TRAINING_RECORD).read_text())
    assert record["summary"]["steps"] == COMPAT_ADAPTERS[task].steps
    assert "/" not in "".join(path.read_text() for path in folder.glob("*.json")).replace("n/a", "")
