"""Errors whose text is meant for the user.

    MuscleError
    ├── DataError      a file, row or dataset is not what it must be
    ├── ModelError     a model version cannot be loaded, or two do not fit together
    ├── ConfigError    an option has a value that cannot work
    ├── StoreError     the workspace lacks the thing asked for, or cannot be opened
    └── JobError       background work cannot be started or has failed
        └── Cancelled  it was stopped on request

Pages and commands catch `MuscleError` only; anything else is a bug and keeps its traceback.
"""

from __future__ import annotations

from collections.abc import Iterable


class MuscleError(Exception):
    """Base of all errors shown to the user: what was wrong, where, the value, and what to do.

    Attributes:
        problems: all problems found, one line each, where the message may list only the first of them.
    """

    problems: tuple[str, ...] = ()


class DataError(MuscleError):
    """A file, a row or a dataset is not what it must be."""


class ModelError(MuscleError):
    """A model version cannot be loaded, or two model versions do not fit together."""


class ConfigError(MuscleError):
    """An option has a value that cannot work."""


class StoreError(MuscleError):
    """The workspace lacks the thing asked for, or cannot be opened."""


class JobError(MuscleError):
    """Background work cannot be started or has failed."""


class Cancelled(JobError):
    """Work was stopped on request; the message says what is kept."""


def raise_all(problems: Iterable[str], error: type[MuscleError], headline: str, *, shown: int = 20) -> None:
    """Raise one error that lists every problem found; return if there is none.

    Args:
        problems: one line a problem, in the order found.
        error: class to raise.
        headline: first line of the message, without its final colon.
        shown: how many problems are spelled out; the rest is counted.

    Raises:
        MuscleError: of class `error`, if `problems` is not empty.
    """
    lines = list(problems)
    if not lines:
        return
    refusal = error(f"{headline}: {lines[0]}")
    refusal.problems = tuple(lines)
    if len(lines) == 1:
        raise refusal
    listed = "".join(f"\n  - {line}" for line in lines[:shown])
    rest = f"\n  … and {len(lines) - shown} more" if len(lines) > shown else ""
    refusal.args = (f"{headline} ({len(lines)} problems):{listed}{rest}",)
    raise refusal


def first_line(error: BaseException) -> str:
    """First line of what an exception says, or its class where it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
