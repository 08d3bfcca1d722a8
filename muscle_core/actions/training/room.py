"""Memory and disk that a compatibility training takes: what earlier ones took, else what the sizes say."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from pathlib import Path

import sqlalchemy as sa

from muscle_core.actions.library.datasets import load_samples
from muscle_core.actions.training.earlier import (
    FORMULA,
    KEPT,
    OTHER_DATASET,
    SAME,
    UNKNOWN,
    Measured,
    Part,
    is_kept,
    spread,
)
from muscle_core.compat.config import CompatConfig
from muscle_core.errors import MuscleError
from muscle_core.store import Dataset, ModelVersion, TrainingRun, Workspace, spec_of
from muscle_core.store.disk import size_of

_FLOAT_BYTES = 4
_STORE_ENTRIES = 2  # numbers kept for a token beside its state (see compat/teachers.py)


def memory_needed(
    workspace: Workspace, earlier: Sequence[Measured], old: ModelVersion, new: ModelVersion, config: CompatConfig
) -> Part:
    """The peak of earlier trainings with batches at least as large, else the weights in 32 bits as the least."""
    for other in (False, True):
        runs = [one.run for one in earlier if (one.basis == OTHER_DATASET) == other]
        near = [run for run in runs if run.options["batch_size"] >= config.batch_size] or runs
        peaks = [run.summary["peak_memory_mb"] * 2**20 for run in near if run.summary.get("peak_memory_mb")]
        if peaks:
            return spread(peaks, OTHER_DATASET if other else SAME)
    weights = [_weights(workspace, version) for version in (old, new)]
    if weights[1] is None:
        return Part(None, None, None, UNKNOWN)
    together = float(weights[1] + (0 if config.teacher_store else weights[0] or 0))
    return Part(together, together, together, FORMULA)


def adapter_bytes(workspace: Workspace, own: Sequence[TrainingRun], new: ModelVersion, config: CompatConfig) -> Part:
    """Bytes of an earlier result's adapter, or of the new version's own."""
    ids = [run.result_version_id for run in own if run.options["lora_rank"] == config.lora_rank]
    with workspace.reading() as session:
        made = list(session.scalars(sa.select(ModelVersion).where(ModelVersion.id.in_(ids))))
    for version, basis in [*((one, SAME) for one in made), (new, FORMULA)]:
        try:
            folder = spec_of(workspace, version).adapter_path
        except MuscleError:
            continue
        size = 0 if folder is None else size_of(folder)[1]
        if size:
            return Part(float(size), float(size), float(size), basis, 1)
    return Part(None, None, None, UNKNOWN)


def store_bytes(
    workspace: Workspace,
    own: Sequence[TrainingRun],
    old: ModelVersion,
    new: ModelVersion,
    dataset: Dataset,
    config: CompatConfig,
    split: str,
    limit: int | None,
) -> Part:
    """A state a token of the answers and the output layer, for each teacher.

    A token is at least one byte, so that the bytes of the answers give the most; a fourth of it is usual for English.
    """
    nothing = Part(0.0, 0.0, 0.0, KEPT)
    if not config.teacher_store or config.strategy == "cross_entropy":
        return nothing
    if is_kept(workspace, own, config, dataset, split, limit):
        return nothing
    shapes = [_shape(workspace, version) for version in (old, new)]
    if any(shape is None for shape in shapes):
        return Part(None, None, None, UNKNOWN)
    samples = load_samples(workspace, dataset, split, limit)
    answers = sum(len(sample.target.encode()) for sample in samples)
    most, usual = answers + len(samples), answers / 4 + len(samples)  # with the end of each
    sizes = []
    for tokens in (usual, len(samples) * 2.0, most):
        each = [
            (tokens * (width + _STORE_ENTRIES) + vocabulary * width) * _FLOAT_BYTES
            for width, vocabulary in (shape for shape in shapes if shape is not None)
        ]
        sizes.append(float(sum(each)))
    value, low, high = sizes
    return Part(value, min(low, value), high, FORMULA)


def free_memory() -> int | None:
    """Bytes of memory that a new process can have; None where the system does not say (such as macOS)."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return None


def _weights(workspace: Workspace, version: ModelVersion) -> int | None:
    """Bytes of a version's base in 32 bits: the numbers in its safetensors files; None where they are not here."""
    try:
        folder = Path(spec_of(workspace, version).base)
    except MuscleError:
        return None
    files = sorted(folder.glob("*.safetensors")) if folder.is_dir() else []
    numbers = [_numbers_in(file) for file in files]
    return sum(n for n in numbers if n) * _FLOAT_BYTES if files and None not in numbers else None


def _numbers_in(file: Path) -> int | None:
    """How many numbers a safetensors file holds, by its header; None where that cannot be read."""
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if length > file.stat().st_size:
            return None
        try:
            header = json.loads(stream.read(length))
        except ValueError:
            return None
    return sum(math.prod(entry["shape"]) for name, entry in header.items() if name != "__metadata__")


def _shape(workspace: Workspace, version: ModelVersion) -> tuple[int, int] | None:
    """Width of the states and entries of the vocabulary, by the base's own configuration."""
    try:
        file = Path(spec_of(workspace, version).base) / "config.json"
        config = json.loads(file.read_text())
        return int(config["hidden_size"]), int(config["vocab_size"])
    except (MuscleError, OSError, ValueError, KeyError):
        return None
