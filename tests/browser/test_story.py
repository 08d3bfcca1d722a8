"""The way of a newcomer through the app in a real Chromium: see flips, read one, train, see the adapter."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect
from serving import served, settled

pytestmark = pytest.mark.browser
CHOICE = "dataset=demo-choice&old=demo-choice-v1&new=demo-choice-v2"


def no_exception(page: Any) -> None:
    expect(page.get_by_test_id("stException")).to_have_count(0)


def test_a_cold_deep_link_opens_the_right_page_with_its_parameters(demo_home: Path, page: Any, tmp_path: Path) -> None:
    with served(demo_home, tmp_path / "cold.log") as url:
        page.goto(f"{url}/samples?{CHOICE}&quadrant=Q4&search=heaviest")
        settled(page)
        expect(page.get_by_role("heading", name="Samples", exact=True)).to_be_visible()
        expect(page.get_by_role("textbox", name="Search")).to_have_value("heaviest")
        assert re.search(r"/samples\?.*quadrant=Q4", page.url)
        expect(page.get_by_text(re.compile(r"^\d+ of 1,000 samples$"))).to_be_visible()
        expect(page.get_by_role("link", name="Update report")).to_be_visible()
        no_exception(page)
        page.goto("about:blank")  # a page that is still open would miss the server that ends here


def test_an_empty_workspace_offers_and_loads_the_demo(page: Any, tmp_path: Path, stop_workers: None) -> None:
    with served(tmp_path / "workspace", tmp_path / "empty.log") as url:
        page.goto(url)
        settled(page)
        page.get_by_role("button", name="Load the demo").click()
        expect(page.get_by_test_id("stProgress").first).to_be_visible(timeout=30_000)
        expect(page.get_by_text("Negative flip rate (NFR)")).to_be_visible(timeout=240_000)
        no_exception(page)
        page.goto("about:blank")  # a page that is still loading would miss the server that ends here


def test_back_returns_to_the_view_before(demo_url: str, page: Any) -> None:
    page.goto(f"{demo_url}/samples?{CHOICE}&quadrant=Q4")
    settled(page)
    expect(page.get_by_role("radio", name=re.compile("^Q4"))).to_be_checked()
    page.get_by_text(re.compile(r"^Q2 positive flips")).click()
    expect(page).to_have_url(re.compile("quadrant=Q2"))
    settled(page)
    page.go_back()
    expect(page).to_have_url(re.compile("quadrant=Q4"))
    expect(page.get_by_role("radio", name=re.compile("^Q4"))).to_be_checked()


def test_the_whole_story(demo_url: str, page: Any, chrome: Any, tmp_path: Path) -> None:
    page.goto(demo_url)
    settled(page)

    # Pick a dataset; its versions follow. Then open what the update broke.
    page.get_by_role("combobox", name=re.compile("Dataset")).click()
    page.get_by_role("option", name="demo-choice").click()
    settled(page)
    expect(page.get_by_text("Negative flip rate (NFR)")).to_be_visible()
    expect(page).to_have_url(re.compile("old=demo-choice-v1&new=demo-choice-v2"))
    page.get_by_role("button", name=re.compile(r"^Q4 · \d+ negative flips")).click()
    expect(page.get_by_role("heading", name="Samples", exact=True)).to_be_visible(timeout=30_000)
    settled(page)
    expect(page).to_have_url(re.compile("quadrant=Q4"))

    # Click the input in the first row: the canvas has no elements, so click where it is drawn.
    table = page.get_by_test_id("stDataFrame").first
    table.scroll_into_view_if_needed()
    box = table.bounding_box()
    page.mouse.click(box["x"] + 260, box["y"] + 60)
    expect(page.get_by_text("negative flip: right before, wrong now")).to_be_visible(timeout=30_000)
    expect(page.get_by_text("Choices with log-likelihood").first).to_be_visible()
    expect(page).to_have_url(re.compile("sample=choice-test-"))

    # Train an adapter, short, and watch the progress move.
    page.get_by_role("link", name="Training").click()
    expect(page.get_by_role("heading", name="Training", exact=True)).to_be_visible(timeout=30_000)
    settled(page)
    page.get_by_role("spinbutton", name="Steps", exact=True).fill("40")
    page.get_by_role("button", name="Start training").click()
    bar = page.get_by_role("progressbar")
    expect(bar.first).to_be_visible(timeout=30_000)
    expect(page.get_by_text(re.compile(r"training: \d+ of 40"))).to_be_visible(timeout=120_000)
    expect(page.get_by_text("Trained and evaluated", exact=False)).to_be_visible(timeout=240_000)

    # The finished adapter stands beside the plain new version.
    page.get_by_role("button", name="See it in Masking").click()
    expect(page.get_by_role("heading", name="Masking", exact=True)).to_be_visible(timeout=30_000)
    settled(page)
    expect(page.get_by_text("negative flip rate – less is better")).to_be_visible(timeout=30_000)
    expect(page.get_by_text(re.compile("token_correctness, from"), exact=False).first).to_be_visible()

    # A person says what is wrong with the first flip.
    page.get_by_role("link", name="Review", exact=True).click()
    expect(page.get_by_role("heading", name="Review", exact=True)).to_be_visible(timeout=30_000)
    settled(page)
    page.get_by_role("textbox", name="Reviewer").fill("Storyteller")
    page.get_by_role("textbox", name="Reviewer").press("Enter")
    expect(page.get_by_text("A verdict is needed", exact=False)).to_be_visible(timeout=30_000)
    settled(page)
    for name in ("real regression", "misread question", "high"):
        page.get_by_role("button", name=re.compile(name)).first.click()
        settled(page)
    page.get_by_role("textbox", name="Note").fill("read the <b>second</b> noun as the first")
    page.get_by_role("button", name="Save and next").click()
    expect(page.get_by_text(re.compile(r"^1 by Storyteller · \d+ of 134 negative flips reviewed"))).to_be_visible(
        timeout=30_000
    )

    # The report holds the figures, what the adapter repairs, and what was said.
    page.get_by_role("link", name="Update report").click()
    expect(page.get_by_role("heading", name="Update report", exact=True)).to_be_visible(timeout=30_000)
    settled(page)
    expect(page.get_by_text(re.compile(r"fixes \d+ of 134 negative flips"))).to_be_visible()
    with page.expect_download(timeout=120_000) as download:
        page.get_by_role("button", name="Report (HTML)").click()
    download.value.save_as(tmp_path / "report.html")
    context = chrome.new_context()
    report = context.new_page()
    report.goto((tmp_path / "report.html").as_uri())
    expect(report.get_by_role("heading", name="What people said of the flips")).to_be_visible()
    expect(report.get_by_role("cell", name="read the <b>second</b> noun as the first")).to_be_visible()
    expect(report.get_by_role("heading", name="Repair by a compatibility adapter")).to_be_visible()
    context.close()
    no_exception(page)
