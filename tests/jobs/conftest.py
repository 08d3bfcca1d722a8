"""Both databases that the queue lives in."""

from __future__ import annotations

import pytest

from muscle_core.store import Workspace


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def store(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch):
    if request.param == "postgresql":
        monkeypatch.setenv("MUSCLE_DATABASE_URL", request.getfixturevalue("postgres_url"))
    workspace = Workspace.open()
    yield workspace
    workspace.close()
