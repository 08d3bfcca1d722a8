"""One server over the demo for all browser tests of a session; each test has a browser context of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from serving import browser, served


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
