"""Named sets of training options. No torch here."""

from __future__ import annotations

from collections.abc import Mapping

from muscle_core.compat.config import CompatConfig
from muscle_core.errors import ConfigError

# "default" starts from the old adapter, as the paper has it. "scratch" is for versions without adapters.
_PRESETS: dict[str, dict[str, object]] = {
    "default": {"initialisation": "old", "steps": 500, "batch_size": 16, "learning_rate": 3e-4, "warmup_steps": 25},
    "scratch": {"initialisation": "scratch", "steps": 500, "batch_size": 16, "learning_rate": 3e-4},
    "quick": {"initialisation": "new", "steps": 50, "batch_size": 8, "learning_rate": 3e-4, "warmup_steps": 5},
}


def preset_names() -> list[str]:
    """Names of all presets; "demo" is the embedded demo's."""
    return [*_PRESETS, "demo"]


def compat_preset(name: str, changes: Mapping[str, object] | None = None) -> CompatConfig:
    """Options of a preset, with some of them changed (by option name).

    Raises:
        ConfigError: unknown preset or option, or a value that cannot work.
    """
    if name == "demo":
        from muscle_core.demo.recipe import COMPAT

        values: dict[str, object] = COMPAT.as_dict()
    elif name in _PRESETS:
        values = dict(_PRESETS[name])
    else:
        raise ConfigError(f"unknown preset {name!r}; known: {', '.join(preset_names())}")
    return CompatConfig.from_dict({**values, **(changes or {})})


def preset_note(name: str) -> str:
    """What a preset is for, with measured figures where it departs from the paper."""
    notes = {
        "default": "Starts from the old adapter, as the paper has it.",
        "scratch": "For versions without adapters: starts from a fresh one.",
        "demo": "Tuned on the demo; starts from the new adapter, which did better there than the paper's old one.",
        "quick": "A short run to see that everything works; do not judge the method by it.",
    }
    return notes.get(name, "")
