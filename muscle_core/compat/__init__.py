"""Training: options (`config`), masks, losses, adapters and the trainer of task and compatibility adapters."""

from muscle_core.compat.config import INITIALISATIONS, STRATEGIES, CompatConfig, TaskConfig

__all__ = ["INITIALISATIONS", "STRATEGIES", "CompatConfig", "TaskConfig"]
