"""Prediction tables joined by sample id: what an update gained and broke, noise, and the history of many versions."""

from __future__ import annotations

from muscle_core.comparison.comparison import Comparison, compare
from muscle_core.comparison.history import History, history
from muscle_core.comparison.join import JoinReport
from muscle_core.comparison.noise import NoiseFloor, noise_floor
from muscle_core.comparison.strategies import compare_strategies, pool_seeds
from muscle_core.comparison.verdict import Judgement, judge, verdict

__all__ = [
    "Comparison",
    "History",
    "JoinReport",
    "Judgement",
    "NoiseFloor",
    "compare",
    "compare_strategies",
    "history",
    "judge",
    "noise_floor",
    "pool_seeds",
    "verdict",
]
