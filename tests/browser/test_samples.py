"""The Samples page in a real Chromium: links with filters, chips, back, the row that is ticked, and what is sent."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect
from serving import served, settled, violations

from benchmarks.pages.workspace import make_workspace
from muscle_core.ui.row_choice import LINES_HEIGHT

pytestmark = pytest.mark.browser
PAIR = "dataset=choice&old=old&new=new&compat=compat"
SAMPLES = 20_000


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("samples") / "workspace"
    make_workspace(folder, SAMPLES).close()
    return folder


@pytest.fixture(scope="module")
def url(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    with served(home, tmp_path_factory.mktemp("log") / "app.log") as address:
        yield address


def chip(page: Any, text: str) -> Any:
    return page.get_by_role("button", name=f"Remove filter: {text}", exact=True)


def found(page: Any) -> str:
    return page.get_by_text(re.compile(r"^[\d,]+ of 20,000 samples$")).inner_text()


def opened(page: Any, address: str) -> None:
    page.goto(address)
    settled(page)
    expect(page.get_by_test_id("stException")).to_have_count(0)


def tick(page: Any, row: int) -> None:
    """Tick a row: the canvas has no elements, so click where its check box is drawn."""
    click_in_row(page, row, 17)


def click_in_row(page: Any, row: int, x: int) -> None:
    """Click into a row of the table, so many pixels from its left edge."""
    table = page.get_by_test_id("stDataFrame").first
    table.scroll_into_view_if_needed()
    box = table.bounding_box()
    page.mouse.click(box["x"] + x, box["y"] + 35 + LINES_HEIGHT * (row + 0.5))


def test_a_cold_link_with_every_filter_opens_exactly_that(home: Path, page: Any, tmp_path: Path) -> None:
    with served(home, tmp_path / "cold.log") as cold:
        filters = (
            "quadrant=Q4&cause=clear+preference&search=anvil&slice=kind%3Dtoy%26level%3D2&right=old,compat&wrong=new"
        )
        opened(page, f"{cold}/samples?{PAIR}&{filters}&answers=different&sort=surest&page=2")
        for text in (
            "quadrant: Q4 negative flips",
            "cause: clear preference",
            "holds: anvil",
            "kind = toy",
            "level = 2",
            "right in old",
            "right in compat",
            "wrong in new",
            "answers differ",
        ):
            expect(chip(page, text)).to_be_visible()
        expect(page.get_by_role("combobox", name="Sort by")).to_have_value("Surest regressions")
        expect(page.get_by_role("button", name="Page 2")).to_have_attribute("aria-current", "page")
        for part in ("quadrant=Q4", "cause=clear", "search=anvil", "slice=kind", "sort=surest", "page=2"):
            assert part in page.url
        page.goto("about:blank")  # a page that is still open would miss the server that ends here


def test_chips_remove_one_filter_each_and_back_brings_it_again(url: str, page: Any) -> None:
    opened(page, f"{url}/samples?{PAIR}&quadrant=Q4&slice=kind%3Dtoy%26level%3D2")
    both = found(page)
    chip(page, "level = 2").press("Enter")  # with the keyboard alone
    expect(chip(page, "level = 2")).to_have_count(0)
    expect(page).to_have_url(re.compile("slice=kind%3Dtoy(&|$)"))
    settled(page)
    assert found(page) != both
    page.get_by_role("button", name="Clear all").click()
    expect(page.get_by_text("20,000 of 20,000 samples")).to_be_visible()
    expect(page).not_to_have_url(re.compile("quadrant|slice"))
    settled(page)
    page.go_back()
    expect(chip(page, "kind = toy")).to_be_visible()
    expect(page.get_by_role("radio", name=re.compile("^Q4"))).to_be_checked()
    settled(page)
    page.go_back()
    expect(chip(page, "level = 2")).to_be_visible()
    settled(page)
    assert found(page) == both
    page.go_forward()
    expect(chip(page, "level = 2")).to_have_count(0)


def test_back_leaves_a_filter_that_was_added(url: str, page: Any) -> None:
    opened(page, f"{url}/samples?{PAIR}")
    page.get_by_role("button", name="Add a filter").click()
    page.get_by_role("combobox", name="What the adapter does").click()
    page.get_by_role("option", name=re.compile("^fixed")).click()
    expect(chip(page, "right in compat")).to_be_visible()
    expect(page).to_have_url(re.compile("quadrant=Q4.*right=compat"))
    settled(page)
    page.go_back()
    expect(chip(page, "right in compat")).to_have_count(0)
    expect(page.get_by_text("20,000 of 20,000 samples")).to_be_visible()


def test_the_ticked_sample_stays_the_same_under_another_filter(url: str, page: Any) -> None:
    opened(page, f"{url}/samples?{PAIR}&quadrant=Q4")
    tick(page, 2)
    expect(page).to_have_url(re.compile("sample=sample-"))
    ticked = re.search(r"sample=(sample-\d+)", page.url).group(1)
    expect(page.get_by_role("textbox", name="Sample id")).to_have_value(ticked)
    settled(page)
    page.get_by_text(re.compile("^Q2 positive flips")).click()
    expect(page).to_have_url(re.compile("quadrant=Q2"))
    settled(page)
    expect(page.get_by_role("textbox", name="Sample id")).to_have_value(ticked)
    tick(page, 0)
    expect(page).not_to_have_url(re.compile(ticked))


def test_a_click_on_any_cell_opens_its_row(url: str, page: Any) -> None:
    def is_open(other_than: str) -> str:
        expect(page).not_to_have_url(re.compile(f"sample={other_than}"))
        expect(page).to_have_url(re.compile(r"sample=sample-\d+"))
        settled(page)
        identity = re.search(r"sample=(sample-\d+)", page.url).group(1)
        expect(page.get_by_role("textbox", name="Sample id")).to_have_value(identity)
        return identity

    opened(page, f"{url}/samples?{PAIR}&quadrant=Q4")
    click_in_row(page, 1, 250)
    second = is_open("none")
    expect(page.get_by_text(re.compile(r"^2 of [\d,]+ shown above"))).to_be_visible()
    click_in_row(page, 3, 90)
    fourth = is_open(second)
    page.get_by_role("button", name="Previous sample").click()
    third = is_open(fourth)
    click_in_row(page, 1, 250)
    assert is_open(third) == second


def test_changes_of_the_view_send_little(url: str, page: Any) -> None:
    received: list[int] = []
    page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: received.append(len(frame))))
    opened(page, f"{url}/samples?{PAIR}")
    assert sum(received) > 0
    search = page.get_by_role("textbox", name="Search")
    for change in (
        lambda: page.get_by_text(re.compile("^Q4 negative flips")).click(),
        lambda: page.get_by_role("button", name="Next page").click(),
        lambda: (search.fill("anvil"), search.press("Enter")),
    ):
        received.clear()
        before = page.url
        change()
        expect(page).not_to_have_url(before)
        settled(page)
        assert 0 < sum(received) < 1_000_000


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_chips_and_the_box_of_filters_pass_axe(chrome: Any, url: str, theme: str) -> None:
    context = chrome.new_context(viewport={"width": 900, "height": 1400}, color_scheme=theme)
    page = context.new_page()
    opened(page, f"{url}/samples?{PAIR}&quadrant=Q4&right=compat&slice=kind%3Dtoy")
    page.get_by_role("button", name="Add a filter").click()
    expect(page.get_by_role("combobox", name="Field of the samples")).to_be_visible()
    settled(page)
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    context.close()
