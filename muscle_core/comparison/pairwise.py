"""Negative flips between every ordered pair of many versions, from one matrix product."""

from __future__ import annotations

from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from muscle_core.errors import DataError
from muscle_core.metrics.rates import check_confidence

# Counts in float32 are exact below 2**24; a block of rows this long also stays within the caches' reach.
_BLOCK = 2**18


class PairwiseFlips(NamedTuple):
    """Counts of every ordered pair; entry [i, j] is of version i as the old and version j as the new one.

    Attributes:
        flips: samples that i has right and j has wrong (V x V, integers; 0 on the diagonal).
        both_right: samples that both have right (symmetric; on the diagonal what a version has right).
        n: samples judged in both, which is the denominator (symmetric).
    """

    flips: NDArray[np.int64]
    both_right: NDArray[np.int64]
    n: NDArray[np.int64]

    @property
    def nfr(self) -> NDArray[np.float64]:
        """NFR of each pair (paper.md, Metrics): flips / n; nan where no sample is judged in both."""
        return np.divide(self.flips, self.n, out=np.full(self.n.shape, np.nan), where=self.n > 0)

    def limits(self, confidence: float = 0.95) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Lower and upper Wilson limit of each NFR, as of `muscle_core.metrics.rate`; nan where n is 0."""
        check_confidence(confidence)
        z = NormalDist().inv_cdf(0.5 + confidence / 2)
        with np.errstate(invalid="ignore", divide="ignore"):
            n, p = self.n, self.nfr
            shrink = 1 + z * z / n
            center = (p + z * z / (2 * n)) / shrink
            half = z / shrink * np.sqrt(p * (1 - p) / n + (z / (2 * n)) ** 2)
            low = np.where(self.flips == 0, 0.0, np.maximum(0.0, center - half))
            high = np.where(self.flips == n, 1.0, np.minimum(1.0, center + half))
        return np.where(n > 0, low, np.nan), np.where(n > 0, high, np.nan)


def pairwise_flips(right: ArrayLike, known: ArrayLike | None = None) -> PairwiseFlips:
    """Count the negative flips between all versions at once.

    With R the 0/1 matrix of right answers and K that of judged ones (samples x versions), the flips are
    R'K - R'R and the denominators K'K; where all is judged, R'R alone tells everything.

    Args:
        right: whether a version has a sample right (n x V, booleans or 0/1).
        known: whether it was judged at all; by default everywhere. What is not judged counts in no pair.

    Raises:
        DataError: another shape, other values, or no sample.
    """
    values = _flags(right, "right")
    n, versions = values.shape
    if known is not None:
        judged = _flags(known, "known")
        if judged.shape != values.shape:
            raise DataError(f"right is {n:,} x {versions}, but known is {judged.shape[0]:,} x {judged.shape[1]}")
        if not judged.all():
            return _with_gaps(values & judged, judged)
    both = _gram(values)
    return PairwiseFlips(np.diag(both)[:, None] - both, both, np.full(both.shape, n, dtype=np.int64))


def _with_gaps(right: NDArray[np.bool_], judged: NDArray[np.bool_]) -> PairwiseFlips:
    versions = right.shape[1]
    product = _gram(np.concatenate([right, judged], axis=1))
    both, right_and_judged = product[:versions, :versions], product[:versions, versions:]
    return PairwiseFlips(right_and_judged - both, both, product[versions:, versions:])


def _gram(flags: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Samples in which two columns are both true, for all columns: F'F, exact."""
    total = np.zeros((flags.shape[1],) * 2, dtype=np.int64)
    for start in range(0, len(flags), _BLOCK):
        block = flags[start : start + _BLOCK].astype(np.float32)
        total += (block.T @ block).astype(np.int64)
    return total


def _flags(values: ArrayLike, name: str) -> NDArray[np.bool_]:
    array = np.asarray(values)
    if array.ndim != 2 or 0 in array.shape:
        raise DataError(
            f"{name} must be a table of samples x versions with at least one of each; its shape is {array.shape}"
        )
    if array.dtype == np.bool_:
        return array
    if array.dtype.kind not in "iuf" or not ((array == 0) | (array == 1)).all():
        raise DataError(f"{name} must hold one yes or no (true or false, 1 or 0) for each sample and version")
    return array == 1
