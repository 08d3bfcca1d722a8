"""Options of training, with units and ranges; all problems are reported at once. No torch here."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from muscle_core.errors import ConfigError, raise_all

STRATEGIES: dict[str, str] = {
    "token_correctness": "old teacher where the student's most likely token is not the gold token, else new",
    "token_likelihood": "old teacher where the student gives the gold token less likelihood than the old model",
    "sequence_likelihood": "old teacher where the student gives the whole answer less likelihood than the old model",
    "old_correct": "old teacher where the old model's most likely token is the gold token, else new",
    "always_old": "old teacher for every token (no mask)",
    "always_new": "new teacher for every token (self-distillation; baseline)",
    "cross_entropy": "no teacher: plain training on the gold answer (baseline: just train longer)",
}
INITIALISATIONS: dict[str, str] = {
    "old": "from the old version's task adapter (the paper's choice; needs equal shapes)",
    "new": "from the new version's task adapter",
    "scratch": "a fresh LoRA adapter",
}
SCHEDULES = ("cosine", "linear", "constant")
LORA_MODULES = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """Options that task adapters and compatibility adapters share.

    Attributes:
        steps: optimizer steps.
        batch_size: samples a forward pass.
        gradient_accumulation: forward passes an optimizer step; the loss is the mean over all their answer tokens.
        learning_rate: peak learning rate of AdamW.
        warmup_steps: steps of linear warm-up.
        schedule: "cosine", "linear" or "constant" after the warm-up.
        weight_decay: AdamW weight decay.
        max_grad_norm: gradients are clipped to this norm.
        max_length: samples with more tokens than this are refused.
        seed: seed of data order, initial weights and dropout.
        lora_rank: rank of a fresh LoRA adapter.
        lora_alpha: LoRA scale; the adapter's output is multiplied by lora_alpha / lora_rank.
        lora_dropout: dropout before a fresh LoRA adapter.
        lora_modules: names of the linear layers that get a fresh LoRA adapter.
    """

    steps: int = 500
    batch_size: int = 32
    gradient_accumulation: int = 1
    learning_rate: float = 1e-3
    warmup_steps: int = 20
    schedule: str = "cosine"
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    max_length: int = 1024
    seed: int = 0
    lora_rank: int = 16
    lora_alpha: int = 32
    lora_dropout: float = 0.0
    lora_modules: tuple[str, ...] = LORA_MODULES

    def problems(self) -> list[str]:
        """One line for each option whose value cannot work."""
        found = []
        whole = {
            "steps": (1, 10_000_000),
            "batch_size": (1, 65_536),
            "gradient_accumulation": (1, 65_536),
            "warmup_steps": (0, 10_000_000),
            "max_length": (2, 10_000_000),
            "seed": (0, 2**32 - 1),
            "lora_rank": (1, 4096),
            "lora_alpha": (1, 65_536),
        }
        for name, (low, high) in whole.items():
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
                found.append(f"{name} must be a whole number from {low:,} to {high:,}, got {value!r}")
        ranges = {
            "learning_rate": (0.0, 1.0, False),
            "weight_decay": (0.0, 10.0, True),
            "max_grad_norm": (0.0, 1e6, False),
            "lora_dropout": (0.0, 0.9, True),
        }
        for name, (low_f, high_f, low_allowed) in ranges.items():
            value = getattr(self, name)
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not number or not (low_f <= value <= high_f) or (value == low_f and not low_allowed):
                bound = "from" if low_allowed else "above"
                found.append(f"{name} must be a number {bound} {low_f:g} to {high_f:g}, got {value!r}")
        if not isinstance(self.schedule, str) or self.schedule not in SCHEDULES:
            found.append(f"schedule must be one of {', '.join(SCHEDULES)}, got {self.schedule!r}")
        names = self.lora_modules
        if not isinstance(names, tuple) or not names or not all(isinstance(name, str) and name for name in names):
            found.append(
                f'lora_modules must be a list of at least one layer name, such as ["q_proj", "v_proj"], got {names!r}'
            )
        return found

    def __post_init__(self) -> None:
        raise_all(self.problems(), ConfigError, "these training options cannot work")

    def as_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Read the JSON form.

        Raises:
            ConfigError: an unknown option, or a value that cannot work.
        """
        known = {field.name for field in fields(cls)}
        unknown = [
            f"unknown option {name!r}; known: {', '.join(sorted(known))}" for name in values if name not in known
        ]
        raise_all(unknown, ConfigError, "these training options cannot work")
        chosen: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        return cls(**chosen)


@dataclass(frozen=True, kw_only=True)
class TaskConfig(TrainOptions):
    """Options of a task adapter: cross-entropy on the answer tokens, from a fresh LoRA adapter."""


@dataclass(frozen=True, kw_only=True)
class CompatConfig(TrainOptions):
    """Options of a compatibility adapter.

    Attributes:
        strategy: which teacher each answer token follows; a key of `STRATEGIES`.
        initialisation: where the adapter starts; a key of `INITIALISATIONS`.
        temperature: divides all logits before the divergence, whose gradient is rescaled by temperature squared.
    """

    strategy: str = "token_correctness"
    initialisation: str = "old"
    temperature: float = 1.0

    def problems(self) -> list[str]:
        """One line for each option whose value cannot work."""
        found = super().problems()
        if not isinstance(self.strategy, str) or self.strategy not in STRATEGIES:
            found.append(f"strategy must be one of {', '.join(STRATEGIES)}, got {self.strategy!r}")
        if not isinstance(self.initialisation, str) or self.initialisation not in INITIALISATIONS:
            found.append(f"initialisation must be one of {', '.join(INITIALISATIONS)}, got {self.initialisation!r}")
        number = isinstance(self.temperature, int | float) and not isinstance(self.temperature, bool)
        if not number or not 0.05 <= self.temperature <= 100:
            found.append(f"temperature must be a number from 0.05 to 100, got {self.temperature!r}")
        return found
