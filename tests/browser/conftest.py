"""One demo workspace and one server for all browser tests of a session; each test has a browser context of its own."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import psutil
import pytest
from helpers import worker_pids
from serving import browser, served


def _loaded_once(root: Path) -> Path:
    """The demo loaded by the real loader, once for all processes that run tests side by side."""
    import fcntl

    from muscle_core.actions.demo import load_demo
    from muscle_core.store import Workspace

    home = root / "demo-workspace"
    with (root / "demo.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not home.exists():
            partial = root / "demo-workspace.partial"
            workspace = Workspace.open(partial)
            load_demo(workspace)
            workspace.close()
            partial.rename(home)
    return home


@pytest.fixture(scope="session")
def demo_home(tmp_path_factory: pytest.TempPathFactory):
    """A copy of the demo's workspace for the tests of this process."""
    own = tmp_path_factory.getbasetemp()
    home = tmp_path_factory.mktemp("demo") / "workspace"
    shutil.copytree(_loaded_once(own.parent if "PYTEST_XDIST_WORKER" in os.environ else own), home)
    yield home
    for pid in worker_pids(home):
        os.kill(pid, signal.SIGTERM)
        psutil.Process(pid).wait(timeout=90)


@pytest.fixture(scope="session")
def chrome(chromium: str):
    """A real Chromium."""
    with browser(chromium) as opened:
        yield opened


@pytest.fixture
def page(chrome):
    """A fresh page that fails the test on any console error or uncaught exception of the app."""
    context = chrome.new_context(viewport={"width": 1440, "height": 1000})
    opened = context.new_page()
    problems: list[str] = []
    opened.on("pageerror", lambda error: problems.append(f"page error: {error}"))
    opened.on("console", lambda m: problems.append(f"{m.text} {m.location}") if m.type == "error" else None)
    yield opened
    context.close()
    # On a deep link Streamlit first asks below the page's path, and finds the server one level up: two 404s.
    expected = ("/_stcore/health", "/_stcore/host-config")
    assert [problem for problem in problems if not any(path in problem for path in expected)] == []


@pytest.fixture(scope="session")
def demo_url(demo_home: Path, tmp_path_factory: pytest.TempPathFactory):
    """URL of the app over the demo."""
    with served(demo_home, tmp_path_factory.mktemp("log") / "app.log") as url:
        yield url
