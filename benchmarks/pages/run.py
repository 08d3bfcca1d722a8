"""Time the first view of every page over a thousand and a million samples, in a real Chromium; see docs/benchmarks.md.

In every round each page is opened once over each workspace in a fresh browser, in shuffled order. Warm: the server has
shown the page to another session. Cold: the server has just started and shown nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import date
from pathlib import Path
from typing import Any

import psutil

from benchmarks.eval.machine import ROOT, machine
from benchmarks.pages.views import VIEWS, changes_of_samples, first_view
from benchmarks.pages.workspace import make_workspace

sys.path.insert(0, str(ROOT / "tests" / "support"))
from serving import browser, served

GOAL = 2.0
MOST_BYTES = 1_000_000
_BUSY = " **The machine did other work meanwhile: the seconds are too long, and single ratios chance.**"
Measured = dict[str, dict[str, list[float]]]  # values by page and number of samples


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
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="bench-pages-") as scratch:
        homes = {}
        for count in options.samples:
            homes[count] = Path(scratch) / str(count)
            make_workspace(homes[count], count).close()
        order = random.Random(options.seed)
        with browser(_chromium()) as chrome:
            result["cold"], result["cold_mb"] = cold(chrome, homes, options.cold_rounds, order)
            result["warm"], result["changes"], result["server_mb"] = warm(chrome, homes, options.rounds, order)
    result["seconds"] = time.monotonic() - started
    result["machine"]["load_after"] = machine()["load_before"]
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    options.out.with_name("pages.md").write_text(markdown(result), encoding="utf-8")
    print(markdown(result))
    print(f"written: {options.out} and {options.out.with_name('pages.md')}", file=sys.stderr)
    return 0


def cold(chrome: Any, homes: dict[int, Path], rounds: int, order: random.Random) -> tuple[Measured, Measured]:
    """Seconds of the first view of each page by the first session of a server, and megabytes that the server then has.

    Args:
        chrome: the browser.
        homes: folder of the workspace by number of samples.
        rounds: how often.
        order: draws the order.
    """
    seconds, memory = _measured(homes), _measured(homes)
    for _ in range(rounds):
        for name, count in _shuffled(homes, order):
            with served(homes[count], homes[count].with_suffix(".log")) as url:
                seconds[name][str(count)].append(first_view(chrome, url, VIEWS[name]))
                memory[name][str(count)].append(psutil.Process(url.process.pid).memory_info().rss / 1e6)
    return seconds, memory


def warm(
    chrome: Any, homes: dict[int, Path], rounds: int, order: random.Random
) -> tuple[Measured, dict[str, dict[str, dict[str, list[float]]]], dict[str, float]]:
    """Time each page for later sessions, and changes of the view on Samples.

    Returns:
        Seconds of the first view of each page; seconds and bytes of the changes by number of samples; megabytes of the
        servers, which have shown every page.
    """
    seconds = _measured(homes)
    changes: dict[str, dict[str, dict[str, list[float]]]] = {str(count): {} for count in homes}
    memory = {}
    with ExitStack() as servers:
        urls = {c: servers.enter_context(served(home, home.with_suffix(".log"))) for c, home in homes.items()}
        for url in urls.values():
            for view in VIEWS.values():
                first_view(chrome, url, view)
        for _ in range(rounds):
            for name, count in _shuffled(homes, order):
                seconds[name][str(count)].append(first_view(chrome, urls[count], VIEWS[name]))
        for count, url in urls.items():
            for number in range(rounds):
                for name, (taken, received) in changes_of_samples(chrome, url, number).items():
                    both = changes[str(count)].setdefault(name, {"seconds": [], "bytes": []})
                    both["seconds"].append(taken)
                    both["bytes"].append(received)
            memory[str(count)] = psutil.Process(url.process.pid).memory_info().rss / 1e6
    return seconds, changes, memory


def _measured(homes: dict[int, Path]) -> Measured:
    return {name: {str(count): [] for count in homes} for name in VIEWS}


def _shuffled(homes: dict[int, Path], order: random.Random) -> list[tuple[str, int]]:
    """Each page over each workspace; both sizes of a page one after the other, so that they share the machine's day."""
    return [
        (name, count)
        for name in order.sample(list(VIEWS), len(VIEWS))
        for count in order.sample(list(homes), len(homes))
    ]


def markdown(result: dict[str, Any]) -> str:
    """The measurement as people read it."""
    where = result["machine"]
    small, large = map(str, sorted(result["samples"]))
    names = {small: f"{int(small):,} samples", large: f"{int(large):,} samples"}
    lines = [
        "# Every page over many samples",
        "",
        f"{result['date']}, {where['cpu']}, {where['cores']} cores, commit {where['commit'][:12]}"
        f"{' with changes' if where['uncommitted_changes'] else ''}. Load of the machine before the start: "
        f"{where['load_before']:.1f}, at the end: {where['load_after']:.1f}. It took {result['seconds'] / 60:.0f} "
        "minutes." + (_BUSY if where["load_before"] > 1 else ""),
        "",
        f"Multiple choice, two versions and an adapter. First view: from asking for the page, in a fresh browser, to "
        f"its content being drawn. **Warm**: the server has shown the page to another session before "
        f"({result['rounds']} rounds). **Cold**: the first session of a server that has just started "
        f"({result['cold_rounds']} rounds, each with a server of its own); nothing is kept on disk for it. Both sizes "
        f"one after the other in each round, in shuffled order; median [smallest, largest]. The goal is a ratio of "
        f"{GOAL:g} or less. Memory is that of the server after the first view.",
    ]
    for kind in ("warm", "cold"):
        head = ["first view, " + kind, names[small], names[large], "ratio of the medians"]
        lines += ["", *_head([*head, *([f"memory, {names[large]}"] if kind == "cold" else [])])]
        for page, by_size in result[kind].items():
            ratio = statistics.median(by_size[large]) / statistics.median(by_size[small])
            cells = [page, f"{_spread(by_size[small])} s", f"{_spread(by_size[large])} s", f"**{ratio:.2f}**"]
            if kind == "cold":
                cells.append(f"{statistics.median(result['cold_mb'][page][large]):.0f} MB")
            lines.append(_row(cells))
    lines += [
        "",
        f"A change of the view on Samples: seconds until the table is drawn anew, and bytes that the browser receives "
        f"over the WebSocket, before compression. The goal is less than {MOST_BYTES / 1e6:g} MB.",
        "",
        *_head(["change", names[small], names[large], f"bytes, {names[small]}", f"bytes, {names[large]}"]),
    ]
    for name, few in result["changes"][small].items():
        many = result["changes"][large][name]
        kilobytes = [f"{max(one['bytes']) / 1000:.0f} kB" for one in (few, many)]
        lines.append(_row([name, f"{_spread(few['seconds'])} s", f"{_spread(many['seconds'])} s", *kilobytes]))
    memory = result["server_mb"]
    lines += [
        "",
        f"Memory of the servers that have shown every page: {memory[small]:.0f} MB and {memory[large]:.0f} MB.",
    ]
    return "\n".join([*lines, ""])


def _head(cells: list[str]) -> list[str]:
    return [_row(cells), _row(["---"] * len(cells))]


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


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
    parser.add_argument("--rounds", type=int, default=4, help="rounds with a warm server")
    parser.add_argument("--cold-rounds", type=int, default=2, help="rounds with servers that have just started")
    parser.add_argument("--seed", type=int, default=0, help="of the order")
    parser.add_argument("--out", type=Path, help="JSON, by default in benchmarks/results; pages.md is beside it")
    options = parser.parse_args()
    trial = any(getattr(options, name) != parser.get_default(name) for name in ("samples", "rounds", "cold_rounds"))
    if options.out is None:  # a trial does not take the place of a measurement
        options.out = ROOT / ("build" if trial else "benchmarks/results") / f"pages-{date.today().isoformat()}.json"
    return options


if __name__ == "__main__":
    sys.exit(main())
