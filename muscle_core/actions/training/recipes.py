"""Recipes: a whole experiment in one YAML file, from datasets and versions to ablations over strategies and seeds.

    about: what the experiment is about
    demo: true                        # load the embedded demo first (optional)
    datasets:
      piqa: {task: multiple_choice, files: {train: $PIQA/train.jsonl, test: $PIQA/test.jsonl}}
    versions:                         # made in this order
      base-old: {base: $MODEL, round_bits: 3, role: old}
      base-new: {base: $MODEL, role: new, parent: base-old}
      old: {train_on: base-old, dataset: piqa, options: {steps: 200}, role: old}
      new: {train_on: base-new, dataset: piqa, options: {steps: 200}, role: new, parent: old}
    ablations:
      - {old: old, new: new, dataset: piqa, preset: paper, strategies: [token_correctness], seeds: [0, 1, 2]}

Words that begin with $ are environment variables. What is there already is not made again, so that a recipe that was
stopped goes on where it was.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from muscle_core.actions.library.datasets import add_dataset
from muscle_core.actions.library.demo import load_demo
from muscle_core.actions.library.models import add_model_version
from muscle_core.actions.strategies.ablation import run_ablation
from muscle_core.actions.strategies.ablation_plan import Ablation, AblationRequest
from muscle_core.actions.training.presets import compat_preset
from muscle_core.actions.training.train import train_task
from muscle_core.compat.config import STRATEGIES, TaskConfig
from muscle_core.errors import ConfigError, ModelError, MuscleError, StoreError, first_line, raise_all
from muscle_core.models.spec import ModelSpec
from muscle_core.paths import local_path
from muscle_core.store import Workspace, get_dataset, get_version

Report = Callable[[str, int, int], None]  # what is being done, how much of it, of how much

_KEYS = {"about", "demo", "datasets", "versions", "ablations"}
_DATASET_KEYS = {"task", "files", "template", "max_new_tokens", "stop", "labels"}
_ADDED_KEYS = {"base", "revision", "adapter", "role", "parent", "round_bits", "round_group_size"}
_TRAINED_KEYS = {"train_on", "dataset", "split", "options", "role", "parent"}
_ABLATION_KEYS = {
    "old",
    "new",
    "dataset",
    "preset",
    "options",
    "strategies",
    "seeds",
    "train_split",
    "test_split",
    "limit",
}
_VARIABLE = re.compile(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)\}?")


@dataclass(frozen=True)
class Recipe:
    """A whole experiment; see the module's text for the fields."""

    about: str = ""
    demo: bool = False
    datasets: dict[str, dict[str, Any]] = field(default_factory=dict)
    versions: dict[str, dict[str, Any]] = field(default_factory=dict)
    ablations: tuple[AblationRequest, ...] = ()


def read_recipe(path: Path) -> Recipe:
    """Read and check a recipe.

    Raises:
        ConfigError: the file cannot be read, or something in it cannot work; all problems at once.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"the recipe {path} cannot be read: {first_line(error)}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"the recipe {path} must be a mapping with some of {', '.join(sorted(_KEYS))}.")
    problems: list[str] = []
    content = _filled(content, problems)
    problems += _unknown("the recipe", content, _KEYS)
    datasets = _mappings(content, "datasets", problems)
    for name, entry in datasets.items():
        problems += _unknown(f"dataset {name!r}", entry, _DATASET_KEYS)
        problems += [f"dataset {name!r} needs {key!r}" for key in ("task", "files") if key not in entry]
    versions = _mappings(content, "versions", problems)
    for name, entry in versions.items():
        problems += _version_problems(name, entry)
    entries = content.get("ablations") or []
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        problems.append("ablations must be a list of mappings")
        entries = []
    ablations = [one for number, entry in enumerate(entries, 1) if (one := _ablation(number, entry, problems))]
    raise_all(problems, ConfigError, f"the recipe {path} cannot work")
    about, demo = str(content.get("about", "")), bool(content.get("demo", False))
    return Recipe(about, demo, datasets, versions, tuple(ablations))


def run_recipe(
    workspace: Workspace, recipe: Recipe, *, report: Report = lambda stage, done, total: None
) -> list[Ablation]:
    """Make all that a recipe names and that is not there.

    Args:
        workspace: where to make it.
        recipe: what to make.
        report: called as work proceeds.

    Returns:
        The ablations, all of them trained and evaluated.

    Raises:
        MuscleError: something cannot be made; what was made before stays.
    """
    if recipe.demo:
        load_demo(workspace, report=report)
    for name, entry in recipe.datasets.items():
        if not _is_there(get_dataset, workspace, name):
            options = {key: value for key, value in entry.items() if key not in ("task", "files")}
            add_dataset(workspace, name, entry["task"], entry["files"], **options)
    for number, (name, entry) in enumerate(recipe.versions.items()):
        report(f"model version {name}", number, len(recipe.versions))
        if not _is_there(get_version, workspace, name):
            _make_version(workspace, name, entry, report)
    return [
        run_ablation(workspace, one, report=lambda label, stage, done, total: report(f"{label}: {stage}", done, total))
        for one in recipe.ablations
    ]


def _make_version(workspace: Workspace, name: str, entry: Mapping[str, Any], report: Report) -> None:
    common = {"role": entry.get("role", "new"), "parent": entry.get("parent")}
    if "train_on" in entry:
        train_task(
            workspace,
            name,
            entry["train_on"],
            entry["dataset"],
            TaskConfig.from_dict(entry.get("options") or {}),
            split=entry.get("split", "train"),
            report=lambda step: report(f"training {name}", int(step["step"]), int(step["steps"])),
            **common,
        )
        return
    base = str(entry["base"])
    if "round_bits" in entry:
        from muscle_core.models.round_weights import write_rounded

        bits, group = entry["round_bits"], entry.get("round_group_size", 32)
        folder = workspace.path(f"bases/{name}")
        if not folder.exists():
            write_rounded(ModelSpec(_local(base), entry.get("revision")), folder, bits=bits, group_size=group)
        base = str(folder)
    add_model_version(workspace, name, base, adapter=entry.get("adapter"), revision=entry.get("revision"), **common)


def _local(base: str) -> str:
    path = local_path(base, ModelError)
    return str(path) if path.exists() else base


def _is_there(get: Callable[[Workspace, str], Any], workspace: Workspace, name: str) -> bool:
    try:
        get(workspace, name)
    except StoreError:
        return False
    return True


def _filled(value: Any, problems: list[str]) -> Any:
    """The value with environment variables put in."""
    if isinstance(value, dict):
        return {key: _filled(item, problems) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, problems) for item in value]
    if not isinstance(value, str):
        return value

    def put(match: re.Match[str]) -> str:
        name = match.group(1)
        if name not in os.environ:
            problems.append(f"the environment variable {name} is not set (in {value!r})")
        return os.environ.get(name, "")

    return _VARIABLE.sub(put, value)


def _unknown(what: str, entry: Mapping[str, Any], known: set[str]) -> list[str]:
    return [
        f"{what} has an unknown key {key!r}; known: {', '.join(sorted(known))}" for key in entry if key not in known
    ]


def _mappings(content: Mapping[str, Any], key: str, problems: list[str]) -> dict[str, dict[str, Any]]:
    """A mapping of names to mappings."""
    found = content.get(key) or {}
    if isinstance(found, dict) and all(isinstance(entry, dict) for entry in found.values()):
        return {str(name): entry for name, entry in found.items()}
    problems.append(f"{key} must map names to mappings")
    return {}


def _version_problems(name: str, entry: Mapping[str, Any]) -> list[str]:
    what = f"version {name!r}"
    if "train_on" not in entry:
        missing = [] if "base" in entry else [f"{what} needs 'base' or 'train_on'"]
        return missing + _unknown(what, entry, _ADDED_KEYS)
    problems = _unknown(what, entry, _TRAINED_KEYS)
    problems += [] if "dataset" in entry else [f"{what} needs 'dataset'"]
    try:
        TaskConfig.from_dict(entry.get("options") or {})
    except MuscleError as error:
        problems.append(f"{what}: {error}")
    return problems


def _ablation(number: int, entry: Mapping[str, Any], problems: list[str]) -> AblationRequest | None:
    what = f"ablation {number}"
    found = _unknown(what, entry, _ABLATION_KEYS)
    found += [f"{what} needs {key!r}" for key in ("old", "new", "dataset") if key not in entry]
    strategies, seeds = entry.get("strategies", ["token_correctness"]), entry.get("seeds", [0])
    if strategies == "all":
        strategies = list(STRATEGIES)
    if not isinstance(strategies, list) or not isinstance(seeds, list):
        found.append(f"{what}: strategies must be a list or 'all', and seeds a list")
    config = None
    try:
        config = compat_preset(entry.get("preset", "paper"), entry.get("options") or {})
    except MuscleError as error:
        found.append(f"{what}: {error}")
    problems += found
    if found or config is None:
        return None
    named = {key: entry[key] for key in ("train_split", "test_split", "limit") if key in entry}
    return AblationRequest(
        str(entry["old"]), str(entry["new"]), str(entry["dataset"]), config, tuple(strategies), tuple(seeds), **named
    )
