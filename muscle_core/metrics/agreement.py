"""How far two people who judged the same samples agree beyond chance: Cohen's kappa.

Source: J. Cohen, A coefficient of agreement for nominal scales, Educational and Psychological Measurement 20 (1960),
37-46. Covered: two raters, labels without an order, an interval by bootstrap over the samples. Not covered: more than
two raters at once, labels of which some are nearer than others, and samples that depend on each other.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np

from muscle_core.errors import DataError
from muscle_core.metrics.bootstrap import check_resamples, percentile_limits
from muscle_core.metrics.rates import Rate, check_confidence, finite, rate

# An interval over the draws that have a kappa says little where many have none.
MOST_UNDEFINED = 0.05


class Agreement(NamedTuple):
    """Agreement of two raters on the same samples.

    Attributes:
        kappa: Cohen's kappa: 1 is full agreement, 0 what chance alone gives, below 0 less than that; nan where it is
            not defined. It depends on how often each label occurs: with one dominant label it is low although nearly
            all pairs agree, so read it beside `exact`.
        low: lower limit of its percentile bootstrap interval; nan where there is none.
        high: upper limit.
        n: samples that both judged.
        exact: share of them with the same label, with a Wilson interval.
        chance: share of agreement that independent raters with these label shares would reach; nan without samples.
        undefined_draws: bootstrap draws that have no kappa, because one label was left in them.
        why: why kappa or its interval is missing; "" where both are there.
    """

    kappa: float
    low: float
    high: float
    n: int
    exact: Rate
    chance: float
    undefined_draws: int
    why: str

    def as_dict(self) -> dict[str, object]:
        """Return the fields for JSON: what is not defined is None."""
        return {
            "kappa": finite(self.kappa),
            "low": finite(self.low),
            "high": finite(self.high),
            "n": self.n,
            "exact": self.exact.as_dict(),
            "chance": finite(self.chance),
            "undefined_draws": self.undefined_draws,
            "why": self.why or None,
        }


def cohen_kappa(
    first: Sequence[Hashable],
    second: Sequence[Hashable],
    *,
    seed: int = 0,
    resamples: int = 2000,
    confidence: float = 0.95,
) -> Agreement:
    """Return Cohen's kappa of two raters: (p_o - p_e) / (1 - p_e).

    p_o is the share of samples with the same label; p_e = sum over labels of the product of the two raters' shares of
    that label. For the bootstrap only the counts of each pair of labels matter, so drawing them from a multinomial
    distribution is the same as drawing samples with replacement.

    Args:
        first: label of each sample by the first rater, shape [n]; any values that can be compared for equality.
        second: labels by the second rater, in the same order, shape [n].
        seed: makes the interval repeatable.
        resamples: number of bootstrap draws.
        confidence: coverage of the interval.

    Raises:
        DataError: the two differ in length.
        ConfigError: an option has a value that cannot work.
    """
    check_confidence(confidence)
    check_resamples(resamples)
    if len(first) != len(second):
        raise DataError(
            f"the first rater has {len(first):,} labels and the second {len(second):,}; both must judge the same "
            "samples in the same order"
        )
    n = len(first)
    if n == 0:
        return Agreement(math.nan, math.nan, math.nan, 0, rate(0, 0), math.nan, 0, "no sample was judged by both")
    place = {label: number for number, label in enumerate(dict.fromkeys([*first, *second]))}
    rows = np.array([place[label] for label in first])
    columns = np.array([place[label] for label in second])
    cells, counts = np.unique(rows * len(place) + columns, return_counts=True)
    rows, columns = cells // len(place), cells % len(place)
    same = int(counts[rows == columns].sum())
    by_chance = int(_by_chance(counts[None], rows, columns, len(place))[0])
    exact = rate(same, n, confidence)
    chance = by_chance / n**2
    if by_chance == n**2:
        why = "both gave every sample one and the same label, so that chance alone would agree as often"
        return Agreement(math.nan, math.nan, math.nan, n, exact, chance, resamples, why)
    # (same / n - by_chance / n^2) / (1 - by_chance / n^2), in integers until the one division.
    kappa = (n * same - by_chance) / (n**2 - by_chance)
    draws = np.random.default_rng(seed).multinomial(n, counts / n, size=resamples)
    drawn_same = draws[:, rows == columns].sum(axis=1)
    drawn_chance = _by_chance(draws, rows, columns, len(place))
    defined = drawn_chance < n**2
    undefined = int(resamples - np.count_nonzero(defined))
    if undefined > MOST_UNDEFINED * resamples:
        why = f"no interval: in {undefined:,} of {resamples:,} bootstrap draws kappa is not defined"
        return Agreement(kappa, math.nan, math.nan, n, exact, chance, undefined, why)
    values = (n * drawn_same[defined] - drawn_chance[defined]) / (n**2 - drawn_chance[defined])
    low, high = percentile_limits(values, confidence)
    return Agreement(kappa, low, high, n, exact, chance, undefined, "")


def _by_chance(counts: np.ndarray, rows: np.ndarray, columns: np.ndarray, labels: int) -> np.ndarray:
    """Sum over labels of the product of both raters' counts, of each row of counts; shape [draws]."""
    by_first = np.zeros((len(counts), labels), dtype=np.int64)
    by_second = np.zeros_like(by_first)
    for cell, (row, column) in enumerate(zip(rows, columns, strict=True)):
        by_first[:, row] += counts[:, cell]
        by_second[:, column] += counts[:, cell]
    return (by_first * by_second).sum(axis=1)
