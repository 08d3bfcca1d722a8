"""Which strategy keeps the gain of the update and breaks least, and from which others it cannot be told apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from muscle_core.comparison.columns import Predictions
from muscle_core.comparison.comparison import compare
from muscle_core.comparison.pareto import Measures, measures_of
from muscle_core.metrics.continuous import bootstrap_means
from muscle_core.metrics.rates import Interval

_CONFIDENCE = 0.95


class Choice(NamedTuple):
    """The strategy with the least harm among those that keep the gain.

    Attributes:
        name: of the strategy; None where none keeps the gain.
        measures: what harm and quality are.
        keeping: strategies that keep the gain: the 95 % interval of their change of quality against the plain new
            version does not lie below 0.
        losing: the others.
        alike: of `keeping`, those whose harm cannot be told apart from that of the chosen one (paired, all comparisons
            together at 95 %).
        helps: whether the interval of its change of harm against the plain new version lies below 0.
    """

    name: str | None
    measures: Measures
    keeping: list[str]
    losing: list[str]
    alike: list[str]
    helps: bool


def choose_strategy(
    frame: pd.DataFrame,
    old: Predictions,
    variants: Mapping[str, Sequence[Predictions]],
    *,
    task_kind: str,
    seed: int = 0,
) -> Choice:
    """Choose among strategies, each the mean over its seeds.

    The chosen one is that with the least harm by its estimate; of many equal ones some looks best by chance, so that
    `alike` belongs to the answer. For it, the harm of each sample is averaged over the seeds of a strategy, and the
    mean difference to the chosen one gets a bootstrap interval at 1 - 0.05 / (number of comparisons) (Bonferroni): a
    strategy is told apart where that leaves out 0.

    Args:
        frame: result of `pool_seeds` for these variants.
        old: predictions of the old version.
        variants: predictions of each seed, by strategy.
        task_kind: kind of task.
        seed: makes the intervals repeatable.

    Raises:
        DataError: the frame has no figures to choose by, or tables cannot be compared.
    """
    measures = measures_of(frame)
    change = "accuracy_change" if measures.quality == "accuracy" else "score_change"
    rows = frame[~frame["is_plain_new"].astype(bool)].set_index("strategy")
    keeping = [str(name) for name in rows.index if rows.loc[name, f"{change}_high"] >= 0]
    losing = [str(name) for name in rows.index if name not in keeping]
    if not keeping:
        return Choice(None, measures, keeping, losing, [], False)
    best = min(keeping, key=lambda name: (rows.loc[name, measures.harm], -rows.loc[name, measures.quality]))
    helps = bool(rows.loc[best, f"{measures.harm}_change_high"] < 0)
    others = [name for name in keeping if name != best]
    if not others:
        return Choice(best, measures, keeping, losing, [], helps)
    of_best = _harm(old, variants[best], task_kind, measures)
    confidence = 1 - (1 - _CONFIDENCE) / len(others)
    alike = [
        name
        for name in others
        if _reaches_zero(of_best, _harm(old, variants[name], task_kind, measures), confidence, seed)
    ]
    return Choice(best, measures, keeping, losing, alike, helps)


def _reaches_zero(first: pd.Series, second: pd.Series, confidence: float, seed: int) -> bool:
    """Whether the interval of the paired difference holds 0."""
    shared = first.index.intersection(second.index)
    if not len(shared):
        return True
    gaps = (second.loc[shared] - first.loc[shared]).to_numpy(dtype=float)
    interval: Interval = bootstrap_means(gaps[:, None], seed=seed, confidence=confidence)[0]
    return interval.low <= 0 <= interval.high


def _harm(old: Predictions, seeds: Sequence[Predictions], task_kind: str, measures: Measures) -> pd.Series:
    """Harm of each sample, the mean over the seeds, of samples that all seeds answered."""
    parts = []
    for table in seeds:
        compared = compare(old, table, task_kind=task_kind, old_name="old", new_name="strategy")
        samples = compared.samples.set_index("sample_id")
        if measures.harm == "nfr":
            judged = samples[samples["quadrant"].notna()]
            parts.append((judged["quadrant"] == "Q4").astype(float))
        else:
            parts.append(samples[f"delta_{compared.score}"].mul(-1).clip(lower=0.0))
    frame = pd.concat(parts, axis=1, join="inner")
    return pd.Series(np.asarray(frame).mean(axis=1), index=frame.index)
