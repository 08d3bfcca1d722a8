"""The samples that several comparisons with one old version share, side by side."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from muscle_core.comparison.comparison import Comparison
from muscle_core.comparison.matching import match_ids

Flags = NDArray[np.bool_]


class SharedRows(NamedTuple):
    """Some samples of one comparison.

    Attributes:
        comparison: of the old version with another.
        rows: of its matched samples, in the order that all comparisons share.
    """

    comparison: Comparison
    rows: NDArray[np.int64]

    def where(self, keep: Flags) -> SharedRows:
        """Those of the samples that are kept."""
        return self._replace(rows=self.rows[keep])

    def ids(self) -> pa.Array:
        """Their ids."""
        return self.comparison.rows.ids.take(pa.array(self.rows))

    @property
    def judged(self) -> Flags:
        """Whether both versions have a right or wrong."""
        return self.comparison.rows.judged[self.rows]

    @property
    def right(self) -> Flags:
        """Whether the new version is known to be right."""
        return self.comparison.rows.new_right[self.rows]

    @property
    def flipped(self) -> Flags:
        """Whether it is a negative flip; of judged samples."""
        matched = self.comparison.rows
        return matched.old_right[self.rows] & ~matched.new_right[self.rows]

    def score(self, name: str) -> NDArray[np.float64]:
        """A score under the new version."""
        return self.comparison.rows.scores[name][1][self.rows]

    def change(self, name: str) -> NDArray[np.float64]:
        """How far a score moved."""
        old, new = self.comparison.rows.scores[name]
        return new[self.rows] - old[self.rows]


def shared_rows(first: Comparison, *others: Comparison) -> list[SharedRows]:
    """The samples that all comparisons hold, in the order of the first; one entry a comparison."""
    ids = first.rows.ids
    places = [np.arange(len(ids))]
    for other in others:
        found = match_ids(ids, other.rows.ids)  # ids are unique in each
        place = np.full(len(ids), -1)
        place[found.old_rows] = found.new_rows
        places.append(place)
    keep = np.all([place >= 0 for place in places], axis=0)
    return [SharedRows(one, place[keep]) for one, place in zip((first, *others), places, strict=True)]
