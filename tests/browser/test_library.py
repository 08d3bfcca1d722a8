"""The Library in a real Chromium: find a version, look at it, go where it is shown; and a large import."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect
from serving import served, settled, violations

pytestmark = pytest.mark.browser


def test_a_version_is_found_looked_at_and_followed_to_its_report(demo_url: str, page: Any) -> None:
    page.goto(f"{demo_url}/library")
    settled(page)
    search = page.get_by_role("textbox", name="Search")
    search.fill("math")
    search.press("Enter")
    expect(page.get_by_text(re.compile(r"^\d+ of \d+ model versions$"))).to_be_visible(timeout=30_000)
    settled(page)
    assert "version_search=math" in page.url
    table = page.get_by_test_id("stDataFrame").first
    box = table.bounding_box()
    page.mouse.click(box["x"] + 16, box["y"] + 35 + 35 + 17)  # the second row's box
    expect(page.get_by_role("heading", name="demo-math-v2")).to_be_visible(timeout=30_000)
    settled(page)
    assert "version=demo-math-v2" in page.url
    expect(page.get_by_text("Fingerprint of the adapter")).to_be_visible()
    page.get_by_test_id("stButtonGroup").get_by_text("demo-math-v1", exact=True).click()
    expect(page.get_by_role("heading", name="demo-math-v1")).to_be_visible(timeout=30_000)
    settled(page)
    page.go_back()
    expect(page.get_by_role("heading", name="demo-math-v2")).to_be_visible(timeout=30_000)
    settled(page)
    page.get_by_role("button", name="Update report").click()
    expect(page.get_by_role("heading", name="Update report", exact=True)).to_be_visible(timeout=30_000)
    settled(page)
    assert "old=demo-math-v1&new=demo-math-v2" in page.url


def test_a_large_file_is_imported_in_the_background(page: Any, tmp_path: Path) -> None:
    file = tmp_path / "large.jsonl"
    with file.open("w") as stream:
        for n in range(30_000):
            row = {"id": f"q{n}", "question": f"What is {n} plus 1? {'x' * 250}", "gold": str(n + 1)}
            stream.write(json.dumps({**row, "prediction": str(n + 1 + (n % 4 == 0))}) + "\n")
    assert file.stat().st_size > 8 * 2**20
    home = tmp_path / "workspace"
    with served(home, tmp_path / "app.log") as url:
        page.goto(f"{url}/library?tab=import")
        settled(page)
        page.locator('input[type="file"]').first.set_input_files(str(file))
        expect(page.get_by_text("Only its first rows were looked at here")).to_be_visible(timeout=30_000)
        settled(page)
        kind = page.get_by_role("combobox", name=re.compile("Task kind"))
        kind.evaluate("field => field.scrollIntoView({block: 'center'})")
        kind.click()
        page.get_by_role("option", name="math: a number").click()
        settled(page)
        page.get_by_role("button", name="Import in the background").click()
        expect(page.get_by_role("button", name="Cancel", exact=True)).to_be_visible(timeout=30_000)
        expect(page.get_by_text("30,000 samples: 75.0 % right (22,500 of 30,000)")).to_be_visible(timeout=120_000)
        settled(page)
        assert violations(page) == []
    assert list((home / "uploads").iterdir()) == []
