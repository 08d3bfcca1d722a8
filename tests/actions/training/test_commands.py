"""The command and the recipe of a training do what they say: the real CLI and the real reader read them back."""

from __future__ import annotations

import shlex
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from muscle_core.actions.training.commands import CompatRequest, compat_command, compat_recipe
from muscle_core.actions.training.presets import compat_preset, preset_names
from muscle_core.actions.training.recipes import read_recipe
from muscle_core.actions.training.train import train_task
from muscle_core.cli import app
from muscle_core.cli.shared import options_of
from muscle_core.compat.config import INITIALISATIONS, SCHEDULES, STRATEGIES, CompatConfig, TaskConfig
from muscle_core.errors import ConfigError
from muscle_core.jobs import list_jobs
from muscle_core.store import Dataset, Workspace, get_dataset

FAST = {"steps": 2, "batch_size": 4, "warmup_steps": 0, "lora_rank": 2, "lora_alpha": 4}
DATASET = Dataset(name="choice", task_kind="multiple_choice", splits={"train": 24, "test": 30}, made_by={})
WORDS = ["q_proj", "v_proj", "true", "1", "a b", "it's"]
CONFIGS = st.builds(
    CompatConfig,
    steps=st.integers(1, 10_000),
    batch_size=st.integers(1, 64),
    seed=st.integers(0, 2**32 - 1),
    learning_rate=st.floats(1e-9, 1.0),
    temperature=st.floats(0.05, 100.0),
    cross_entropy_weight=st.floats(0.0, 1000.0),
    schedule=st.sampled_from(SCHEDULES),
    strategy=st.sampled_from(list(STRATEGIES)),
    initialisation=st.sampled_from(list(INITIALISATIONS)),
    truncate=st.booleans(),
    teacher_store=st.booleans(),
    lora_modules=st.lists(
        st.sampled_from(["q_proj", "v_proj", "true", "1", "a b", "it's"]), min_size=1, max_size=3
    ).map(tuple),
)


def parsed(command: str) -> tuple[CompatConfig, list[str]]:
    """What the command's options mean, by the same steps as the command itself; and its words."""
    words = shlex.split(command)
    values = dict(pairwise(words))
    sets = [word for before, word in pairwise(words) if before == "--set"]
    flags = [name for name in ("strategy", "initialisation") if f"--{name}" in values]
    named: dict[str, object] = {name: values[f"--{name}"] for name in flags}
    if "--seed" in values:
        named["seed"] = int(values["--seed"])
    return compat_preset(values.get("--preset", "paper"), {**options_of(sets), **named}), words


@given(CONFIGS, st.sampled_from(preset_names()))
def test_whatever_the_options_the_command_means_them(config: CompatConfig, preset: str) -> None:
    found, words = parsed(compat_command(CompatRequest("v1", "v2", DATASET, preset, config)))
    assert found == config
    assert words[:7] == ["python", "-m", "muscle_core", "train", "compat", "v1", "v2"]
    usual = compat_preset(preset).as_dict()
    changed = {name for name, value in config.as_dict().items() if value != usual[name]}
    assert len([word for word in words if word == "--set"]) == len(changed - {"strategy", "initialisation", "seed"})


@given(CONFIGS, st.sampled_from(preset_names()))
def test_whatever_the_options_the_recipe_means_them(config: CompatConfig, preset: str) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "recipe.yaml"
        file.write_text(compat_recipe(CompatRequest("v1", "v2", DATASET, preset, config, "dev", "held-out", 7)))
        [ablation] = read_recipe(file).ablations
    [strategy], [seed] = ablation.strategies, ablation.seeds
    assert replace(ablation.config, strategy=strategy, seed=seed) == config
    assert (ablation.old, ablation.new, ablation.dataset, ablation.limit) == ("v1", "v2", "choice", 7)
    assert (ablation.train_split, ablation.test_split) == ("dev", "held-out")


def test_a_preset_as_it_is_needs_no_options() -> None:
    command = compat_command(CompatRequest("v1", "v2", DATASET, "paper", compat_preset("paper")), background=False)
    assert command == "python -m muscle_core train compat v1 v2 --dataset choice"
    demo = Dataset(name="demo", task_kind="math", splits={}, made_by={"preset": "demo"})
    assert "--preset" not in compat_command(CompatRequest("v1", "v2", demo, "demo", compat_preset("demo")))
    assert "--preset paper" in compat_command(CompatRequest("v1", "v2", demo, "paper", compat_preset("paper")))
    entry = yaml.safe_load(compat_recipe(CompatRequest("v1", "v2", DATASET, "paper", compat_preset("paper"))))
    assert set(entry["ablations"][0]) == {"old", "new", "dataset", "preset", "strategies", "seeds"}


def test_a_recipe_with_a_dollar_is_refused() -> None:
    with pytest.raises(ConfigError, match="use the command"):
        compat_recipe(CompatRequest("v1", "v2", DATASET, "paper", compat_preset("paper"), "a$b"))


@pytest.mark.parametrize("preset", ["quick", "paper"])
def test_the_real_command_queues_the_very_same_training(
    filled: Workspace, monkeypatch: pytest.MonkeyPatch, preset: str
) -> None:
    monkeypatch.setattr("muscle_core.actions.background.submit.ensure_worker", lambda workspace: None)
    for role in ("old", "new"):
        train_task(filled, f"task-{role}", role, "choice", TaskConfig(**FAST), role=role)
    changes = {**FAST, "strategy": "old_correct", "seed": 4, "learning_rate": 1.7e-5, "lora_modules": ["q_proj"]}
    config = compat_preset(preset, {**changes, "schedule": "linear", "truncate": True})
    request = CompatRequest("task-old", "task-new", get_dataset(filled, "choice"), preset, config, limit=11)
    words = shlex.split(compat_command(request))
    result = CliRunner().invoke(app, words[3:])
    assert result.exit_code == 0, result.output
    [job] = [job for job in list_jobs(filled) if job.kind == "train_compat"]
    assert CompatConfig.from_dict(job.payload["options"]) == config
    picks = {key: job.payload[key] for key in ("old", "new", "dataset", "train_split", "test_split", "limit")}
    assert picks == {
        "old": "task-old",
        "new": "task-new",
        "dataset": "choice",
        "train_split": "train",
        "test_split": "test",
        "limit": 11,
    }
    again = CliRunner().invoke(app, words[3:])
    assert "already under way" in again.output
