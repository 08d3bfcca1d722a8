"""Change of a continuous score, such as ROUGE, from the old to the new version on the same samples.

For each sample d = new - old; higher scores are better. Formulas: section "Metrics" of the method notes.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import NamedTuple, TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray

from muscle_core.errors import ConfigError, DataError
from muscle_core.metrics.bootstrap import Method, bca_limits, check_bootstrap, percentile_limits
from muscle_core.metrics.clusters import cluster_codes, cluster_limits, cluster_rate, cluster_sums, share_of_totals
from muscle_core.metrics.quadrants import check_same_length
from muscle_core.metrics.rates import Interval, Rate, finite, rate

# Beyond this many samples the bootstrap and the normal interval of a mean agree to a fraction of a percent of
# its width, and drawing 2,000 times from a million rows would take most of a minute.
BOOTSTRAP_LIMIT = 20_000


class Options(TypedDict):
    """Options of a bootstrap, as all functions here take them."""

    seed: int
    resamples: int
    confidence: float
    method: Method


class ScoreChange(NamedTuple):
    """How one score changed between two versions on the same samples.

    `mean_change` = `gain` - `regression`: gain is mean(max(d, 0)) and regression mean(max(-d, 0)), both over
    *all* samples. `gain_rate` and `regression_rate` are the shares of samples with d > tau and d < -tau. None
    of them tells whether the score measures what readers care about.
    """

    n: int
    mean_old: float
    mean_new: float
    mean_change: Interval
    gain: Interval
    regression: Interval
    gain_rate: Rate
    regression_rate: Rate
    tau: float

    def as_dict(self) -> dict[str, object]:
        """Return the fields for JSON: what is not defined is None."""
        return {
            "n": self.n,
            "mean_old": finite(self.mean_old),
            "mean_new": finite(self.mean_new),
            "mean_change": self.mean_change.as_dict(),
            "gain": self.gain.as_dict(),
            "regression": self.regression.as_dict(),
            "gain_rate": self.gain_rate.as_dict(),
            "regression_rate": self.regression_rate.as_dict(),
            "tau": self.tau,
        }


def score_change(
    old: ArrayLike,
    new: ArrayLike,
    tau: float = 0.0,
    *,
    seed: int = 0,
    resamples: int = 2000,
    confidence: float = 0.95,
    method: Method = "percentile",
    clusters: ArrayLike | None = None,
) -> ScoreChange:
    """Return gain, regression and mean change of a score, with paired intervals.

    Args:
        old: score of each sample under the old version.
        new: the same under the new version, in the same order.
        tau: a sample counts as changed if its score moved by more than this; 0 or more.
        seed: makes the bootstrap intervals repeatable.
        resamples: number of bootstrap draws.
        confidence: coverage of the intervals.
        method: "percentile" or "bca", for the means.
        clusters: group of each sample, where several belong together; all intervals are then those of the cluster
            bootstrap.

    Raises:
        DataError: if a score is missing or infinite, if there is none, or if the two differ in length.
        ConfigError: if an option has a value that cannot work.
    """
    if not (tau >= 0 and math.isfinite(tau)):
        raise ConfigError(f"tau, the change of score that is ignored, must be 0 or larger; it is {tau}")
    old_scores = as_scores(old, "the old version's scores")
    new_scores = as_scores(new, "the new version's scores")
    check_same_length(old_scores, new_scores, "the old version's scores", "the new version's scores")
    n = len(old_scores)
    if n == 0:
        raise DataError("there is no score to compare; choose runs that share samples")
    change = new_scores - old_scores
    parts = np.column_stack([change, np.maximum(change, 0.0), np.maximum(-change, 0.0)])
    options: Options = {"seed": seed, "resamples": resamples, "confidence": confidence, "method": method}
    mean_change, gain, regression = bootstrap_means(parts, clusters=clusters, **options)

    def share(flags: NDArray[np.bool_]) -> Rate:
        if clusters is None:
            return rate(int(np.count_nonzero(flags)), n, confidence)
        return cluster_rate(flags, clusters, **options)

    return ScoreChange(
        n=n,
        mean_old=float(old_scores.mean()),
        mean_new=float(new_scores.mean()),
        mean_change=mean_change,
        gain=gain,
        regression=regression,
        gain_rate=share(change > tau),
        regression_rate=share(change < -tau),
        tau=float(tau),
    )


def bootstrap_means(
    columns: NDArray[np.float64],
    *,
    seed: int,
    resamples: int = 2000,
    confidence: float = 0.95,
    method: Method = "percentile",
    clusters: ArrayLike | None = None,
) -> list[Interval]:
    """Return the mean of each column with its interval; rows are drawn together, so columns stay paired.

    Up to `BOOTSTRAP_LIMIT` rows (or groups) the interval is the bootstrap's; above, mean +- z * standard error,
    with which it then agrees. With groups that is the linearised standard error of a ratio of two totals (Cochran
    1977, "Sampling Techniques", section 2.11).

    Args:
        columns: one row a sample, one column a quantity.
        seed: makes the intervals repeatable.
        resamples: number of bootstrap draws.
        confidence: coverage of the intervals.
        method: "percentile" or "bca".
        clusters: group of each row, where several belong together; whole groups are then drawn.

    Raises:
        DataError: a row has no group.
        ConfigError: an option has a value that cannot work.
    """
    check_bootstrap(resamples, confidence, method)
    if clusters is not None:
        codes = cluster_codes(clusters)
        check_same_length(columns, codes, "the scores", "clusters")
        return _cluster_means(columns, codes, seed, resamples, confidence, method)
    n = len(columns)
    means = columns.mean(axis=0)
    if n > BOOTSTRAP_LIMIT:
        half = NormalDist().inv_cdf(0.5 + confidence / 2) * columns.std(axis=0, ddof=1) / math.sqrt(n)
        limits = list(zip(means - half, means + half, strict=True))
    else:
        draws = _resampled_means(columns, np.random.default_rng(seed), resamples)
        limits = [
            percentile_limits(drawn, confidence)
            if method == "percentile" or n == 1
            else bca_limits(drawn, mean, (mean * n - values) / (n - 1), confidence)
            for drawn, mean, values in zip(draws.T, means, columns.T, strict=True)
        ]
    return [Interval(float(mean), float(low), float(high)) for mean, (low, high) in zip(means, limits, strict=True)]


def _cluster_means(
    columns: NDArray[np.float64],
    codes: NDArray[np.int64],
    seed: int,
    resamples: int,
    confidence: float,
    method: Method,
) -> list[Interval]:
    sums = cluster_sums(codes, [*columns.T, np.ones(len(columns))])
    groups = len(sums)
    intervals = []
    for column in range(columns.shape[1]):
        pair = sums[:, (column, -1)]
        mean = float(pair[:, 0].sum()) / len(columns)
        if groups > BOOTSTRAP_LIMIT:
            residuals = pair[:, 0] - mean * pair[:, 1]
            error = math.sqrt(groups / (groups - 1) * float(residuals @ residuals)) / len(columns)
            half = NormalDist().inv_cdf(0.5 + confidence / 2) * error
            low, high = mean - half, mean + half
        else:
            low, high = cluster_limits(
                pair, share_of_totals, seed=seed, resamples=resamples, confidence=confidence, method=method
            )
        intervals.append(Interval(mean, low, high))
    return intervals


def _resampled_means(
    columns: NDArray[np.float64], generator: np.random.Generator, resamples: int
) -> NDArray[np.float64]:
    n = len(columns)
    by_column = np.ascontiguousarray(columns.T)
    draws = np.empty((resamples, columns.shape[1]))
    for draw in range(resamples):
        # How often each row was drawn, times the rows: far cheaper than gathering the drawn rows.
        weights = np.bincount(generator.integers(0, n, size=n), minlength=n)
        # einsum and not @: the threads of a BLAS call this small cost 50 times the work on a busy machine.
        draws[draw] = np.einsum("i,ji->j", weights, by_column)
    return draws / n


def as_scores(values: ArrayLike, name: str) -> NDArray[np.float64]:
    """Return the scores as a flat array of floats; refuse missing and infinite ones."""
    try:
        scores = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"{name} must be numbers: {error}") from error
    if scores.ndim != 1:
        raise DataError(f"{name} must be one flat list with a number for each sample")
    bad = np.flatnonzero(~np.isfinite(scores))
    if len(bad):
        raise DataError(
            f"{name} must be finite numbers; {len(bad):,} of {len(scores):,} are missing or infinite, "
            f"the first at entry {bad[0]}: score these samples again or leave them out"
        )
    return scores
