"""Slices of the samples of a comparison: where did the update break more than elsewhere?

`slice_table` shows every slice by the columns named; `find_slices` searches combinations of conditions for the worst.
Every p-value is one-sided (more negative flips than in the rest) and corrected by Benjamini and Hochberg for all
slices that were tested, not only for those shown: among the slices with p_adjusted below 0.05, at most 5 % are expected
to be chance. The search looks at the same samples that its figures are about: what it finds is a lead, to be checked on
other samples.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from muscle_core.comparison.conditions import Column, LeftOut, read_columns, small_values
from muscle_core.comparison.outcomes import Figures, Outcome, figures, outcome_of, worse_than_whole
from muscle_core.errors import ConfigError

DEEPEST = 3
_ADDS_SOMETHING = 0.05  # level at which a combination is worse than the rest of a parent, for all its children at once
_BLOCK = 256

Floats = NDArray[np.float64]


def slice_table(
    samples: pd.DataFrame,
    columns: Sequence[str],
    *,
    minimum: int = 30,
    confidence: float = 0.95,
    score: str | None = None,
) -> pd.DataFrame:
    """Every slice by each of the columns, in their order.

    Args:
        samples: one row a sample with `quadrant` ("Q1" to "Q4", or missing: not counted) and the columns; for scores
            with `delta_<score>`.
        columns: by which columns. Numbers with more than 10 different values fall into quarters.
        minimum: smallest number of samples of a slice; smaller ones are not tested.
        confidence: coverage of the intervals.
        score: make slices of the loss of this score; by default of negative flips where there are any quadrants.

    Returns:
        slice, column, value, n, negative_flips, nfr, nfr_low, nfr_high (Wilson), rest_n, rest_nfr, p (Fisher's exact
        test, one-sided), p_adjusted. Of a score `regression` in place of `nfr` and without `negative_flips`; see
        `muscle_core.comparison.outcomes` for its interval and test. `attrs["left_out"]` lists what is in no slice
        (column, what, samples, reason), `attrs["conditions"]` the (column, value) pairs of each row, `attrs["tested"]`
        the number of tests, `attrs["uncounted"]` the samples without a right or wrong (or score) in both versions.

    Raises:
        ConfigError: a column is missing or an option cannot be.
        DataError: nothing can be counted.
    """
    outcome, keep = outcome_of(samples, score)
    read, left_out = read_columns(samples, columns, keep, minimum)
    rows: list[tuple[str, str]] = []
    sizes: list[Floats] = [np.zeros(0)]
    sums: list[Floats] = [np.zeros((len(outcome.weights), 0))]
    for column in read:
        counts = np.bincount(column.codes, minlength=len(column.values)).astype(np.float64)
        large = np.flatnonzero(counts >= minimum)
        totals = [np.bincount(column.codes, weights=w, minlength=len(column.values)) for w in outcome.weights]
        rows += [(column.name, column.values[place]) for place in large]
        sizes.append(counts[large])
        sums.append(np.stack(totals)[:, large].astype(np.float64))
        if (small := small_values(column, minimum)) is not None:
            left_out.append(small)
    n, added = np.concatenate(sizes), np.concatenate(sums, axis=1)
    found = figures(outcome, n, added, confidence)
    named = [(f"{name} = {value}", name, value) for name, value in rows]
    table = _table(outcome, named, n, added, found, corrected(found.p))
    return _noted(table, left_out, len(table), keep, [[condition] for condition in rows])


def find_slices(
    samples: pd.DataFrame,
    columns: Sequence[str],
    *,
    depth: int = 2,
    minimum: int = 30,
    top: int = 20,
    confidence: float = 0.95,
    score: str | None = None,
) -> pd.DataFrame:
    """The worst slices among all combinations of up to `depth` conditions, one a column.

    Tested is every combination on `minimum` samples or more, but for those that select the same samples as one of their
    parts. A combination that is not clearly worse than the rest of each of its parents (p within the parent below 0.05,
    divided by the number of combinations tested in that parent) is tested and counted, but not shown: what it adds to
    the parent may be chance.

    Args:
        samples: as of `slice_table`.
        columns: as of `slice_table`.
        depth: most conditions of a slice, 1 to 3.
        minimum: smallest number of samples of a slice.
        top: most slices to return.
        confidence: coverage of the intervals, which are not corrected for the search.
        score: as of `slice_table`.

    Returns:
        The columns of `slice_table` and `conditions` (their number), by corrected p and then by rate, worst first;
        `attrs` as of `slice_table`.

    Raises:
        ConfigError, DataError: as `slice_table`.
    """
    if not 1 <= depth <= DEEPEST:
        raise ConfigError(f"a slice has 1 to {DEEPEST} conditions; the depth is {depth}")
    if top < 1:
        raise ConfigError(f"at least 1 slice is shown; top is {top}")
    outcome, keep = outcome_of(samples, score)
    read, left_out = read_columns(samples, columns, keep, minimum)
    left_out += [small for column in read if (small := small_values(column, minimum)) is not None]
    items = _items(read, outcome, minimum)
    tested = _all_combinations(items, outcome, depth, minimum)
    found = figures(outcome, tested.n, tested.sums, confidence)
    p_adjusted = corrected(found.p)
    names = [_name(items, combination) for combination in tested.items]
    order = (
        np.lexsort((np.array(names, dtype=object), -tested.n, -found.value, p_adjusted)) if names else np.zeros(0, int)
    )
    shown = _worth_showing(tested, outcome, order, top)
    table = _table(
        outcome,
        [(names[place], *_parts(items, tested.items[place])) for place in shown],
        tested.n[shown],
        tested.sums[:, shown],
        Figures(*(values[shown] for values in found)),
        p_adjusted[shown],
    )
    table.insert(3, "conditions", np.array([len(tested.items[place]) for place in shown], dtype=np.int64))
    conditions = [_conditions(items, tested.items[place]) for place in shown]
    return _noted(table, left_out, len(names), keep, conditions)


def left_out(table: pd.DataFrame) -> list[str]:
    """What a table of slices leaves out, one sentence each."""
    sentences = [
        f"{entry['column']}: {entry['what']} ({entry['samples']:,} samples): {entry['reason']}"
        for entry in table.attrs.get("left_out", [])
    ]
    if uncounted := table.attrs.get("uncounted", 0):
        sentences.append(f"{uncounted:,} samples without a right or wrong (or score) in both versions")
    return sentences


def corrected(p: Floats) -> Floats:
    """P-values corrected by Benjamini and Hochberg, for all tests at once."""
    from scipy.stats import false_discovery_control

    return np.asarray(false_discovery_control(p)) if len(p) else p


# ----------------------------------------------------------------------------------------------------- the search


class _Items(NamedTuple):
    """Single conditions that enough samples meet: which column and value each is, and who meets it."""

    columns: list[Column]
    column: NDArray[np.int64]
    value: NDArray[np.int64]
    met: NDArray[np.bool_]  # [samples, items]


class _Tested(NamedTuple):
    items: list[tuple[int, ...]]
    n: Floats
    sums: Floats  # [quantities, combinations]


def _items(columns: list[Column], outcome: Outcome, minimum: int) -> _Items:
    pairs = [
        (number, int(value))
        for number, column in enumerate(columns)
        for value in np.flatnonzero(np.bincount(column.codes, minlength=len(column.values)) >= minimum)
    ]
    met = np.zeros((outcome.weights.shape[1], len(pairs)), dtype=bool)
    for place, (number, value) in enumerate(pairs):
        met[:, place] = columns[number].codes == value
    return _Items(
        columns,
        np.array([number for number, _ in pairs], dtype=np.int64),
        np.array([value for _, value in pairs], dtype=np.int64),
        met,
    )


def _all_combinations(items: _Items, outcome: Outcome, depth: int, minimum: int) -> _Tested:
    """Counts and sums of all combinations that enough samples meet and that differ from each of their parts."""
    everyone = np.arange(items.met.shape[0])
    found: dict[tuple[int, ...], tuple[float, Floats]] = {}
    for combination, n, sums in _singles_and_pairs(items, outcome, everyone, (), depth):
        found[combination] = (n, sums)
    if depth == DEEPEST:
        for first in range(items.met.shape[1]):
            rows = np.flatnonzero(items.met[:, first])
            for combination, n, sums in _singles_and_pairs(items, outcome, rows, (first,), 2):
                if len(combination) == DEEPEST:
                    found[combination] = (n, sums)
    kept = [
        combination
        for combination, (size, _) in found.items()
        if size >= minimum and all(found[parent][0] > size for parent in _parents(combination))
    ]
    sizes = np.array([found[combination][0] for combination in kept], dtype=np.float64)
    quantities = len(outcome.weights)
    sums = np.array([found[combination][1] for combination in kept], dtype=np.float64).reshape(len(kept), quantities)
    return _Tested(kept, sizes, np.ascontiguousarray(sums.T))


def _singles_and_pairs(
    items: _Items, outcome: Outcome, rows: NDArray[np.int64], prefix: tuple[int, ...], depth: int
) -> Iterator[tuple[tuple[int, ...], float, Floats]]:
    """Each later item, and each pair of later items of two columns, together with the prefix, among some rows."""
    later = np.arange(prefix[-1] + 1 if prefix else 0, items.met.shape[1])
    later = later[~np.isin(items.column[later], items.column[list(prefix)])]
    if len(later) == 0 or len(rows) == 0:
        return
    met = items.met[np.ix_(rows, later)]
    counts, sums = _products(met, outcome, rows) if depth > 1 else _diagonals(met, outcome, rows)
    for first in range(len(later)):
        yield (*prefix, int(later[first])), counts[first, first], sums[:, first, first]
    if depth > 1:
        column = items.column[later]
        firsts, seconds = np.nonzero(np.triu(column[:, None] != column[None, :]) & (counts > 0))
        for first, second in zip(firsts.tolist(), seconds.tolist(), strict=True):
            combination = (*prefix, int(later[first]), int(later[second]))
            yield combination, counts[first, second], sums[:, first, second]


def _products(met: NDArray[np.bool_], outcome: Outcome, rows: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """How many samples meet both of two items, and the sums of the weights over them, for all pairs at once."""
    # Whole numbers up to 2**24 are exact in single precision, which is twice as fast.
    plain: NDArray[Any] = met.astype(np.float32 if len(met) < 2**24 else np.float64)
    counts = (plain.T @ plain).astype(np.float64)
    weights = outcome.weights[:, rows]
    if outcome.kind == "flips":
        flipped = plain[weights[0] > 0]
        return counts, (flipped.T @ flipped).astype(np.float64)[None]
    double = met.astype(np.float64)
    return counts, np.stack([double.T @ (double * weight[:, None]) for weight in weights])


def _diagonals(met: NDArray[np.bool_], outcome: Outcome, rows: NDArray[np.int64]) -> tuple[Floats, Floats]:
    sums = np.stack([weight @ met for weight in outcome.weights[:, rows]])
    return np.diag(met.sum(axis=0).astype(np.float64)), np.stack([np.diag(values) for values in sums])


def _parents(combination: tuple[int, ...]) -> list[tuple[int, ...]]:
    return [] if len(combination) == 1 else list(combinations(combination, len(combination) - 1))


def _worth_showing(tested: _Tested, outcome: Outcome, order: NDArray[np.int64], top: int) -> NDArray[np.int64]:
    """The first `top` places of an order, without combinations that are not clearly worse than the rest of a parent."""
    children = Counter(parent for combination in tested.items for parent in _parents(combination))
    place_of = {combination: place for place, combination in enumerate(tested.items)}
    shown: list[int] = []
    for start in range(0, len(order), _BLOCK):
        block = [int(place) for place in order[start : start + _BLOCK]]
        pairs = [
            (part, place_of[parent])
            for part in block
            for parent in _parents(tested.items[part])
            if parent in place_of  # else the parent selects what one of its own parts does, which is a parent here too
        ]
        adds = dict.fromkeys(block, True)
        if pairs:
            parts, wholes = np.array(pairs).T
            p = worse_than_whole(
                outcome, tested.n[parts], tested.sums[:, parts], tested.n[wholes], tested.sums[:, wholes]
            )
            limit = np.array([_ADDS_SOMETHING / children[tested.items[whole]] for whole in wholes])
            for part in parts[p > limit]:
                adds[int(part)] = False
        shown += [place for place in block if adds[place]]
        if len(shown) >= top:
            break
    return np.array(shown[:top], dtype=np.int64)


def _parts(items: _Items, combination: tuple[int, ...]) -> tuple[str, str]:
    columns, values = zip(*_conditions(items, combination), strict=True)
    return " and ".join(columns), " and ".join(values)


def _name(items: _Items, combination: tuple[int, ...]) -> str:
    return " and ".join(f"{column} = {value}" for column, value in _conditions(items, combination))


def _conditions(items: _Items, combination: tuple[int, ...]) -> list[tuple[str, str]]:
    columns = [items.columns[items.column[item]] for item in combination]
    return [(column.name, column.values[items.value[item]]) for column, item in zip(columns, combination, strict=True)]


# ------------------------------------------------------------------------------------------------------ the table


def _table(
    outcome: Outcome, named: list[tuple[str, str, str]], n: Floats, sums: Floats, found: Figures, p_adjusted: Floats
) -> pd.DataFrame:
    texts = {
        key: pd.array([row[at] for row in named], dtype="str") for at, key in enumerate(("slice", "column", "value"))
    }
    word, size = outcome.word, outcome.weights.shape[1]
    flips = {"negative_flips": sums[0].astype(np.int64)} if outcome.kind == "flips" else {}
    return pd.DataFrame(
        {
            **texts,
            "n": n.astype(np.int64),
            **flips,
            word: found.value,
            f"{word}_low": found.low,
            f"{word}_high": found.high,
            "rest_n": (size - n).astype(np.int64),
            f"rest_{word}": found.rest_value,
            "p": found.p,
            "p_adjusted": p_adjusted,
        }
    )


def _noted(
    table: pd.DataFrame,
    omitted: list[LeftOut],
    tested: int,
    keep: NDArray[np.bool_],
    conditions: list[list[tuple[str, str]]],
) -> pd.DataFrame:
    table.attrs = {
        "conditions": conditions,
        "left_out": [entry._asdict() for entry in omitted],
        "tested": tested,
        "uncounted": int(np.count_nonzero(~keep)),
    }
    return table
