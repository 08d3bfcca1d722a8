"""One sample in a real Chromium: by keyboard from flip to flip, and its tokens from a real worker, clicked twice."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect
from serving import served, settled, violations

from muscle_core.actions.updates.compare import compare_versions
from muscle_core.compat.config import STRATEGIES
from muscle_core.jobs import list_jobs
from muscle_core.store import Workspace

pytestmark = pytest.mark.browser
MATH = ("demo-math-v1", "demo-math-v2", "demo-math")
DIALOGUE = ("demo-dialogue-v1", "demo-dialogue-v2", "demo-dialogue")


@pytest.fixture
def demo(demo_home: Path, tmp_path: Path) -> Iterator[Workspace]:
    """A copy of the demo's workspace, in which nobody has looked at tokens."""
    shutil.copytree(demo_home, tmp_path / "workspace", ignore=shutil.ignore_patterns("tokens"))
    workspace = Workspace.open(tmp_path / "workspace")
    yield workspace
    workspace.close()


def address(url: str, pair: tuple[str, str, str], page: str = "samples", **more: str) -> str:
    named = {"old": pair[0], "new": pair[1], "dataset": pair[2], **more}
    return f"{url}/{page}?" + "&".join(f"{key}={value}" for key, value in named.items())


def test_tokens_are_looked_at_once_by_a_worker_and_the_keys_go_from_flip_to_flip(
    demo: Workspace, page: Any, tmp_path: Path, stop_workers: None
) -> None:
    samples = compare_versions(demo, *MATH).samples
    flips = list(samples.loc[samples["quadrant"] == "Q4", "sample_id"])
    with served(demo.home, tmp_path / "app.log") as url:
        page.goto(address(url, MATH, quadrant="Q4", sample=flips[1]))
        settled(page)
        expect(page.get_by_text(f"2 of {len(flips)} shown above")).to_be_visible()
        page.get_by_role("button", name="Look at the tokens").dblclick()
        strip = page.get_by_role("img", name=re.compile("^Under token_correctness, "))
        expect(strip).to_be_visible(timeout=90_000)
        settled(page)
        assert [job.kind for job in list_jobs(demo) if job.kind == "view_tokens"] == ["view_tokens"]
        for strategy in ("always_old", "cross_entropy", "focal_distillation"):  # all of them: tests/pages
            page.get_by_test_id("stButtonGroup").get_by_text(strategy, exact=True).click()
            strip = page.get_by_role("img", name=re.compile(f"^Under {strategy}, "))
            expect(strip).to_be_visible()
            settled(page)
            letters = strip.locator("b").all_inner_texts()
            assert set(letters) == {{"always_old": "O", "cross_entropy": "G"}.get(strategy, "O+G")}
        expect(page).to_have_url(re.compile("tokens_by=focal_distillation"))
        assert "gold token" in strip.locator("[title]").first.get_attribute("title")
        page.get_by_text("All tokens as a table").click()
        table = page.get_by_role("region", name=re.compile("^Tokens of the gold answer"))
        expect(table.get_by_role("row")).to_have_count(len(letters) + 1)
        assert violations(page) == []

        # Those around it were looked at with it.
        page.keyboard.press("j")
        expect(page.get_by_text(f"3 of {len(flips)} shown above")).to_be_visible(timeout=30_000)
        expect(page).to_have_url(re.compile(f"sample={flips[2]}"))
        expect(page.get_by_role("img", name=re.compile("^Under focal_distillation, "))).to_be_visible()
        for number in (2, 1):
            page.keyboard.press("k")
            expect(page.get_by_text(f"{number} of {len(flips)} shown above")).to_be_visible(timeout=30_000)
            settled(page)
        # No shortcut while one writes.
        box = page.get_by_role("textbox", name="Sample id")
        box.fill("")
        box.press_sequentially("jk")
        expect(box).to_have_value("jk")
        expect(page.get_by_text(f"1 of {len(flips)} shown above")).to_be_visible()
        box.fill(flips[4])
        box.press("Enter")
        expect(page.get_by_text(f"5 of {len(flips)} shown above")).to_be_visible(timeout=30_000)
        settled(page)  # the address is written at the end of a run
        page.go_back()
        expect(page.get_by_text(f"1 of {len(flips)} shown above")).to_be_visible(timeout=30_000)

        # The same flip on Masking, under every strategy.
        page.goto(address(url, MATH, "masking", tokens_of=flips[1]))
        settled(page)
        grid = page.get_by_role("region", name=re.compile("under every strategy"))
        expect(grid.get_by_role("rowheader")).to_have_text(list(STRATEGIES))
        expect(page.get_by_test_id("stException")).to_have_count(0)
        page.goto("about:blank")


def test_differences_and_shared_words_are_marked_and_linked(demo_url: str, page: Any) -> None:
    page.goto(address(demo_url, DIALOGUE, sample="dialogue-test-0001", mark="rougeL"))
    settled(page)
    expect(page.get_by_text(re.compile("words in the same order shared")).first).to_be_visible()
    assert page.locator(".muscle-text mark").count() > 3
    assert violations(page) == []
    page.get_by_test_id("stButtonGroup").get_by_text("differences", exact=True).click()
    expect(page.locator(".muscle-text ins").first).to_be_visible()
    expect(page).not_to_have_url(re.compile("mark="))
    page.get_by_test_id("stButtonGroup").get_by_text("gold answer", exact=True).click()
    expect(page).to_have_url(re.compile("compare_with=gold"))
    page.get_by_role("button", name="Link to this sample").click()
    code = page.get_by_test_id("stPopoverBody").locator("code")
    expect(code).to_contain_text("compare_with=gold", timeout=30_000)  # drawn last, after the URL has changed
    link = code.inner_text()
    assert "sample=dialogue-test-0001" in link
    page.goto(link.replace("\n", ""))
    settled(page)
    expect(page.get_by_text("against the gold answer")).to_be_visible()
    page.get_by_role("button", name="Review this sample").click()
    expect(page).to_have_url(re.compile("review_sample=dialogue-test-0001"), timeout=30_000)
    expect(page.get_by_role("heading", name="Review", exact=True)).to_be_visible()
    page.goto("about:blank")
