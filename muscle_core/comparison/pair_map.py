"""Every pair of versions of one dataset side by side: NFR, PFR, NFR_mc and the change of accuracy, each of its counts.

Covered: right and wrong, and whether two wrong answers are one and the same. Not covered: scores; and samples for which
two tables name different right answers, which are in no pair (`align_tables`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from muscle_core.comparison.align import Aligned, align_tables, aligned_flags, arrow_tables_of
from muscle_core.comparison.columns import Predictions, text_column
from muscle_core.comparison.pairwise import PairwiseFlips, pairwise_flips
from muscle_core.errors import ConfigError
from muscle_core.metrics.paired_change import accuracy_change
from muscle_core.metrics.quadrants import QuadrantCounts
from muscle_core.metrics.rates import Rate, rate

Measure = Literal["nfr", "pfr", "nfr_mc", "accuracy_change"]
MEASURES: tuple[Measure, ...] = ("nfr", "pfr", "nfr_mc", "accuracy_change")


class PairFigure(NamedTuple):
    """One measure of one pair.

    Attributes:
        value: share of the samples, or for the accuracy change their difference; nan where n is 0.
        counted: samples that are counted; of the accuracy change, those gained minus those lost.
        n: samples judged in both.
        low: lower limit of the 95 % interval (Wilson; of the accuracy change Tango).
        high: upper limit.
    """

    value: float
    counted: int
    n: int
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class PairMap:
    """Counts of all ordered pairs of some versions.

    Attributes:
        names: the versions.
        flips: what `pairwise_flips` counts.
        changed: samples that both have wrong with different answers (V x V, symmetric).
    """

    names: tuple[str, ...]
    flips: PairwiseFlips
    changed: NDArray[np.int64]

    def values(self, measure: Measure) -> NDArray[np.float64]:
        """A measure of every pair: a row an old version, a column a new one; nan where no sample is judged in both."""
        n = self.flips.n
        return np.divide(self.counts(measure), n, out=np.full(n.shape, np.nan), where=n > 0)

    def counts(self, measure: Measure) -> NDArray[np.int64]:
        """The numerators of `values` (paper.md, Metrics).

        Raises:
            ConfigError: there is no such measure.
        """
        flips = self.flips.flips
        if measure == "nfr":
            return flips
        if measure == "pfr":
            return flips.T
        if measure == "nfr_mc":
            return flips + self.changed
        if measure == "accuracy_change":
            return flips.T - flips
        raise ConfigError(f"there is no measure {measure!r} of a pair; there are: {', '.join(MEASURES)}")

    def figure(self, measure: Measure, old: str, new: str) -> PairFigure | None:
        """A measure of one pair with its interval; None where a version is not among these or no sample is shared."""
        if old not in self.names or new not in self.names:
            return None
        at = self.names.index(old), self.names.index(new)
        count, n = int(self.counts(measure)[at]), int(self.flips.n[at])
        if n == 0:
            return None
        if measure != "accuracy_change":
            found: Rate = rate(count, n)
            return PairFigure(found.value, count, n, found.low, found.high)
        q4, q2, q1 = (int(x) for x in (self.flips.flips[at], self.flips.flips.T[at], self.flips.both_right[at]))
        q3 = n - q1 - q2 - q4
        change = accuracy_change(QuadrantCounts(q1, q2, q3, 0, q3, q4))
        return PairFigure(change.value, count, n, change.low, change.high)

    def accuracies(self) -> NDArray[np.float64]:
        """Accuracy of each version on what it was judged on; nan where it was judged on nothing."""
        right, n = np.diag(self.flips.both_right), np.diag(self.flips.n)
        return np.divide(right, n, out=np.full(len(n), np.nan), where=n > 0)


def pair_map(tables: Mapping[str, Predictions]) -> PairMap:
    """Count all pairs of some versions at once.

    Args:
        tables: prediction tables by name of version, with `sample_id` and `correct`; `prediction` (two missing ones
            are one answer, as in `compare`) and `gold` where known.

    Raises:
        DataError: a table cannot be read, or no sample can be used.
    """
    columns = arrow_tables_of(tables, {"correct", "prediction"})
    aligned = align_tables(columns)
    right, known = aligned_flags(columns, aligned)
    changed = _changed_wrong(_answers(columns, aligned), known & ~right)
    return PairMap(aligned.names, pairwise_flips(right, known), changed)


def _answers(tables: Mapping[str, pa.Table], aligned: Aligned) -> list[NDArray[np.int64]]:
    """A number for each answer, the same for the same text in every table; -1 where there is none."""
    texts = [
        text_column(table, "prediction", name)
        if "prediction" in table.column_names
        else pa.nulls(len(table), pa.large_string())
        for name, table in tables.items()
    ]
    found = []
    for number, chunk in enumerate(pa.chunked_array(texts).dictionary_encode().chunks):
        rows = aligned.rows[:, number]
        codes = chunk.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        found.append(np.where(rows >= 0, codes[rows], -1))
    return found


def _changed_wrong(answers: list[NDArray[np.int64]], wrong: NDArray[np.bool_]) -> NDArray[np.int64]:
    versions = len(answers)
    counts = np.zeros((versions, versions), dtype=np.int64)
    for first in range(versions):
        for second in range(first + 1, versions):
            both = wrong[:, first] & wrong[:, second]
            counts[first, second] = counts[second, first] = np.count_nonzero(both & (answers[first] != answers[second]))
    return counts
