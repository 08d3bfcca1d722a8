"""What to do about an error of the machine rather than of the input."""

from __future__ import annotations

import errno
from collections.abc import Iterator

from muscle_core.errors import first_line

_NO_MEMORY = ("out of memory", "can't allocate memory", "cannot allocate memory", "std::bad_alloc")


def advice(error: BaseException) -> str | None:
    """What happened and what to do, for memory and disks that are full; None for any other error.

    Args:
        error: as it was caught; what caused it is looked at too.
    """
    for one in _chain(error):
        if isinstance(one, OSError) and one.errno in (errno.ENOSPC, errno.EDQUOT):
            where = f" ({one.filename})" if one.filename else ""
            return (
                f"the disk is full{where}. What was saved before is intact. Make room (python -m muscle_core workspace "
                "gc shows what can go), then resume the job."
            )
        if isinstance(one, MemoryError) or any(text in str(one).lower() for text in _NO_MEMORY):
            return (
                "the machine ran out of memory. What was saved before is intact. Use a smaller batch with more "
                "gradient accumulation, shorter samples (max_length) or gradient_checkpointing=true in a new training, "
                f"or free memory and resume the job. The system said: {first_line(one)}"
            )
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or link.__context__
