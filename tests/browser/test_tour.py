"""The stranger's test: the script of docs/tour.md, read from that page and done in a real Chromium on a fresh demo."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from playwright.sync_api import expect
from serving import settled

from muscle_core.actions.updates.compare import compare_versions, predictions_of, require_run
from muscle_core.store import Workspace, get_dataset, get_version

pytestmark = pytest.mark.browser
ROOT = Path(__file__).resolve().parents[2]
MOST_SECONDS = 180
_STEP = re.compile(r"^\d+\. (.*)$", re.MULTILINE)
_DO = re.compile(r"(Open) `([^`]+)`|(Click|See) \*\*(.+?)\*\*(?=\.)")


class Deed(NamedTuple):
    """One thing that the script says: Open, Click or See, and what."""

    verb: str
    what: str


def script() -> list[list[Deed]]:
    """The numbered lines of the section "Script"; every sentence of them must be understood."""
    text = (ROOT / "docs" / "tour.md").read_text(encoding="utf-8")
    section = text.split("## Script")[1].split("\n## ")[0]
    lines = []
    for line in _STEP.findall(section):
        deeds = [Deed(m[1] or m[3], m[2] or m[4]) for m in _DO.finditer(line)]
        assert _DO.sub("", line).replace(".", "").strip() == "", f"not understood: {line}"
        lines.append(deeds)
    assert len(lines) >= 5
    return lines


def do(page: Any, url: str, deed: Deed) -> None:
    if deed.verb == "Open":
        page.goto(f"{url}{deed.what}")
    elif deed.verb == "Click":
        page.get_by_role("button", name=deed.what, exact=True).click()
    else:
        where = page.get_by_role("heading", name=deed.what, exact=True)
        expect(where.or_(page.get_by_text(deed.what)).first).to_be_visible(timeout=30_000)
        return
    settled(page)


def test_a_stranger_learns_in_three_minutes_what_broke_why_and_what_repairs_it(
    demo_home: Path, demo_url: str, page: Any
) -> None:
    workspace = Workspace.open(demo_home)
    names = ("demo-choice-v1", "demo-choice-v2", "demo-choice")
    comparison = compare_versions(workspace, *names)
    repaired_run = require_run(
        workspace, get_version(workspace, "demo-choice-compat"), get_dataset(workspace, "demo-choice"), "test"
    )
    right = predictions_of(workspace, repaired_run).set_index("sample_id")["correct"]
    broken = comparison.samples.loc[comparison.samples["quadrant"] == "Q4", "sample_id"]
    repaired = int(right[list(broken)].sum())
    workspace.close()
    assert 0 < repaired < len(broken)

    seen: list[str] = []
    started = time.monotonic()
    for line in script():
        for deed in line:
            do(page, demo_url, deed)
        expect(page.get_by_test_id("stException")).to_have_count(0)
        seen.append(page.get_by_test_id("stMain").inner_text())
    seconds = time.monotonic() - started
    assert seconds < MOST_SECONDS, f"the script took {seconds:.0f} s"

    # The three answers were on the screen, with the figures that the library gives.
    text = "\n".join(seen).replace("\u00a0", " ")
    assert f"{len(broken)} inputs that the old version got right are wrong now" in text
    assert f"The table lists the {len(broken)} broken inputs" in text
    assert re.search(rf"name one cause for each of the {len(broken)} broken inputs: \w", text)
    assert f"answers {repaired} of the {len(broken)} broken inputs right again" in text
    assert "demo-choice-compat passes the gate" in text
    expect(page.get_by_text("Tour · step")).to_have_count(0)
    assert "tour=" not in page.url


@pytest.mark.parametrize(
    ("number", "heading"), [(1, "Update report"), (2, "Samples"), (3, "Flips"), (4, "Masking"), (5, "Update report")]
)
def test_a_link_to_a_step_opens_it(demo_url: str, page: Any, number: int, heading: str) -> None:
    page.goto(f"{demo_url}/?tour={number}")
    expect(page.get_by_text(f"Tour · step {number} of 5")).to_be_visible(timeout=60_000)
    settled(page)
    expect(page.get_by_role("heading", name=heading, exact=True)).to_be_visible()
    assert f"tour={number}" in page.url
    assert "dataset=demo-choice" in page.url


def test_back_in_the_browser_returns_to_the_step_before(demo_url: str, page: Any) -> None:
    page.goto(f"{demo_url}/?tour=1")
    settled(page)
    page.get_by_role("button", name="Next", exact=True).click()
    expect(page.get_by_text("Tour · step 2 of 5")).to_be_visible(timeout=30_000)
    settled(page)
    page.go_back()
    expect(page.get_by_text("Tour · step 1 of 5")).to_be_visible(timeout=30_000)
    expect(page.get_by_role("heading", name="Update report", exact=True)).to_be_visible()
