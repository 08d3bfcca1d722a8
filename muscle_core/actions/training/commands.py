"""A compatibility training as text that starts it elsewhere: the command, and a recipe."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from typing import Any

import yaml

from muscle_core.actions.training.presets import compat_preset, preset_of
from muscle_core.compat.config import CompatConfig
from muscle_core.errors import ConfigError
from muscle_core.store import Dataset

_FLAGS = ("strategy", "initialisation", "seed")  # options of the command that are not written as --set


@dataclass(frozen=True)
class CompatRequest:
    """A compatibility training that a user asks for.

    Attributes:
        old: name of the old version.
        new: name of the new version.
        dataset: the dataset.
        preset: the preset that the options began with; the text names only what departs from it.
        config: the options.
        train_split: split to train on.
        test_split: split to evaluate the result on.
        limit: train on the first samples only.
    """

    old: str
    new: str
    dataset: Dataset
    preset: str
    config: CompatConfig
    train_split: str = "train"
    test_split: str = "test"
    limit: int | None = None

    @property
    def changes(self) -> dict[str, Any]:
        """Options that are not those of the preset."""
        usual = compat_preset(self.preset).as_dict()
        return {name: value for name, value in self.config.as_dict().items() if value != usual[name]}


def compat_command(request: CompatRequest, *, background: bool = True) -> str:
    """The command that queues the training (or, without `background`, does it), quoted for a POSIX shell.

    Options that are those of the preset, and splits that have their usual names, are left out.
    """
    words = ["python", "-m", "muscle_core", "train", "compat", request.old, request.new, "--dataset"]
    words.append(request.dataset.name)
    if request.preset != preset_of(request.dataset):
        words += ["--preset", request.preset]
    changes = request.changes
    for name in _FLAGS:
        if name in changes:
            words += [f"--{name}", str(changes.pop(name))]
    for name, value in changes.items():
        words += ["--set", f"{name}={_value(value)}"]
    for option, split, usual in (
        ("--split", request.train_split, "train"),
        ("--test-split", request.test_split, "test"),
    ):
        words += [] if split == usual else [option, split]
    words += [] if request.limit is None else ["--limit", str(request.limit)]
    return shlex.join([*words, "--background"] if background else words)


def compat_recipe(request: CompatRequest) -> str:
    """A recipe (`muscle_core.actions.training.recipes`) with the training and its evaluation.

    Raises:
        ConfigError: a text holds a "$", which a recipe takes for an environment variable.
    """
    changes = request.changes
    for name in ("strategy", "seed"):
        changes.pop(name, None)
    entry: dict[str, Any] = {
        "old": request.old,
        "new": request.new,
        "dataset": request.dataset.name,
        "preset": request.preset,
        "strategies": [request.config.strategy],
        "seeds": [request.config.seed],
    }
    if changes:
        entry["options"] = changes
    if request.train_split != "train":
        entry["train_split"] = request.train_split
    if request.test_split != "test":
        entry["test_split"] = request.test_split
    if request.limit is not None:
        entry["limit"] = request.limit
    about = f"One compatibility training for {request.old} -> {request.new} on {request.dataset.name}"
    text = yaml.safe_dump({"about": about, "ablations": [entry]}, sort_keys=False, width=100)
    if "$" in text:
        raise ConfigError('a recipe cannot hold a "$" in the name of a split or a layer; use the command instead.')
    return text


def _value(value: Any) -> str:
    """As `--set` reads it back: JSON, and a bare word where that is no JSON."""
    if isinstance(value, str):
        try:
            json.loads(value)
        except ValueError:
            return value
    return json.dumps(value)
