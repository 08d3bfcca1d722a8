"""Filters and orders over columns against the same thing written with plain Python, one sample after another."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from muscle_core.comparison import compare
from muscle_core.comparison.conditions import Column, read_column
from muscle_core.comparison.sample_filter import (
    BY_ID,
    DATASET_ORDER,
    GAIN,
    LONGEST,
    LOSS,
    NEW_WRONG,
    QUADRANTS,
    SHORTEST,
    SUREST,
    SampleColumns,
    SampleFilter,
    ScoreRange,
    orders_of,
    passing,
    read_range,
    read_slices,
    view_of,
)
from muscle_core.comparison.view import neighbours, page_count

# Letters whose upper and lower case are one to one, a letter of two code points, signs of regular expressions, and NUL.
LETTERS = "aBzÄöéПя中 .*(\\%\0e\u0301"
ROW = st.fixed_dictionaries(
    {
        "old": st.sampled_from([None, "0", "1", "ä"]),
        "new": st.sampled_from([None, "0", "1", "ä"]),
        "compat": st.sampled_from([None, "0", "1"]),
        "old_right": st.sampled_from([None, True, False]),
        "new_right": st.sampled_from([None, True, False]),
        "compat_right": st.sampled_from([None, True, False]),
        "margins": st.tuples(*[st.sampled_from([math.nan, -1.5, 0.0, 2.0])] * 2),
        "scores": st.tuples(*[st.sampled_from([0.0, 0.25, 0.5, 1.0])] * 2),
        "input": st.one_of(st.none(), st.text(LETTERS, max_size=6)),
        "kind": st.sampled_from([None, "toy", "tool"]),
        "cause": st.sampled_from([None, "near tie", "other"]),
    }
)
SEARCH = st.lists(st.sampled_from(["a", "A", "ö", "é", "z ", "П", ".", "\\", "%", "\0", "s0", "S01", "中"]), max_size=2)
PARTS = {
    "quadrant": st.sampled_from([*QUADRANTS, "Q9"]),
    "cause": st.sampled_from(["near tie", "nothing"]),
    "search": st.one_of(SEARCH.map(" ".join), st.text(LETTERS, max_size=3)),
    "slices": st.lists(
        st.sampled_from([("kind", "toy"), ("kind", "(missing)"), ("kind", "no value"), ("no field", "x")]), max_size=2
    ).map(tuple),
    "change": st.builds(
        ScoreRange,
        st.sampled_from(["f", "f", "no score"]),
        st.sampled_from([None, -0.5, 0.0]),
        st.just(0.5) | st.none(),
    ),
    "right": st.lists(st.sampled_from(["old", "new", "compat", "nobody"]), max_size=2, unique=True).map(tuple),
    "wrong": st.lists(st.sampled_from(["compat", "nobody"]), max_size=1).map(tuple),
    "differ": st.booleans(),
}
# Mostly one or two at once: all of them together leave nothing, and would prove nothing.
FILTER = st.lists(st.sampled_from(sorted(PARTS)), max_size=3, unique=True).flatmap(
    lambda names: st.builds(SampleFilter, **{name: PARTS[name] for name in names})
)
ORDERS = (DATASET_ORDER, SUREST, NEW_WRONG, LOSS + "f", GAIN + "f", SHORTEST, LONGEST, BY_ID, "no order")


def table(rows: list[dict[str, Any]], side: int) -> pa.Table:
    name = ("old", "new")[side]
    return pa.table(
        {
            # Ids in an order of their own, so that the order by id is not that of the dataset.
            "sample_id": [f"s{(7 * number) % 1000:03d}" for number in range(len(rows))],
            "prediction": pa.array([row[name] for row in rows], pa.string()),
            "correct": pa.array([row[f"{name}_right"] for row in rows], pa.bool_()),
            "margin": pa.array([row["margins"][side] for row in rows], pa.float64()),
            "f": pa.array([row["scores"][side] for row in rows], pa.float64()),
        }
    )


def columns_of(rows: list[dict[str, Any]]) -> SampleColumns:
    compared = compare(table(rows, 0), table(rows, 1), task_kind="math", old_name="old", new_name="new").rows
    correct = {
        "old": compared.old_correct,
        "new": compared.new_correct,
        "compat": pa.array([row["compat_right"] for row in rows], pa.bool_()),
    }
    inputs = pa.array([row["input"] for row in rows], pa.large_string())

    def condition(field: str) -> Column | None:
        return read_column(pd.Series([row["kind"] for row in rows]), "kind", 1)[0] if field == "kind" else None

    return SampleColumns(
        rows=compared,
        texts=lambda: [inputs, pa.array([row["old"] for row in rows], pa.large_string()), compared.ids],
        causes=lambda: pa.array([row["cause"] for row in rows], pa.large_string()),
        condition=condition,
        correct=correct.get,
        input_lengths=lambda: np.array([len(row["input"] or "") for row in rows]),
        differs=lambda: np.array([len({row["old"], row["new"], row["compat"]}) > 1 for row in rows]),
    )


def slow_passes(
    row: dict[str, Any], identity: str, wanted: SampleFilter, *, any_judged: bool, values: set[str]
) -> bool:
    old, new = row["old_right"], row["new_right"]
    quadrant = (
        None if old is None or new is None else {(1, 1): "Q1", (0, 1): "Q2", (0, 0): "Q3", (1, 0): "Q4"}[old, new]
    )
    if wanted.quadrant in QUADRANTS and any_judged:
        if quadrant is None or quadrant != wanted.quadrant[:2]:
            return False
        if "-" in wanted.quadrant and (row["old"] == row["new"]) != wanted.quadrant.endswith("same"):
            return False
    if wanted.cause and row["cause"] != wanted.cause:
        return False
    if wanted.change and wanted.change.score == "f":
        delta = row["scores"][1] - row["scores"][0]
        if wanted.change.low is not None and delta < wanted.change.low:
            return False
        if wanted.change.high is not None and delta >= wanted.change.high:
            return False
    for names, answer in ((wanted.right, True), (wanted.wrong, False)):
        if any(name != "nobody" and row[f"{name}_right"] is not answer for name in names):
            return False
    if wanted.differ and row["old"] == row["new"] == row["compat"]:
        return False
    for field, value in wanted.slices:
        if field == "kind" and value in values and (row["kind"] or "(missing)") != value:
            return False
    texts = [row["input"] or "", row["old"] or "", identity]
    return all(any(re.search(re.escape(word), text, re.IGNORECASE) for text in texts) for word in wanted.search.split())


def slow_order(rows: list[dict[str, Any]], ids: list[str], keep: list[int], order: str) -> list[int]:
    def last_if_nan(value: float) -> tuple[bool, float]:
        return (math.isnan(value), 0.0 if math.isnan(value) else value)

    keys = {
        SUREST: lambda n: last_if_nan(
            math.nan
            if any(map(math.isnan, rows[n]["margins"]))
            else -min(rows[n]["margins"][0], -rows[n]["margins"][1])
        ),
        NEW_WRONG: lambda n: last_if_nan(rows[n]["margins"][1]),
        LOSS + "f": lambda n: rows[n]["scores"][1] - rows[n]["scores"][0],
        GAIN + "f": lambda n: rows[n]["scores"][0] - rows[n]["scores"][1],
        SHORTEST: lambda n: len(rows[n]["input"] or ""),
        LONGEST: lambda n: -len(rows[n]["input"] or ""),
        BY_ID: lambda n: ids[n],
    }
    return sorted(keep, key=keys[order]) if order in keys else keep


@settings(max_examples=300, deadline=None)
@given(st.lists(ROW, min_size=1, max_size=12), FILTER, st.sampled_from(ORDERS))
def test_the_view_is_that_of_plain_python(rows: list[dict[str, Any]], wanted: SampleFilter, order: str) -> None:
    columns = columns_of(rows)
    ids = columns.rows.ids.to_pylist()
    any_judged = any(row["old_right"] is not None and row["new_right"] is not None for row in rows)
    kinds = {row["kind"] for row in rows}
    # A field without a single value is none.
    values = {kind or "(missing)" for kind in kinds} if kinds != {None} else set()
    keep = [
        number
        for number, (row, identity) in enumerate(zip(rows, ids, strict=True))
        if slow_passes(row, identity, wanted, any_judged=any_judged, values=values)
    ]
    view = view_of(wanted, order, columns)
    expected = [ids[number] for number in slow_order(rows, ids, keep, order)]
    assert view.ids_at(0, len(rows)) == expected
    assert len(view) == len(expected)
    mask = passing(wanted, columns)
    assert (np.flatnonzero(mask).tolist() if mask is not None else list(range(len(rows)))) == keep
    for position, identity in enumerate(expected):
        found = neighbours(view, identity)
        assert found.before == (expected[position - 1] if position else None)
        assert found.after == (expected[position + 1] if position + 1 < len(expected) else None)
        assert (found.position, found.total) == (position + 1, len(expected))
    for identity in {*ids, "no id"} - set(expected):
        assert neighbours(view, identity) == (None, expected[0] if expected else None, None, len(expected))


def test_a_search_is_that_of_plain_python() -> None:
    row = {**dict.fromkeys(("kind", "cause", "compat", "new", "compat_right")), "old_right": True, "new_right": True}
    row |= {"margins": (0.0, 0.0), "scores": (0.0, 0.0)}
    letters = [*LETTERS, *"AbZäÖП\n", "a\u0301", "(a", ""]
    rows = [{**row, "old": first, "input": second + first + "a"} for first in letters for second in letters]
    rows += [{**row, "old": None, "input": None}]
    columns = columns_of(rows)
    ids = columns.rows.ids.to_pylist()
    for word in [*letters, "s00", "S01", "a ä", "Z .", "  ", "za", "(A"]:
        wanted = SampleFilter(search=word)
        pairs = zip(rows, ids, strict=True)
        expected = [one for row, one in pairs if slow_passes(row, one, wanted, any_judged=True, values=set())]
        assert view_of(wanted, DATASET_ORDER, columns).ids_at(0, len(rows)) == expected, word


@pytest.mark.parametrize(("rows", "pages"), [(0, 1), (1, 1), (25, 1), (26, 2), (50, 2), (51, 3)])
def test_pages_cover_the_view_once(rows: int, pages: int) -> None:
    row = dict.fromkeys(("input", "kind", "cause", "compat", "old"), None)
    row |= {"new": "0", "old_right": True, "new_right": False, "compat_right": None}
    columns = columns_of([{**row, "margins": (1.0, -1.0), "scores": (0.0, 0.0)}] * max(rows, 1))
    view = view_of(SampleFilter(quadrant="Q4" if rows else "Q1"), DATASET_ORDER, columns)
    assert page_count(len(view), 25) == pages
    parts = [view.ids_at(25 * page, 25 * page + 25) for page in range(pages)]
    assert [identity for part in parts for identity in part] == columns.rows.ids.to_pylist()[:rows]


def test_nothing_to_filter_costs_no_rows() -> None:
    row = dict.fromkeys(("input", "kind", "cause", "compat", "old", "new", "compat_right"))
    columns = columns_of([{**row, "old_right": True, "new_right": True, "margins": (1.0, 1.0), "scores": (1.0, 1.0)}])
    assert passing(SampleFilter(), columns) is None
    assert view_of(SampleFilter(), DATASET_ORDER, columns).rows is None
    assert orders_of(columns.rows)[:3] == [DATASET_ORDER, SUREST, NEW_WRONG]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("rouge1:-0.5:0", ScoreRange("rouge1", -0.5, 0.0)),
        ("rouge1::0", ScoreRange("rouge1", None, 0.0)),
        ("a:b:0.1:", ScoreRange("a:b", 0.1, None)),
        ("rouge1:-inf:0", ScoreRange("rouge1", -math.inf, 0.0)),
        ("rouge1::", None),
        ("rouge1:0.5:0.1", None),
        ("rouge1:nan:1", None),
        ("rouge1:x:1", None),
        (":0:1", None),
        ("rouge1", None),
        ("", None),
    ],
)
def test_a_change_of_score_is_read_or_ignored(text: str, expected: ScoreRange | None) -> None:
    assert read_range(text) == expected


def test_conditions_are_read_with_signs_in_their_values() -> None:
    values = {"topic": ["R&D", "R", "a=b"], "kind": ["toy"], "": [""]}
    read = lambda text: read_slices(text, values.get)  # noqa: E731
    assert read("topic=R&D&kind=toy") == (("topic", "R&D"), ("kind", "toy"))
    assert read("topic=R&kind=toy") == (("topic", "R"), ("kind", "toy"))
    assert read("topic=a=b") == (("topic", "a=b"),)
    assert read("no field=1&kind=toy&topic=no value&kind=toy") == (("kind", "toy"),)
    assert read("") == ()
    assert read("kind") == ()
