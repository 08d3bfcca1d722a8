"""Frozen teachers: what they say about the training samples, computed once and kept on disk, or asked at every step.

A store holds a teacher's final hidden states at the answer tokens, not its logits: they are small, and projecting them
again gives the same logits. Its folder is named by teacher and samples, so every strategy of an ablation reads the same
one. A killed filling goes on where it stopped.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from muscle_core.compat.fused_lora import fused_lora
from muscle_core.compat.losses import CHUNK_LOGITS, Head, TeacherTokens, look
from muscle_core.compat.states import StateReader
from muscle_core.errors import ConfigError
from muscle_core.scoring.encode import EncodedPair
from muscle_core.scoring.loglikelihood import length_sorted_batches

PASS_TOKENS = 1024  # tokens of a pass that fills a store
_ENTRIES = {"argmax": np.int32, "gold": np.float32}
_SPARE_BYTES = 64 * 2**20  # left free on the disk
_SAVE_EVERY = 50  # passes between two notes of how far a filling is

Progress = Callable[[int, int], None]  # samples done, samples in all


class Teacher(Protocol):
    """A frozen teacher."""

    vocabulary: int  # entries of its output vocabulary

    def tokens(self, indices: Sequence[int]) -> TeacherTokens:
        """What it says about the answer tokens of some training samples, in this order."""
        ...


class LiveTeacher:
    """A teacher that is asked whenever it is needed."""

    def __init__(self, reader: StateReader, pairs: Sequence[EncodedPair]) -> None:
        self.reader, self.pairs = reader, pairs
        self.vocabulary = reader.vocabulary

    @torch.no_grad()
    def tokens(self, indices: Sequence[int]) -> TeacherTokens:
        """See `Teacher`."""
        with self.reader.reading():
            states, gold, _ = self.reader([self.pairs[index] for index in indices])
        return TeacherTokens(self.reader.head, states, *_look_in_chunks(self.reader.head, states, gold))


class StoredTeacher:
    """A teacher whose states lie in a store."""

    def __init__(self, folder: Path, pairs: Sequence[EncodedPair], device: torch.device, head: Head | None) -> None:
        """Open a complete store.

        Args:
            folder: of the store.
            pairs: the samples that it was filled with.
            device: where the states are wanted.
            head: the teacher's output projection where it is in memory already, else it is read from the store.
        """
        self.device = device
        self._starts = _starts(pairs)
        self._states = np.load(folder / "states.npy", mmap_mode="r")
        self._argmax, self._gold = (np.load(folder / f"{name}.npy") for name in _ENTRIES)
        if head is None:
            tensors = load_file(folder / "head.safetensors", device=str(device))
            head = Head(tensors.get("weight"), tensors.get("bias"))
        self.head = head
        self.vocabulary = int(json.loads((folder / "store.json").read_text())["vocabulary"])

    def tokens(self, indices: Sequence[int]) -> TeacherTokens:
        """See `Teacher`."""
        spans = [slice(self._starts[index], self._starts[index + 1]) for index in indices]
        states, argmax, gold = (
            torch.from_numpy(np.concatenate([array[span] for span in spans])).to(self.device)
            for array in (self._states, self._argmax, self._gold)
        )
        return TeacherTokens(self.head, states, argmax.long(), gold)


def store_key(teacher_fingerprint: str, samples_fingerprint: str) -> str:
    """Name of the folder of a teacher's store for these samples."""
    return hashlib.sha256(json.dumps([1, teacher_fingerprint, samples_fingerprint]).encode()).hexdigest()[:32]


def is_filled(folder: Path) -> bool:
    """Whether a store is complete."""
    return (folder / "store.json").is_file()


def fill_store(
    folder: Path,
    load: Callable[[], Any],
    pairs: Sequence[EncodedPair],
    pad_id: int,
    *,
    name: str,
    limit_bytes: float,
    report: Progress = lambda done, total: None,
) -> None:
    """Fill a teacher's store, or wait for the process that is filling it; a complete one is left as it is.

    Args:
        folder: of the store.
        load: loads the teacher, in evaluation mode.
        pairs: training samples.
        pad_id: any token id.
        name: of the teacher, for messages.
        limit_bytes: most bytes that the store may take.
        report: called as samples are done.

    Raises:
        ConfigError: the store would be larger than allowed or than the free disk, with both figures.
        DataError: samples longer than the teacher's context.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _alone(folder):
        if is_filled(folder):
            return
        teacher = load()
        reader = StateReader(teacher, pad_id, pairs)
        partial = folder.with_name(folder.name + ".partial")
        with fused_lora(teacher):
            _fill(partial, reader, pairs, name, limit_bytes, report)
        partial.rename(folder)


def _fill(
    partial: Path,
    reader: StateReader,
    pairs: Sequence[EncodedPair],
    name: str,
    limit_bytes: float,
    report: Progress,
) -> None:
    starts = _starts(pairs)
    batches = list(length_sorted_batches([len(p.prompt) + len(p.answer) for p in pairs], PASS_TOKENS))
    note = partial / "filling.json"
    if note.is_file():
        first = json.loads(note.read_text())["passes"]
        arrays = {key: np.lib.format.open_memmap(partial / f"{key}.npy", "r+") for key in ("states", *_ENTRIES)}
    else:
        with torch.no_grad(), reader.reading():
            width = reader(pairs[:1]).states.shape[1]
        first = 0
        arrays = _reserve(partial, starts[-1], width, reader.head, name, limit_bytes)
    samples = sum(map(len, batches[:first]))
    for number, batch in enumerate(batches[first:], start=first + 1):
        with torch.no_grad(), reader.reading():
            states, gold, rows = reader([pairs[index] for index in batch])
        for array, values in zip(arrays.values(), (states, *_look_in_chunks(reader.head, states, gold)), strict=True):
            for place, index in enumerate(batch):
                array[starts[index] : starts[index + 1]] = values[rows == place].cpu().numpy()
        if number % _SAVE_EVERY == 0:
            for array in arrays.values():
                array.flush()
            _write_json(note, {"passes": number})
        samples += len(batch)
        report(samples, len(pairs))
    for array in arrays.values():
        array.flush()
    note.unlink(missing_ok=True)
    record = {"teacher": name, "samples": len(pairs), "tokens": starts[-1], "vocabulary": reader.vocabulary}
    _write_json(partial / "store.json", record)


def _reserve(partial: Path, tokens: int, width: int, head: Head, name: str, limit_bytes: float) -> dict[str, np.memmap]:
    """Make the files of a store at their full size, so that a full disk is found before anything is computed."""
    shutil.rmtree(partial, ignore_errors=True)
    head_tensors = {k: v.contiguous() for k, v in head._asdict().items() if v is not None}
    shapes: dict[str, tuple[tuple[int, ...], Any]] = {"states": ((tokens, width), np.float32)}
    shapes |= {key: ((tokens,), dtype) for key, dtype in _ENTRIES.items()}
    size = tokens * (width + len(_ENTRIES)) * 4 + sum(t.numel() * t.element_size() for t in head_tensors.values())
    free = shutil.disk_usage(partial.parent).free - _SPARE_BYTES
    if size > min(limit_bytes, free):
        reason = "free" if free < limit_bytes else "allowed by teacher_store_gib"
        raise ConfigError(
            f"what the teacher {name} says about {tokens:,} answer tokens takes {_gib(size)} in {partial.parent}, but "
            f"only {_gib(max(min(limit_bytes, free), 0))} are {reason}. Make room, train on fewer samples, or set "
            "teacher_store=false: the teachers are then asked at every step, which takes about three times as long."
        )
    partial.mkdir(parents=True)
    try:
        save_file(head_tensors, partial / "head.safetensors")
        arrays = {}
        for key, (shape, dtype) in shapes.items():
            arrays[key] = np.lib.format.open_memmap(partial / f"{key}.npy", "w+", dtype=dtype, shape=shape)
            with (partial / f"{key}.npy").open("r+b") as stream:
                # A write into a mapped file that finds the disk full would kill the process.
                os.posix_fallocate(stream.fileno(), 0, os.fstat(stream.fileno()).st_size)
        _write_json(partial / "filling.json", {"passes": 0})
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise ConfigError(
            f"the disk of {partial.parent} is too full for the {_gib(size)} of the teacher store. Make room, or set "
            "teacher_store=false."
        ) from error
    return arrays


@torch.no_grad()
def _look_in_chunks(head: Head, states: torch.Tensor, gold: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Most likely token, and log-likelihood of the gold one (nats), of each state."""
    size = max(1, CHUNK_LOGITS // head.vocabulary(states))
    parts = []
    for start in range(0, len(gold), size):
        parts.append(look(head(states[start : start + size]), gold[start : start + size]))
    argmax, likelihood = (torch.cat(part) for part in zip(*parts, strict=True))
    return argmax, likelihood


def _starts(pairs: Sequence[EncodedPair]) -> list[int]:
    """Number of the first answer token of each sample, and of all at the end."""
    return [0, *np.cumsum([len(pair.answer) for pair in pairs]).tolist()]


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold a store's lock; another process that fills it is waited for."""
    with folder.with_name(folder.name + ".lock").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _write_json(path: Path, content: dict[str, Any]) -> None:
    partial = path.with_name(path.name + ".new")
    partial.write_text(json.dumps(content))
    partial.rename(path)


def _gib(size: float) -> str:
    return f"{size / 2**30:,.2f} GiB"
