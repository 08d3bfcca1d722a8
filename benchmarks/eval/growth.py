"""How the cost of our evaluation grows with the rows: seconds and peak memory at several sizes; see docs/benchmarks.md.

Every measurement is a process of its own, so that none inherits another's memory. The rows are the demo's comparisons.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path
from statistics import median
from typing import Any

from machine import ROOT, machine

SIZES = (100, 1_000, 10_000)
_WARM_UP_ROWS = 16
_VERSION, _DATASET = "demo-choice-v2", "demo-rows"


def main() -> int:
    """Run the command line."""
    sys.path.insert(0, str(ROOT))  # for the processes started below
    options = _options()
    if options.prepare:
        _prepare(options.prepare, options.sizes[0])
        return 0
    if options.measure:
        print(json.dumps(_measure(options.measure, options.threads)))
        return 0
    result: dict[str, Any] = {
        "date": date.today().isoformat(),
        "machine": machine(),
        "threads": options.threads,
        "repetitions": options.repetitions,
        "sizes": [],
    }
    for size in options.sizes:
        runs = []
        for repetition in range(options.repetitions):
            with tempfile.TemporaryDirectory() as home:
                _child("--prepare", home, "--sizes", str(size))
                runs.append(json.loads(_child("--measure", home, "--threads", str(options.threads))))
            print(f"{size:,} rows {repetition + 1}/{options.repetitions}: {runs[-1]}", file=sys.stderr)
        result["sizes"].append({"rows": size, "runs": runs, **_summary(size, runs)})
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        options.out.with_name("growth.md").write_text(_markdown(result), encoding="utf-8")
    print(_markdown(result))
    return 0


def _prepare(home: Path, size: int) -> None:
    """A workspace with one version, the rows, and a few others to warm up with."""
    from muscle_core.actions.library.datasets import add_dataset_rows
    from muscle_core.actions.library.models import add_model_version
    from muscle_core.demo.rebuild import WEIGHTS
    from muscle_core.demo.recipe import SPLIT_SIZES, TASK_KINDS, TEMPLATES
    from muscle_core.demo.rows import task_rows
    from muscle_core.store import Workspace

    # The generator of the demo's rows, asked for more of them: the first thousand are the demo's test split.
    SPLIT_SIZES["choice"] = {"test": size, "validation": _WARM_UP_ROWS, "train": 0}
    rows = {split: [(row["id"], row) for row in task_rows("choice", split)] for split in ("test", "validation")}
    workspace = Workspace.open(home)
    add_dataset_rows(workspace, _DATASET, TASK_KINDS["choice"], rows, template=TEMPLATES["choice"])
    add_model_version(workspace, _VERSION, str(WEIGHTS / "base-v2"), adapter=str(WEIGHTS / "choice-v2"))


def _measure(home: Path, threads: int) -> dict[str, float]:
    """Evaluate the rows, after a few others that load and warm up everything."""
    import torch

    from muscle_core.actions.evaluation.evaluate import evaluate
    from muscle_core.store import Workspace

    torch.set_num_threads(threads)
    workspace = Workspace.open(home)
    evaluate(workspace, _VERSION, _DATASET, split="validation")
    before = _peak_mib()
    started = time.perf_counter()
    evaluate(workspace, _VERSION, _DATASET, split="test")
    return {"seconds": time.perf_counter() - started, "peak_mib": _peak_mib(), "peak_mib_warmed_up": before}


def _peak_mib() -> float:
    """Peak memory of this process; what `getrusage` says may be that of the process that started it."""
    status = Path("/proc/self/status")
    if status.is_file():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # bytes on macOS


def _child(*arguments: str) -> str:
    command = [sys.executable, __file__, *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=os.environ).stdout


def _summary(size: int, runs: list[dict[str, float]]) -> dict[str, float]:
    seconds = median(run["seconds"] for run in runs)
    return {
        "seconds": seconds,
        "rows_per_second": size / seconds,
        "peak_mib": max(run["peak_mib"] for run in runs),
        "peak_mib_warmed_up": max(run["peak_mib_warmed_up"] for run in runs),
    }


def _markdown(result: dict[str, Any]) -> str:
    where = result["machine"]
    changed = " with uncommitted changes" if where["uncommitted_changes"] else ""
    lines = [
        "# Cost of our evaluation by number of rows",
        "",
        f"{result['date']}, {where['cpu']}, {where['cores']} cores, {result['threads']} threads; "
        f"torch {where['packages']['torch']}; commit {where['commit'][:12]}{changed}. Demo comparisons, base and "
        "adapter of version v2, scored, judged and stored. The time of a start (check of the files, tokenizer, "
        "adapter) is in the seconds, so the cost of a further row is the figure to read. Every run in a process of its "
        f"own; seconds are medians of {result['repetitions']}, memory is the highest peak.",
        "",
        "| rows | seconds | rows/s | ms a further row | peak memory | of which before the first row |",
        "| --- | --- | --- | --- | --- | --- |",
        *(
            f"| {one['rows']:,} | {one['seconds']:.2f} | {one['rows_per_second']:.0f} | {_further(before, one)} "
            f"| {one['peak_mib']:.0f} MiB | {one['peak_mib_warmed_up']:.0f} MiB |"
            for before, one in zip([None, *result["sizes"]], result["sizes"], strict=False)
        ),
    ]
    return "\n".join(lines) + "\n"


def _further(before: dict[str, Any] | None, one: dict[str, Any]) -> str:
    """Milliseconds for each row that this size has more than the one before."""
    if before is None or one["rows"] == before["rows"]:
        return ""
    return f"{1000 * (one['seconds'] - before['seconds']) / (one['rows'] - before['rows']):.2f}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2, help="threads of torch")
    out = ROOT / f"benchmarks/results/growth-{date.today().isoformat()}.json"
    parser.add_argument("--out", type=Path, default=out, help="JSON; growth.md is written beside it")
    parser.add_argument("--prepare", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
