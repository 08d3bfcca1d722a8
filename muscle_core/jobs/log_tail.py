"""The end of a log, without reading all of it."""

from __future__ import annotations

from pathlib import Path

LINES = 200
_BYTES = 65_536


def log_tail(log: Path) -> str:
    """The last 200 lines of a log that may be missing."""
    try:
        with log.open("rb") as stream:
            stream.seek(max(0, log.stat().st_size - _BYTES))
            return "\n".join(stream.read().decode(errors="replace").splitlines()[-LINES:])
    except FileNotFoundError:
        return ""
