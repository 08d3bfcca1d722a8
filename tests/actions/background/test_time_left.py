"""The time that is left, against works of known speed."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from muscle_core.actions.background.time_left import Point, recent_points, recent_tokens_per_second, time_left
from muscle_core.store import Workspace


def steady(speed: float, count: int, total: float, every: float = 0.5) -> list[Point]:
    return [Point(1000 + number * every, "training", number * every * speed, total) for number in range(count)]


@given(st.floats(0.1, 1000), st.integers(8, 400))
def test_a_steady_work_ends_when_it_is_said_to(speed: float, count: int) -> None:
    points = steady(speed, count, total=speed * 1000)
    found = time_left(points, points[-1].at)
    assert found.seconds == pytest.approx((points[-1].total - points[-1].done) / speed)
    assert found.low == pytest.approx(found.seconds, rel=1e-6)
    assert found.high == pytest.approx(found.seconds, rel=1e-6)
    assert found.speed == pytest.approx(speed)


@given(st.lists(st.floats(0.01, 5), min_size=8, max_size=300), st.floats(0, 5))
def test_the_range_holds_the_expectation_whatever_the_steps_take(gaps: list[float], silent: float) -> None:
    points = [Point(at, "training", number, 10_000) for number, at in enumerate(np.cumsum(gaps))]
    found = time_left(points, points[-1].at + silent)
    if found is None:
        assert points[-1].at + silent - points[0].at < 2
    else:
        assert found.low <= found.seconds <= found.high


def test_only_the_recent_speed_counts() -> None:
    slow = [Point(float(at), "training", at / 10, 1000) for at in range(300)]
    fast = [Point(300.0 + at, "training", 30 + at, 1000) for at in range(120)]
    found = time_left(slow + fast, 419.0)
    assert found.speed == pytest.approx(1.0)
    assert found.seconds == pytest.approx(1000 - 149)


def test_a_pause_makes_it_longer_and_an_unsteady_work_less_sure() -> None:
    points = steady(10.0, 40, total=1000)
    assert time_left(points, points[-1].at + 20).seconds == pytest.approx(
        time_left(points, points[-1].at).seconds * (19.5 + 20) / 19.5
    )
    halting = [Point(p.at * 2 - 1000 if n > 20 else p.at, *p[1:]) for n, p in enumerate(points)]
    found = time_left(sorted(halting), max(halting).at)
    assert found.high > found.low * 1.5


def test_too_little_says_nothing() -> None:
    assert time_left([], 0.0) is None
    assert time_left(steady(1.0, 1, 10), 2000.0) is None
    assert time_left(steady(1.0, 3, 10), 1001.0) is None
    done = steady(1.0, 21, total=10)
    assert time_left(done, done[-1].at) is None
    other_stage = [*steady(1.0, 20, 100), Point(1010.0, "evaluating", 0, 50)]
    assert time_left(other_stage, 1010.0) is None


def test_the_points_are_those_of_the_newest_process(workspace: Workspace) -> None:
    assert recent_points(workspace, "a" * 32) == []
    folder = workspace.job_folder("a" * 32)
    lines = [
        {"at": 1.0, "what": "begin"},
        {"at": 2.0, "what": "progress", "stage": "training", "done": 5, "total": 9},
        {"at": 3.0, "what": "begin"},
        {"at": 4.0, "what": "progress", "stage": "training", "done": 6, "total": 9, "loss": 1.0},
        {"at": 5.0, "what": "progress", "stage": "training", "done": 7, "total": 9, "loss": 1.0},
    ]
    text = "\n".join(json.dumps(line) for line in lines)
    (folder / "progress.jsonl").write_text(text + '\n{"at": 6.0, "wh')
    assert recent_points(workspace, "a" * 32) == [Point(4.0, "training", 6, 9), Point(5.0, "training", 7, 9)]


def test_tokens_a_second_are_the_median_of_the_last_steps() -> None:
    assert recent_tokens_per_second([]) is None
    records = [{"tokens_per_second": float(value)} for value in (1, 1, 100, 200, 300)]
    assert recent_tokens_per_second(records, steps=3) == 200.0
