"""The worker's log: one JSON object a line on standard output, for people and for log collectors."""

from __future__ import annotations

import json
from datetime import UTC, datetime


def notice(what: str, **facts: object) -> None:
    """Write one line: when, what happened, and facts by name."""
    line = {"at": datetime.now(UTC).isoformat(timespec="milliseconds"), "what": what, **facts}
    print(json.dumps(line, default=str), flush=True)
