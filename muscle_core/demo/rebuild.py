"""Make the demo's weights again from nothing: tokenizer, two bases, six task adapters. Deterministic on one machine.

Run as: python -m muscle_core demo --rebuild.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from muscle_core.compat.fit import fit_task_adapter
from muscle_core.datasets import build_samples
from muscle_core.demo.bases import build_tokenizer, pretrain_base
from muscle_core.demo.recipe import BASES, TASK_ADAPTERS, TASK_KINDS, TASKS, TEMPLATES, VERSIONS
from muscle_core.demo.rows import task_rows
from muscle_core.errors import ConfigError
from muscle_core.models.spec import ModelSpec
from muscle_core.tasks import Sample, task_of

WEIGHTS = Path(__file__).parent / "weights"


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
    if any(codes):
        raise RuntimeError(f"making the versions ended with exit codes {codes}")
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
    build_version(sys.argv[1], Path(sys.argv[2]), say=lambda line: print(line, flush=True))
