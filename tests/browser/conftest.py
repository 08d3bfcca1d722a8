"""One server over the demo for all browser tests of a session; each test has a browser context of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from serving import browser, served, watched


@pytest.fixture(scope="session")
def chrome(chromium: str):
    """A real Chromium."""
    with browser(chromium) as opened:
        yield opened


@pytest.fixture
def page(chrome):
    """A fresh page that fails the test on any console error, uncaught exception, or exception that Streamlit shows."""
    context = chrome.new_context(viewport={"width": 1440, "height": 1000})
    opened = context.new_page()
    with watched(opened):
        yield opened
        context.close()


@pytest.fixture(scope="session")
def demo_url(demo_home: Path, tmp_path_factory: pytest.TempPathFactory):
    """URL of the app over the demo."""
    with served(demo_home, tmp_path_factory.mktemp("log") / "app.log") as url:
        yield url
