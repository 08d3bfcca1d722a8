"""The noise floor: how much flips between runs of one and the same version, and how far an update lies above it.

From K runs of a version on the same samples, every ordered pair of runs has an NFR although nothing was updated; the
floor is the mean over these pairs. Sample by sample that mean is c (K - c) / (K (K - 1)) for c right answers, the
same for a score with the loss max(s_a - s_b, 0) in place of the flip (paper.md, Metrics and Statistics).

Intervals are over samples, each with its mean over all pairs, since the pairs share their samples. That of the floor
is Wilson's, taken over to means of such values (for K = 2, where a sample counts 0 or 1/2, exactly half of Wilson's
interval of the share that differs). That of the difference between an NFR and the floor has the outer limits of two:
the percentile bootstrap over samples, and Newcombe's combination of both Wilson intervals (1998, method 10). They agree
where flips are many. Where they are few, the bootstrap's upper limit lies too low (and shrinks to a point where nothing
flips) and Newcombe's lower limit too high, so either alone would say "within noise" or "regression" too often.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from muscle_core.comparison.align import Aligned, align_tables, aligned_flags, arrow_tables_of
from muscle_core.comparison.columns import KNOWN_SCORES, Predictions, score_column, text_column
from muscle_core.comparison.comparison import Comparison
from muscle_core.comparison.pairwise import pairwise_flips
from muscle_core.errors import DataError
from muscle_core.metrics.bootstrap import counted_limits
from muscle_core.metrics.clusters import cluster_codes, cluster_limits, cluster_sums, share_of_totals
from muscle_core.metrics.continuous import bootstrap_means
from muscle_core.metrics.rates import Interval, Rate, check_confidence, finite, rate


class PairNoise(NamedTuple):
    """One ordered pair of runs: the NFR from the first to the second, or the mean loss of a score."""

    first: str
    second: str
    rate: Rate | Interval


@dataclass(frozen=True, eq=False)
class FloorSamples:
    """The floor sample by sample.

    Attributes:
        ids: id of each sample (Arrow text, n).
        loss: its mean flip indicator, or mean loss of score, over all ordered pairs (n, between 0 and 1/2 for flips).
        largest: the largest value that a flip indicator can have with so many runs; nan for a score.
    """

    ids: pa.Array
    loss: NDArray[np.float64]
    largest: float


class NoiseFloor(NamedTuple):
    """How much flips between runs of one version, where nothing was updated.

    Attributes:
        pairs: ordered pairs of runs.
        n: samples judged in all runs, which is the denominator.
        flips: mean number of negative flips of a pair; of a score, the sum of its losses.
        rate: `flips` / `n`.
        low: lower limit of the 95 % interval of the rate, over samples.
        high: upper limit.
        names: the runs, by name of version.
        score: the score of which this is the floor of the mean regression; None: of the NFR.
        borrowed: whether the runs are of neither of the compared versions.
        same_version: whether the compared versions are themselves runs of one version.
        by_pair: each ordered pair.
        graded_differently: samples with the same answer in two runs, right in one and wrong in the other; anything but
            0 says that the runs were not graded by the same rule, and the floor holds that too.
        samples: the floor sample by sample, for differences on the same samples.
    """

    pairs: int
    n: int
    flips: float
    rate: float
    low: float
    high: float
    names: tuple[str, ...]
    score: str | None = None
    borrowed: bool = False
    same_version: bool = False
    by_pair: tuple[PairNoise, ...] = ()
    graded_differently: int = 0
    samples: FloorSamples | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the figures for strict JSON, without the samples."""
        fields = {name: value for name, value in self._asdict().items() if name not in ("by_pair", "samples")}
        for name in ("flips", "rate", "low", "high"):
            fields[name] = finite(fields[name])
        pairs = [{"first": one.first, "second": one.second, **one.rate.as_dict()} for one in self.by_pair]
        return {**fields, "names": list(self.names), "by_pair": pairs}


class FloorDifference(NamedTuple):
    """NFR (or mean regression of a score) minus noise floor, with its 95 % interval.

    Attributes:
        value: the difference.
        low: lower limit.
        high: upper limit.
        n: samples of the update that count.
        paired: whether both were taken on the same `n` samples; else the two sets of samples count as unrelated.
    """

    value: float
    low: float
    high: float
    n: int
    paired: bool

    def as_dict(self) -> dict[str, Any]:
        """Return the fields for JSON."""
        return self._asdict()


def mean_ordered_loss(values: NDArray[Any]) -> NDArray[np.float64]:
    """For each sample the mean over all ordered pairs of its runs of max(first - second, 0).

    For right and wrong this is the mean negative-flip indicator, c (K - c) / (K (K - 1)).

    Args:
        values: right or wrong (booleans), or a score (finite numbers), of each run (n x K, K of 2 or more).
    """
    runs = values.shape[1]
    pairs = runs * (runs - 1)
    if values.dtype == np.bool_:
        right = values.sum(axis=1)
        return right * (runs - right) / pairs
    # In order of size, value number k is the larger one of k pairs and the smaller one of K - 1 - k.
    return np.sort(values, axis=1) @ (2.0 * np.arange(runs) - (runs - 1)) / pairs


def noise_floor(
    groups: Sequence[Mapping[str, Predictions]],
    *,
    score: str | None = None,
    borrowed: bool = False,
    same_version: bool = False,
) -> NoiseFloor | None:
    """Measure the noise floor from one or more groups of runs; each group holds runs of one version.

    Several groups are pooled on the samples that all of them judged: the mean is over the ordered pairs of all groups,
    each within its group.

    Args:
        groups: prediction tables by a name of the run; a group of fewer than two is passed over.
        score: take this score; by default right and wrong, or where there is none the first score that all hold.
        borrowed: kept with the floor; see `NoiseFloor`.
        same_version: kept with the floor; see `NoiseFloor`.

    Returns:
        The floor, or None where no group has two runs.

    Raises:
        DataError: the runs share no sample with a right or wrong or a score.
    """
    usable = [group for group in groups if len(group) > 1]
    if not usable:
        return None
    every = {f"{number} {name}": table for number, group in enumerate(usable) for name, table in group.items()}
    tables = arrow_tables_of(every, {"prediction", "correct", *KNOWN_SCORES, *filter(None, [score])})
    aligned = align_tables(tables)
    sizes = [len(group) for group in usable]
    values, score = _values(tables, aligned, score)
    whole = np.isfinite(values).all(axis=1) if score else (values >= 0).all(axis=1)
    if not whole.any():
        raise DataError(
            f"the runs of {', '.join(name for group in usable for name in group)} share no sample that was judged in "
            "all of them, so there is no noise floor; evaluate or import them on the same samples"
        )
    kept = values[whole] if score else values[whole] > 0
    blocks = np.split(kept, np.cumsum(sizes)[:-1], axis=1)
    pairs = [size * (size - 1) for size in sizes]
    by_group = np.column_stack([mean_ordered_loss(block) for block in blocks])
    loss = by_group @ np.array(pairs, dtype=np.float64) / sum(pairs)
    largest = sum((size // 2) * (size - size // 2) for size in sizes) / sum(pairs)
    floor = FloorSamples(aligned.sample_ids.filter(pa.array(whole)), loss, math.nan if score else largest)
    interval = bootstrap_means(loss[:, None], seed=0)[0] if score else flip_interval(loss, largest)
    by_pair: list[PairNoise] = []
    for group, block in zip(usable, blocks, strict=True):
        by_pair += _pairs(list(group), block)
    # Of flips from the counts of the pairs, so that whole numbers stay whole.
    counted = [one.rate.numerator for one in by_pair if isinstance(one.rate, Rate)]
    flips = float(loss.sum()) if score else sum(counted) / sum(pairs)
    return NoiseFloor(
        pairs=sum(pairs),
        n=len(loss),
        flips=flips,
        rate=flips / len(loss),
        low=interval.low,
        high=interval.high,
        names=tuple(name for group in usable for name in group),
        score=score,
        borrowed=borrowed,
        same_version=same_version,
        by_pair=tuple(by_pair),
        graded_differently=0 if score else _graded_differently(tables, aligned, sizes),
        samples=floor,
    )


def _values(tables: Mapping[str, pa.Table], aligned: Aligned, score: str | None) -> tuple[NDArray[Any], str | None]:
    """Right (1), wrong (0) or not judged (-1) of each run, or its score, nan where there is none; and which score."""
    if score is None:
        right, known = aligned_flags(tables, aligned)
        if known.any(axis=0).all():
            return np.where(known, right.astype(np.int8), np.int8(-1)), None
        held = [name for name in KNOWN_SCORES if all(_holds(table, name) for table in tables.values())]
        score = held[0] if held else KNOWN_SCORES[0]
    values = np.full(aligned.rows.shape, np.nan)
    for number, (name, table) in enumerate(tables.items()):
        there = aligned.rows[:, number] >= 0
        if score in table.column_names:
            values[there, number] = score_column(table, score, name)[aligned.rows[there, number]]
    return values, score


def _holds(table: pa.Table, column: str) -> bool:
    """Whether a table has a value in a column."""
    return column in table.column_names and table.column(column).null_count < len(table)


def _pairs(names: list[str], values: NDArray[Any]) -> list[PairNoise]:
    ordered = [(a, b) for a in range(len(names)) for b in range(len(names)) if a != b]
    if values.dtype == np.bool_:
        flips, _, n = pairwise_flips(values)
        return [PairNoise(names[a], names[b], rate(int(flips[a, b]), int(n[a, b]))) for a, b in ordered]
    losses = np.column_stack([np.maximum(values[:, a] - values[:, b], 0.0) for a, b in ordered])
    means = bootstrap_means(losses, seed=0)
    return [PairNoise(names[a], names[b], mean) for (a, b), mean in zip(ordered, means, strict=True)]


def _graded_differently(tables: Mapping[str, pa.Table], aligned: Aligned, sizes: list[int]) -> int:
    """Samples on which two runs of a group give one answer, of which one is right and the other wrong."""
    if not all("prediction" in table.column_names for table in tables.values()):
        return 0
    right, known = aligned_flags(tables, aligned)
    answers = [text_column(table, "prediction", name) for name, table in tables.items()]
    codes = [chunk.indices.fill_null(-1).to_numpy() for chunk in pa.chunked_array(answers).dictionary_encode().chunks]
    answer = np.full(aligned.rows.shape, -1, dtype=np.int64)
    for number, code in enumerate(codes):
        there = aligned.rows[:, number] >= 0
        answer[there, number] = code[aligned.rows[there, number]]
    differs = np.zeros(len(answer), dtype=bool)
    for start, end in pairwise(np.cumsum([0, *sizes]).tolist()):
        for a in range(start, end):
            for b in range(a + 1, end):
                same = known[:, a] & known[:, b] & (answer[:, a] == answer[:, b])
                differs |= same & (right[:, a] != right[:, b])
    return int(np.count_nonzero(differs))


def flip_interval(loss: NDArray[np.float64], largest: float, confidence: float = 0.95) -> Interval:
    """Mean flip indicator with its interval over samples.

    Wilson's interval holds for values whose variance at mean m is m (1 - m). Values that are 0 or of mean square f
    times their mean have m (f - m) instead, and the same equation gives the limits; f is taken from the sample.

    Args:
        loss: mean flip indicator of each sample (n, between 0 and `largest`).
        largest: taken for f where no sample flips.
        confidence: coverage.
    """
    check_confidence(confidence)
    n, mean = len(loss), float(loss.mean())
    size = float(np.dot(loss, loss) / loss.sum()) if mean > 0 else largest
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    shrink = 1 + z * z / n
    center = (mean + z * z * size / (2 * n)) / shrink
    half = z / shrink * math.sqrt(max(0.0, mean * (size - mean)) / n + (z * size / (2 * n)) ** 2)
    return Interval(mean, 0.0 if mean == 0 else max(0.0, center - half), min(largest, center + half))


def above_floor(comparison: Comparison, floor: NoiseFloor) -> FloorDifference:
    """NFR of an update (or mean regression of a score) minus the noise floor.

    Taken on the samples that both hold, if those are at least half of the comparison's: then paired, sample by
    sample. Else all samples of each count, as two unrelated sets.

    Args:
        comparison: the update.
        floor: the noise floor, of the NFR where the comparison has one, else of its leading score.

    Raises:
        DataError: the floor is of something else than the comparison.
    """
    wanted = None if comparison.counts is not None else comparison.score
    if floor.score != wanted:
        names = [f"the score {score!r}" if score else "right and wrong" for score in (floor.score, wanted)]
        raise DataError(f"the noise floor is of {names[0]}, the comparison of {names[1]}; measure a floor of the same")
    rows = comparison.rows
    if wanted is None:
        judged = rows.judged
        loss = (rows.old_right & ~rows.new_right)[judged].astype(np.float64)
    else:
        old, new = rows.scores[wanted]
        judged, loss = np.ones(len(old), dtype=bool), np.maximum(old - new, 0.0)
    if floor.samples is not None:
        ids = rows.ids.filter(pa.array(judged)).cast(floor.samples.ids.type)
        found = pc.index_in(ids, floor.samples.ids).fill_null(-1).to_numpy()
        shared = found >= 0
        if 2 * np.count_nonzero(shared) >= len(ids):
            groups = None if comparison.groups is None else comparison.groups[judged][shared]
            return paired_difference(loss[shared], floor.samples.loss[found[shared]], floor.samples.largest, groups)
    one = _interval(loss, wanted)
    return _combined(one, Interval(floor.rate, floor.low, floor.high), 0.0, len(loss), paired=False)


def paired_difference(
    loss: NDArray[np.float64],
    floor: NDArray[np.float64],
    largest: float,
    groups: NDArray[np.int64] | None = None,
) -> FloorDifference:
    """Mean of `loss` minus mean of `floor` on the same samples, with its interval.

    Args:
        loss: flips of the update, 0 or 1, or losses of a score (n).
        floor: mean flip indicator, or mean loss, between runs of one version, in the same order.
        largest: as of `FloorSamples`; nan for a score.
        groups: group of each sample, where several belong together: then whole groups are drawn.
    """
    if groups is not None and len(np.unique(groups)) > 1:
        sums = cluster_sums(cluster_codes(groups), [loss - floor, np.ones(len(loss))])
        low, high = cluster_limits(sums, share_of_totals, seed=0)
        return FloorDifference(float((loss - floor).mean()), low, high, len(loss), paired=True)
    if math.isnan(largest):
        value = bootstrap_means((loss - floor)[:, None], seed=0)[0]
        return FloorDifference(*value, n=len(loss), paired=True)
    draws = _bootstrap(loss - floor)
    spread = float(loss.std() * floor.std())
    correlation = float(((loss - loss.mean()) * (floor - floor.mean())).mean()) / spread if spread > 0 else 0.0
    own = _combined(_interval(loss, None), flip_interval(floor, largest), correlation, len(loss), paired=True)
    return own._replace(low=min(own.low, draws[0]), high=max(own.high, draws[1]))


def _interval(loss: NDArray[np.float64], score: str | None) -> Interval:
    if score is not None:
        return bootstrap_means(loss[:, None], seed=0)[0]
    flips = rate(int(loss.sum()), len(loss))
    return Interval(flips.value, flips.low, flips.high)


def _bootstrap(values: NDArray[np.float64]) -> tuple[float, float]:
    """Percentile limits of a mean; few values are distinct, and how often each is drawn is multinomial."""
    distinct, counts = np.unique(values, return_counts=True)
    return counted_limits(counts, distinct[:, None], lambda totals: totals[..., 0] / len(values), seed=0)


def _combined(one: Interval, other: Interval, correlation: float, n: int, *, paired: bool) -> FloorDifference:
    """Difference of two figures from the intervals of both (Newcombe 1998)."""
    down, up = one.value - one.low, one.high - one.value
    other_down, other_up = other.value - other.low, other.high - other.value
    value = one.value - other.value
    low = value - math.sqrt(max(0.0, down**2 - 2 * correlation * down * other_up + other_up**2))
    high = value + math.sqrt(max(0.0, up**2 - 2 * correlation * up * other_down + other_down**2))
    return FloorDifference(value, low, high, n, paired)
