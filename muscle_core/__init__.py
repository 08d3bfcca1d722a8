"""MUSCLE workbench: find, explain and remove the negative flips of a model update.

The names below are resolved on first use, so that `import muscle_core` loads neither torch nor Streamlit.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOME_OF = {
    "Comparison": "muscle_core.comparison",
    "CompatConfig": "muscle_core.compat.config",
    "ModelSpec": "muscle_core.models.spec",
    "MuscleError": "muscle_core.errors",
    "TaskConfig": "muscle_core.compat.config",
    "Thresholds": "muscle_core.comparison.gate",
    "Workspace": "muscle_core.store",
    "add_dataset": "muscle_core.actions.library.datasets",
    "add_model_version": "muscle_core.actions.library.models",
    "compare": "muscle_core.comparison",
    "compare_versions": "muscle_core.actions.updates.compare",
    "evaluate": "muscle_core.actions.evaluation.evaluate",
    "explained_samples": "muscle_core.actions.updates.explain",
    "export_view": "muscle_core.actions.updates.exports",
    "find_slices": "muscle_core.comparison.slices",
    "history_of": "muscle_core.actions.updates.history",
    "import_predictions": "muscle_core.actions.imports.outputs",
    "judge_update": "muscle_core.actions.updates.noise",
    "run_gate": "muscle_core.actions.updates.gate",
    "slice_table": "muscle_core.comparison.slices",
    "train_compat": "muscle_core.actions.training.train",
    "train_task": "muscle_core.actions.training.train",
    "write_report": "muscle_core.actions.updates.report",
}

__all__ = sorted([*_HOME_OF, "__version__"])


def __getattr__(name: str) -> Any:
    """Import the home of a public name on first use (PEP 562)."""
    if name not in _HOME_OF:
        raise AttributeError(f"module 'muscle_core' has no attribute {name!r}")
    return getattr(import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return __all__
