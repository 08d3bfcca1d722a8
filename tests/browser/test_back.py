"""The browser's back button: every click is one step, and what a page adds to its address on arrival is none."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import expect
from serving import HeldMessages, settled

pytestmark = pytest.mark.browser


def test_a_click_that_comes_before_the_address_is_written_undoes_nothing(demo_url: str, page: Any) -> None:
    def stands(address: str) -> None:
        expect(page).to_have_url(re.compile(address), timeout=30_000)
        settled(page)

    server = HeldMessages(page)
    pair = "dataset=demo-choice&old=demo-choice-v1&new=demo-choice-v2"
    page.goto(f"{demo_url}/samples?{pair}&quadrant=Q4&sort=surest")
    stands("quadrant=Q4")
    with server.held():
        page.get_by_text(re.compile(r"^Q2 positive flips")).first.click()
        server.answered()
        page.get_by_role("button", name="Next page").click()
        server.answered()
    stands("quadrant=Q2.*sort=surest.*page=2")
    expect(page.get_by_role("button", name="Remove filter: quadrant: Q2 positive flips")).to_be_visible()


def test_every_click_is_one_step_and_back_undoes_them_one_by_one(demo_url: str, page: Any) -> None:
    seen: list[tuple[str, str]] = []

    def arrived(heading: str, address: str) -> None:
        expect(page.get_by_role("heading", name=heading, exact=True)).to_be_visible(timeout=30_000)
        expect(page).to_have_url(re.compile(address), timeout=30_000)
        settled(page)
        seen.append((heading, page.url))

    def pick(dataset: str) -> None:
        page.get_by_role("combobox", name=re.compile("Dataset")).click()
        page.get_by_role("option", name=dataset).click()

    page.goto(demo_url)
    arrived("Update report", "dataset=")
    before = page.evaluate("history.length")
    other = "demo-math" if "demo-choice" in page.url else "demo-choice"
    pick(other)
    arrived("Update report", f"dataset={other}")
    if other != "demo-choice":
        pick("demo-choice")
        arrived("Update report", "dataset=demo-choice")
    page.get_by_role("button", name=re.compile(r"^Q4 · \d+ negative flips")).click()
    arrived("Samples", "quadrant=Q4")
    page.get_by_text(re.compile(r"^Q2 positive flips")).first.click()
    arrived("Samples", "quadrant=Q2")
    page.get_by_role("link", name="Flips").click()
    arrived("Flips", "flips_tab=update")
    page.get_by_role("tab", name="Slices").click()
    arrived("Flips", "flips_tab=slices")
    assert page.evaluate("history.length") - before == len(seen) - 1
    for heading, url in reversed(seen[:-1]):
        page.go_back()
        expect(page).to_have_url(url)
        expect(page.get_by_role("heading", name=heading, exact=True)).to_be_visible(timeout=30_000)
        settled(page)
        expect(page).to_have_url(url)  # nothing is written on top of it
    assert page.evaluate("history.length") - before == len(seen) - 1
