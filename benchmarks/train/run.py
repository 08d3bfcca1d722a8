"""Time our training step against a plain loop and TRL's GKDTrainer, on the same batches; see docs/benchmarks.md.

Speed and losses are measured in one process, step by step in turns; memory in a process for each side.
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
from collections.abc import Callable
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.eval.machine import ROOT, machine
from benchmarks.train.case import BATCH_SIZE, LEARNING_RATE, LORA_RANK, Case, make_case, prepare_versions
from benchmarks.train.figures import markdown

MEMORY_STEPS = 3
# Each in a process of its own. The ones that fill a store come before those that find it filled.
MEMORY_SIDES = (
    "plain loop",
    "TRL GKD",
    "ours, filling the store",
    "ours, store filled",
    "ours with gradient checkpointing, filling the store",
    "ours with gradient checkpointing, store filled",
)


def main() -> int:
    """Run the command line; 2 where the weights or the data are missing."""
    options = _options()
    os.environ["HF_HUB_OFFLINE"] = "1"  # before the first import of transformers
    if options.child:
        print(json.dumps(CHILDREN[options.child](options)))
        return 0
    for what, path in (("MUSCLE_SMOLLM2_GGUF", options.model), ("MUSCLE_REAL_DATA", options.data)):
        if path is None or not path.exists():
            print(f"{what} must name what docs/benchmarks.md says; got {path}", file=sys.stderr)
            return 2
    os.environ["OMP_NUM_THREADS"] = str(options.threads)
    result: dict[str, Any] = {
        "date": date.today().isoformat(),
        "machine": machine(),
        "model": options.model.name,
        "threads": options.threads,
        "settings": {"batch_size": BATCH_SIZE, "learning_rate": LEARNING_RATE, "lora_rank": LORA_RANK},
        "trial": options.is_trial,
    }
    result["machine"]["packages"]["trl"] = version("trl")
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="bench-train-") as scratch:
        options.folder = Path(scratch)
        result["case"] = _child("prepare", options)
        result["epochs"] = _child("epochs", options)  # first, for it fills the store
        result["steps"] = _child("steps", options)
        _write(result, options.out)
        result["memory"] = {side: _child("memory", options, "--side", side) for side in options.memory_sides}
    result["minutes"] = (time.perf_counter() - started) / 60
    _write(result, options.out)
    print(markdown(result))
    print(f"written: {options.out} and {options.out.with_name('train.md')}", file=sys.stderr)
    return 0


def prepare(options: argparse.Namespace) -> dict[str, Any]:
    """Write the versions and what is trained on."""
    old, new = prepare_versions(options.model, ROOT / "build" / "bench-train")
    steps = max(options.steps + 1, options.epochs * options.samples // BATCH_SIZE)
    case = make_case(old, new, options.data, options.samples, steps, options.threads)
    case.write(options.folder / "case.json")
    few = make_case(old, new, options.data, MEMORY_STEPS * BATCH_SIZE, MEMORY_STEPS, options.threads)
    few.write(options.folder / "memory.json")
    timed = [case.batch(step) for step in range(1, options.steps + 1)]
    lengths = [[len(pair.prompt) + len(pair.answer) for pair in batch] for batch in timed]
    return {
        "samples": len(case.samples),
        "tokens": [sum(one) for one in lengths],
        "padded_tokens": [len(one) * max(one) for one in lengths],
        "answer_tokens": [sum(len(pair.answer) for pair in batch) for batch in timed],
    }


def steps(options: argparse.Namespace) -> dict[str, Any]:
    """Seconds and losses of steps in turns, with the teachers' stores filled before."""
    from benchmarks.train.sides import ours, plain_loop, trl_gkd
    from benchmarks.train.turns import interleave

    case = _case(options, "case")
    stores = options.folder / "stores"
    if not stores.exists():
        raise RuntimeError("the part that fills the store comes before")
    count = options.steps + 1  # the first is a warm-up
    return interleave(
        {
            "plain loop": lambda report: plain_loop(case, count, report),
            "TRL GKD": lambda report: trl_gkd(case, count, report),
            "ours": lambda report: ours(case, count, report, stores=stores),
        },
        count,
        options.threads,
        options.seed,
        _tell,
    )


def epochs(options: argparse.Namespace) -> dict[str, Any]:
    """Seconds of our training over several epochs from an empty store."""
    from benchmarks.train.sides import ours

    case = _case(options, "case")
    count = options.epochs * len(case.samples) // BATCH_SIZE
    started = time.perf_counter()
    result = ours(case, count, lambda loss: None, stores=options.folder / "stores")
    whole = time.perf_counter() - started
    _tell(f"{options.epochs} epochs: filling {result.teacher_seconds:.1f} s, training {result.seconds:.1f} s")
    return {
        "epochs": options.epochs,
        "steps": count,
        "teacher_seconds": result.teacher_seconds,
        "seconds": result.seconds,
        "whole_seconds": whole,
    }


def memory(options: argparse.Namespace) -> dict[str, Any]:
    """Peak memory of a few steps of one side, at its stages."""
    from benchmarks.train.sides import ours, plain_loop, trl_gkd

    case = _case(options, "memory")
    peaks = {"after the imports": _peak_mib()}

    def report(loss: float) -> None:
        peaks.setdefault("after the first step", _peak_mib())

    def report_teacher(teacher: str, done: int, total: int) -> None:
        peaks[f"after the {teacher} teacher"] = _peak_mib()

    if options.side == "plain loop":
        plain_loop(case, MEMORY_STEPS, report)
    elif options.side == "TRL GKD":
        trl_gkd(case, MEMORY_STEPS, report)
    else:
        checkpointing = "gradient checkpointing" in options.side
        stores = options.folder / f"stores-memory-{checkpointing}"
        if stores.exists() == ("filling" in options.side):
            raise RuntimeError(f"{stores} is not as {options.side!r} needs it")
        ours(
            case,
            MEMORY_STEPS,
            report,
            stores=stores,
            gradient_checkpointing=checkpointing,
            report_teacher=report_teacher,
        )
    peaks["at the end"] = _peak_mib()
    _tell(f"{options.side}: {peaks['at the end']:.0f} MiB")
    return {"peak_mib": peaks["at the end"], "stages": peaks}


CHILDREN: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
    "prepare": prepare,
    "steps": steps,
    "epochs": epochs,
    "memory": memory,
}


def _case(options: argparse.Namespace, name: str) -> Case:
    import torch

    case = Case.read(options.folder / f"{name}.json")
    torch.set_num_threads(case.threads)
    return case


def _child(name: str, options: argparse.Namespace, *more: str) -> dict[str, Any]:
    """Run one part in a process of its own; returns what it prints last."""
    command = [sys.executable, "-m", "benchmarks.train.run", "--child", name, "--folder", str(options.folder), *more]
    for option in ("model", "data", "samples", "steps", "epochs", "threads", "seed"):
        command += [f"--{option}", str(getattr(options, option))]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT).stdout
    found: dict[str, Any] = json.loads(output.splitlines()[-1])
    return found


def _peak_mib() -> float:
    """Peak memory of this process; what `getrusage` says may be that of the process that started it."""
    status = Path("/proc/self/status")
    if status.is_file():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # bytes on macOS


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _write(result: dict[str, Any], out: Path) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    out.with_name("train.md").write_text(markdown(result), encoding="utf-8")


def _options() -> argparse.Namespace:
    def variable(name: str) -> Path | None:
        return Path(os.environ[name]) if os.environ.get(name) else None

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=6, help="timed steps of each side, after one to warm up")
    parser.add_argument("--samples", type=int, default=48, help="samples of the set")
    parser.add_argument("--epochs", type=int, default=3, help="epochs of the training from an empty store")
    parser.add_argument("--threads", type=int, default=2, help="threads of torch")
    parser.add_argument("--seed", type=int, default=0, help="of the order of the sides")
    parser.add_argument("--memory-sides", nargs="*", choices=MEMORY_SIDES, default=list(MEMORY_SIDES), metavar="SIDE")
    parser.add_argument("--model", type=Path, default=variable("MUSCLE_SMOLLM2_GGUF"), help="$MUSCLE_SMOLLM2_GGUF")
    parser.add_argument("--data", type=Path, default=variable("MUSCLE_REAL_DATA"), help="$MUSCLE_REAL_DATA")
    parser.add_argument("--out", type=Path, help="JSON, by default in benchmarks/results; train.md is beside it")
    parser.add_argument("--child", choices=list(CHILDREN), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--side", choices=MEMORY_SIDES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    defaults = {name: parser.get_default(name) for name in ("steps", "samples", "epochs", "threads", "memory_sides")}
    options.is_trial = any(getattr(options, name) != value for name, value in defaults.items())
    if options.samples % BATCH_SIZE:
        parser.error(f"--samples must be a multiple of {BATCH_SIZE}")
    if options.out is None:  # a trial does not take the place of a measurement
        folder = ROOT / ("build" if options.is_trial else "benchmarks/results")
        options.out = folder / f"train-{date.today().isoformat()}.json"
    return options


if __name__ == "__main__":
    sys.exit(main())
