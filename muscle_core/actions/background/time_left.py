"""How long a running job still takes, by its own recent speed."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from muscle_core.store import Workspace

_WINDOW_SECONDS = 90.0  # of progress that the speed is taken from
_BLOCKS = 6  # parts of it whose speeds say how sure it is
_LEAST_SECONDS = 2.0  # shorter than this says nothing
_TAIL_BYTES = 65_536


class Point(NamedTuple):
    """How far a job was at a moment.

    Attributes:
        at: seconds since the epoch.
        stage: what was being done.
        done: how much of it.
        total: of how much.
    """

    at: float
    stage: str
    done: float
    total: float


class TimeLeft(NamedTuple):
    """Seconds that a stage still takes.

    Attributes:
        seconds: by the speed of the window.
        low: by the fastest of its parts.
        high: by the slowest of them.
        speed: pieces a second.
    """

    seconds: float
    low: float
    high: float
    speed: float


def time_left(points: Sequence[Point], now: float) -> TimeLeft | None:
    """Seconds until the stage of the last point is over, by the speed of the last one and a half minutes.

    The window is cut into up to six parts of equal time; the slowest and the fastest of them give the range, which
    tells how unsteady the work was, not how likely the end is. A pause since the last point counts as slow.

    Args:
        points: progress of one process, oldest first.
        now: seconds since the epoch.

    Returns:
        None where there is too little to go by.
    """
    if not points:
        return None
    last = points[-1]
    same = [point for point in points if point.stage == last.stage and point.total == last.total]
    window = [point for point in same if last.at - point.at <= _WINDOW_SECONDS]
    if len(window) < 2 or last.done >= last.total:
        return None
    elapsed = max(now, last.at) - window[0].at
    done = last.done - window[0].done
    if elapsed < _LEAST_SECONDS or done <= 0:
        return None
    speed, left = done / elapsed, last.total - last.done
    speeds = [value for value in _speeds(window) if value > 0] or [speed]
    low, high = left / max(speeds), left / min(speeds)
    seconds = left / speed
    return TimeLeft(seconds, min(low, seconds), max(high, seconds), speed)


def _speeds(window: Sequence[Point]) -> list[float]:
    """Pieces a second in each part of a window; parts without two points are left out."""
    start, length = window[0].at, (window[-1].at - window[0].at) / _BLOCKS
    if length <= 0:
        return []
    edges = [window[0]]
    for number in range(1, _BLOCKS + 1):
        until = [point for point in window if point.at <= start + number * length + 1e-9]
        if until[-1].at > edges[-1].at:
            edges.append(until[-1])
    return [(b.done - a.done) / (b.at - a.at) for a, b in pairwise(edges)]


def recent_points(workspace: Workspace, job_id: str) -> list[Point]:
    """Progress of the newest process of a job, oldest first, as far as this machine has it.

    A job that runs on another machine has none here.
    """
    found: list[Point] = []
    for line in _tail(workspace.path(f"jobs/{job_id}/progress.jsonl")):
        try:
            entry = json.loads(line)
        except ValueError:  # half a line, at either end
            continue
        if entry.get("what") == "begin":
            found = []
        elif entry.get("what") == "progress":
            found.append(Point(entry["at"], entry["stage"], entry["done"], entry["total"]))
    return found


def _tail(path: Path) -> list[str]:
    try:
        with path.open("rb") as stream:
            stream.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            return stream.read().decode(errors="replace").splitlines()
    except FileNotFoundError:
        return []


def recent_tokens_per_second(records: Sequence[dict[str, float]], steps: int = 20) -> float | None:
    """Median of the answer tokens a second of the last steps of a training; None where there is none."""
    values = [record["tokens_per_second"] for record in records[-steps:] if "tokens_per_second" in record]
    values = [value for value in values if value == value]
    return statistics.median(values) if values else None
