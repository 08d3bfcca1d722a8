"""Background work in a real Chromium: it outlives tab and server, starts once, and can be cancelled and resumed."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import end_workers
from jobs_running import job_lines, job_processes, slowed, wait_for
from playwright.sync_api import expect
from serving import served, settled

from muscle_core.actions.training.step_records import read_metrics
from muscle_core.jobs import FINAL, get_job, history, jobs_after, list_jobs
from muscle_core.store import Job, Workspace

pytestmark = pytest.mark.browser
CHOICE = "dataset=demo-choice&old=demo-choice-v1&new=demo-choice-v2"
LONG = 240_000


@pytest.fixture
def demo(demo_home: Path, tmp_path: Path) -> Iterator[Workspace]:
    """A copy of the demo's workspace: other tests count what was trained in theirs."""
    home = tmp_path / "workspace"
    shutil.copytree(demo_home, home)
    workspace = Workspace.open(home)
    yield workspace
    workspace.close()
    end_workers(home)


def start_training(page: Any, url: str, steps: int, seed: int, *, clicks: int = 1) -> None:
    page.goto(f"{url}/training?{CHOICE}")
    settled(page)
    page.get_by_role("spinbutton", name="Steps", exact=True).fill(str(steps))
    page.get_by_role("spinbutton", name="Seed", exact=True).fill(str(seed))
    page.get_by_role("button", name="Start training").click(click_count=clicks)
    expect(page.get_by_text(re.compile(rf"training: \d+ of {steps}"))).to_be_visible(timeout=LONG)


def trainings(workspace: Workspace, seed: int) -> list[Job]:
    return [
        job for job in list_jobs(workspace) if job.kind == "train_compat" and job.payload["options"]["seed"] == seed
    ]


def step_shown(page: Any, steps: int) -> int:
    text = page.get_by_text(re.compile(rf"training: \d+ of {steps}")).inner_text()
    return int(re.search(r"training: (\d+) of", text)[1])


def test_a_training_outlives_the_tab_and_a_killed_server(
    demo: Workspace, chrome: Any, page: Any, tmp_path: Path
) -> None:
    steps, seed = 80, 11
    with served(demo.home, tmp_path / "first.log", slowed(demo.home, 0.5)) as server:
        context = chrome.new_context()
        tab = context.new_page()
        start_training(tab, server, steps, seed, clicks=2)
        [training] = trainings(demo, seed)  # of two clicks
        link = re.search(r"job=[0-9a-f]{8}", tab.url)[0]
        assert link == f"job={training.id[:8]}"
        [child] = job_processes(demo.home)
        before = step_shown(tab, steps)
        context.close()
        server.kill()
        assert child.is_running()

    with served(demo.home, tmp_path / "second.log", slowed(demo.home, 0.5)) as server:
        page.goto(f"{server}/training?{CHOICE}&{link}")  # the first request to the new server
        settled(page)
        expect(page.get_by_text(re.compile(rf"training: \d+ of {steps}"))).to_be_visible(timeout=60_000)
        assert step_shown(page, steps) > before
        assert [process.pid for process in job_processes(demo.home)] == [child.pid]
        expect(page.get_by_test_id("stPlotlyChart").get_by_text("tokens aligned to old").first).to_be_visible()
        page.get_by_text("History", exact=True).click()
        for what in ("submitted", "started"):
            expect(page.get_by_role("cell", name=what, exact=True)).to_be_visible()
        expect(page.get_by_text("Trained and evaluated", exact=False)).to_be_visible(timeout=LONG)
        expect(page.get_by_role("button", name=re.compile("Cancel|Resume"))).to_have_count(0, timeout=30_000)
        expect(page.get_by_test_id("stException")).to_have_count(0)
        page.goto("about:blank")

    assert [line["pid"] for line in job_lines(demo, training.id) if line["what"] == "begin"] == [child.pid]
    assert [step["step"] for step in read_metrics(demo, training.id)] == list(range(1, steps + 1))
    assert len(trainings(demo, seed)) == 1
    assert {job.state for job in (get_job(demo, training.id), *jobs_after(demo, training.id))} == {"succeeded"}


@pytest.mark.slow
def test_a_training_is_cancelled_and_resumed_on_the_page(demo: Workspace, page: Any, tmp_path: Path) -> None:
    steps, seed = 40, 12
    with served(demo.home, tmp_path / "app.log", slowed(demo.home, 0.5)) as server:
        start_training(page, server, steps, seed)
        page.get_by_role("button", name="Cancel this job").click()
        clicked = time.monotonic()
        resume = page.get_by_role("button", name="Resume this job")
        expect(resume).to_be_visible(timeout=30_000)
        assert time.monotonic() - clicked < 15
        expect(
            page.get_by_text(re.compile(r"Cancelled: the training of .* was stopped after \d+ steps"))
        ).to_be_visible()
        expect(page.get_by_text("The evaluation was cancelled with this job.", exact=False)).to_be_visible()
        [training] = trainings(demo, seed)
        assert get_job(demo, training.id).state == "cancelled"
        stopped_at = len(read_metrics(demo, training.id))
        assert 0 < stopped_at < steps

        resume.click()
        expect(page.get_by_text("Started 2 times: it was resumed.")).to_be_visible(timeout=60_000)
        expect(page.get_by_text("Trained and evaluated", exact=False)).to_be_visible(timeout=LONG)
        expect(page.get_by_test_id("stException")).to_have_count(0)
        page.goto("about:blank")

    wait_for(demo, training.id, lambda job: job.state in FINAL)
    what = [event.what for event in history(demo, training.id)]
    assert what == ["submitted", "claimed", "cancel requested", "cancelled", "resumed", "claimed", "succeeded"]
    lines = job_lines(demo, training.id)
    second = max(place for place, line in enumerate(lines) if line["what"] == "begin")
    again = next(line["done"] for line in lines[second:] if line.get("stage") == "training")
    assert again > stopped_at  # from its checkpoint, not from the first step
    assert [step["step"] for step in read_metrics(demo, training.id)] == list(range(1, steps + 1))
