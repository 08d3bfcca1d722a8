"""Which flips to show a reader who reads only a few: a stated rule, the same for the same samples in any order."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import pandas as pd

from muscle_core.comparison.comparison import Comparison
from muscle_core.report.text import score_name


class Telling(NamedTuple):
    """The samples to show and the rule by which they were taken.

    Attributes:
        rows: rows of the samples, the first to be shown first; `loss` says what was lost (nan where not known).
        total: how many there are to choose from.
        what: what they are, in the plural: "negative flips", or samples whose score fell.
        rule: the rule in one or two sentences.
        loss_name: what `loss` measures; empty where there is no measure.
    """

    rows: pd.DataFrame
    total: int
    what: str
    rule: str
    loss_name: str


def telling_samples(
    samples: pd.DataFrame, comparison: Comparison, limit: int, *, spread_column: str | None = None
) -> Telling:
    """Choose the most telling negative flips, or, where nothing is right or wrong, the largest losses of the score.

    The causes take turns, the most frequent first. Each takes, of its flips, one of the slice that was shown least so
    far; of these the one with the largest loss; of equals the one that stands first in the order of sample ids.

    Args:
        samples: the samples of the comparison, with `cause` where that is known.
        comparison: the comparison they belong to.
        limit: most samples to choose.
        spread_column: column whose values are the slices; None for no spread over slices.
    """
    chosen, loss, what, measure = _candidates(samples, comparison)
    pool = samples[chosen].assign(loss=loss[chosen])
    cause = pool["cause"].fillna("") if "cause" in pool else pd.Series("", index=pool.index)
    spread = spread_column is not None and spread_column in pool
    part = pool[spread_column].astype("string").fillna("") if spread else pd.Series("", index=pool.index)
    pool = pool.assign(_cause=cause.astype(str), _part=part.astype(str))
    # A loss that is not known comes last.
    pool["_order"] = -pool["loss"].fillna(-math.inf)
    pool = pool.sort_values(["_order", "sample_id"], kind="stable")
    counts = pool["_cause"].value_counts()
    turns = sorted(counts.index, key=lambda name: (-counts[name], name))
    waiting = {
        name: {key: list(group.index) for key, group in of.groupby("_part")} for name, of in pool.groupby("_cause")
    }
    place = {index: number for number, index in enumerate(pool.index)}
    shown: dict[str, int] = {}
    taken: list[object] = []
    while len(taken) < min(limit, len(pool)):
        for name in turns:
            parts = waiting[name]
            if not parts or len(taken) >= limit:
                continue
            key = min(parts, key=lambda key: (shown.get(key, 0), place[parts[key][0]]))
            taken.append(parts[key].pop(0))
            shown[key] = shown.get(key, 0) + 1
            if not parts[key]:
                del parts[key]
    rows = pool.loc[taken].drop(columns=["_cause", "_part", "_order"])
    rule = _rule(measure, len(turns) > 1, spread_column if spread and pool["_part"].nunique() > 1 else None)
    return Telling(rows, len(pool), what, rule, measure)


def _candidates(samples: pd.DataFrame, comparison: Comparison) -> tuple[np.ndarray, pd.Series, str, str]:
    """Which samples to choose from, what each lost, what they are, and what the loss measures."""
    score = comparison.score
    unknown = pd.Series(np.nan, index=samples.index)
    fall = unknown if score is None else -samples[f"delta_{score}"]
    if comparison.counts is None:
        beyond = f" by more than {comparison.tau:g}" if comparison.tau else ""
        fell = (fall > comparison.tau).to_numpy()
        return fell, fall, f"samples whose {score_name(str(score))} fell{beyond}", f"fall of {score_name(str(score))}"
    flips = (samples["quadrant"] == "Q4").fillna(False).to_numpy(dtype=bool)
    if "old_margin" in samples and "new_margin" in samples:
        loss = samples["old_margin"] - samples["new_margin"]
        if loss[flips].notna().any():
            return flips, loss, "negative flips", "loss of margin"
    if score is not None:
        return flips, fall, "negative flips", f"fall of {score_name(score)}"
    return flips, unknown, "negative flips", ""


def _rule(measure: str, causes: bool, column: str | None) -> str:
    order = (
        f"the largest {measure} first" if measure else "in the order of their ids, since no measure of loss is known"
    )
    if not causes and column is None:
        return f"They are taken with {order}." if measure else f"They are taken {order}."
    turns = "The causes take turns, the most frequent first" if causes else "They are taken one by one"
    within = f", each time from the slice of “{column.removeprefix('meta.')}” shown least so far" if column else ""
    return f"{turns}{within}, {order}."
