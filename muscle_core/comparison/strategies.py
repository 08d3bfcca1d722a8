"""Compatibility adapters side by side, one by one or over seeds, against the plain new version on the same samples."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from muscle_core.comparison.columns import Predictions
from muscle_core.comparison.comparison import Comparison, compare
from muscle_core.comparison.shared_rows import SharedRows, shared_rows
from muscle_core.errors import DataError
from muscle_core.metrics.clusters import sign_flip_p
from muscle_core.metrics.continuous import bootstrap_means
from muscle_core.metrics.rates import Interval, Rate, rate
from muscle_core.metrics.statistics import PairedDifference, adjusted_p, paired_rate_difference

Row = dict[str, Any]


def compare_strategies(
    old: Predictions,
    new: Predictions,
    variants: Mapping[str, Predictions],
    *,
    task_kind: str,
    old_name: str,
    new_name: str,
    score: str | None = None,
    tau: float = 0.0,
    seed: int = 0,
) -> pd.DataFrame:
    """Return one row a version: the plain new one first, then each variant.

    A column that holds a rate or a mean `x` comes with `x_low` and `x_high`, a rate also with `x_numerator`
    and `x_denominator`. Levels (`accuracy`, `nfr`, `nfr_mc`, `mean_score`, `regression`, `gain`, `mean_change`)
    are measured against the old version on all samples of that pair. Changes (`nfr_change`, `accuracy_change`,
    `regression_change`, with `_low`, `_high` and, for rates, `_p`) are variant minus plain new, paired, on
    the `paired_n` samples all three tables hold; `nfr_relative_change` and `regression_relative_change`
    divide them by the level of the plain new version on these samples, and are nan if that is 0. `_p_adjusted`
    is `_p` adjusted for the number of variants (Benjamini and Hochberg); the plain new version is no test, its
    own is nan.

    Args:
        old: predictions of the old version.
        new: predictions of the plain new version.
        variants: predictions of each variant, by its name.
        task_kind: kind of task.
        old_name: name of the old version.
        new_name: name of the plain new version, and of its row.
        score: score for tasks with a continuous score; by default "rouge1", else the first.
        tau: a score counts as changed if it moved by more than this.
        seed: makes the bootstrap intervals repeatable.

    Raises:
        DataError: if a table cannot be compared with the old one, or shares no sample with the plain new one.
        ConfigError: if `score` is not in the tables or `tau` is negative.
    """
    if new_name in variants:
        raise DataError(f"a variant has the name of the new version, {new_name!r}; give each one its own name")
    tables = {new_name: new, **variants}
    comparisons = {
        name: compare(old, table, task_kind=task_kind, old_name=old_name, new_name=name, score=score, tau=tau)
        for name, table in tables.items()
    }
    plain = comparisons[new_name]
    rows = []
    for name, comparison in comparisons.items():
        row: Row = {"strategy": name, "is_plain_new": name == new_name, "n": comparison.n}
        row |= _levels(comparison, seed)
        row |= _changes(comparison, plain, seed)
        rows.append(row)
    return _with_adjusted_p(pd.DataFrame(rows))


def pool_seeds(
    old: Predictions,
    new: Predictions,
    variants: Mapping[str, Sequence[Predictions]],
    *,
    task_kind: str,
    old_name: str,
    new_name: str,
    score: str | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Return one row for the plain new version and one for each strategy, as the mean over its seeds.

    Pool only trainings that differ in nothing but their seed: the mean over other options means nothing.

    Every figure is first averaged over the seeds of a strategy, sample by sample, and then over the samples, so that
    a level or change `x` comes with the 95 % interval `x_low` to `x_high` over *samples*, with the seeds as they are.
    It does not tell what other seeds would give; `x_min` and `x_max`, the least and greatest of the seeds, hint at it.
    Changes are pooled variant minus plain new version, paired, in column names as of `compare_strategies`. `_p` is that
    of `sign_flip_p` on the change of each sample, summed over the seeds (with one seed, the exact McNemar test), and
    `_p_adjusted` the same adjusted for the number of strategies. Intervals are percentile bootstraps; Wilson's is taken
    for a rate where all seeds agree on every sample, as one seed does, so that such rows equal those of
    `compare_strategies`.

    Args:
        old: predictions of the old version.
        new: predictions of the plain new version.
        variants: predictions of each seed, by strategy (or any other name of what is pooled).
        task_kind: kind of task.
        old_name: name of the old version.
        new_name: name of the plain new version, and of its row.
        score: score for tasks with a continuous score; by default "rouge1", else the first.
        seed: makes the bootstrap intervals repeatable.

    Returns:
        Columns `strategy`, `is_plain_new`, `seeds` (how many; None for the plain version), `n` (samples that the old
        version, the plain new version and every seed answered) and the figures.

    Raises:
        DataError: a table cannot be compared with the old one, a strategy has no seed, or its seeds share no sample.
        ConfigError: `score` is not in the tables.
    """
    if new_name in variants:
        raise DataError(f"a strategy has the name of the new version, {new_name!r}; give each one its own name")

    def compared(table: Predictions, name: str) -> Comparison:
        return compare(old, table, task_kind=task_kind, old_name=old_name, new_name=name, score=score)

    plain = compared(new, new_name)
    rows: list[Row] = [
        {"strategy": new_name, "is_plain_new": True, "seeds": None, **_pooled_row(plain, [plain], new_name, seed)}
    ]
    for name, tables in variants.items():
        if not tables:
            raise DataError(f"{name} has no seed to pool; train and evaluate one first")
        seeds = [compared(table, f"{name}, seed {number}") for number, table in enumerate(tables, start=1)]
        pooled = _pooled_row(plain, seeds, name, seed)
        rows.append({"strategy": name, "is_plain_new": False, "seeds": len(tables), **pooled})
    frame = pd.DataFrame(rows)
    frame["seeds"] = pd.Series([row["seeds"] for row in rows], dtype=object)
    return _with_adjusted_p(frame)


def _with_adjusted_p(frame: pd.DataFrame) -> pd.DataFrame:
    """Put each adjusted p-value right behind the p-value; what is not known stays nan."""
    for name in ("nfr_change_p", "accuracy_change_p"):
        if name in frame:
            adjusted = adjusted_p(frame[name].where(~frame["is_plain_new"]).to_numpy(dtype=float))
            frame.insert(int(frame.columns.get_loc(name)) + 1, f"{name}_adjusted", adjusted)
    return frame


def _pooled_row(plain: Comparison, seeds: Sequence[Comparison], name: str, seed: int) -> Row:
    """Figures of the mean of several seeds, on the samples that all of them and the plain version answered."""
    before, *after = shared_rows(plain, *seeds)
    if not len(before.rows):
        raise DataError(f"the seeds of {name} share no sample; evaluate all of them on the same dataset and split")
    row: Row = {"n": len(before.rows)}
    if all(comparison.counts is not None for comparison in (plain, *seeds)):
        judged = np.all([one.judged for one in (before, *after)], axis=0)
        if judged.any():
            row["n"] = int(judged.sum())
            row |= _pooled_rates(before.where(judged), [one.where(judged) for one in after], seed)
    if plain.score is not None and all(comparison.score == plain.score for comparison in seeds):
        row |= {"score": plain.score, **_pooled_scores(before, after, plain.score, seed)}
    return row


def _pooled_rates(before: SharedRows, after: Sequence[SharedRows], seed: int) -> Row:
    row: Row = {}
    for name in ("accuracy", "nfr"):
        plain, *of_seeds = (one.right if name == "accuracy" else one.flipped for one in (before, *after))
        seeds = np.column_stack(of_seeds)
        row |= _pooled_level(name, seeds, seed)
        changes = seeds.mean(axis=1) - plain
        if seeds.shape[1] == 1:
            one = paired_rate_difference(seeds[:, 0], plain, seed)
            change, p = Interval(*one[:3]), one.p
        else:
            change = bootstrap_means(changes[:, None], seed=seed)[0]
            p = sign_flip_p(seeds.sum(axis=1) - seeds.shape[1] * plain.astype(int))
        row |= {**_interval_cells(f"{name}_change", change), f"{name}_change_p": p}
        row |= _spread_cells(f"{name}_change", seeds.mean(axis=0) - plain.mean())
        if name == "nfr":
            row["nfr_relative_change"] = _ratio(change.value, float(plain.mean()))
    return row


def _pooled_level(name: str, seeds: np.ndarray, seed: int) -> Row:
    if (seeds == seeds[:, :1]).all():
        share = rate(int(seeds[:, 0].sum()), len(seeds))
        interval = Interval(share.value, share.low, share.high)
    else:
        interval = bootstrap_means(seeds.mean(axis=1)[:, None], seed=seed)[0]
    return {**_interval_cells(name, interval), **_spread_cells(name, seeds.mean(axis=0))}


def _pooled_scores(before: SharedRows, after: Sequence[SharedRows], score: str, seed: int) -> Row:
    change = np.column_stack([one.change(score) for one in after])
    plain = before.change(score)
    lost, gained, lost_before = np.maximum(-change, 0.0), np.maximum(change, 0.0), np.maximum(-plain, 0.0)
    figures = {
        "regression": lost,
        "gain": gained,
        "mean_change": change,
        "regression_change": lost - lost_before[:, None],
        "score_change": change - plain[:, None],
    }
    columns = np.column_stack([values.mean(axis=1) for values in figures.values()])
    row: Row = {}
    for (name, values), interval in zip(figures.items(), bootstrap_means(columns, seed=seed), strict=True):
        row |= _interval_cells(name, interval) | _spread_cells(name, values.mean(axis=0))
    scores = np.column_stack([one.score(score) for one in after])
    row |= _interval_cells("mean_score", bootstrap_means(scores.mean(axis=1)[:, None], seed=seed)[0])
    row |= _spread_cells("mean_score", scores.mean(axis=0))
    row["regression_relative_change"] = _ratio(row["regression_change"], float(lost_before.mean()))
    return row


def _spread_cells(name: str, by_seed: np.ndarray) -> Row:
    return {f"{name}_min": float(by_seed.min()), f"{name}_max": float(by_seed.max())}


def _levels(comparison: Comparison, seed: int) -> Row:
    row: Row = {}
    if comparison.counts is not None:
        for name, rate in (
            ("accuracy", comparison.accuracy_new),
            ("nfr", comparison.nfr),
            ("nfr_mc", comparison.nfr_mc),
        ):
            assert rate is not None
            row |= _rate_cells(name, rate)
    if comparison.score is not None:
        change = comparison.continuous[comparison.score]
        row["score"] = comparison.score
        scores = comparison.rows.scores[comparison.score][1][:, None]
        row |= _interval_cells("mean_score", bootstrap_means(scores, seed=seed)[0])
        row |= _interval_cells("regression", change.regression)
        row |= _interval_cells("gain", change.gain)
        row |= _interval_cells("mean_change", change.mean_change)
        row |= _rate_cells("regression_rate", change.regression_rate)
    return row


def _changes(comparison: Comparison, plain: Comparison, seed: int) -> Row:
    """Figures of a variant minus those of the plain new version, sample by sample."""
    before, after = shared_rows(plain, comparison)
    if not len(before.rows):
        raise DataError(
            f"{comparison.new_name} and {plain.new_name} have no sample in common; "
            "evaluate all variants on the same dataset and split"
        )
    row: Row = {"paired_n": len(before.rows)}
    if plain.counts is not None and comparison.counts is not None:
        judged = before.judged & after.judged
        if judged.any():
            row |= _flip_changes(before.where(judged), after.where(judged), seed)
    if plain.score is not None and plain.score == comparison.score:
        row |= _score_changes(before.change(plain.score), after.change(plain.score), seed)
    return row


def _flip_changes(before: SharedRows, after: SharedRows, seed: int) -> Row:
    nfr_change = paired_rate_difference(after.flipped, before.flipped, seed)
    accuracy_change = paired_rate_difference(after.right, before.right, seed)
    return {
        **_difference_cells("nfr_change", nfr_change),
        "nfr_relative_change": _ratio(nfr_change.value, float(before.flipped.mean())),
        **_difference_cells("accuracy_change", accuracy_change),
    }


def _score_changes(delta_before: np.ndarray, delta_after: np.ndarray, seed: int) -> Row:
    lost_before, lost_after = np.maximum(-delta_before, 0.0), np.maximum(-delta_after, 0.0)
    parts = np.column_stack([lost_after - lost_before, delta_after - delta_before])
    regression_change, score_change = bootstrap_means(parts, seed=seed)
    return {
        **_interval_cells("regression_change", regression_change),
        "regression_relative_change": _ratio(regression_change.value, float(lost_before.mean())),
        **_interval_cells("score_change", score_change),
    }


def _rate_cells(name: str, rate: Rate) -> Row:
    return {
        name: rate.value,
        f"{name}_low": rate.low,
        f"{name}_high": rate.high,
        f"{name}_numerator": rate.numerator,
        f"{name}_denominator": rate.denominator,
    }


def _interval_cells(name: str, interval: Interval) -> Row:
    return {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high}


def _difference_cells(name: str, difference: PairedDifference) -> Row:
    return {**_interval_cells(name, Interval(*difference[:3])), f"{name}_p": difference.p}


def _ratio(change: float, level: float) -> float:
    return change / level if level else math.nan
