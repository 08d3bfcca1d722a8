"""Time of the pairwise NFR matrix beside one bare NumPy pass on the same matrix; see docs/benchmarks.md.

The bare pass is what one would write from the formula: convert, one matrix product, divide. Ours is the whole public
function: it checks shape, values and gaps, and returns counts, denominators and rates. Both take turns in one process.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from statistics import median
from typing import Any

# One thread: on a busy machine the threads of so small a product wait for one another, on both sides.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks" / "eval")]

from machine import machine  # noqa: E402

from muscle_core.comparison.history import History  # noqa: E402
from muscle_core.comparison.pairwise import pairwise_flips  # noqa: E402

# Samples, versions, share of gaps, calls a measurement.
CASES = ((1_319, 43, 0.0, 200), (1_319, 43, 0.02, 200), (1_000_000, 10, 0.0, 1), (1_000_000, 10, 0.02, 1))


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=15)
    parser.add_argument("--seed", type=int, default=0)
    out = ROOT / f"benchmarks/results/history-{date.today().isoformat()}.json"
    parser.add_argument("--out", type=Path, default=out, help="JSON; history.md is written beside it")
    options = parser.parse_args()
    result: dict[str, Any] = {
        "date": date.today().isoformat(),
        "machine": machine(),
        "repetitions": options.repetitions,
        "threads": os.environ["OMP_NUM_THREADS"],
        "cases": [_measured(*case, options) for case in CASES],
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    options.out.with_name("history.md").write_text(_markdown(result), encoding="utf-8")
    print(_markdown(result))
    return 0


def _bare(right: NDArray[np.bool_], known: NDArray[np.bool_]) -> NDArray[np.float32]:
    values = right.astype(np.float32)
    return values.T @ (1 - values) / len(values)


def _bare_with_gaps(right: NDArray[np.bool_], known: NDArray[np.bool_]) -> NDArray[np.float32]:
    values, judged = right.astype(np.float32), known.astype(np.float32)
    return values.T @ (judged - values) / (judged.T @ judged)


def _ours(right: NDArray[np.bool_], known: NDArray[np.bool_]) -> NDArray[np.float64]:
    return pairwise_flips(right, known).nfr


def _measured(samples: int, versions: int, gaps: float, calls: int, options: argparse.Namespace) -> dict[str, Any]:
    generator = np.random.default_rng(options.seed)
    known = generator.random((samples, versions)) >= gaps
    right = known & (generator.random((samples, versions)) < generator.uniform(0.6, 0.97, versions))
    sides: dict[str, Callable[[], Any]] = {
        "bare": lambda: (_bare_with_gaps if gaps else _bare)(right, known),
        "ours": lambda: _ours(right, known),
        "whole history": lambda: _whole(right, known),
    }
    np.testing.assert_allclose(sides["bare"](), sides["ours"](), rtol=1e-5, atol=1e-6)
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    order = random.Random(options.seed)
    for _ in range(options.repetitions):
        for name in order.sample(list(sides), len(sides)):
            rounds = calls if name != "whole history" else max(1, calls // 20)
            started = time.perf_counter()
            for _ in range(rounds):
                sides[name]()
            seconds[name].append((time.perf_counter() - started) / rounds)
    ratios = [ours / bare for ours, bare in zip(seconds["ours"], seconds["bare"], strict=True)]
    return {
        "samples": samples,
        "versions": versions,
        "gaps": gaps,
        "seconds": {name: median(values) for name, values in seconds.items()},
        "ratio": median(ratios),
        "ratio_min": min(ratios),
        "ratio_max": max(ratios),
    }


def _whole(right: NDArray[np.bool_], known: NDArray[np.bool_]) -> None:
    """What a page or command asks of a history, from the matrix on: the figures, and the trajectory of every sample."""
    found = History(tuple(f"v{v}" for v in range(right.shape[1])), None, right, known, (), 0)
    found.steps(), found.category_table(), found.transitions(), found.trajectories()


def _markdown(result: dict[str, Any]) -> str:
    where = result["machine"]
    changed = " with uncommitted changes" if where["uncommitted_changes"] else ""
    lines = [
        "# Pairwise NFR matrix against one bare NumPy pass",
        "",
        f"{result['date']}, {where['cpu']}, {where['cores']} cores, {result['threads']} thread, load before "
        f"{where['load_before']:.2f}; NumPy {where['packages']['numpy']}; commit {where['commit'][:12]}{changed}. "
        f"Medians of {result['repetitions']}; both sides take turns in one process. Ours checks its input and returns "
        "counts, denominators and rates; below 1 it "
        "is the faster one.",
        "",
        "| samples x versions | not judged | bare pass | ours | ours / bare | all figures and trajectories |",
        "| --- | --- | --- | --- | --- | --- |",
        *(
            f"| {case['samples']:,} x {case['versions']} | {case['gaps']:.0%} | {_ms(case, 'bare')} | "
            f"{_ms(case, 'ours')} | {case['ratio']:.2f} ({case['ratio_min']:.2f}–{case['ratio_max']:.2f}) | "
            f"{_ms(case, 'whole history')} |"
            for case in result["cases"]
        ),
    ]
    return "\n".join(lines) + "\n"


def _ms(case: dict[str, Any], side: str) -> str:
    return f"{case['seconds'][side] * 1000:.3g} ms"


if __name__ == "__main__":
    sys.exit(main())
