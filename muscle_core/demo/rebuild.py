"""Make the demo's weights again from nothing: tokenizer, two bases, six task adapters, three compatibility adapters.

Deterministic on one machine.

Run as: python -m muscle_core demo --rebuild.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from muscle_core.compat.fit import fit_compat_adapter, fit_task_adapter
from muscle_core.datasets import build_samples, dataset_fingerprint
from muscle_core.demo.bases import build_tokenizer, pretrain_base
from muscle_core.demo.recipe import (
    BASES,
    COMPAT_ADAPTERS,
    SPLIT_SIZES,
    TASK_ADAPTERS,
    TASK_KINDS,
    TASKS,
    TEMPLATES,
    VERSIONS,
)
from muscle_core.demo.rows import task_rows
from muscle_core.errors import ConfigError
from muscle_core.models.spec import ModelSpec, adapter_fingerprint, base_fingerprint
from muscle_core.store import METRICS, made_by
from muscle_core.tasks import Sample, task_of

WEIGHTS = Path(__file__).parent / "weights"
TRAINING_RECORD = "training.json"  # of a compatibility adapter: what made it
COMPAT = "compat"  # ending of a compatibility adapter's folder


def training_samples(task: str) -> list[Sample]:
    """The demo's training split of a task."""
    rows = [(row["id"], row) for row in task_rows(task, "train")]
    return build_samples(task_of(TASK_KINDS[task]), {"train": rows}, name=f"demo-{task}")


def rebuild_weights(out: Path | None = None, *, say: Callable[[str], None] = print) -> Path:
    """Train everything into a new folder; with no folder named, the repository's weights are replaced at the end.

    Both versions are made at once, each in a process with one thread: the matrices are too small for two threads to
    help, and the order of float sums depends on their number.

    Args:
        out: folder to write; must not exist. By default a folder beside the repository's weights, which then
            takes their place.
        say: receives progress.

    Raises:
        ConfigError: the folder exists.
    """
    target = out or WEIGHTS.with_name("weights.new")
    if target.exists():
        raise ConfigError(f"{target} exists; name a new folder or remove it.")
    started = time.monotonic()
    processes = [
        subprocess.Popen([sys.executable, "-m", "muscle_core.demo.rebuild", version, str(target)])
        for version in VERSIONS
    ]
    codes = [process.wait() for process in processes]
    if not any(codes):
        command = [sys.executable, "-m", "muscle_core.demo.rebuild", COMPAT, str(target)]
        codes.append(subprocess.run(command, check=False).returncode)
    if any(codes):
        raise RuntimeError(f"making the weights ended with exit codes {codes}")
    say(f"all: {time.monotonic() - started:.0f} s")
    if out is None:
        shutil.rmtree(WEIGHTS, ignore_errors=True)
        target.rename(WEIGHTS)
        return WEIGHTS
    return target


def build_version(version: str, folder: Path, *, say: Callable[[str], None] = print) -> None:
    """Make one base and its three task adapters in a folder."""
    pretrain_base(version, build_tokenizer(), folder / f"base-{version}", say=say)
    for task in TASKS:
        train_adapter(task, version, folder, say=say)


def train_adapter(task: str, version: str, folder: Path, *, say: Callable[[str], None] = print) -> None:
    """Train one task adapter on the base that lies in the folder."""
    torch.set_num_threads(BASES[version].threads)
    base = ModelSpec(str(folder / f"base-{version}"))
    adapter = folder / f"{task}-{version}"
    result = fit_task_adapter(base, training_samples(task), TEMPLATES[task], TASK_ADAPTERS[task], adapter)
    shrink_adapter(adapter, f"base-{version}")
    say(f"{task} {version}: {result.seconds:.0f} s, last loss {result.last['loss']:.4f}")


def train_compat_adapter(task: str, folder: Path, *, say: Callable[[str], None] = print) -> None:
    """Train the compatibility adapter of a task for the versions that lie in the folder, and record what made it."""
    torch.set_num_threads(BASES[VERSIONS[-1]].threads)
    old, new = (ModelSpec(str(folder / f"base-{v}"), adapter=str(folder / f"{task}-{v}")) for v in VERSIONS)
    config, adapter = COMPAT_ADAPTERS[task], folder / f"{task}-{COMPAT}"
    steps: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="muscle-demo-") as scratch:
        result = fit_compat_adapter(
            old,
            new,
            training_samples(task),
            TEMPLATES[task],
            config,
            adapter,
            stores=Path(scratch),
            report=lambda record: steps.append({key: _short(value) for key, value in record.items()}),
        )
    shrink_adapter(adapter, f"base-{VERSIONS[-1]}")
    rows = {split: [(row["id"], row) for row in task_rows(task, split)] for split in SPLIT_SIZES[task]}
    samples = build_samples(task_of(TASK_KINDS[task]), rows, name=f"demo-{task}")
    record = {
        "options": config.as_dict(),
        "summary": result.summary(),
        "made_by": made_by(
            dataset_fingerprint=dataset_fingerprint(TASK_KINDS[task], samples),
            old_fingerprint=_fingerprint(old),
            new_fingerprint=_fingerprint(new),
            row_limit=None,
            validation_split=None,
        ),
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    (adapter / TRAINING_RECORD).write_text(json.dumps(record, indent=2, sort_keys=True) + "\n")
    (adapter / METRICS).write_text("".join(json.dumps(step) + "\n" for step in steps))
    say(f"{task} {COMPAT}: {result.seconds:.0f} s, last loss {result.last['loss']:.4f}")


def _fingerprint(spec: ModelSpec) -> str:
    return f"{base_fingerprint(spec)}:{adapter_fingerprint(spec)}"


def _short(value: float) -> float | None:
    """A measured number with as many digits as a chart needs: the record travels with the repository."""
    if value != value:
        return None
    return value if isinstance(value, int) else float(f"{value:.5g}")


def shrink_adapter(adapter: Path, base_name: str) -> None:
    """Store an adapter in float16 and without paths of this machine, so that it can travel with the repository."""
    weights = adapter / "adapter_model.safetensors"
    save_file({name: tensor.half() for name, tensor in load_file(weights).items()}, weights, metadata={"format": "pt"})
    for name, key in (("adapter_config.json", "base_model_name_or_path"), ("muscle_base.json", "base")):
        record = json.loads((adapter / name).read_text())
        record[key] = base_name
        (adapter / name).write_text(json.dumps(record, indent=2, sort_keys=True) + "\n")
    (adapter / "README.md").unlink(missing_ok=True)


if __name__ == "__main__":
    if sys.argv[1] == COMPAT:
        for one in TASKS:
            train_compat_adapter(one, Path(sys.argv[2]), say=lambda line: print(line, flush=True))
    else:
        build_version(sys.argv[1], Path(sys.argv[2]), say=lambda line: print(line, flush=True))
