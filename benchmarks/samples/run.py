"""Time the Samples page over a thousand and a million samples in a real Chromium; see docs/benchmarks.md.

In every round each workspace is opened once in a fresh browser, in shuffled order. Warm: the server has shown this
comparison to another session. Cold: the server has just started and shown nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import date
from pathlib import Path
from typing import Any

import psutil

from benchmarks.eval.machine import ROOT, machine
from benchmarks.samples.workspace import make_workspace

sys.path.insert(0, str(ROOT / "tests" / "support"))
from serving import browser, served

GOAL = 2.0
MOST_BYTES = 1_000_000
PICKS = "dataset=choice&old=old&new=new"
_DRAWN = """() => document.querySelector('[data-testid="stApp"][data-test-script-state="notRunning"]')
  && document.querySelector('[data-testid="stDataFrame"] canvas')"""


def main() -> int:
    """Run the command line."""
    options = _options()
    result: dict[str, Any] = {
        "date": date.today().isoformat(),
        "machine": machine(),
        "samples": options.samples,
        "rounds": options.rounds,
        "cold_rounds": options.cold_rounds,
    }
    with tempfile.TemporaryDirectory(prefix="bench-samples-") as scratch:
        homes = {}
        for count in options.samples:
            homes[count] = Path(scratch) / str(count)
            make_workspace(homes[count], count).close()
        with browser(_chromium()) as chrome:
            result["cold"] = cold(chrome, homes, options.cold_rounds, options.seed)
            result["warm"], result["changes"], result["server_mb"] = warm(chrome, homes, options.rounds, options.seed)
    result["machine"]["load_after"] = machine()["load_before"]
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    options.out.with_name("samples.md").write_text(markdown(result), encoding="utf-8")
    print(markdown(result))
    print(f"written: {options.out} and {options.out.with_name('samples.md')}", file=sys.stderr)
    return 0


def cold(chrome: Any, homes: dict[int, Path], rounds: int, seed: int) -> dict[str, list[float]]:
    """Seconds of the first view by the first session of a server, by number of samples."""
    order = random.Random(seed)
    seconds: dict[str, list[float]] = {str(count): [] for count in homes}
    for _ in range(rounds):
        for count in order.sample(list(homes), len(homes)):
            with served(homes[count], homes[count].with_suffix(".log")) as url:
                seconds[str(count)].append(first_view(chrome, url, count))
    return seconds


def warm(
    chrome: Any, homes: dict[int, Path], rounds: int, seed: int
) -> tuple[dict[str, list[float]], dict[str, dict[str, dict[str, list[float]]]], dict[str, float]]:
    """Seconds of the first view by later sessions; seconds and bytes of changes of the view; memory of the servers."""
    order = random.Random(seed)
    seconds: dict[str, list[float]] = {str(count): [] for count in homes}
    changes: dict[str, dict[str, dict[str, list[float]]]] = {str(count): {} for count in homes}
    memory = {}
    with ExitStack() as servers:
        urls = {c: servers.enter_context(served(home, home.with_suffix(".log"))) for c, home in homes.items()}
        for count, url in urls.items():
            first_view(chrome, url, count)
        for _ in range(rounds):
            for count in order.sample(list(homes), len(homes)):
                seconds[str(count)].append(first_view(chrome, urls[count], count))
        for count, url in urls.items():
            for number in range(rounds):
                for name, (taken, received) in changes_of_view(chrome, url, count, number).items():
                    both = changes[str(count)].setdefault(name, {"seconds": [], "bytes": []})
                    both["seconds"].append(taken)
                    both["bytes"].append(received)
            memory[str(count)] = psutil.Process(url.process.pid).memory_info().rss / 1e6
    return seconds, changes, memory


def first_view(chrome: Any, url: str, count: int) -> float:
    """Seconds from asking for the page to the table being drawn and the server's run being over."""
    context = chrome.new_context(viewport={"width": 1440, "height": 1000})
    page = context.new_page()
    started = time.perf_counter()
    page.goto(f"{url}/samples?{PICKS}", wait_until="commit")
    page.wait_for_function(_DRAWN, timeout=120_000)
    taken = time.perf_counter() - started
    page.get_by_text(f"{count:,} of {count:,} samples").wait_for()
    context.close()
    return taken


def changes_of_view(chrome: Any, url: str, count: int, number: int) -> dict[str, tuple[float, int]]:
    """Seconds and bytes received of one change after the other, in a session of its own."""
    context = chrome.new_context(viewport={"width": 1440, "height": 1000})
    page = context.new_page()
    received: list[int] = []
    page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: received.append(len(frame))))
    page.goto(f"{url}/samples?{PICKS}")
    page.wait_for_function(_DRAWN, timeout=120_000)
    search = page.get_by_role("textbox", name="Search", exact=True)

    def sort() -> None:
        page.get_by_role("combobox", name="Sort by").click()
        page.get_by_role("option", name="Surest regressions").click()

    steps: dict[str, tuple[Callable[[], Any], str]] = {
        "filter by quadrant": (lambda: page.get_by_text(re.compile("^Q4 negative flips")).click(), "quadrant=Q4"),
        "sort by sureness": (sort, "sort=surest"),
        "next page": (lambda: page.get_by_role("button", name="Next page").click(), "page=2"),
        # Another word each round: a search that somebody has made is remembered.
        "search": (lambda: (search.fill(_WORDS[number % len(_WORDS)]), search.press("Enter")), "search="),
        "remove the quadrant": (
            lambda: page.get_by_role("button", name=re.compile("^Remove filter: quadrant")).click(),
            "",
        ),
    }
    found = {}
    for name, (change, in_url) in steps.items():
        page.wait_for_timeout(300)  # what is still on its way belongs to the step before
        received.clear()
        before, started = page.url, time.perf_counter()
        change()
        page.wait_for_function(
            "([url, part]) => location.href !== url && location.href.includes(part)", arg=[before, in_url]
        )
        page.wait_for_function(_DRAWN, timeout=120_000)
        taken = time.perf_counter() - started
        page.wait_for_timeout(300)
        found[name] = (taken, sum(received))
    context.close()
    return found


_WORDS = ("anvil", "boat", "candle", "desk", "engine", "feather", "glass", "hammer", "iron", "jacket")


def markdown(result: dict[str, Any]) -> str:
    """The measurement as people read it."""
    where = result["machine"]
    small, large = map(str, sorted(result["samples"]))
    names = {small: f"{int(small):,} samples", large: f"{int(large):,} samples"}
    lines = [
        "# The Samples page over many samples",
        "",
        f"{result['date']}, {where['cpu']}, {where['cores']} cores, commit {where['commit'][:12]}"
        f"{' with changes' if where['uncommitted_changes'] else ''}. Load of the machine before the start: "
        f"{where['load_before']:.1f}, at the end: {where['load_after']:.1f}.",
        "",
        f"Multiple choice, two versions. First view: from asking for the page, in a fresh browser, to the table being "
        f"drawn. **Warm**: the server has shown the comparison to another session before ({result['rounds']} rounds). "
        f"**Cold**: the first session of a server that has just started ({result['cold_rounds']} rounds, each with a "
        "server of its own); nothing is kept on disk for it. Both sizes once a round, in shuffled order; "
        f"median [smallest, largest]. The goal is a ratio of {GOAL:g} or less.",
        "",
        f"| first view | {names[small]} | {names[large]} | ratio of the medians | ratio round by round |",
        "| --- | --- | --- | --- | --- |",
    ]
    for kind in ("warm", "cold"):
        few, many = result[kind][small], result[kind][large]
        ratios = [b / a for a, b in zip(few, many, strict=True)]
        ratio = statistics.median(many) / statistics.median(few)
        lines.append(f"| {kind} | {_spread(few)} s | {_spread(many)} s | **{ratio:.2f}** | {_spread(ratios)} |")
    lines += [
        "",
        f"A change of the view: seconds until the table is drawn anew, and bytes that the browser receives over the "
        f"WebSocket, before compression. The goal is less than {MOST_BYTES / 1e6:g} MB.",
        "",
        f"| change | {names[small]} | {names[large]} | bytes, {names[small]} | bytes, {names[large]} |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, few in result["changes"][small].items():
        many = result["changes"][large][name]
        kilobytes = [f"{max(one['bytes']) / 1000:.0f} kB" for one in (few, many)]
        lines.append(
            f"| {name} | {_spread(few['seconds'])} s | {_spread(many['seconds'])} s | {' | '.join(kilobytes)} |"
        )
    memory = result["server_mb"]
    lines += ["", f"Memory of the server at the end: {memory[small]:.0f} MB and {memory[large]:.0f} MB."]
    return "\n".join([*lines, ""])


def _spread(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} [{min(values):.2f}, {max(values):.2f}]"


def _chromium() -> str:
    found = os.environ.get("MUSCLE_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if not found:
        raise SystemExit("Chromium is needed: apt-get install chromium, or MUSCLE_CHROMIUM=/path")
    return found


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, nargs=2, default=[1_000, 1_000_000], help="of the two workspaces")
    parser.add_argument("--rounds", type=int, default=10, help="rounds with a warm server")
    parser.add_argument("--cold-rounds", type=int, default=6, help="rounds with a server that has just started")
    parser.add_argument("--seed", type=int, default=0, help="of the order")
    parser.add_argument("--out", type=Path, help="JSON, by default in benchmarks/results; samples.md is beside it")
    options = parser.parse_args()
    trial = any(getattr(options, name) != parser.get_default(name) for name in ("samples", "rounds", "cold_rounds"))
    if options.out is None:  # a trial does not take the place of a measurement
        options.out = ROOT / ("build" if trial else "benchmarks/results") / f"samples-{date.today().isoformat()}.json"
    return options


if __name__ == "__main__":
    sys.exit(main())
