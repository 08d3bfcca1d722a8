"""Manual error review in a real Chromium: by keyboard alone, kept over a reload, and by two people at once."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from playwright.sync_api import expect
from serving import ROOT, served, settled

from muscle_core.actions.reviews.findings import list_reviews, queue_of
from muscle_core.store import Review, Workspace

pytestmark = pytest.mark.browser
PAIR = ("demo-choice-v1", "demo-choice-v2", "demo-choice")
LINK = f"review?dataset={PAIR[2]}&old={PAIR[0]}&new={PAIR[1]}"


@pytest.fixture
def demo(demo_home: Path, tmp_path: Path) -> Iterator[Workspace]:
    """A copy of the demo's workspace, without reviews of other tests."""
    shutil.copytree(demo_home, tmp_path / "workspace")
    workspace = Workspace.open(tmp_path / "workspace")
    with workspace.writing() as session:
        session.execute(sa.delete(Review))
    yield workspace
    workspace.close()


def gate(workspace: Workspace, *limits: str) -> int:
    """Exit code of the gate over the pair."""
    command = [sys.executable, "-m", "muscle_core", "gate", *PAIR[:2], "--dataset", PAIR[2], *limits]
    return subprocess.run(command, cwd=ROOT, env={**os.environ, "MUSCLE_HOME": str(workspace.home)}).returncode


def place(page: Any, number: int, identity: str) -> None:
    """Wait until a sample is shown."""
    expect(page.get_by_text(re.compile(rf"^{number} of [\d,]+ · {identity}$"))).to_be_visible(timeout=30_000)
    settled(page)


def chosen(page: Any, label: str) -> Any:
    # Of a button with a tooltip there is a hidden copy, for narrow screens.
    return page.locator("[data-testid='stBaseButton-primary']:visible").filter(has_text=label)


def press(page: Any, key: str, label: str) -> None:
    """A key chooses a label, which is then marked."""
    page.keyboard.press(key)
    expect(chosen(page, label)).to_be_visible(timeout=30_000)
    settled(page)


def test_a_reviewer_works_by_keyboard_and_a_reload_keeps_it(demo: Workspace, page: Any, tmp_path: Path) -> None:
    flips = list(queue_of(demo, *PAIR)["sample_id"])
    with served(demo.home, tmp_path / "app.log") as url:
        page.goto(f"{url}/{LINK}&reviewer=Ada")  # the first request to this server
        settled(page)
        place(page, 1, flips[0])
        press(page, "q", "real regression")
        press(page, "2", "arithmetic slip")
        press(page, "h", "high")
        press(page, "3", "misread question")  # another cause takes its place
        expect(chosen(page, "arithmetic slip")).to_have_count(0)
        note = page.get_by_role("textbox", name="Note")
        note.fill("two jks words")  # no shortcut while one writes
        page.keyboard.press("w")
        page.keyboard.press("Control+Enter")
        place(page, 2, flips[1])
        [saved] = list_reviews(demo, *PAIR).to_dict("records")
        assert (saved["sample_id"], saved["reviewer"], saved["verdict"], saved["cause"], saved["severity"]) == (
            *(flips[0], "Ada", "real regression", "misread question", "high"),
        )
        assert saved["note"] == "two jks wordsw"
        expect(page).to_have_url(re.compile(f"review_sample={flips[1]}"))
        expect(page.get_by_text(re.compile("^1 by Ada · 1 of 134 negative flips reviewed"))).to_be_visible()

        page.keyboard.press("k")
        place(page, 1, flips[0])
        page.reload()
        settled(page)
        place(page, 1, flips[0])
        expect(chosen(page, "misread question")).to_be_visible()
        expect(page.get_by_role("textbox", name="Note")).to_have_value("two jks wordsw")
        page.keyboard.press("n")
        place(page, 2, flips[1])
        page.keyboard.press("j")
        place(page, 3, flips[2])
        page.go_back()
        place(page, 2, flips[1])

        # A filter stays chosen while what it leaves gets less.
        page.goto(f"{url}/{LINK}&reviewer=Ada&review_state=unreviewed")
        settled(page)
        place(page, 1, flips[1])
        press(page, "w", "acceptable")
        page.keyboard.press("Control+Enter")
        place(page, 1, flips[2])
        page.keyboard.press("j")
        place(page, 2, flips[3])
        expect(page.get_by_role("combobox", name=re.compile("Show"))).to_have_value("unreviewed")
        expect(page).to_have_url(re.compile("review_state=unreviewed"))

        # What is acceptable goes into the allow list, which the gate takes as it is.
        page.get_by_role("tab", name="Export").click()
        with page.expect_download(timeout=60_000) as download:
            page.get_by_role("button", name="Allow list (1)").click()
        assert download.value.suggested_filename == "allow-demo-choice-v1-to-demo-choice-v2-demo-choice-test.txt"
        allowed = tmp_path / "allowed.txt"
        download.value.save_as(allowed)
        assert allowed.read_text() == f"{flips[1]}\n"
        expect(page.get_by_text(f"--allow-file {download.value.suggested_filename}", exact=False)).to_be_visible()
        assert gate(demo, "--max-flips", "133") == 100
        assert gate(demo, "--max-flips", "133", "--allow-file", str(allowed)) == 0
        expect(page.get_by_test_id("stException")).to_have_count(0)
        page.goto("about:blank")


def test_two_people_at_once_do_not_get_into_each_others_reviews(
    demo: Workspace, chrome: Any, page: Any, tmp_path: Path
) -> None:
    flips = list(queue_of(demo, *PAIR)["sample_id"])
    with served(demo.home, tmp_path / "app.log") as url:
        context = chrome.new_context(viewport={"width": 1440, "height": 1000})
        other = context.new_page()
        for tab, name in ((page, "Ada"), (other, "Ben")):
            tab.goto(f"{url}/{LINK}&reviewer={name}&review_sample={flips[4]}")
            settled(tab)
            place(tab, 5, flips[4])
        press(page, "q", "real regression")
        press(other, "w", "acceptable")
        press(page, "1", "wrong reasoning")
        expect(chosen(page, "acceptable")).to_have_count(0)
        expect(chosen(other, "real regression")).to_have_count(0)
        page.keyboard.press("Control+Enter")
        place(page, 6, flips[5])
        place(other, 5, flips[4])
        expect(chosen(other, "acceptable")).to_be_visible()
        other.keyboard.press("Control+Enter")
        place(other, 6, flips[5])
        place(page, 6, flips[5])
        reviews = list_reviews(demo, *PAIR).set_index("reviewer")
        assert reviews["sample_id"].tolist() == [flips[4]] * 2
        assert reviews["verdict"].to_dict() == {"Ada": "real regression", "Ben": "acceptable"}
        other.keyboard.press("k")
        place(other, 5, flips[4])
        expect(other.get_by_text(re.compile("^Ada: real regression · wrong reasoning"))).to_be_visible()
        for tab in (page, other):
            expect(tab.get_by_test_id("stException")).to_have_count(0)
            tab.goto("about:blank")
        context.close()
