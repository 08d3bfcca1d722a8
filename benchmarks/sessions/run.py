"""Many browser sessions at once over one server: does each see the right figures, and does the server stay well?

Every session is a context of its own in one real Chromium. It walks through all pages by the navigation, over and over,
with one of the demo's three updates picked. What it sees must be what the library says and what every other session
with the same picks sees. See docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import asyncio
import difflib
import json
import re
import shutil
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import psutil

from benchmarks.eval.machine import ROOT, machine

sys.path.append(str(ROOT / "tests" / "support"))

from serving import CHROMIUM_FLAGS, EXPECTED, WATCH, served

from muscle_core.actions.library.demo import load_demo
from muscle_core.actions.updates.compare import compare_versions
from muscle_core.store import Workspace
from muscle_core.ui.frame import PAGES

TASKS = ("choice", "math", "dialogue")
PATIENCE = 120_000  # milliseconds for one page
# Pages whose text is the same whenever they are drawn; the others tell of jobs and of files.
_TEXT = """() => {
  const main = document.querySelector('[data-testid="stMain"]'), found = [];
  const walker = document.createTreeWalker(main, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement, text = walker.currentNode.data.trim();
    const left = 'button, label, style, script, svg, [data-testid="stWidgetLabel"], [data-testid="stDataFrame"]';
    if (text && element.checkVisibility() && !element.closest(left)) found.push(text);
  }
  return found.join('\\n');
}"""
SAME_FOR_ALL = ("update_report", "samples", "flips", "review", "masking")


@dataclass
class Seen:
    """What all sessions saw.

    Attributes:
        seconds: from the click to the finished page, by page.
        problems: errors of any kind.
        texts: what pages said, by page and task: how often each text was seen.
        checked: figures that were held against the library's.
    """

    seconds: dict[str, list[float]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    texts: dict[tuple[str, str], dict[str, int]] = field(default_factory=dict)
    checked: int = 0


def main() -> int:
    """Run the command line."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="bench-sessions-") as scratch:
        home, log = Path(scratch) / "workspace", Path(scratch) / "app.log"
        if options.home is not None:
            shutil.copytree(options.home, home)
        workspace = Workspace.open(home)
        if options.home is None:
            load_demo(workspace)
        figures = {task: _figures(workspace, task) for task in TASKS}
        workspace.close()
        where = machine()
        with served(home, log) as url:
            seen, memory = asyncio.run(_all_sessions(url, figures, options))
        tracebacks = log.read_text().count("Traceback (most recent call last)")
    result: dict[str, Any] = {
        "date": date.today().isoformat(),
        "machine": {**where, "load_after": machine()["load_before"]},
        "sessions": options.sessions,
        "seconds": options.seconds,
        "trial": options.is_trial,
        "visits": sum(map(len, seen.seconds.values())),
        "figures_checked": seen.checked,
        "problems": seen.problems,
        "tracebacks_in_the_log": tracebacks,
        "different_texts": {f"{page} ({task})": len(texts) for (page, task), texts in sorted(seen.texts.items())},
        "latency": {page: _quantiles(values) for page, values in seen.seconds.items()},
        "all_pages": _quantiles([one for values in seen.seconds.values() for one in values]),
        "memory_mib": memory,
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    options.out.with_name("sessions.md").write_text(markdown(result), encoding="utf-8")
    print(markdown(result))
    for (page, task), texts in seen.texts.items():
        for other in list(texts)[1:]:
            first = next(iter(texts)).splitlines()
            print(f"{page} ({task}):", *difflib.unified_diff(first, other.splitlines(), n=0), sep="\n", file=sys.stderr)
    return int(bool(seen.problems or tracebacks or any(len(texts) > 1 for texts in seen.texts.values())))


def _figures(workspace: Workspace, task: str) -> list[str]:
    """What the key figures of the Update report must be, as the library has them."""
    found = compare_versions(workspace, f"demo-{task}-v1", f"demo-{task}-v2", f"demo-{task}")
    if found.counts is not None:
        rates = (found.accuracy_old, found.accuracy_new, found.nfr, found.pfr)
        return [f"{one.value * 100:.1f} %" for one in rates if one is not None]
    values = []
    for change in found.continuous.values():
        values += [change.mean_old, change.mean_new, change.regression.value, change.gain.value]
    return [f"{value:.4f}" for value in values]


async def _all_sessions(
    url: str, figures: dict[str, list[str]], options: argparse.Namespace
) -> tuple[Seen, list[tuple[float, float]]]:
    from playwright.async_api import async_playwright

    seen = Seen()
    server = psutil.Process(url.process.pid)  # type: ignore[attr-defined]
    async with async_playwright() as playwright:
        chrome = await playwright.chromium.launch(executable_path=options.chromium, args=CHROMIUM_FLAGS)
        # Once by one session: what is measured afterwards is a server at work, not one that starts.
        await _session(chrome, url, TASKS[0], figures[TASKS[0]], Seen(), time.monotonic())
        started = time.monotonic()
        memory = [(0.0, server.memory_info().rss / 2**20)]
        watching = asyncio.create_task(_watch(server, started, memory))
        until = started + options.seconds
        tasks = [TASKS[number % len(TASKS)] for number in range(options.sessions)]
        await asyncio.gather(*(_session(chrome, url, task, figures[task], seen, until) for task in tasks))
        watching.cancel()
        await chrome.close()
        await asyncio.sleep(5)  # the server lets go of the sessions
        memory.append((time.monotonic() - started, server.memory_info().rss / 2**20))
    return seen, memory


async def _watch(server: psutil.Process, started: float, memory: list[tuple[float, float]]) -> None:
    while True:
        await asyncio.sleep(10)
        memory.append((time.monotonic() - started, server.memory_info().rss / 2**20))


async def _session(chrome: Any, url: str, task: str, figures: list[str], seen: Seen, until: float) -> None:
    """One visitor, who goes at least once through all pages."""
    context = await chrome.new_context(viewport={"width": 900, "height": 700}, reduced_motion="reduce")
    page = await context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(f"page error: {error}"))
    page.on("console", lambda m: problems.append(f"{m.text} {m.location}") if m.type == "error" else None)
    await page.expose_binding("tellException", lambda _source, text: problems.append(f"exception shown: {text}"))
    await page.add_init_script(WATCH)
    first = next(iter(PAGES))
    try:
        picks = {"dataset": f"demo-{task}", "old": f"demo-{task}-v1", "new": f"demo-{task}-v2"}
        await page.goto(f"{url}/?{urlencode(picks)}", timeout=PATIENCE)
        await _drawn(page, PAGES[first].title)
        rounds = 0
        while not rounds or time.monotonic() < until:
            for name in [*list(PAGES)[1:], first]:
                started = time.monotonic()
                # The link itself: on a narrow window the sidebar may be closed.
                link = page.get_by_role("link", name=PAGES[name].title, exact=True)
                await link.dispatch_event("click", timeout=PATIENCE)
                await _drawn(page, PAGES[name].title)
                seen.seconds.setdefault(name, []).append(time.monotonic() - started)
                await _look(page, name, task, figures, seen, problems)
            rounds += 1
    except Exception as error:  # whatever goes wrong is a finding
        problems.append(f"{type(error).__name__}: {str(error)[:500]}")
    seen.problems += [f"{task}: {one}" for one in problems if not any(path in one for path in EXPECTED)]
    await context.close()


async def _drawn(page: Any, title: str) -> None:
    """Wait until the page of a title is drawn and its script has ended."""
    await page.wait_for_function(
        "title => document.querySelector('h1')?.innerText === title && "
        "document.querySelector('[data-testid=\"stApp\"]')?.dataset.testScriptState === 'notRunning' && "
        "!document.querySelector('[data-testid=\"stSkeleton\"]')",
        arg=title,
        timeout=PATIENCE,
    )


async def _look(page: Any, name: str, task: str, figures: list[str], seen: Seen, problems: list[str]) -> None:
    alerts = await page.get_by_test_id("stAlertContentError").all_inner_texts()
    problems += [f"{name} says: {text}" for text in alerts]
    if name == "update_report":
        shown = [text.strip() for text in await page.get_by_test_id("stMetricValue").all_inner_texts()]
        seen.checked += 1
        if shown != figures:
            problems.append(f"the report shows {shown} where the library has {figures}")
    if name in SAME_FOR_ALL:
        # Without charts, buttons and fields: on a busy machine a browser draws these some time after the script's end.
        text, before = await page.evaluate(_TEXT), None
        while text != before:  # a busy browser draws some parts a while after the script's end
            await page.wait_for_timeout(2_000)
            text, before = await page.evaluate(_TEXT), text
        texts = seen.texts.setdefault((name, task), {})
        text = re.sub(r"\n+", "\n", text)
        texts[text] = texts.get(text, 0) + 1


def _quantiles(values: list[float]) -> dict[str, float]:
    if len(values) < 2:
        return {"visits": len(values), "p50": sum(values), "p95": sum(values)}
    cuts = statistics.quantiles(values, n=20, method="inclusive")
    return {"visits": len(values), "p50": statistics.median(values), "p95": cuts[-1]}


def markdown(result: dict[str, Any]) -> str:
    """The measurement as people read it."""
    where, memory = result["machine"], result["memory_mib"]
    same = all(count == 1 for count in result["different_texts"].values())
    lines = [
        "# Browser sessions at once",
        "",
        f"{result['date']}, {where['cpu']}, {where['cores']} cores; commit {where['commit'][:12]}"
        f"{' with changes' if where['uncommitted_changes'] else ''}. Load of the machine before the start: "
        f"{where['load_before']:.1f}, at the end: {where['load_after']:.1f}.",
        "",
        f"{result['sessions']} sessions of one Chromium and the server share the cores for {result['seconds']:.0f} "
        f"seconds: {result['visits']:,} visits of pages, each from the click to the finished script. Errors: "
        f"{len(result['problems'])} in the browsers, {result['tracebacks_in_the_log']} in the server's log. Key "
        f"figures held against the library's: {result['figures_checked']:,} times. Text of each page for the same "
        "picks: "
        f"{'the same in all sessions and visits' if same else 'DIFFERENT, see the JSON'}.",
        "",
        "| page | visits | p50 | p95 |",
        "| --- | --- | --- | --- |",
    ]
    rows = [*result["latency"].items(), ("all", result["all_pages"])]
    lines += [f"| {page} | {one['visits']:,} | {one['p50']:.2f} s | {one['p95']:.2f} s |" for page, one in rows]
    most = max(value for _, value in memory)
    half = next((value for at, value in memory if at >= result["seconds"] / 2), memory[-1][1])
    lines += [
        "",
        f"Memory of the server: {memory[0][1]:.0f} MiB before, {half:.0f} MiB at half time, {most:.0f} MiB at most, "
        f"{memory[-1][1]:.0f} MiB after all sessions were closed.",
    ]
    return "\n".join([*lines, ""])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=180.0)
    parser.add_argument("--home", type=Path, help="workspace with the demo, which is copied; else it is loaded")
    parser.add_argument("--chromium", default=shutil.which("chromium") or shutil.which("chromium-browser"))
    parser.add_argument("--out", type=Path, help="JSON, by default in benchmarks/results; sessions.md is beside it")
    options = parser.parse_args()
    if options.chromium is None:
        parser.error("Chromium not found: install it (apt-get install chromium) or name it with --chromium")
    options.is_trial = any(getattr(options, name) != parser.get_default(name) for name in ("sessions", "seconds"))
    if options.out is None:  # a trial does not take the place of a measurement
        folder = ROOT / ("build" if options.is_trial else "benchmarks/results")
        options.out = folder / f"sessions-{date.today().isoformat()}.json"
    return options


if __name__ == "__main__":
    sys.exit(main())
