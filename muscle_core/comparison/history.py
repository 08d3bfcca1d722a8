"""The history of one dataset over many versions: what was broken, fixed again, and flips to and fro.

The versions stand in the order of their releases. A *flip* of a sample is a change between right and wrong from one
version that judged it to the next one that did. Covered: right and wrong. Not covered: scores, the answers
themselves, and noise: where the same version run twice flips too, some of these flips are of that kind
(`muscle_core.comparison.noise`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from muscle_core.comparison.align import align_tables, aligned_flags, arrow_tables_of
from muscle_core.comparison.columns import Predictions
from muscle_core.comparison.pairwise import PairwiseFlips, pairwise_flips
from muscle_core.errors import ConfigError, DataError
from muscle_core.interchange.exports import records
from muscle_core.metrics.rates import Rate, finite, rate
from muscle_core.metrics.statistics import adjusted_p, mcnemar_p

# Every sample judged by two versions or more is in exactly one of the first six; the text is the rule.
CATEGORIES = {
    "always right": "right in every version",
    "always wrong": "wrong in every version",
    "fixed and kept": "wrong at first, right from some version on",
    "broken and fixed again": "right at first, then wrong, then right to the end",
    "broken and still broken": "right in some version and wrong from a later one on, with at most two flips",
    "flip-flop": "three flips or more: the direction changes at least twice",
    "judged less than twice": "fewer than two versions judged it, so it has no history",
}
_NAMES = list(CATEGORIES)
_RIGHT, _WRONG, _KEPT, _FIXED, _BROKEN, _FLOP, _NONE = range(len(_NAMES))
STILL_BROKEN, FLIP_FLOP = _NAMES[_BROKEN], _NAMES[_FLOP]
STATES = ("right", "wrong", "not judged")  # of a sample in a version
_SIGNS = np.frombuffer(b"-WR", dtype=np.uint8)  # of a trajectory: not judged, wrong, right


class Paths(NamedTuple):
    """Where each sample's way turns; versions are numbers from 0, and -1 stands for "never". Each has n entries.

    Attributes:
        flips: number of flips.
        judged: number of versions that judged it.
        first_broken: the first version that has wrong what the one before had right.
        fixed_again: the first version after that which has it right.
        first_fixed: the first version that has right what the one before had wrong.
        last_right: whether the last version that judged it has it right.
    """

    flips: NDArray[np.int16]
    judged: NDArray[np.int16]
    first_broken: NDArray[np.int16]
    fixed_again: NDArray[np.int16]
    first_fixed: NDArray[np.int16]
    last_right: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class History:
    """Right and wrong of every sample in every version.

    Attributes:
        names: the versions, in order.
        sample_ids: id of each sample (Arrow text, n).
        right: whether a version has a sample right (n x V); false where it was not judged.
        known: whether it was judged (n x V).
        duplicates: ids that occur more than once in a version's table, for each version; they count as not judged.
        conflicting: samples left out because two tables name different right answers.
    """

    names: tuple[str, ...]
    sample_ids: pa.Array
    right: NDArray[np.bool_]
    known: NDArray[np.bool_]
    duplicates: tuple[int, ...]
    conflicting: int

    @property
    def n(self) -> int:
        """Number of samples."""
        return len(self.right)

    @cached_property
    def pairwise(self) -> PairwiseFlips:
        """Negative flips between every ordered pair of versions."""
        return pairwise_flips(self.right, self.known)

    @cached_property
    def paths(self) -> Paths:
        """Where each sample's way turns."""
        return paths_of(self.right, self.known)

    @cached_property
    def categories(self) -> NDArray[np.int8]:
        """Number of each sample's category in the order of `CATEGORIES` (n)."""
        return categories_of(self.paths)

    def trajectories(self) -> NDArray[np.str_]:
        """One text a sample (n): for each version R (right), W (wrong) or - (not judged)."""
        codes = np.ascontiguousarray(self.known.astype(np.uint8) + self.right)
        return _SIGNS[codes].view(f"S{len(self.names)}").ravel().astype(np.str_)

    def accuracies(self) -> list[Rate]:
        """Accuracy of each version on the samples that it judged."""
        return [rate(int(self.right[:, v].sum()), int(self.known[:, v].sum())) for v in range(len(self.names))]

    def category_table(self) -> pd.DataFrame:
        """One row a category: `category`, `rule`, `samples`, `n`, `share` with `share_low` and `share_high`.

        The shares are of the `n` samples that two versions or more judged; the last category has none.
        """
        counts = np.bincount(self.categories, minlength=len(_NAMES))
        total = int(counts[:_NONE].sum())
        rows = []
        for number, (name, rule) in enumerate(CATEGORIES.items()):
            share = rate(int(counts[number]), total) if number != _NONE else rate(0, 0)
            row = {"category": name, "rule": rule, "samples": int(counts[number]), "n": total}
            rows.append({**row, "share": share.value, "share_low": share.low, "share_high": share.high})
        return pd.DataFrame(rows)

    def steps(self) -> pd.DataFrame:
        """One row a step from a version to the next, on the `n` samples judged in both.

        `q1` to `q4` count right in both, fixed, wrong in both, broken; `nfr` and `pfr` come with `_low` and `_high`;
        `p` is the exact McNemar test of equal accuracy, `p_adjusted` the same adjusted for the number of steps
        (Benjamini and Hochberg). Of all samples, `first_broken` says for how many this step is the first that broke
        them, `fixed_again` how many broken ones are right again for the first time.
        """
        flips, both, n = self.pairwise
        broken, again = (
            np.bincount(versions[versions >= 0], minlength=len(self.names))
            for versions in (self.paths.first_broken, self.paths.fixed_again)
        )
        rows = []
        for old in range(len(self.names) - 1):
            new = old + 1
            q1, q2, q4, total = (int(x) for x in (both[old, new], flips[new, old], flips[old, new], n[old, new]))
            nfr, pfr = rate(q4, total), rate(q2, total)
            rows.append(
                {
                    "old": self.names[old],
                    "new": self.names[new],
                    "n": total,
                    "q1": q1,
                    "q2": q2,
                    "q3": total - q1 - q2 - q4,
                    "q4": q4,
                    "accuracy_old": rate(q1 + q4, total).value,
                    "accuracy_new": rate(q1 + q2, total).value,
                    "nfr": nfr.value,
                    "nfr_low": nfr.low,
                    "nfr_high": nfr.high,
                    "pfr": pfr.value,
                    "pfr_low": pfr.low,
                    "pfr_high": pfr.high,
                    "p": mcnemar_p(q4, q2),
                    "first_broken": int(broken[new]),
                    "fixed_again": int(again[new]),
                }
            )
        frame = pd.DataFrame(rows)
        frame.insert(frame.columns.get_loc("p") + 1, "p_adjusted", adjusted_p(frame["p"]))
        return frame

    def transitions(self) -> pd.DataFrame:
        """Streams between consecutive versions, as a Sankey chart needs them; every sample is in one at each step.

        Columns `old`, `new` (versions), `old_state`, `new_state` ("right", "wrong", "not judged"), `samples`.
        """
        states, signs = STATES[::-1], self.known.astype(np.int8) + self.right
        rows = []
        for old in range(len(self.names) - 1):
            counts = np.bincount(signs[:, old] * 3 + signs[:, old + 1], minlength=9).reshape(3, 3)
            rows += [
                (self.names[old], self.names[old + 1], states[before], states[after], int(counts[before, after]))
                for before, after in np.argwhere(counts)[::-1]
            ]
        return pd.DataFrame(rows, columns=["old", "new", "old_state", "new_state", "samples"])

    def samples(self) -> pd.DataFrame:
        """One row a sample: `sample_id`, `trajectory`, `category`, `flips`, `judged`, and names of versions or missing.

        `first_broken` is the version that broke it first, `fixed_again` the one after that which has it right again,
        `first_fixed` the first that has right what was wrong before.
        """
        names = np.array([*self.names, None], dtype=object)  # -1 takes the last one
        paths = self.paths
        return pd.DataFrame(
            {
                "sample_id": self.sample_ids.to_pandas(),
                "trajectory": self.trajectories(),
                "category": np.array(_NAMES, dtype=object)[self.categories],
                "flips": paths.flips,
                "judged": paths.judged,
                "first_broken": names[paths.first_broken],
                "fixed_again": names[paths.fixed_again],
                "first_fixed": names[paths.first_fixed],
            }
        )

    def patterns(self) -> pd.DataFrame:
        """One row a trajectory that occurs, the most frequent first: `trajectory`, `category`, `samples`, `n`, `share`.

        `n` counts all samples; `share_low` and `share_high` are the limits of the share.
        """
        distinct, first, counts = _distinct_rows(self.known.astype(np.int8) + self.right)
        order = np.lexsort((first, -counts))
        shares = [rate(int(counts[place]), self.n) for place in order]
        return pd.DataFrame(
            {
                "trajectory": [_SIGNS[distinct[place]].tobytes().decode() for place in order],
                "category": np.array(_NAMES, dtype=object)[self.categories[first[order]]],
                "samples": counts[order],
                "n": self.n,
                "share": [share.value for share in shares],
                "share_low": [share.low for share in shares],
                "share_high": [share.high for share in shares],
            }
        )

    def matrix(self) -> pd.DataFrame:
        """NFR of every ordered pair: a row an old version, a column a new one, nan where they share no sample."""
        return pd.DataFrame(self.pairwise.nfr, index=list(self.names), columns=list(self.names))

    def to_dict(self, *, matrix: bool = False) -> dict[str, Any]:
        """All figures without the samples, for strict JSON: what is not defined is None.

        Args:
            matrix: with the counts and rates of every ordered pair.
        """
        figures: dict[str, Any] = {
            "versions": [
                {"name": name, "accuracy": accuracy.as_dict(), "duplicates": duplicates}
                for name, accuracy, duplicates in zip(self.names, self.accuracies(), self.duplicates, strict=True)
            ],
            "n": self.n,
            "conflicting": self.conflicting,
            "categories": records(self.category_table()),
            "steps": records(self.steps()),
            "transitions": records(self.transitions()),
        }
        if matrix:
            low, high = self.pairwise.limits()
            figures["pairwise"] = {
                "rows are": "the old version, columns the new one",
                "flips": self.pairwise.flips.tolist(),
                "n": self.pairwise.n.tolist(),
                **{
                    name: [[finite(value) for value in row] for row in values]
                    for name, values in (("nfr", self.pairwise.nfr), ("nfr_low", low), ("nfr_high", high))
                },
            }
        return figures


def history(tables: Mapping[str, Predictions]) -> History:
    """Put the prediction tables of versions side by side.

    Args:
        tables: by name of version, in the order of the releases; each with `sample_id` and `correct`, and `gold` where
            it is known.

    Raises:
        ConfigError: fewer than two versions.
        DataError: a table cannot be read, no sample can be used, or a version has no right or wrong at all.
    """
    if len(tables) < 2:
        raise ConfigError(f"a history needs two versions or more, got {len(tables)}.")
    columns = arrow_tables_of(tables, {"correct"})
    aligned = align_tables(columns)
    right, known = aligned_flags(columns, aligned)
    unjudged = [name for version, name in enumerate(aligned.names) if not known[:, version].any()]
    if unjudged:
        raise DataError(
            f"{', '.join(unjudged)} has no right or wrong (column 'correct') on any sample; a history over scores is "
            "not covered. Leave it out, or compare two versions at a time."
        )
    return History(aligned.names, aligned.sample_ids, right, known, aligned.duplicates, aligned.conflicting)


def paths_of(right: NDArray[np.bool_], known: NDArray[np.bool_]) -> Paths:
    """Follow every sample through the versions, passing over those that did not judge it.

    Args:
        right: whether a version has a sample right (n x V).
        known: whether it was judged (n x V).
    """
    n, versions = right.shape
    flips, judged = np.zeros(n, dtype=np.int16), np.zeros(n, dtype=np.int16)
    first_broken, fixed_again, first_fixed = (np.full(n, -1, dtype=np.int16) for _ in range(3))
    last, seen = np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)
    for version in range(versions):
        now, here = right[:, version], known[:, version]
        changed = here & seen & (last != now)
        broken, fixed = changed & ~now, changed & now
        fixed_again[fixed & (first_broken >= 0) & (fixed_again < 0)] = version
        first_broken[broken & (first_broken < 0)] = version
        first_fixed[fixed & (first_fixed < 0)] = version
        flips += changed
        judged += here
        last = np.where(here, now, last)
        seen |= here
    return Paths(flips, judged, first_broken, fixed_again, first_fixed, last)


def _distinct_rows(states: NDArray[np.int8]) -> tuple[NDArray[np.int8], NDArray[np.int64], NDArray[np.int64]]:
    """The distinct rows of a table of 0, 1 and 2, the place where each first occurs, and how often it does."""
    codes = np.zeros(len(states), dtype=np.int64)
    for version in range(states.shape[1]):
        if version % 16 == 15:  # before the numbers outgrow their type
            codes = np.unique(codes, return_inverse=True)[1]
        codes = codes * 3 + states[:, version]
    _, first, counts = np.unique(codes, return_index=True, return_counts=True)
    return states[first], first, counts


def categories_of(paths: Paths) -> NDArray[np.int8]:
    """Number of each sample's category in the order of `CATEGORIES`."""
    by_flips = np.array([[_WRONG, _BROKEN, _BROKEN, _FLOP], [_RIGHT, _KEPT, _FIXED, _FLOP]], dtype=np.int8)
    found = by_flips[paths.last_right.astype(np.int8), np.minimum(paths.flips, 3)]
    return np.where(paths.judged < 2, np.int8(_NONE), found)
