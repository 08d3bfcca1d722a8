"""What tests of pages share."""

from __future__ import annotations

import pytest
from built import FilledAnd, evaluated_pair

from muscle_core.store import Workspace


@pytest.fixture
def no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """No worker takes the jobs away."""
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


@pytest.fixture
def pair(no_worker: None, filled_and: FilledAnd) -> Workspace:
    """Two evaluated task versions; no worker takes the jobs away."""
    return filled_and(evaluated_pair)
