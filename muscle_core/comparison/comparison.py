"""Compare two versions of a model: a pure function of their two prediction tables.

Covered: right and wrong, the answer given, and scores where higher is better. Not covered: whether the metric
    that decided right and wrong is itself right, and the noise of running the same version twice.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from muscle_core.comparison.columns import KNOWN_SCORES, Predictions, arrow_tables, has_no_gap, shared_scores
from muscle_core.comparison.flip_figures import (
    RATE_NAMES,
    FlipFigures,
    clustered_flip_figures,
    flip_figures,
    group_cells,
)
from muscle_core.comparison.join import JoinedRows, JoinReport, check_columns, join_tables
from muscle_core.comparison.matched import MatchedRows, ScorePair, matched_rows, pick_scores
from muscle_core.comparison.matching import pick
from muscle_core.errors import ConfigError, DataError
from muscle_core.metrics.clusters import cluster_codes
from muscle_core.metrics.continuous import ScoreChange, score_change
from muscle_core.metrics.quadrants import QuadrantCounts, count_quadrants
from muscle_core.metrics.rates import Interval, Rate, finite
from muscle_core.metrics.statistics import PairedDifference

# Group of each sample: a column of the prediction tables, or the group by sample id.
Clusters = str | Mapping[str, object]


@dataclass(frozen=True, eq=False)
class Comparison:
    """What changed between two versions on the samples that both answered.

    The rates are None where no sample has a right or wrong in both tables, as in most tasks with a continuous
    score.

    Attributes:
        old_name: name of the old version.
        new_name: name of the new version.
        task_kind: kind of task, such as "multiple_choice" or "summarization".
        join: what became of the sample ids of both tables.
        unjudged: matched samples without a right or wrong in both tables; they are in no quadrant and no
            rate.
        graded_differently: matched samples with one and the same answer, right in one table and wrong in the
            other; anything but 0 says that the two runs were not graded by the same rule.
        counts: samples in each quadrant.
        accuracy_old: share the old version has right.
        accuracy_new: share the new version has right.
        nfr: negative flip rate.
        pfr: positive flip rate.
        nfr_mc: negative flip rate that also counts changed wrong answers.
        relative_nfr: NFR against that of two unrelated models; None if not defined.
        btc: backward trust compatibility.
        bec: backward error compatibility.
        inconsistency: share of the samples wrong in both versions whose answer changed.
        mcnemar_p: exact McNemar test of "the accuracy did not change".
        continuous: change of each score that both tables hold.
        incomplete_scores: columns that look like scores but have gaps, and therefore were left out.
        score: the leading score, of which the verdict speaks; None if there is no score.
        tau: a score counts as changed if it moved by more than this.
        accuracy_change: accuracy(new) - accuracy(old) = PFR - NFR, with its BCa interval and `mcnemar_p`.
        relative_nfr_interval: `relative_nfr` with its BCa interval.
        clusters: number of groups that the samples come in; None where each stands alone. With groups, all intervals
            are those of the cluster bootstrap, and `mcnemar_p` is the p-value of sign flips by group.
        rows: the matched rows in Arrow, of which `samples` is made.
        groups: number of the group of each matched sample, from 0; None where each stands alone.
    """

    old_name: str
    new_name: str
    task_kind: str
    join: JoinReport
    unjudged: int
    graded_differently: int
    counts: QuadrantCounts | None
    accuracy_old: Rate | None
    accuracy_new: Rate | None
    nfr: Rate | None
    pfr: Rate | None
    nfr_mc: Rate | None
    relative_nfr: float | None
    btc: Rate | None
    bec: Rate | None
    inconsistency: Rate | None
    mcnemar_p: float | None
    continuous: dict[str, ScoreChange]
    incomplete_scores: tuple[str, ...]
    score: str | None
    tau: float
    accuracy_change: PairedDifference | None
    relative_nfr_interval: Interval | None
    clusters: int | None
    rows: MatchedRows = field(repr=False)
    groups: NDArray[np.int64] | None = field(repr=False, default=None)

    @cached_property
    def samples(self) -> pd.DataFrame:
        """One row a matched sample, in the order of the old table; made on first use, for it takes longer than all."""
        return self.rows.frame()

    @property
    def n(self) -> int:
        """Number of matched samples."""
        return self.join.matched

    @property
    def rates(self) -> dict[str, Rate]:
        """The rates that are known, by name, in the order in which they are shown."""
        named = {name: getattr(self, name) for name in RATE_NAMES}
        return {name: value for name, value in named.items() if value is not None}

    @property
    def interval_method(self) -> str:
        """How the intervals of the rates were made."""
        return "Wilson" if self.clusters is None else f"cluster bootstrap over {self.clusters:,} groups"

    @property
    def test(self) -> str:
        """The test behind `mcnemar_p`."""
        return "exact McNemar" if self.clusters is None else "sign flips by group"

    def to_dict(self) -> dict[str, Any]:
        """Return all figures, without the samples, for strict JSON: what is not defined is None."""
        return {
            "old": self.old_name,
            "new": self.new_name,
            "task_kind": self.task_kind,
            "n": self.n,
            "unjudged": self.unjudged,
            "graded_differently": self.graded_differently,
            **{name: _value(getattr(self, name)) for name in RATE_NAMES},
            "relative_nfr": finite(self.relative_nfr),
            "mcnemar_p": finite(self.mcnemar_p),
            "test": self.test,
            "interval_method": self.interval_method,
            "clusters": self.clusters,
            "accuracy_change": None if self.accuracy_change is None else self.accuracy_change.as_dict(),
            "relative_nfr_interval": None
            if self.relative_nfr_interval is None
            else self.relative_nfr_interval.as_dict(),
            "quadrants": None if self.counts is None else self.counts._asdict(),
            "intervals": {
                name: {key: field for key, field in value.as_dict().items() if key != "value"}
                for name, value in self.rates.items()
            },
            "continuous": {name: change.as_dict() for name, change in self.continuous.items()},
            "incomplete_scores": list(self.incomplete_scores),
            "score": self.score,
            "tau": self.tau,
            "join": self.join._asdict(),
        }


def _value(rate: Rate | None) -> float | None:
    return None if rate is None else finite(rate.value)


def compare(
    old: Predictions,
    new: Predictions,
    *,
    task_kind: str,
    old_name: str,
    new_name: str,
    score: str | None = None,
    tau: float = 0.0,
    clusters: Clusters | None = None,
    seed: int = 0,
) -> Comparison:
    """Join two prediction tables by sample id and work out every figure of the update.

    Two missing predictions count as the same answer: to the user of the model both versions did the same,
    they answered nothing that could be read. One missing prediction differs from any answer.

    Args:
        old: predictions of the old version, one row a sample, with at least `sample_id` and `prediction`;
            `correct`, `gold`, `margin` and score columns are used where present. Arrow tables are read as they are,
            pandas frames are converted.
        new: the same for the new version.
        task_kind: kind of task; kept with the figures.
        old_name: name of the old version.
        new_name: name of the new version.
        score: the leading score; by default "rouge1", else the first one that both tables hold.
        tau: a score counts as changed if it moved by more than this.
        clusters: where samples come in groups, such as several questions about one text: the group by sample id, or
            the name of a column that holds it in one of the tables (the old one's counts where both do). All
            intervals and the test then take whole groups for the unit.
        seed: makes the bootstrap intervals repeatable.

    Raises:
        DataError: if the tables lack columns, hold values that cannot be compared, or share no sample; or if a matched
            sample has no group.
        ConfigError: if `score` or the column of groups is in neither table, or `tau` is negative.
    """
    if not (tau >= 0 and math.isfinite(tau)):
        raise ConfigError(f"tau, the change of score that is ignored, must be 0 or larger; it is {tau}")
    check_columns([(old_name, old), (new_name, new)])
    labels = (old_name, new_name)
    grouping = clusters if isinstance(clusters, str) else None
    old_table, new_table = arrow_tables(old, new, (score, grouping), *labels)
    joined = join_tables(old_table, new_table, *labels)
    scores, incomplete = _choose_scores(old_table, new_table, joined, score, labels)
    rows = matched_rows(old_table, new_table, joined, scores, *labels)

    codes = None if clusters is None else _groups(clusters, old_table, new_table, joined, labels)
    counts, figures = _flips(rows, codes, seed)
    if counts is None and not scores:
        raise DataError(
            f"{old_name} and {new_name} share {joined.report.matched:,} samples, but none of them has a "
            "right or wrong (column 'correct') or a score in both; evaluate both with the same metric"
        )
    change = figures.accuracy_change if figures else None
    relative = figures.relative_nfr if figures else None
    return Comparison(
        old_name=old_name,
        new_name=new_name,
        task_kind=task_kind,
        join=joined.report,
        unjudged=len(rows.judged) - int(np.count_nonzero(rows.judged)),
        graded_differently=int(np.count_nonzero(rows.judged & rows.same & (rows.old_right != rows.new_right))),
        counts=counts,
        **{name: figures.rates[name] if figures else None for name in RATE_NAMES},
        relative_nfr=relative.value if relative else None,
        mcnemar_p=change.p if change else None,
        continuous={name: score_change(*pair, tau=tau, seed=seed, clusters=codes) for name, pair in scores.items()},
        incomplete_scores=incomplete,
        score=score or ("rouge1" if "rouge1" in scores else next(iter(scores), None)),
        tau=float(tau),
        accuracy_change=change,
        relative_nfr_interval=relative,
        clusters=None if codes is None else int(codes.max()) + 1,
        rows=rows,
        groups=codes,
    )


def _flips(
    rows: MatchedRows, codes: NDArray[np.int64] | None, seed: int
) -> tuple[QuadrantCounts | None, FlipFigures | None]:
    """Figures of the samples with a right or wrong in both tables."""
    flags = (rows.old_right, rows.new_right, rows.same)
    if not rows.judged.all():
        if not rows.judged.any():
            return None, None
        flags = (flags[0][rows.judged], flags[1][rows.judged], flags[2][rows.judged])
        codes = None if codes is None else codes[rows.judged]
    counts = count_quadrants(*flags)
    if codes is None:
        return counts, flip_figures(counts, seed)
    return counts, clustered_flip_figures(counts, group_cells(codes, *flags), seed)


def _groups(
    clusters: Clusters, old: pa.Table, new: pa.Table, joined: JoinedRows, labels: tuple[str, str]
) -> NDArray[np.int64]:
    """Number the group of each matched sample."""
    if isinstance(clusters, str):
        tables = ((old, joined.old_rows), (new, joined.new_rows))
        found = next(((table, rows) for table, rows in tables if clusters in table.column_names), None)
        if found is None:
            raise ConfigError(f"neither {labels[0]} nor {labels[1]} has a column {clusters!r} that names the groups")
        column = found[0].column(clusters)
        if pa.types.is_floating(column.type):
            column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
        encoded = pc.dictionary_encode(pick(column.combine_chunks(), found[1]))
        encoded = encoded.combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded
        values = encoded.indices.to_pandas().to_numpy() if encoded.indices.null_count else encoded.indices.to_numpy()
        where = f"the column {clusters!r}"
    else:
        groups = [clusters.get(identity) for identity in joined.ids.to_pylist()]
        values = np.fromiter(groups, dtype=object, count=len(groups))
        where = "the groups given"
    missing = np.flatnonzero(pd.isna(values))
    if len(missing):
        raise DataError(
            f"{where}: {len(missing):,} of {len(values):,} samples have no group, the first is "
            f"{joined.ids[int(missing[0])].as_py()!r}; name a group for each sample (one that stands alone is a group "
            "of its own)"
        )
    codes = cluster_codes(values)
    if codes.max() == 0:
        raise DataError(f"{where}: all {len(codes):,} samples are in one group; an interval needs two or more")
    return codes


def _choose_scores(
    old: pa.Table, new: pa.Table, joined: JoinedRows, requested: str | None, labels: tuple[str, str]
) -> tuple[dict[str, ScorePair], tuple[str, ...]]:
    """Return the scores to compare, and the columns left out because some samples have no value.

    A gap in a known score or in the one asked for is an error; any other column may just not be a score.
    """
    names = shared_scores(old, new)
    if requested is not None and requested not in names:
        if requested not in old.column_names or requested not in new.column_names:
            known = ", ".join(names) or "none"
            raise ConfigError(f"the score {requested!r} is not in both tables; they share these: {known}")
        names.insert(0, requested)
    chosen: dict[str, ScorePair] = {}
    incomplete = []
    for name in names:
        pair = pick_scores(old, new, joined, name, labels)
        if all(has_no_gap(scores) for scores in pair):
            chosen[name] = pair
        elif name in KNOWN_SCORES or name == requested:
            raise DataError(_gap_message(name, pair, joined, labels))
        else:
            incomplete.append(name)
    return chosen, tuple(incomplete)


def _gap_message(name: str, pair: ScorePair, joined: JoinedRows, labels: tuple[str, str]) -> str:
    gaps = [np.flatnonzero(~np.isfinite(scores)) for scores in pair]
    first = int((gaps[0] if len(gaps[0]) else gaps[1])[0])
    return (
        f"the score {name!r} is missing or infinite for {len(gaps[0]):,} samples of {labels[0]} and "
        f"{len(gaps[1]):,} of {labels[1]} ({joined.report.matched:,} compared), first for sample "
        f"{joined.ids[first].as_py()!r}; score these samples again, or take them out of both tables"
    )
