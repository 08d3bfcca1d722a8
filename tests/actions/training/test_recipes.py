"""Recipes: read with all problems at once, run with real tiny models, and go on where they were stopped."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers import choice_rows

from muscle_core.actions.training.recipes import read_recipe, run_recipe
from muscle_core.errors import ConfigError
from muscle_core.store import Workspace, get_dataset, get_version, list_training_runs, list_versions

RECIPES = Path(__file__).parents[3] / "recipes"
FAST = "{steps: 3, batch_size: 4, warmup_steps: 0, lora_rank: 2, lora_alpha: 4}"


@pytest.fixture
def recipe(tmp_path: Path, tiny_bases: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    for split, offset in (("train", 0), ("test", 100)):
        rows = choice_rows(12, offset)
        (tmp_path / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    monkeypatch.setenv("ROWS", str(tmp_path))
    monkeypatch.setenv("BASES", str(tiny_bases["old"].parent))
    path = tmp_path / "recipe.yaml"
    path.write_text(
        f"""
about: a small one
datasets:
  small: {{task: multiple_choice, files: {{train: $ROWS/train.jsonl, test: "${{ROWS}}/test.jsonl"}}}}
versions:
  rounded: {{base: $BASES/old, round_bits: 4, round_group_size: 16, role: old}}
  plain: {{base: $BASES/new, role: new, parent: rounded}}
  old: {{train_on: rounded, dataset: small, role: old, options: {FAST}}}
  new: {{train_on: plain, dataset: small, role: new, parent: old, options: {FAST}}}
ablations:
  - old: old
    new: new
    dataset: small
    options: {FAST}
    strategies: [token_correctness, cross_entropy]
    seeds: [0, 1]
"""
    )
    return path


def test_a_recipe_is_run_once_however_often_it_is_started(workspace: Workspace, recipe: Path) -> None:
    stages: list[str] = []
    [ablation] = run_recipe(workspace, read_recipe(recipe), report=lambda stage, done, total: stages.append(stage))
    assert [(c.config.strategy, c.config.seed, c.evaluated) for c in ablation.cells] == [
        (strategy, seed, True) for seed in (0, 1) for strategy in ("token_correctness", "cross_entropy")
    ]
    assert get_dataset(workspace, "small").splits == {"train": 12, "test": 12}
    assert get_version(workspace, "new").parent_id == get_version(workspace, "old").id
    assert "rounded" in str(get_version(workspace, "rounded").base)
    assert any(stage.startswith("training old") for stage in stages)
    before = {v.id for v in list_versions(workspace)}, {r.id for r in list_training_runs(workspace)}
    run_recipe(workspace, read_recipe(recipe))
    assert ({v.id for v in list_versions(workspace)}, {r.id for r in list_training_runs(workspace)}) == before


def test_a_recipe_that_was_stopped_goes_on(workspace: Workspace, recipe: Path) -> None:
    class Killed(BaseException):
        pass

    def kill(stage: str, done: int, total: int) -> None:
        if stage.startswith("cross_entropy, seed 0: training") and done == 2:
            raise Killed

    with pytest.raises(Killed):
        run_recipe(workspace, read_recipe(recipe), report=kill)
    stages: list[str] = []
    [ablation] = run_recipe(workspace, read_recipe(recipe), report=lambda stage, done, total: stages.append(stage))
    assert all(cell.evaluated for cell in ablation.cells)
    assert not any("training old" in stage or "token_correctness, seed 0" in stage for stage in stages)


def test_all_problems_of_a_recipe_are_named_at_once(recipe: Path) -> None:
    recipe.write_text(
        """
surprise: 1
datasets:
  small: {task: multiple_choice, colour: red}
versions:
  a: {role: old}
  b: {train_on: a, options: {steps: 0}}
ablations:
  - {old: a, dataset: small, strategies: token_correctness, options: {learning_rate: $NO_SUCH_THING}}
"""
    )
    with pytest.raises(ConfigError) as caught:
        read_recipe(recipe)
    text = str(caught.value)
    for part in (
        "unknown key 'surprise'",
        "dataset 'small' has an unknown key 'colour'",
        "dataset 'small' needs 'files'",
        "version 'a' needs 'base' or 'train_on'",
        "version 'b' needs 'dataset'",
        "steps must be a whole number from 1",
        "ablation 1 needs 'new'",
        "strategies must be a list or 'all'",
        "the environment variable NO_SUCH_THING is not set",
    ):
        assert part in text, part


@pytest.mark.parametrize("text", ["- a list", "versions: [1, 2]", "a: [", "ablations: 3"])
def test_files_that_are_no_recipes_are_refused(recipe: Path, text: str) -> None:
    recipe.write_text(text)
    with pytest.raises(ConfigError, match="recipe"):
        read_recipe(recipe)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_recipe(recipe.with_name("missing.yaml"))


@pytest.mark.parametrize("path", sorted(RECIPES.rglob("*.yaml")), ids=lambda path: path.stem)
def test_every_recipe_of_the_project_can_be_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MODEL", "PIQA", "HELLASWAG", "GSM8K", "SAMSUM"):
        monkeypatch.setenv(name, "/somewhere")
    found = read_recipe(path)
    assert found.about
    assert found.ablations
    for ablation in found.ablations:
        assert ablation.new in found.versions or found.demo
