"""Which strategy keeps the gain of the update and breaks least, and from which others it cannot be told apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from muscle_core.comparison.columns import Predictions
from muscle_core.comparison.comparison import compare
from muscle_core.comparison.matching import match_ids
from muscle_core.comparison.pareto import Measures, measures_of
from muscle_core.comparison.shared_rows import shared_rows
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


class _Harm(NamedTuple):
    """Harm of each sample, the mean over the seeds, of samples that all seeds answered."""

    ids: pa.Array
    harm: NDArray[np.float64]


def _reaches_zero(first: _Harm, second: _Harm, confidence: float, seed: int) -> bool:
    """Whether the interval of the paired difference holds 0."""
    shared = match_ids(first.ids, second.ids)
    if not len(shared.old_rows):
        return True
    gaps = second.harm[shared.new_rows] - first.harm[shared.old_rows]
    interval: Interval = bootstrap_means(gaps[:, None], seed=seed, confidence=confidence)[0]
    return interval.low <= 0 <= interval.high


def _harm(old: Predictions, seeds: Sequence[Predictions], task_kind: str, measures: Measures) -> _Harm:
    shared = shared_rows(
        *(compare(old, table, task_kind=task_kind, old_name="old", new_name="strategy") for table in seeds)
    )
    if measures.harm == "nfr":
        judged = np.all([one.judged for one in shared], axis=0)
        shared = [one.where(judged) for one in shared]
        parts = [one.flipped.astype(np.float64) for one in shared]
    else:
        parts = [np.maximum(-one.change(str(one.comparison.score)), 0.0) for one in shared]
    return _Harm(shared[0].ids(), np.column_stack(parts).mean(axis=1))
