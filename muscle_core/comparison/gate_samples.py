"""The samples of a gate: both versions must hold exactly the same ones, once each, judged, with one right answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

import pandas as pd

from muscle_core.comparison.join import check_columns
from muscle_core.errors import DataError, raise_all

_SHOWN = 5  # ids named for each problem


def check_samples(
    old: pd.DataFrame,
    new: pd.DataFrame,
    old_name: str,
    new_name: str,
    golds: Mapping[str, str] | None,
    named: Mapping[str, Collection[str]],
) -> None:
    """Refuse two prediction tables that do not hold the same samples; list all problems.

    Args:
        old: predictions of the old version.
        new: predictions of the new version.
        old_name: name of the old version.
        new_name: name of the new version.
        golds: right answer of every sample that both must hold, by id; None where only the tables tell.
        named: ids that must exist, by what is done with them.

    Raises:
        DataError: a sample is missing, unknown, doubled, not judged, or its right answer is another one.
    """
    check_columns([(old_name, old), (new_name, new)])
    sides = [_Side(old_name, old), _Side(new_name, new)]
    expected = set(golds) if golds is not None else sides[0].ids | sides[1].ids
    problems = []
    if not sides[0].ids & sides[1].ids:
        problems.append(f"no sample is in both {old_name} and {new_name}")
    # Where any sample is right or wrong, all of them must be: a rate over the judged ones would hide the others.
    judged = any(side.judged for side in sides)
    for side in sides:
        problems += side.problems(expected, judged)
    right = golds if golds is not None else sides[0].golds
    for side in sides if golds is not None else sides[1:]:
        changed = [key for key, gold in side.golds.items() if key in right and right[key] != gold]
        if changed:
            other = "the dataset" if golds is not None else old_name
            problems.append(f"{side.name} has another right answer than {other} for {some(changed)}")
    for what, ids in named.items():
        unknown = sorted(set(ids) - expected)
        if unknown:
            problems.append(f"{what}, but not among the samples: {some(unknown)}")
    raise_all(dict.fromkeys(problems), DataError, "the gate cannot judge these samples")


class _Side:
    """One version's table."""

    def __init__(self, name: str, table: pd.DataFrame) -> None:
        self.name = name
        self.all_ids = _texts(table, "sample_id")
        self.ids = {key for key in self.all_ids if key}
        judged = table["correct"].notna() if "correct" in table else [False] * len(table)
        self.unjudged = [str(key) for key, is_known in zip(self.all_ids, judged, strict=True) if not is_known]
        self.judged = len(self.unjudged) < len(self.all_ids)
        golds = _texts(table, "gold") if "gold" in table else [None] * len(table)
        self.golds = {key: gold for key, gold in zip(self.all_ids, golds, strict=True) if key and gold is not None}

    def problems(self, expected: set[str], judged: bool) -> Iterable[str]:
        doubled = sorted(key for key, times in Counter(self.all_ids).items() if key and times > 1)
        nameless = sum(not key for key in self.all_ids)
        missing, unknown = sorted(expected - self.ids), sorted(self.ids - expected)
        if nameless:
            yield f"{self.name} has {nameless:,} rows without an id"
        if doubled:
            yield f"{self.name} holds more than once: {some(doubled)}"
        if missing:
            yield f"{self.name} lacks {some(missing)}"
        if unknown:
            yield f"{self.name} holds what the dataset does not: {some(unknown)}"
        if judged and self.unjudged:
            yield f"{self.name} has neither right nor wrong for {some(self.unjudged)}"


def _texts(table: pd.DataFrame, column: str) -> list[str | None]:
    return [None if pd.isna(value) else str(value) for value in table[column]]


def some(ids: Sequence[str]) -> str:
    """A count of samples and the first of their ids."""
    more = f" and {len(ids) - _SHOWN:,} more" if len(ids) > _SHOWN else ""
    count = "1 sample" if len(ids) == 1 else f"{len(ids):,} samples"
    return f"{count} ({', '.join(repr(key) for key in ids[:_SHOWN])}{more})"
