"""Two prediction tables joined by sample id: what an update gained and what it broke."""

from __future__ import annotations

from muscle_core.comparison.comparison import Comparison, compare
from muscle_core.comparison.join import JoinReport
from muscle_core.comparison.strategies import compare_strategies, pool_seeds
from muscle_core.comparison.verdict import verdict

__all__ = ["Comparison", "JoinReport", "compare", "compare_strategies", "pool_seeds", "verdict"]
