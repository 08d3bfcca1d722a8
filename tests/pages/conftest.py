"""What tests of pages share."""

from __future__ import annotations

import pytest
from helpers import FAST

from muscle_core.actions.evaluation.evaluate import evaluate
from muscle_core.actions.training.train import train_task
from muscle_core.compat.config import TaskConfig
from muscle_core.store import Workspace


@pytest.fixture
def pair(filled: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """Two evaluated task versions; no worker takes the jobs away."""
    import streamlit as st

    st.cache_resource.clear()
    st.cache_data.clear()
    for module in (
        "actions.strategies.ablation",
        "actions.background.submit",
        "actions.strategies.references",
        "ui.worker",
    ):
        monkeypatch.setattr(f"muscle_core.{module}.ensure_worker", lambda workspace: None)
    for role in ("old", "new"):
        train_task(filled, f"task-{role}", role, "choice", TaskConfig(**FAST), role=role)
        evaluate(filled, f"task-{role}", "choice")
    return filled
