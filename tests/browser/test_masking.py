"""Masking in a real Chromium: a mix is made in the background, joins the chart as a line, and opens in Samples."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from helpers import end_workers
from playwright.sync_api import expect
from serving import served, settled

pytestmark = pytest.mark.browser
CHOICE = "dataset=demo-choice&old=demo-choice-v1&new=demo-choice-v2"


@pytest.fixture
def own_home(demo_home: Path, tmp_path: Path):
    """A copy of the demo, since the test adds versions; its workers end with it."""
    home = tmp_path / "workspace"
    shutil.copytree(demo_home, home)
    yield home
    end_workers(home)


@pytest.mark.slow
def test_a_mix_is_made_and_joins_the_chart(own_home: Path, page: Any, tmp_path: Path) -> None:
    with served(own_home, tmp_path / "app.log") as url:
        page.goto(f"{url}/masking?{CHOICE}")
        settled(page)
        expect(page.get_by_text("None of them is there. Missing: α 0.25, 0.5, 0.75")).to_be_visible()
        button = page.get_by_role("button", name=re.compile("Make and evaluate the missing mixes"))
        button.dblclick()
        expect(page.get_by_text(re.compile(r"Under way \(job \w{8}\)"))).to_be_visible(timeout=30_000)
        expect(button).to_be_disabled()
        # It ends by itself, and the page shows what was made without a click.
        expect(page.get_by_text("Nothing is missing.")).to_be_visible(timeout=120_000)
        expect(page.get_by_text("mixes A", exact=True)).to_be_visible(timeout=30_000)
        mixed = re.compile(r"Mixes A: from the adapter of demo-choice-[\w-]+ \(α 0\)")
        expect(page.get_by_text(mixed)).to_be_visible(timeout=30_000)
        expect(page.get_by_text(re.compile(r"no other of the 5 points is better in both"))).to_be_visible()
        # All columns are a switch away, and in the address.
        page.get_by_test_id("stButtonGroup").get_by_role("radio", name="all").click()
        expect(page).to_have_url(re.compile("columns=all"))
        expect(page.get_by_test_id("stDataFrame").first).to_be_visible()
        page.get_by_text("Published figures (paper)").click()
        expect(page.get_by_text("nothing here was measured by this workbench")).to_be_visible()
        page.get_by_role("button", name="Open samples").click()
        expect(page).to_have_url(re.compile(r"/samples\?.*compat=demo-choice-compat"), timeout=30_000)
        expect(page.get_by_test_id("stException")).to_have_count(0)
        page.goto("about:blank")  # a page that is still open would miss the server that ends here
