"""Training in a real Chromium: the form is in the address, a training shows the time left, two are compared."""

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
    """A copy of the demo with two short trainings in it; its workers end with it."""
    from muscle_core.actions.training.train import train_compat
    from muscle_core.compat.config import CompatConfig
    from muscle_core.store import Workspace

    home = tmp_path / "workspace"
    shutil.copytree(demo_home, home)
    workspace = Workspace.open(home)
    for options in ({}, {"strategy": "always_old", "learning_rate": 2e-4}):
        config = CompatConfig.from_dict({"steps": 20, "batch_size": 4, "initialisation": "new", **options})
        train_compat(workspace, "demo-choice-v1", "demo-choice-v2", "demo-choice", config, limit=80)
    workspace.close()
    yield home
    end_workers(home)


def test_the_form_is_in_the_address_and_back_undoes_a_change(demo_url: str, page: Any) -> None:
    page.goto(f"{demo_url}/training?{CHOICE}&seed=3&steps=no")
    settled(page)
    told = page.get_by_text(re.compile("The address asks for what this form cannot hold.*Steps “no”"))
    expect(told).to_be_visible()
    expect(page.get_by_role("spinbutton", name="Seed", exact=True)).to_have_value("3")
    expect(page.get_by_role("spinbutton", name="Steps", exact=True)).to_have_value("500")
    # Start and what it takes are in sight together.
    for seen in (page.get_by_role("button", name="Start training"), page.get_by_text("Before it starts")):
        expect(seen).to_be_in_viewport()
    # A folded option: counted in the title, which stays open.
    page.get_by_text("More options").click()
    rate = page.get_by_role("spinbutton", name="Learning rate")
    rate.fill("0.001")
    rate.press("Enter")
    expect(page.get_by_text("More options · 1 differs from the preset")).to_be_visible()
    expect(page).to_have_url(re.compile("learning_rate=0.001"))
    expect(rate).to_be_visible()
    expect(told).to_have_count(0)
    changed = page.url
    # Another preset, and back twice.
    page.get_by_role("radio", name="quick").click()
    expect(page).to_have_url(re.compile("preset=quick.*steps=50(&|$)"))
    settled(page)
    expect(rate).to_have_value("0.0003")
    page.go_back()
    expect(page).to_have_url(changed)
    expect(page.get_by_text("More options · 1 differs from the preset")).to_be_visible()
    expect(rate).to_have_value("0.001")
    expect(page.get_by_role("spinbutton", name="Batch size")).to_have_value("32")
    settled(page)
    page.go_back()
    expect(rate).to_have_value("0.002")
    expect(page.get_by_role("spinbutton", name="Seed", exact=True)).to_have_value("3")


@pytest.mark.slow
def test_form_command_time_left_and_comparison(own_home: Path, page: Any, tmp_path: Path) -> None:
    with served(own_home, tmp_path / "app.log") as url:
        page.goto(f"{url}/training?{CHOICE}")
        settled(page)
        # Before it starts: what it takes, by the two trainings.
        page.get_by_text("Where these figures come from").click()
        expect(page.get_by_text(re.compile(r"^Time\. Steps .*: by \d earlier training"))).to_be_visible()
        expect(page.get_by_text("Both versions have one tokenizer.")).to_be_visible()
        # The command follows the form.
        page.get_by_text("The same as a command or a recipe").click()
        command = page.get_by_test_id("stCode").filter(has_text="python -m muscle_core train compat").first
        expect(command).to_contain_text("--dataset demo-choice --background")
        page.get_by_role("spinbutton", name="Steps", exact=True).fill("3000")
        page.get_by_role("spinbutton", name="Seed", exact=True).fill("9")
        page.get_by_role("spinbutton", name="Seed", exact=True).press("Enter")
        expect(command).to_contain_text("--seed 9 --set steps=3000 --background")
        # Live: the time left, the log, and cancelling.
        page.get_by_role("button", name="Start training").click()
        expect(page.get_by_text(re.compile(r"training: [\d,]+ of 3,000 · about .* left"))).to_be_visible(
            timeout=120_000
        )
        expect(page.get_by_text(re.compile(r"step [\d,]+ of 3,000: loss"))).to_be_visible(timeout=90_000)
        page.get_by_role("button", name="Cancel this job").click()
        expect(page.get_by_text(re.compile("Cancelled: the training of"))).to_be_visible(timeout=60_000)
        expect(page.get_by_role("button", name="Resume this job")).to_be_visible()
        # One that is done: ticked in the list, its curves and settings are shown; back closes it.
        expect(page.get_by_text(re.compile(r"^\d+ trainings, newest first\."))).to_be_visible()
        before = page.url
        table = page.get_by_test_id("stDataFrame").first
        table.scroll_into_view_if_needed()
        box = table.bounding_box()
        page.mouse.click(box["x"] + 17, box["y"] + 52)
        expect(page).to_have_url(re.compile(r"training=[0-9a-f]{8}"), timeout=30_000)
        expect(page.get_by_role("strong").filter(has_text="demo-choice-v2-always_old-s0")).to_be_visible(timeout=30_000)
        expect(page.get_by_text(re.compile(r"^All 20 steps, as they were"))).to_be_visible(timeout=30_000)
        page.go_back()
        expect(page).to_have_url(before, timeout=30_000)
        expect(page.get_by_text(re.compile(r"^All 20 steps, as they were"))).to_have_count(0, timeout=30_000)
        expect(page.get_by_text(re.compile(r"^Loss, last step: first \d\.\d{4}, second \d\.\d{4}\."))).to_be_visible(
            timeout=30_000
        )
        # Two trainings: differences only, then all, in the address.
        expect(page.get_by_text(re.compile(r"^\d+ of \d+ settings differ\.$"))).to_be_visible()
        settings = page.get_by_test_id("stTable").filter(has_text="learning_rate")
        expect(settings).to_contain_text("0.0002")
        expect(settings).not_to_contain_text("torch")
        page.get_by_text("all settings", exact=True).click()
        expect(page).to_have_url(re.compile("settings=all"), timeout=30_000)
        expect(page.get_by_test_id("stTable").filter(has_text="torch")).to_be_visible(timeout=30_000)
        expect(page.get_by_test_id("stException")).to_have_count(0)
        page.goto("about:blank")  # a page that is still open would miss the server that ends here
