"""What the demo is made of, in the workbench's terms: task kinds, templates, decoding, training options. No torch."""

from __future__ import annotations

from typing import Any

from muscle_core.compat.config import CompatConfig, TaskConfig
from muscle_core.demo.recipe import COMPAT, LORA, TASK_ADAPTERS, TrainingRecipe

TASK_KINDS = {"choice": "multiple_choice", "math": "math", "dialogue": "summarization"}
TEMPLATES = {
    "choice": "question: {input} answer:",
    "math": "question: {input} answer:",
    "dialogue": "dialogue: {input} summary:",
}
DECODING: dict[str, dict[str, Any]] = {
    "choice": {},
    "math": {"max_new_tokens": 48, "stop": []},
    "dialogue": {"max_new_tokens": 48, "stop": []},
}


def _shared(recipe: TrainingRecipe) -> dict[str, Any]:
    return {
        "steps": recipe.steps,
        "batch_size": recipe.batch_size,
        "learning_rate": recipe.learning_rate,
        "warmup_steps": recipe.warmup_steps,
        "schedule": recipe.schedule,
        "weight_decay": recipe.weight_decay,
        "max_grad_norm": recipe.max_grad_norm,
        "seed": recipe.seed,
        "lora_rank": LORA.rank,
        "lora_alpha": LORA.alpha,
        "lora_dropout": LORA.dropout,
        "lora_modules": LORA.target_modules,
    }


def task_config(task: str) -> TaskConfig:
    """Options of a task adapter; the same for both versions."""
    return TaskConfig(**_shared(TASK_ADAPTERS[task]))


def compat_options() -> dict[str, Any]:
    """Options of the demo's compatibility preset, in `CompatConfig`'s JSON form."""
    return CompatConfig(
        **_shared(COMPAT.training),
        strategy=COMPAT.strategy,
        initialisation=COMPAT.start_from,
        temperature=COMPAT.temperature,
    ).as_dict()
