"""Paths that users name: one place that turns what the system refuses into a message."""

from __future__ import annotations

from pathlib import Path

from muscle_core.errors import MuscleError


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
