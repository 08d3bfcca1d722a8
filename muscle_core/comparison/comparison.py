"""Compare two versions of a model: a pure function of their two prediction tables.

Covered: right and wrong, the answer given, and scores where higher is better. Not covered: whether the metric
    that decided right and wrong is itself right, and the noise of running the same version twice.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from muscle_core.comparison.columns import (
    KNOWN_SCORES,
    flag_column,
    has_no_gap,
    score_column,
    shared_scores,
    text_column,
)
from muscle_core.comparison.join import JoinedRows, JoinReport, join_tables
from muscle_core.errors import ConfigError, DataError
from muscle_core.metrics import flips
from muscle_core.metrics.continuous import ScoreChange, score_change
from muscle_core.metrics.quadrants import Quadrant, QuadrantCounts, count_quadrants, quadrant_codes
from muscle_core.metrics.rates import Rate, finite
from muscle_core.metrics.statistics import mcnemar_p


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
        samples: one row a matched sample, in the order of the old table.
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
    samples: pd.DataFrame

    @property
    def n(self) -> int:
        """Number of matched samples."""
        return self.join.matched

    @property
    def rates(self) -> dict[str, Rate]:
        """The rates that are known, by name, in the order in which they are shown."""
        named = {name: getattr(self, name) for name in _RATE_NAMES}
        return {name: value for name, value in named.items() if value is not None}

    def to_dict(self) -> dict[str, Any]:
        """Return all figures, without the samples, for strict JSON: what is not defined is None."""
        return {
            "old": self.old_name,
            "new": self.new_name,
            "task_kind": self.task_kind,
            "n": self.n,
            "unjudged": self.unjudged,
            "graded_differently": self.graded_differently,
            **{name: _value(getattr(self, name)) for name in _RATE_NAMES},
            "relative_nfr": finite(self.relative_nfr),
            "mcnemar_p": finite(self.mcnemar_p),
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


_RATE_NAMES = ("accuracy_old", "accuracy_new", "nfr", "pfr", "nfr_mc", "btc", "bec", "inconsistency")


def _value(rate: Rate | None) -> float | None:
    return None if rate is None else finite(rate.value)


def compare(
    old: pd.DataFrame,
    new: pd.DataFrame,
    *,
    task_kind: str,
    old_name: str,
    new_name: str,
    score: str | None = None,
    tau: float = 0.0,
) -> Comparison:
    """Join two prediction tables by sample id and work out every figure of the update.

    Two missing predictions count as the same answer: to the user of the model both versions did the same,
    they answered nothing that could be read. One missing prediction differs from any answer.

    Args:
        old: predictions of the old version, one row a sample, with at least `sample_id` and `prediction`;
            `correct`, `gold`, `margin` and score columns are used where present.
        new: the same for the new version.
        task_kind: kind of task; kept with the figures.
        old_name: name of the old version.
        new_name: name of the new version.
        score: the leading score; by default "rouge1", else the first one that both tables hold.
        tau: a score counts as changed if it moved by more than this.

    Raises:
        DataError: if the tables lack columns, hold values that cannot be compared, or share no sample.
        ConfigError: if `score` is in neither table or `tau` is negative.
    """
    if not (tau >= 0 and math.isfinite(tau)):
        raise ConfigError(f"tau, the change of score that is ignored, must be 0 or larger; it is {tau}")
    joined = join_tables(old, new, old_name, new_name)
    old_rows, new_rows = pa.array(joined.old_rows), pa.array(joined.new_rows)
    old_correct = flag_column(old, "correct", old_name).take(old_rows)
    new_correct = flag_column(new, "correct", new_name).take(new_rows)
    old_prediction = text_column(old, "prediction", old_name).take(old_rows)
    new_prediction = text_column(new, "prediction", new_name).take(new_rows)

    same = _same_answer(old_prediction, new_prediction)
    judged = _flags(pc.and_(old_correct.is_valid(), new_correct.is_valid()))
    old_right, new_right = _flags(old_correct), _flags(new_correct)
    counts = count_quadrants(old_right[judged], new_right[judged], same[judged]) if judged.any() else None

    names, incomplete = _choose_scores(old, new, joined, score, old_name, new_name)
    scores = {name: _pair(old, new, joined, name, old_name, new_name) for name in names}
    if counts is None and not scores:
        raise DataError(
            f"{old_name} and {new_name} share {joined.report.matched:,} samples, but none of them has a "
            "right or wrong (column 'correct') or a score in both; evaluate both with the same metric"
        )
    leading = score or ("rouge1" if "rouge1" in scores else next(iter(scores), None))

    samples: dict[str, Any] = {
        "sample_id": text_column(old, "sample_id", old_name).take(old_rows),
        "quadrant": _quadrant_text(quadrant_codes(old_right, new_right), judged),
        "same_answer": pa.array(same),
        "old_prediction": old_prediction,
        "new_prediction": new_prediction,
        "old_correct": old_correct,
        "new_correct": new_correct,
        **_gold(old, new, joined, old_name, new_name),
    }
    for name, (old_scores, new_scores) in scores.items():
        samples[f"old_{name}"] = old_scores
        samples[f"new_{name}"] = new_scores
        samples[f"delta_{name}"] = new_scores - old_scores
    if "margin" in old.columns:
        samples["old_margin"] = score_column(old, "margin", old_name)[joined.old_rows]
    if "margin" in new.columns:
        samples["new_margin"] = score_column(new, "margin", new_name)[joined.new_rows]

    return Comparison(
        old_name=old_name,
        new_name=new_name,
        task_kind=task_kind,
        join=joined.report,
        unjudged=int(np.count_nonzero(~judged)),
        graded_differently=int(np.count_nonzero(judged & same & (old_right != new_right))),
        counts=counts,
        accuracy_old=flips.accuracy_old(counts) if counts else None,
        accuracy_new=flips.accuracy_new(counts) if counts else None,
        nfr=flips.nfr(counts) if counts else None,
        pfr=flips.pfr(counts) if counts else None,
        nfr_mc=flips.nfr_mc(counts) if counts else None,
        relative_nfr=flips.relative_nfr(counts) if counts else None,
        btc=flips.btc(counts) if counts else None,
        bec=flips.bec(counts) if counts else None,
        inconsistency=flips.inconsistency(counts) if counts else None,
        mcnemar_p=mcnemar_p(counts.q4, counts.q2) if counts else None,
        continuous={name: score_change(*pair, tau=tau) for name, pair in scores.items()},
        incomplete_scores=incomplete,
        score=leading,
        tau=float(tau),
        samples=_to_frame(samples),
    )


def _same_answer(old: pa.Array, new: pa.Array) -> NDArray[np.bool_]:
    both_missing = pc.and_(old.is_null(), new.is_null())
    return _flags(pc.or_(pc.fill_null(pc.equal(old, new), False), both_missing))


def _flags(array: pa.Array) -> NDArray[np.bool_]:
    return pc.fill_null(array, False).to_numpy(zero_copy_only=False)


def _quadrant_text(codes: NDArray[np.int8], judged: NDArray[np.bool_]) -> pa.Array:
    names = pa.array([quadrant.value for quadrant in Quadrant], pa.large_string())
    return names.take(pa.array(codes, mask=~judged))


def _gold(
    old: pd.DataFrame, new: pd.DataFrame, joined: JoinedRows, old_name: str, new_name: str
) -> dict[str, pa.Array]:
    """The right answer of each sample, from whichever table names it."""
    found = []
    if "gold" in old.columns:
        found.append(text_column(old, "gold", old_name).take(pa.array(joined.old_rows)))
    if "gold" in new.columns:
        found.append(text_column(new, "gold", new_name).take(pa.array(joined.new_rows)))
    return {"gold": pc.coalesce(*found)} if found else {}


def _pair(
    old: pd.DataFrame, new: pd.DataFrame, joined: JoinedRows, name: str, old_name: str, new_name: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return (
        score_column(old, name, old_name)[joined.old_rows],
        score_column(new, name, new_name)[joined.new_rows],
    )


def _choose_scores(
    old: pd.DataFrame,
    new: pd.DataFrame,
    joined: JoinedRows,
    requested: str | None,
    old_name: str,
    new_name: str,
) -> tuple[list[str], tuple[str, ...]]:
    """Return the scores to compare, and the columns left out because some samples have no value.

    A gap in a known score or in the one asked for is an error; any other column may just not be a score.
    """
    names = shared_scores(old, new)
    if requested is not None and requested not in names:
        if requested not in old.columns or requested not in new.columns:
            known = ", ".join(names) or "none"
            raise ConfigError(f"the score {requested!r} is not in both tables; they share these: {known}")
        names.insert(0, requested)
    chosen, incomplete = [], []
    for name in names:
        pair = _pair(old, new, joined, name, old_name, new_name)
        if all(has_no_gap(scores) for scores in pair):
            chosen.append(name)
        elif name in KNOWN_SCORES or name == requested:
            raise DataError(_gap_message(name, pair, old, joined, old_name, new_name))
        else:
            incomplete.append(name)
    return chosen, tuple(incomplete)


def _gap_message(
    name: str,
    pair: tuple[NDArray[np.float64], NDArray[np.float64]],
    old: pd.DataFrame,
    joined: JoinedRows,
    old_name: str,
    new_name: str,
) -> str:
    gaps = [np.flatnonzero(~np.isfinite(scores)) for scores in pair]
    first = int((gaps[0] if len(gaps[0]) else gaps[1])[0])
    sample_id = old["sample_id"].iloc[joined.old_rows[first]]
    return (
        f"the score {name!r} is missing or infinite for {len(gaps[0]):,} samples of {old_name} and "
        f"{len(gaps[1]):,} of {new_name} ({joined.report.matched:,} compared), first for sample "
        f"{sample_id!r}; score these samples again, or take them out of both tables"
    )


def _to_frame(columns: dict[str, Any]) -> pd.DataFrame:
    booleans = {pa.bool_(): pd.BooleanDtype()}
    frame = pa.table(columns).to_pandas(types_mapper=booleans.get)
    frame["same_answer"] = frame["same_answer"].to_numpy(dtype=np.bool_)
    return frame
