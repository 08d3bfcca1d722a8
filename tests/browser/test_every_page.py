"""Every page in a real Chromium: as the first request to a new server, at every width, and in two sessions at once."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect
from serving import served, settled, watched

from muscle_core.actions.updates.compare import compare_versions
from muscle_core.comparison import Comparison
from muscle_core.store import Workspace
from muscle_core.ui.frame import PAGES

pytestmark = pytest.mark.browser
FIRST = next(iter(PAGES))
PICKS = {
    "choice": "dataset=demo-choice&old=demo-choice-v1&new=demo-choice-v2",
    "math": "dataset=demo-math&old=demo-math-v1&new=demo-math-v2",
}


def address(page: str, task: str = "choice") -> str:
    """Path and parameters of a page."""
    return f"/{'' if page == FIRST else page}?{PICKS[task]}"


@pytest.mark.parametrize("name", PAGES)
def test_every_page_opens_as_the_first_request_to_a_new_server(
    name: str, demo_home: Path, page: Any, tmp_path: Path
) -> None:
    with served(demo_home, tmp_path / "app.log") as url:
        page.goto(f"{url}{address(name, 'math')}")
        settled(page)
        expect(page.get_by_role("heading", name=PAGES[name].title, exact=True, level=1)).to_be_visible()
        for title in (info.title for info in PAGES.values()):
            expect(page.get_by_role("link", name=title, exact=True)).to_be_visible()
        if name != "library":  # which is about the whole workspace
            expect(page).to_have_url(re.compile("dataset=demo-math&old=demo-math-v1&new=demo-math-v2"))
            expect(page.get_by_role("combobox", name=re.compile("New version"))).to_have_value("demo-math-v2")
        page.goto("about:blank")  # a page that is still open would miss the server that ends here


_WIDER = """() => Array.from(document.querySelectorAll('html, [data-testid="stMain"]'))
  .filter(part => part.scrollWidth > part.clientWidth + 1)
  .map(part => [part.tagName, part.scrollWidth, part.clientWidth])"""


def test_nothing_scrolls_sideways_at_any_width(demo_url: str, page: Any) -> None:
    found = []
    for name in PAGES:
        page.set_viewport_size({"width": 1440, "height": 1000})
        page.goto(f"{demo_url}{address(name)}")
        settled(page)
        for width in (900, 1440, 1920):
            page.set_viewport_size({"width": width, "height": 1000})
            page.wait_for_timeout(600)  # charts follow the width after a moment of their own
            found += [(name, width, *part) for part in page.evaluate(_WIDER)]
    assert found == []


def rates(comparison: Comparison) -> tuple[str, str]:
    """Negative flip rate and its counts as the page writes them."""
    nfr = comparison.nfr
    return f"{nfr.value * 100:.1f} %", f"{nfr.numerator:,} of {nfr.denominator:,} · 95 % interval"


def test_two_sessions_with_different_picks_do_not_see_each_others(
    demo_home: Path, demo_url: str, chrome: Any, page: Any
) -> None:
    workspace = Workspace.open(demo_home)
    found = {task: compare_versions(workspace, f"demo-{task}-v1", f"demo-{task}-v2", f"demo-{task}") for task in PICKS}
    workspace.close()
    context = chrome.new_context(viewport={"width": 1440, "height": 1000})
    other = context.new_page()
    with watched(other):
        tabs = {"choice": page, "math": other}
        for task, tab in tabs.items():
            tab.goto(f"{demo_url}{address(FIRST, task)}")
        for task, tab in tabs.items():
            settled(tab)
            for text in rates(found[task]):
                expect(tab.get_by_text(text, exact=False).first).to_be_visible()
        for quadrant in ("Q4", "Q2", "Q1"):
            # Both at once, and neither waits for the other.
            for tab in tabs.values():
                tab.get_by_role("button", name=re.compile(f"^{quadrant} · ")).click()
            for task, tab in tabs.items():
                expect(tab.get_by_role("heading", name="Samples", exact=True)).to_be_visible(timeout=30_000)
                settled(tab)
                counts = found[task].counts
                wanted = {"Q4": counts.q4, "Q2": counts.q2, "Q1": counts.q1}[quadrant]
                expect(tab.get_by_text(re.compile(rf"^{wanted:,} of {counts.n:,} samples"))).to_be_visible()
                expect(tab).to_have_url(re.compile(f"dataset=demo-{task}.*quadrant={quadrant}"))
            for tab in tabs.values():
                tab.get_by_role("link", name=PAGES[FIRST].title).click()
            for task, tab in tabs.items():
                expect(tab.get_by_role("heading", name=PAGES[FIRST].title, exact=True)).to_be_visible(timeout=30_000)
                settled(tab)
                expect(tab.get_by_text(rates(found[task])[1], exact=False).first).to_be_visible()
        # One of them changes its picks under the other.
        page.get_by_role("combobox", name=re.compile("Dataset")).click()
        page.get_by_role("option", name="demo-math").click()
        expect(page.get_by_text(rates(found["math"])[1], exact=False).first).to_be_visible(timeout=30_000)
        other.reload()
        settled(other)
        expect(other).to_have_url(re.compile(PICKS["math"]))
        expect(other.get_by_text(rates(found["math"])[1], exact=False).first).to_be_visible()
        context.close()


def click_at(page: Any, mark: Any) -> None:
    """Click where a mark of a chart is drawn; a layer that catches the pointer lies over it."""
    mark.scroll_into_view_if_needed()
    box = mark.bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)


def test_a_click_on_a_quadrant_and_on_a_rate_opens_its_samples(demo_home: Path, demo_url: str, page: Any) -> None:
    workspace = Workspace.open(demo_home)
    counts = compare_versions(workspace, "demo-choice-v1", "demo-choice-v2", "demo-choice").counts
    workspace.close()
    page.goto(f"{demo_url}{address(FIRST)}")
    settled(page)
    matrix = page.get_by_test_id("stPlotlyChart").first
    matrix.scroll_into_view_if_needed()
    click_at(page, matrix.get_by_text("Q4 · negative flip", exact=False).first)
    expect(page.get_by_role("heading", name="Samples", exact=True)).to_be_visible(timeout=30_000)
    settled(page)
    expect(page.get_by_text(re.compile(rf"^{counts.q4:,} of {counts.n:,} samples"))).to_be_visible()
    page.get_by_role("link", name=PAGES[FIRST].title).click()
    expect(page.get_by_role("heading", name=PAGES[FIRST].title, exact=True)).to_be_visible(timeout=30_000)
    settled(page)
    page.get_by_text("All rates with intervals").click()
    chart = page.get_by_test_id("stPlotlyChart").nth(1)
    expect(chart.locator(".main-svg").first).to_be_visible()
    mark = chart.locator(".scatterlayer .trace").nth(3).locator("path.point")  # the positive flip rate
    click_at(page, mark)
    expect(page.get_by_role("heading", name="Samples", exact=True)).to_be_visible(timeout=30_000)
    expect(page).to_have_url(re.compile("quadrant=Q2"))
