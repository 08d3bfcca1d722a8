"""A queue as row numbers and codes: a million samples cost no objects; a frame is made of those that are shown."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from muscle_core.comparison.matched import MatchedRows
from muscle_core.comparison.view import rows_of

STATES = ("unreviewed", "stale", "reviewed")
UNREVIEWED, STALE, REVIEWED = range(3)
LABELS = ("verdict", "cause", "severity")
DISAGREE = "reviewers disagree"
Positions = NDArray[np.int64]
_Key = TypeVar("_Key", bound=Hashable)


@dataclass(frozen=True, eq=False)
class QueuedSamples:
    """The samples of a queue in its order. A position counts from 0.

    Attributes:
        what: the queue, one of `muscle_core.actions.reviews.queue.QUEUES`.
        matched: all compared samples.
        rows: row of the sample at each position.
    """

    what: str
    matched: MatchedRows
    rows: Positions

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def _position(self) -> NDArray[np.int32]:
        """Position of each compared sample; -1 for those that are not in the queue."""
        position = np.full(len(self.matched.ids), -1, dtype=np.int32)
        position[self.rows] = np.arange(len(self.rows), dtype=np.int32)
        return position

    def positions(self, sample_ids: Iterable[str]) -> Positions:
        """Where samples stand; -1 for one that is not in the queue."""
        rows = rows_of(self.matched.ids, list(sample_ids))
        return np.where(rows < 0, -1, self._position[rows]) if len(self.matched.ids) else rows

    def ids_at(self, positions: Positions) -> list[str]:
        """Ids of the samples at some positions."""
        return list(self.matched.ids.take(pa.array(self.rows[positions])).to_pylist())

    def frame(self, positions: Positions | None = None) -> pd.DataFrame:
        """sample_id, quadrant (missing where a sample is in none) and position of some samples, by default of all."""
        positions = np.arange(len(self.rows)) if positions is None else positions
        frame = self.matched.frame(self.rows[positions], ("sample_id", "quadrant"))
        return frame.assign(position=positions)


@dataclass(frozen=True, eq=False)
class Queue:
    """The samples of a queue with what is known of each; what few have, by position.

    Attributes:
        samples: of the queue.
        state: number of the state in `STATES`, by position.
        assigned: names of those who are asked to review it, joined by ", ".
        reviewers: names of those who reviewed it.
        labels: verdict, cause and severity: the one that all reviews share, else `DISAGREE`.
    """

    samples: QueuedSamples
    state: NDArray[np.int8]
    assigned: dict[int, str]
    reviewers: dict[int, str]
    labels: dict[str, dict[int, str | None]]

    def __len__(self) -> int:
        return len(self.samples)

    def unassigned(self) -> NDArray[np.bool_]:
        """Whether nobody is asked to review the sample at each position."""
        free = np.ones(len(self), dtype=np.bool_)
        free[list(self.assigned)] = False
        return free

    def with_cause(self, cause: str) -> Positions:
        """Positions of the samples with a cause."""
        return np.array(sorted(at for at, one in self.labels["cause"].items() if one == cause), dtype=np.int64)

    def causes(self) -> list[str]:
        """The causes given, in the order of the queue."""
        given = self.labels["cause"]
        return list(dict.fromkeys(one for at in sorted(given) if (one := given[at])))

    def frame(self, positions: Positions | None = None) -> pd.DataFrame:
        """The columns of `muscle_core.actions.reviews.queue.queue_of` for some positions, by default for all."""
        frame = self.samples.frame(positions)
        at = frame["position"].tolist()
        frame["state"] = np.array(STATES, dtype=object)[self.state[frame["position"].to_numpy()]]
        for name, people in (("assigned", self.assigned), ("reviewers", self.reviewers)):
            frame[name] = np.array([people.get(one, "") for one in at], dtype=object)
        for name, given in self.labels.items():  # keep None; pandas would turn it into a NaN, which counts as true
            frame[name] = pd.Series([given.get(one) for one in at], dtype=object)
        return frame


def build_queue(
    samples: QueuedSamples, reviews: pd.DataFrame, assignments: pd.DataFrame, reviewer: str | None = None
) -> Queue:
    """A queue with what is known of its samples.

    Args:
        samples: of the queue.
        reviews: as `list_reviews` returns them.
        assignments: as `list_assignments` returns them.
        reviewer: whose reviews decide the state of a sample; by default anybody's.
    """
    at = samples.positions(reviews["sample_id"])
    names, is_stale = reviews["reviewer"].to_numpy(dtype=object), reviews["stale"].to_numpy(dtype=np.bool_)
    own = at >= 0
    if reviewer is not None:
        own &= names == reviewer
    state = np.zeros(len(samples), dtype=np.int8)
    for code, chosen in ((STALE, own & is_stale), (REVIEWED, own & ~is_stale)):
        state[at[chosen]] = code
    # Fresh reviews speak for a sample where there are any.
    speaking = own.copy()
    speaking[own] = is_stale[own] == (state[at[own]] == STALE)
    asked = samples.positions(assignments["sample_id"])
    dealt = asked >= 0
    return Queue(
        samples=samples,
        state=state,
        assigned=_joined(asked[dealt], assignments["reviewer"].to_numpy(dtype=object)[dealt]),
        reviewers=_joined(at[at >= 0], names[at >= 0]),
        labels={name: shared_labels(at[speaking].tolist(), reviews[name][speaking]) for name in LABELS},
    )


def _joined(positions: Positions, names: NDArray[Any]) -> dict[int, str]:
    """The names at each position, in their order."""
    joined: dict[int, str] = {}
    for at, name in zip(positions.tolist(), names, strict=True):
        joined[at] = f"{joined[at]}, {name}" if at in joined else name
    return joined


def shared_labels(keys: Iterable[_Key], labels: Iterable[str | None]) -> dict[_Key, str | None]:
    """The label that all reviews of a sample share, by what stands for the sample; `DISAGREE` where they do not."""
    shared: dict[_Key, str | None] = {}
    for key, label in zip(keys, labels, strict=True):
        shared[key] = label if shared.setdefault(key, label) == label else DISAGREE
    return shared
