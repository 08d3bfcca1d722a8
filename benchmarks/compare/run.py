"""Time the comparison of two stored runs of a million samples against reading them; see docs/benchmarks.md.

In every round each side runs once, in shuffled order, in one process: reading the needed columns, reading and
comparing them, and reading and comparing them as one would with pandas.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.eval.machine import ROOT, machine
from muscle_core.comparison import compare
from muscle_core.comparison.columns import BASE_COLUMNS, KNOWN_SCORES
from muscle_core.metrics import mcnemar_p, rate
from muscle_core.store import read_prediction_table

GOAL = 3.0
CASES = (("numbered", "same"), ("numbered", "shuffled"), ("hashed", "same"), ("hashed", "shuffled"))
SIDES = ("read", "compare", "pandas")
_COLUMNS = (*BASE_COLUMNS, *KNOWN_SCORES)


def main() -> int:
    """Run the command line."""
    options = _options()
    result: dict[str, Any] = {
        "date": date.today().isoformat(),
        "machine": machine(),
        "rows": options.rows,
        "rounds": options.rounds,
        "threads": pa.cpu_count(),
        "trial": options.is_trial,
        "cases": [],
    }
    result["machine"]["packages"] |= {"pyarrow": pa.__version__, "pandas": pd.__version__}
    with tempfile.TemporaryDirectory(prefix="bench-compare-") as scratch:
        for ids, order in CASES:
            folders = write_runs(Path(scratch), options.rows, ids, order, options.seed)
            case = {"ids": ids, "order": order, **measure(folders, options.rounds, options.seed)}
            case["megabytes"] = [
                sum(part.stat().st_size for part in folder.glob("*.parquet")) / 1e6 for folder in folders
            ]
            result["cases"].append(case)
            print(f"{ids}, {order}: {case['ratio']['median']:.2f} times reading", file=sys.stderr, flush=True)
    result["machine"]["load_after"] = machine()["load_before"]
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    options.out.with_name("compare.md").write_text(markdown(result), encoding="utf-8")
    print(markdown(result))
    print(f"written: {options.out} and {options.out.with_name('compare.md')}", file=sys.stderr)
    return 0


def write_runs(scratch: Path, rows: int, ids: str, order: str, seed: int) -> tuple[Path, Path]:
    """Write two runs as the workspace stores them: Parquet (zstd) of what a multiple-choice task keeps."""
    generator = np.random.default_rng(seed)
    names = [f"sample-{row:06d}" for row in range(rows)]
    if ids == "hashed":
        names = [hashlib.sha256(name.encode()).hexdigest() for name in names]
    every = np.array(names, dtype=object)
    gold = generator.integers(0, 4, size=rows)
    folders = []
    for which in ("old", "new"):
        place = np.arange(rows) if which == "old" or order == "same" else generator.permutation(rows)
        right = generator.random(rows) < 0.6
        prediction = np.where(right, gold[place], (gold[place] + generator.integers(1, 4, size=rows)) % 4)
        table = pa.table(
            {
                "sample_id": pa.array(every[place].tolist(), pa.string()),
                "prediction": pa.array(prediction.astype(str).tolist(), pa.string()),
                "correct": pa.array(right),
                "gold": pa.array(gold[place].astype(str).tolist(), pa.string()),
                "gold_loglikelihood": pa.array(-generator.exponential(size=rows)),
                "finish_reason": pa.array(["choice"] * rows, pa.string()),
                "output": pa.nulls(rows, pa.string()),
            }
        )
        folder = scratch / f"{ids}-{order}-{which}"
        folder.mkdir(exist_ok=True)
        pq.write_table(table, folder / "part-00000.parquet", compression="zstd")
        folders.append(folder)
    return folders[0], folders[1]


def measure(folders: tuple[Path, Path], rounds: int, seed: int) -> dict[str, Any]:
    """Seconds of each side in each round, after one to warm up, and their ratios round by round."""
    sides: dict[str, Callable[[], Any]] = {
        "read": lambda: [read_prediction_table(folder, _COLUMNS) for folder in folders],
        "compare": lambda: full_comparison(folders),
        "pandas": lambda: pandas_comparison(folders),
    }
    ours, plain = sides["compare"](), sides["pandas"]()
    if ours != plain:
        raise RuntimeError(f"the sides disagree: {ours} and {plain}")
    sides["read"]()
    order = random.Random(seed)
    seconds: dict[str, list[float]] = {name: [] for name in SIDES}
    processor: dict[str, list[float]] = {name: [] for name in SIDES}
    for _ in range(rounds):
        for name in order.sample(SIDES, len(SIDES)):
            started, busy = time.perf_counter(), time.process_time()
            made = sides[name]()
            seconds[name].append(time.perf_counter() - started)
            processor[name].append(time.process_time() - busy)
            del made
    return {
        "seconds": seconds,
        "processor_seconds": processor,
        "ratio": _ratio(seconds, "compare"),
        "processor_ratio": _ratio(processor, "compare"),
        "pandas_ratio": _ratio(seconds, "pandas"),
    }


def full_comparison(folders: tuple[Path, Path]) -> tuple[int, ...]:
    """Everything `compare` works out: join, quadrants, all rates with intervals, tests, bootstrap."""
    old, new = (read_prediction_table(folder, _COLUMNS) for folder in folders)
    found = compare(old, new, task_kind="multiple_choice", old_name="v1", new_name="v2")
    assert found.counts is not None
    return tuple(found.counts)


def pandas_comparison(folders: tuple[Path, Path]) -> tuple[int, ...]:
    """What one would write with pandas: merge on the id, count, two intervals and a test (no bootstrap)."""
    columns = ["sample_id", "prediction", "correct", "gold"]
    old, new = (pd.read_parquet(folder, columns=columns) for folder in folders)
    joined = old.merge(new, on="sample_id", suffixes=("_old", "_new"), validate="one_to_one")
    joined = joined[joined["gold_old"] == joined["gold_new"]]
    before, after = joined["correct_old"], joined["correct_new"]
    same = joined["prediction_old"] == joined["prediction_new"]
    q1, q2 = int((before & after).sum()), int((~before & after).sum())
    q3, q4 = int((~before & ~after).sum()), int((before & ~after).sum())
    q3_same = int((~before & ~after & same).sum())
    rate(q4, len(joined))
    rate(q2, len(joined))
    mcnemar_p(q4, q2)
    return (q1, q2, q3, q3_same, q3 - q3_same, q4)


def _ratio(seconds: dict[str, list[float]], side: str) -> dict[str, float]:
    ratios = [one / read for one, read in zip(seconds[side], seconds["read"], strict=True)]
    return {"median": statistics.median(ratios), "min": min(ratios), "max": max(ratios)}


def markdown(result: dict[str, Any]) -> str:
    """The measurement as people read it."""
    where, packages = result["machine"], result["machine"]["packages"]
    lines = [
        "# Comparing two stored runs",
        "",
        f"{result['date']}, {where['cpu']}, {where['cores']} cores, {result['threads']} threads of Arrow; "
        f"numpy {packages['numpy']}, pyarrow {packages['pyarrow']}, pandas {packages['pandas']}; commit "
        f"{where['commit'][:12]}{' with changes' if where['uncommitted_changes'] else ''}. Load of the machine before "
        f"the start: {where['load_before']:.1f}, at the end: {where['load_after']:.1f}.",
        "",
        f"Two runs of {result['rows']:,} samples, {result['rounds']} rounds, each side once a round in shuffled order. "
        "**read**: the needed columns (id, prediction, correct, gold) of both Parquet files into Arrow. **ours**: "
        "reading them and the whole comparison: join by id with all its counts, quadrants, all rates with Wilson "
        "intervals, exact McNemar test, bootstrap (BCa, 2,000 draws) of accuracy change and relative NFR. **pandas**: "
        "reading, merge, counts, two intervals and the test. A ratio is a side's time over that of reading in the same "
        f"round: median [smallest, largest]. Reading is a part of ours: the comparison alone is the ratio less 1. "
        f"The goal is {GOAL:g}; docs/benchmarks.md says of what.",
        "",
        "| ids | rows of the new run | files | read | ours | ratio | ratio of processor time | pandas |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for case in result["cases"]:
        medians = {name: statistics.median(case["seconds"][name]) * 1000 for name in SIDES}
        ratio, busy, plain = case["ratio"], case["processor_ratio"], case["pandas_ratio"]
        example = "`sample-000123`" if case["ids"] == "numbered" else "SHA-256, 64 digits"
        lines.append(
            f"| {example} | {'in the same order' if case['order'] == 'same' else 'shuffled'} | "
            f"{case['megabytes'][0]:.0f} and {case['megabytes'][1]:.0f} MB | {medians['read']:.0f} ms | "
            f"{medians['compare']:.0f} ms | **{ratio['median']:.2f}** [{ratio['min']:.2f}, {ratio['max']:.2f}] | "
            f"{busy['median']:.2f} [{busy['min']:.2f}, {busy['max']:.2f}] | {plain['median']:.1f} "
            f"[{plain['min']:.1f}, {plain['max']:.1f}] |"
        )
    return "\n".join([*lines, ""])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000, help="samples of each run")
    parser.add_argument("--rounds", type=int, default=15, help="rounds of each case")
    parser.add_argument("--seed", type=int, default=0, help="of the data and of the order of the sides")
    parser.add_argument("--out", type=Path, help="JSON, by default in benchmarks/results; compare.md is beside it")
    options = parser.parse_args()
    options.is_trial = any(getattr(options, name) != parser.get_default(name) for name in ("rows", "rounds"))
    if options.out is None:  # a trial does not take the place of a measurement
        folder = ROOT / ("build" if options.is_trial else "benchmarks/results")
        options.out = folder / f"compare-{date.today().isoformat()}.json"
    return options


if __name__ == "__main__":
    sys.exit(main())
