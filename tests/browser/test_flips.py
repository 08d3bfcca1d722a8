"""The Flips page in a real Chromium: clicks on charts lead to their samples, tau moves, charts come as files."""

from __future__ import annotations

import csv
import io
import re
import struct
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect
from serving import settled

pytestmark = pytest.mark.browser
CHOICE = "dataset=demo-choice&old=demo-choice-v1&new=demo-choice-v2"
DIALOGUE = "dataset=demo-dialogue&old=demo-dialogue-v1&new=demo-dialogue-v2"


def flips(page: Any, url: str, tab: str, picks: str = CHOICE) -> None:
    page.goto(f"{url}/flips?{picks}&flips_tab={tab}")
    settled(page)
    expect(page.get_by_test_id("stException")).to_have_count(0)


def click(page: Any, mark: Any) -> None:
    """Click the middle of a mark of a chart; Plotly's layer for the pointer lies over it."""
    expect(mark).to_be_visible()
    mark.scroll_into_view_if_needed()
    box = mark.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.click(x, y)


def filters_of_samples(page: Any) -> dict[str, str]:
    """Wait for the Samples page; its URL parameters."""
    expect(page).to_have_url(re.compile("/samples"), timeout=30_000)
    expect(page.get_by_role("heading", name="Samples", exact=True)).to_be_visible(timeout=30_000)
    settled(page)
    expect(page.get_by_test_id("stException")).to_have_count(0)
    return {key: values[0] for key, values in parse_qs(urlsplit(page.url).query).items()}


def saved(page: Any, chart: str, kind: str) -> tuple[str, bytes]:
    """Name and content of a download of a chart."""
    page.locator(f".st-key-{chart}_download").get_by_role("button").click()
    with page.expect_download() as download:
        page.get_by_role("button", name=kind).click()
    content = Path(download.value.path()).read_bytes()
    page.keyboard.press("Escape")
    return download.value.suggested_filename, content


def test_marks_lead_to_their_samples(demo_url: str, page: Any) -> None:
    flips(page, demo_url, "update")
    click(page, page.locator(".st-key-flips_causes .bars path").first)
    found = filters_of_samples(page)
    assert (found["quadrant"], found["cause"]) == ("Q4", "clear preference")
    assert "flips_tab" not in found

    flips(page, demo_url, "update")
    click(page, page.locator(".st-key-flips_flow text", has_text=re.compile("^134$")))
    assert filters_of_samples(page)["quadrant"] == "Q4"

    flips(page, demo_url, "pairs")
    cells = page.locator(".st-key-flips_pairs_map .bars path")
    expect(cells.first).to_be_visible()
    click(page, page.locator(".st-key-flips_pairs_map text", has_text=re.compile("86 of 1,000")))
    found = filters_of_samples(page)
    assert (found["dataset"], found["old"], found["new"]) == ("demo-math", "demo-math-v1", "demo-math-v2")
    assert found["quadrant"] == "Q4"

    flips(page, demo_url, "slices")
    click(page, page.locator(".st-key-flips_slices .points path").first)
    found = filters_of_samples(page)
    assert re.fullmatch(r"\w+(\.\w+)?=.+", found["slice"])
    assert found["quadrant"] == "Q4"


def test_tau_moves_the_band_and_a_point_opens_its_sample(demo_url: str, page: Any) -> None:
    flips(page, demo_url, "scores", DIALOGUE)
    expect(page.get_by_text(re.compile("fell by more than 0 in"))).to_be_visible()
    slider = page.get_by_role("slider")
    slider.focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    expect(page).to_have_url(re.compile(r"tau=0\.\d+"))
    tau = parse_qs(urlsplit(page.url).query)["tau"][0]
    expect(page.get_by_text(re.compile(f"fell by more than {re.escape(tau)} in"))).to_be_visible()
    expect(page.get_by_text(re.compile(f"unchanged: moved by at most {re.escape(tau)}"))).to_be_visible()
    click(page, page.locator(".st-key-flips_scatter .points path").last)
    assert filters_of_samples(page)["sample"].startswith("dialogue-test-")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_chart_is_saved_as_it_is_shown(demo_url: str, chrome: Any, theme: str) -> None:
    context = chrome.new_context(viewport={"width": 1200, "height": 1400}, color_scheme=theme)
    page = context.new_page()
    flips(page, demo_url, "scores", f"{DIALOGUE}&tau=0.1")
    expect(page.locator(".st-key-flips_scatter .points path").first).to_be_visible()
    shown = page.locator(".st-key-flips_scatter .main-svg").first.bounding_box()

    name, content = saved(page, "flips_scatter", "Image (SVG)")
    assert name == "old-against-new-rouge1.svg"
    root = ET.fromstring(content)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    texts = "\n".join("".join(node.itertext()) for node in root.iter("{http://www.w3.org/2000/svg}text"))
    for title in ("ROUGE-1, demo-dialogue-v1", "ROUGE-1, demo-dialogue-v2", "worse: 39 of 500"):
        assert title in texts
    ground = root.find("{http://www.w3.org/2000/svg}rect").attrib["style"]
    assert {"light": "rgb(255, 255, 255)", "dark": "rgb(17, 22, 29)"}[theme] in ground
    assert "fill-opacity: 1" in ground

    name, content = saved(page, "flips_scatter", "Image (PNG)")
    assert name == "old-against-new-rouge1.png"
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", content[16:24])
    assert abs(width - 2 * shown["width"]) <= 4
    assert abs(height - 2 * shown["height"]) <= 4

    name, content = saved(page, "flips_scatter", "Numbers (CSV)")
    rows = list(csv.DictReader(io.StringIO(content.decode())))
    assert name == "old-against-new-rouge1.csv"
    assert len(rows) == 500
    assert sum(row["group"] == "worse" for row in rows) == 39
    context.close()
