"""Named sets of training options. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from muscle_core.compat.config import CompatConfig
from muscle_core.errors import ConfigError
from muscle_core.store import Dataset, ModelVersion

_PRESETS: dict[str, dict[str, object]] = {
    "quick": {"initialisation": "new", "steps": 50, "batch_size": 8, "learning_rate": 3e-4, "warmup_steps": 5},
    "paper": {"initialisation": "old", "steps": 500, "batch_size": 16, "learning_rate": 3e-4, "warmup_steps": 25},
    "thorough": {
        "initialisation": "old",
        "steps": 2000,
        "batch_size": 16,
        "learning_rate": 3e-4,
        "warmup_steps": 100,
        "validation_every": 200,
        "patience": 4,
    },
    "scratch": {"initialisation": "scratch", "steps": 500, "batch_size": 16, "learning_rate": 3e-4},
}
_FORMER_NAMES = {"default": "paper"}  # recipes and datasets of earlier versions


class Fitted(NamedTuple):
    """Options of a preset as far as they can work for two versions and a dataset.

    Attributes:
        preset: the preset that they are those of; "scratch" for the paper's where it cannot start from an adapter.
        config: the options.
        from_scratch: the version it would start from has no adapter, so that it starts from a fresh one.
        without_validation: the dataset has no validation split, so that it does not stop early.
    """

    preset: str
    config: CompatConfig
    from_scratch: bool
    without_validation: bool


def preset_names() -> list[str]:
    """Names of all presets; "demo" is the embedded demo's, "scratch" is for versions without adapters."""
    return [*_PRESETS, "demo"]


def preset_of(dataset: Dataset) -> str:
    """The preset that is meant for a dataset where none is named."""
    name = str(dataset.made_by.get("preset", "paper"))
    return _FORMER_NAMES.get(name, name)


def compat_preset(name: str, changes: Mapping[str, object] | None = None) -> CompatConfig:
    """Options of a preset, with some of them changed (by option name).

    Raises:
        ConfigError: unknown preset or option, or a value that cannot work.
    """
    name = _FORMER_NAMES.get(name, name)
    if name == "demo":
        from muscle_core.demo.recipe import COMPAT

        values: dict[str, object] = COMPAT.as_dict()
    elif name in _PRESETS:
        values = dict(_PRESETS[name])
    else:
        raise ConfigError(f"unknown preset {name!r}; known: {', '.join(preset_names())}")
    return CompatConfig.from_dict({**values, **(changes or {})})


def fitted_preset(name: str, old: ModelVersion, new: ModelVersion, dataset: Dataset, validation: str) -> Fitted:
    """Options of a preset for two versions on a dataset: without what they cannot have.

    Args:
        name: of the preset.
        old: old version.
        new: new version.
        dataset: dataset to train on.
        validation: name of the split that early stopping looks at.

    Raises:
        ConfigError: unknown preset.
    """
    config = compat_preset(name)
    source = {"old": old, "new": new}.get(config.initialisation)
    bare = source is not None and source.adapter is None
    if bare and _FORMER_NAMES.get(name, name) == "paper":
        name, config = "scratch", compat_preset("scratch")
    elif bare:
        config = replace(config, initialisation="scratch")
    blind = config.validation_every > 0 and validation not in dataset.splits
    if blind:
        config = replace(config, validation_every=0)
    return Fitted(_FORMER_NAMES.get(name, name), config, bare, blind)
