"""What is timed in the browser: the first view of each page, and changes of the view on Samples."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any, NamedTuple

_PICKS = "dataset=choice&old=old&new=new"
_WINDOW = {"width": 1440, "height": 1000}
_TABLE, _CHART = '[data-testid="stDataFrame"] canvas', ".stPlotlyChart .main-svg"
_PANEL = '[data-testid="stMain"] :is(h2, h3)'  # these versions have no weights to train
_DRAWN = """selector => document.querySelector('[data-testid="stApp"][data-test-script-state="notRunning"]')
  && document.querySelector(selector)"""
_WORDS = ("anvil", "boat", "candle", "desk", "engine", "feather", "glass", "hammer", "iron", "jacket")


class View(NamedTuple):
    """A page as a visitor opens it.

    Attributes:
        path: of its address, with what is asked for beside the picks.
        drawn: the element that is there when the page shows its content.
        title: as it is shown.
    """

    path: str
    drawn: str
    title: str


VIEWS = {
    "Update report": View("?", _CHART, "Update report"),
    "Samples": View("samples?", _TABLE, "Samples"),
    "Flips": View("flips?", _CHART, "Flips"),
    "Flips, all pairs": View("flips?flips_tab=pairs&", _CHART, "Flips"),
    "Flips, slices": View("flips?flips_tab=slices&", _CHART, "Flips"),
    "Flips, over versions": View("flips?flips_tab=versions&", _CHART, "Flips"),
    "Review": View("review?reviewer=Ada&", _TABLE, "Review"),
    "Masking": View("masking?", _CHART, "Masking"),
    "Training": View("training?", _PANEL, "Training"),
    "Library": View("library?", _TABLE, "Library"),
}


def first_view(chrome: Any, url: str, view: View) -> float:
    """Seconds from asking for the page, in a fresh browser, to its content being drawn and the server's run over."""
    context = chrome.new_context(viewport=_WINDOW)
    page = context.new_page()
    started = time.perf_counter()
    page.goto(f"{url}/{view.path}{_PICKS}", wait_until="commit")
    page.wait_for_function(_DRAWN, arg=view.drawn, timeout=60_000)
    taken = time.perf_counter() - started
    page.get_by_role("heading", name=view.title, exact=True).first.wait_for()
    if page.locator('[data-testid="stException"], [data-testid="stAlertContentError"]').count():
        raise SystemExit(f"{view.title} shows an error: {page.url}")
    context.close()
    return taken


def changes_of_samples(chrome: Any, url: str, number: int) -> dict[str, tuple[float, int]]:
    """Seconds and bytes received of one change of the view after the other, in a session of its own.

    Args:
        chrome: the browser.
        url: of the server.
        number: of the round; another word is searched in each, for a search that somebody has made is remembered.
    """
    context = chrome.new_context(viewport=_WINDOW)
    page = context.new_page()
    received: list[int] = []
    page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: received.append(len(frame))))
    page.goto(f"{url}/samples?{_PICKS}")
    page.wait_for_function(_DRAWN, arg=_TABLE, timeout=60_000)
    search = page.get_by_role("textbox", name="Search", exact=True)

    def sort() -> None:
        page.get_by_role("combobox", name="Sort by").click()
        page.get_by_role("option", name="Surest regressions").click()

    steps: dict[str, tuple[Callable[[], Any], str]] = {
        "filter by quadrant": (lambda: page.get_by_text(re.compile("^Q4 negative flips")).click(), "quadrant=Q4"),
        "sort by sureness": (sort, "sort=surest"),
        "next page": (lambda: page.get_by_role("button", name="Next page").click(), "page=2"),
        "search": (lambda: (search.fill(_WORDS[number % len(_WORDS)]), search.press("Enter")), "search="),
        "remove the quadrant": (
            lambda: page.get_by_role("button", name=re.compile("^Remove filter: quadrant")).click(),
            "",
        ),
    }
    found = {}
    for name, (change, in_url) in steps.items():
        page.wait_for_timeout(300)  # what is still on its way belongs to the step before
        received.clear()
        before, started = page.url, time.perf_counter()
        change()
        page.wait_for_function(
            "([url, part]) => location.href !== url && location.href.includes(part)", arg=[before, in_url]
        )
        page.wait_for_function(_DRAWN, arg=_TABLE, timeout=60_000)
        taken = time.perf_counter() - started
        page.wait_for_timeout(300)
        found[name] = (taken, sum(received))
    context.close()
    return found
