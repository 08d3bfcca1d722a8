"""What is imported is left out of the collections that follow every run of a page, and what a run leaves is not."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from muscle_core.store import Workspace
from muscle_core.ui import imported

ROOT = Path(__file__).resolve().parents[2]


class _Node:
    pass


@pytest.fixture(autouse=True)
def _nothing_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    gc.unfreeze()
    monkeypatch.setattr(imported, "_known", 0)


def test_a_run_of_a_page_leaves_imports_out(workspace: Workspace) -> None:
    before = len(gc.get_objects())
    AppTest.from_file(str(ROOT / "app.py"), default_timeout=60).run()
    assert gc.get_freeze_count() > before / 2
    assert len(gc.get_objects()) < before / 2
    known = gc.get_freeze_count()
    AppTest.from_file(str(ROOT / "app.py"), default_timeout=60).run()
    assert gc.get_freeze_count() <= known  # nothing new was imported


def test_cycles_are_still_collected(workspace: Workspace) -> None:
    imported.leave_out_of_collections()
    node = _Node()
    node.self = node  # type: ignore[attr-defined]
    seen = weakref.ref(node)
    del node
    gc.collect()
    assert seen() is None
