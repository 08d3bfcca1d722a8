"""Paths and disks: one place that turns what the system refuses into a message."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from muscle_core.errors import MuscleError, StoreError, first_line

_FULL, _READ_ONLY = (errno.ENOSPC, errno.EDQUOT), (errno.EROFS,)
_ALMOST_NOTHING = 2**20  # free bytes of a disk on which the last write has failed


def local_path(text: str | Path, error: type[MuscleError]) -> Path:
    """A path on this machine with `~` spelled out; it need not exist.

    Args:
        text: what the user named.
        error: class to raise.

    Raises:
        MuscleError: of class `error`, if there is no such home folder, a name is too long or holds a NUL, or a folder
            on the way may not be entered.
    """
    try:
        path = Path(text).expanduser()
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return path
    except (OSError, RuntimeError, ValueError) as problem:
        shown = str(text) if len(str(text)) <= 80 else f"{str(text)[:80]}…"
        raise error(
            f"the path {shown!r} cannot be used: {reason(problem)}. Check its spelling and rights."
        ) from problem
    return path


def reason(problem: Exception) -> str:
    """What the system says of a refused file, without its number and path."""
    return (problem.strerror if isinstance(problem, OSError) else None) or str(problem) or type(problem).__name__


def system_text(error: OSError) -> str:
    """What the system refused, and what to do where the disk is the reason."""
    if error.errno in _FULL:
        return (
            f"{error}. The disk is full: make room (python -m muscle_core workspace gc lists what may go), then do it "
            "again; what was finished before is kept."
        )
    if error.errno in _READ_ONLY:
        return f"{error}. This disk can only be read: mount it for writing, or use another one. Nothing was written."
    return str(error)


def is_full(place: Path) -> bool:
    """Whether the disk of a folder has no room left."""
    try:
        return shutil.disk_usage(place).free < _ALMOST_NOTHING
    except OSError:
        return False


@contextmanager
def full_disk_told(place: Path) -> Iterator[None]:
    """Tell of a full disk where torch or safetensors write: their own errors for it have many names.

    Args:
        place: a folder on the disk.

    Raises:
        StoreError: something failed, and the disk is full.
    """
    try:
        yield
    except MuscleError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno in (*_FULL, *_READ_ONLY):
            raise StoreError(system_text(error)) from error
        if "No space left" in str(error) or (isinstance(error, RuntimeError) and is_full(place)):
            raise StoreError(
                f"the disk of {place} is full ({first_line(error)}). Make room (python -m muscle_core workspace gc "
                "lists what may go), then do it again; what was finished before is kept."
            ) from error
        raise
