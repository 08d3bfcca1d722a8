"""Start the real app on a free loopback port, and a real Chromium in front of it."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM_FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


class Server(str):
    """URL of a server."""

    process: subprocess.Popen

    def kill(self) -> None:
        """End it as a crash would."""
        self.process.kill()
        self.process.wait(timeout=20)


@contextmanager
def served(home: Path, log: Path, variables: Mapping[str, str] | None = None) -> Iterator[Server]:
    """Serve the app over a workspace folder; yields its URL.

    Args:
        home: of the workspace.
        log: file for its output.
        variables: of the environment, besides.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with log.open("ab") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port)],
            cwd=ROOT,
            env={**os.environ, "MUSCLE_HOME": str(home), **(variables or {})},
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
    server = Server(f"http://127.0.0.1:{port}")
    server.process = process
    try:
        _wait_until_healthy(server, process, log)
        yield server
    finally:
        process.terminate()
        process.wait(timeout=20)


def _wait_until_healthy(url: str, server: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise RuntimeError(f"the app ended with {server.returncode}: {log.read_text()[-2000:]}")
        try:
            with urllib.request.urlopen(f"{url}/_stcore/health", timeout=2) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise RuntimeError(f"the app did not answer: {log.read_text()[-2000:]}")


@contextmanager
def browser(executable: str) -> Iterator[Any]:
    """A real Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=executable, args=CHROMIUM_FLAGS)
        yield opened
        opened.close()


def settled(page: Any, timeout_ms: int = 60_000) -> None:
    """Wait until Streamlit has drawn something and finished its run."""
    # In this order: before its first run the app is not running either.
    page.wait_for_selector("h1", timeout=timeout_ms)
    page.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]', timeout=timeout_ms)
    page.wait_for_timeout(400)


# A box of Streamlit with an exception, whenever it appears, also if it is gone again at the end of a test.
WATCH = """
new MutationObserver(() => {
  for (const box of document.querySelectorAll('[data-testid="stException"]:not([data-told])')) {
    box.setAttribute('data-told', '');
    window.tellException(box.innerText);
  }
}).observe(document, {childList: true, subtree: true});
"""
# On a deep link Streamlit first asks below the page's path, and finds the server one level up: two 404s.
EXPECTED = ("/_stcore/health", "/_stcore/host-config")


@contextmanager
def watched(page: Any) -> Iterator[list[str]]:
    """Fail at the end if a page had an error in its console, an uncaught exception, or an exception of Streamlit."""
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(f"page error: {error}"))
    page.on("console", lambda m: problems.append(f"{m.text} {m.location}") if m.type == "error" else None)
    page.expose_binding("tellException", lambda _source, text: problems.append(f"exception shown: {text}"))
    page.add_init_script(WATCH)
    yield problems
    assert [problem for problem in problems if not any(path in problem for path in EXPECTED)] == []


def violations(page: Any) -> list[tuple[Any, ...]]:
    """What axe-core, the checker of the WCAG rules, finds serious or critical on a page: rule, place and summary."""
    from axe_playwright_python.sync_playwright import Axe

    result = Axe().run(page).response
    assert len(result["passes"]) > 10, f"axe saw hardly anything at {page.url}"
    return [
        (violation["id"], node["target"], node["html"], node["failureSummary"])
        for violation in result["violations"]
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ]


class HeldMessages:
    """Keeps what the server sends from a page for a while, so that a click comes before the page knows of the last one.

    Args:
        page: opened afterwards.
    """

    def __init__(self, page: Any) -> None:
        self._page, self._holding = page, False
        self._held: list[tuple[Any, Any]] = []
        page.route_web_socket(re.compile("_stcore/stream"), self._route)

    def _route(self, line: Any) -> None:
        def pass_on(message: Any) -> None:
            if self._holding:
                self._held.append((line, message))
            else:
                line.send(message)

        line.connect_to_server().on_message(pass_on)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold what comes within; what was held is passed on at the end."""
        self._holding = True
        yield
        self._holding = False
        for line, message in self._held:
            line.send(message)
        self._held.clear()

    def answered(self) -> None:
        """Wait until the server has sent all that it has to say to the last click."""
        before = -1
        while len(self._held) != before or before == 0:
            before = len(self._held)
            self._page.wait_for_timeout(1500)
