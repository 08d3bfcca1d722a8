"""From an empty workspace to a comparison of one's own, in a real Chromium; and what the frame does for every page."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect
from serving import served, settled, violations

from muscle_core.ui.frame import PAGES

pytestmark = pytest.mark.browser
# How far what is already drawn may move when a page opens: the browsers' own limit of "good" is 0.1, of "poor" 0.25.
# (On the first page of a visit Streamlit draws the sidebar after the rest, which no app can change.)
MOST_SHIFT = 0.15
KEEP_STILL = ("library", "training")  # those without a table whose height is known only when it is drawn
_SHIFTS = """
window.shifts = 0;
new PerformanceObserver(list => { for (const e of list.getEntries()) if (!e.hadRecentInput) window.shifts += e.value; })
  .observe({type: 'layout-shift', buffered: true});
"""


def answers(right: int, of: int = 60) -> str:
    rows = [
        {"id": f"q{n}", "question": f"What is {n} plus 1?", "gold": str(n + 1), "prediction": str(n + 1 + (n >= right))}
        for n in range(of)
    ]
    return "".join(json.dumps(row) + "\n" for row in rows)


def give(page: Any, file: Path) -> None:
    page.locator('input[type="file"]').first.set_input_files(str(file))
    expect(page.get_by_text("What would be imported")).to_be_visible(timeout=30_000)
    settled(page)


@pytest.fixture(scope="module")
def own_url(tmp_path_factory: pytest.TempPathFactory):
    """The app over an empty workspace, which the tests of this file fill one after the other."""
    folder = tmp_path_factory.mktemp("own")
    with served(folder / "workspace", folder / "app.log") as url:
        yield url


def test_from_nothing_to_a_comparison_of_ones_own(own_url: str, page: Any, tmp_path: Path) -> None:
    page.goto(f"{own_url}/samples")
    settled(page)
    expect(page.get_by_text("This page lists the inputs one by one")).to_be_visible()
    assert violations(page) == []
    page.get_by_role("button", name="Import your own").click()
    expect(page.get_by_role("heading", name="Library", exact=True)).to_be_visible(timeout=30_000)
    settled(page)

    broken = tmp_path / "broken.jsonl"
    broken.write_text(answers(5, of=6) + '{"id": "q1", "question": "?", "gold": "1", "prediction": "1"}\n')
    give(page, broken)
    expect(page.get_by_text("broken.jsonl:7: the id 'q1' was already used at broken.jsonl:2")).to_be_visible()
    expect(page.get_by_role("button", name="Import", exact=True)).to_be_disabled()
    assert violations(page) == []

    page.reload()  # the file is forgotten
    settled(page)
    for name, right in (("before", 50), ("after", 40)):  # the second is set against the first without a further word
        file = tmp_path / f"{name}.jsonl"
        file.write_text(answers(right))
        give(page, file)
        if name == "before":
            # Free text has no judge: said before anything is written.
            expect(page.get_by_text("None of these answers is right or wrong")).to_be_visible()
            kind = page.get_by_role("combobox", name=re.compile("Task kind"))
            kind.evaluate("field => field.scrollIntoView({block: 'center'})")  # its list needs room below
            kind.click()
            page.get_by_role("option", name="math: a number").click()
            expect(page.get_by_text("None of these answers is right or wrong")).to_have_count(0, timeout=30_000)
            settled(page)
        page.get_by_role("button", name="Import", exact=True).click()
        expect(page.get_by_text(f"Imported {name} on before (test), 60 samples")).to_be_visible(timeout=30_000)
        settled(page)
    page.get_by_role("button", name="Compare before with after").click()
    expect(page.get_by_role("heading", name="Update report", exact=True)).to_be_visible(timeout=30_000)
    settled(page)
    expect(page.get_by_text("10 of 60 · 95 % interval").first).to_be_visible()
    assert "old=before&new=after" in page.url
    expect(page.get_by_test_id("stException")).to_have_count(0)


def test_who_types_the_name_of_the_first_page_gets_it(own_url: str, page: Any) -> None:
    page.goto(f"{own_url}/update_report?dataset=before&old=after&new=before")
    settled(page)
    expect(page.get_by_role("heading", name="Update report", exact=True)).to_be_visible()
    expect(page.get_by_text("Page not found")).to_have_count(0)
    assert "old=after&new=before" in page.url


@pytest.mark.slow  # beside other tests pages are drawn in more pieces
@pytest.mark.parametrize("width", [900, 1920])
def test_pages_keep_still_while_they_load_and_fit_the_window(own_url: str, page: Any, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 1000})
    page.add_init_script(_SHIFTS)
    page.goto(own_url)
    settled(page)
    first = "update_report"
    for key, info in [*((key, info) for key, info in PAGES.items() if key != first), (first, PAGES[first])]:
        page.evaluate("window.shifts = 0")
        page.get_by_role("link", name=info.title, exact=True).click()
        expect(page.get_by_role("heading", name=info.title, exact=True)).to_be_visible(timeout=30_000)
        settled(page)
        assert page.title() == f"{info.title} · MUSCLE workbench"
        shift = page.evaluate("window.shifts") if key in KEEP_STILL else 0.0
        assert shift < MOST_SHIFT, f"{key} at {width} pixels: a layout shift of {shift:.3f}"
        main = page.get_by_test_id("stMainBlockContainer")
        assert main.evaluate("e => e.scrollWidth - e.clientWidth") <= 1, f"{key} at {width} pixels is too wide"
        assert main.bounding_box()["width"] <= 1640


def test_what_the_keyboard_is_at_can_be_seen(own_url: str, page: Any) -> None:
    page.goto(f"{own_url}/library")
    settled(page)
    page.wait_for_function(
        "() => [...document.querySelectorAll('style')].some(style => style.textContent.includes('tour_banner'))"
    )
    seen = set()
    for _ in range(12):
        page.keyboard.press("Tab")
        seen.add(
            page.evaluate(
                "() => { const e = document.activeElement, s = getComputedStyle(e);"
                " return [e.tagName, s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) > 0"
                " || s.boxShadow !== 'none'].join(); }"
            )
        )
    assert len(seen) >= 2
    assert not [one for one in seen if one.endswith("false")], seen
