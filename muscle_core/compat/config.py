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
    "focal_distillation": "plain training plus the old teacher, more so where its most likely token is the gold one "
    "(baseline: Positive-Congruent Training)",
}
INITIALISATIONS: dict[str, str] = {
    "old": "from the old version's task adapter (the paper's choice; needs equal shapes)",
    "new": "from the new version's task adapter",
    "scratch": "a fresh LoRA adapter",
}
SCHEDULES = ("cosine", "linear", "constant")
LORA_MODULES = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def _whole_numbers(options: object, ranges: dict[str, tuple[int, int]]) -> list[str]:
    found = []
    for name, (low, high) in ranges.items():
        value = getattr(options, name)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            found.append(f"{name} must be a whole number from {low:,} to {high:,}, got {value!r}")
    return found


def _numbers(options: object, ranges: dict[str, tuple[float, float, bool]]) -> list[str]:
    """Numbers outside their range; the last entry of a range says whether its lower end belongs to it."""
    found = []
    for name, (low, high, low_allowed) in ranges.items():
        value = getattr(options, name)
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not (low <= value <= high) or (value == low and not low_allowed):
            bound = "from" if low_allowed else "above"
            found.append(f"{name} must be a number {bound} {low:g} to {high:g}, got {value!r}")
    return found


def _switches(options: object, names: tuple[str, ...]) -> list[str]:
    return [
        f"{name} must be true or false, got {getattr(options, name)!r}"
        for name in names
        if not isinstance(getattr(options, name), bool)
    ]


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
        max_length: samples with more tokens than this are refused, or cut with `truncate`.
        truncate: cut longer samples: the prompt from its beginning, and if need be the answer from its end.
        gradient_checkpointing: compute activations twice instead of keeping them: less memory, more time.
        checkpoint_every: steps between two checkpoints that a killed training goes on from; 0 for none.
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
    truncate: bool = False
    gradient_checkpointing: bool = False
    checkpoint_every: int = 100
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
            "checkpoint_every": (0, 10_000_000),
            "seed": (0, 2**32 - 1),
            "lora_rank": (1, 4096),
            "lora_alpha": (1, 65_536),
        }
        found += _whole_numbers(self, whole)
        ranges = {
            "learning_rate": (0.0, 1.0, False),
            "weight_decay": (0.0, 10.0, True),
            "max_grad_norm": (0.0, 1e6, False),
            "lora_dropout": (0.0, 0.9, True),
        }
        found += _numbers(self, ranges)
        found += _switches(self, ("truncate", "gradient_checkpointing"))
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
        cross_entropy_weight: weight of the cross-entropy on the gold tokens, added to the divergence; the strategies
            `cross_entropy` and `focal_distillation` have a term of their own and take no other.
        focal_alpha: `focal_distillation`: weight of the old teacher for every token.
        focal_beta: `focal_distillation`: what is added to it where the old teacher's argmax is the gold token.
        teacher_store: keep what the teachers say about the training samples on disk, so that they are asked once.
        teacher_store_gib: most disk that one teacher may take, in GiB.
        validation_every: steps between two looks at the validation split; 0 for no early stopping.
        accuracy_margin: early stopping takes the adapter with the least NFR among those whose validation accuracy is
            at most this far below the new version's (a share: 0.01 is one point).
        patience: looks without a better adapter before training stops.
    """

    strategy: str = "token_correctness"
    initialisation: str = "old"
    temperature: float = 1.0
    cross_entropy_weight: float = 0.0
    focal_alpha: float = 1.0
    focal_beta: float = 5.0
    teacher_store: bool = True
    teacher_store_gib: float = 20.0
    validation_every: int = 0
    accuracy_margin: float = 0.01
    patience: int = 3

    def problems(self) -> list[str]:
        """One line for each option whose value cannot work."""
        found = super().problems()
        found += _whole_numbers(self, {"validation_every": (0, 10_000_000), "patience": (1, 10_000)})
        found += _numbers(
            self,
            {
                "temperature": (0.05, 100.0, True),
                "cross_entropy_weight": (0.0, 1000.0, True),
                "focal_alpha": (0.0, 1000.0, True),
                "focal_beta": (0.0, 1000.0, True),
                "teacher_store_gib": (0.0, 1e6, False),
                "accuracy_margin": (0.0, 1.0, True),
            },
        )
        found += _switches(self, ("teacher_store",))
        if not isinstance(self.strategy, str) or self.strategy not in STRATEGIES:
            found.append(f"strategy must be one of {', '.join(STRATEGIES)}, got {self.strategy!r}")
        if not isinstance(self.initialisation, str) or self.initialisation not in INITIALISATIONS:
            found.append(f"initialisation must be one of {', '.join(INITIALISATIONS)}, got {self.initialisation!r}")
        return found


def share_of_batch(batch_size: int, workers: int) -> int:
    """The samples of a batch that each of several processes takes.

    Raises:
        ConfigError: they cannot be shared out evenly.
    """
    if workers < 1 or batch_size % workers:
        raise ConfigError(
            f"batch_size = {batch_size:,} cannot be shared out evenly among {workers:,} workers. Choose a batch_size "
            "that is a multiple of the workers, or another number of workers."
        )
    return batch_size // workers
