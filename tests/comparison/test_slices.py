"""Slices against a slow count and SciPy, planted slices, chance, order, and columns that cannot be sliced by."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import false_discovery_control, fisher_exact, hypergeom, mannwhitneyu

from muscle_core.comparison.outcomes import hypergeometric_tail
from muscle_core.comparison.slices import find_slices, left_out, slice_table
from muscle_core.errors import ConfigError, DataError
from muscle_core.metrics import rate


def samples(n: int = 400, seed: int = 0, planted: float = 0.0) -> pd.DataFrame:
    """Samples with a class, a length and a subject; `planted` flips more where class is b and subject is law."""
    draw = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "sample_id": [f"s{i}" for i in range(n)],
            "label": draw.choice(["a", "b", "c"], n),
            "length": draw.integers(1, 500, n),
            "subject": pd.array(draw.choice(["law", "art", None], n), dtype="str"),
        }
    )
    chance = np.where((frame["label"] == "b") & (frame["subject"] == "law"), 0.1 + planted, 0.1)
    frame["quadrant"] = np.where(draw.random(n) < chance, "Q4", draw.choice(["Q1", "Q2", "Q3"], n))
    return frame


COLUMNS = ["label", "length", "subject"]


def value_of(row: dict, column: str) -> str:
    if column == "length":
        return f"{row[column]}"
    return "(missing)" if not isinstance(row[column], str) else row[column]


def meets(row: dict, column: str, value: str) -> bool:
    if column == "length":
        low, _, high = value.partition(" to ")
        return int(low) <= row[column] <= int(high or low)
    return value_of(row, column) == value


def slow_row(rows: list[dict], conditions: list[tuple[str, str]]) -> tuple[int, int, int, int]:
    inside = [row for row in rows if all(meets(row, *condition) for condition in conditions)]
    rest = [row for row in rows if not all(meets(row, *condition) for condition in conditions)]
    return (
        len(inside),
        sum(row["quadrant"] == "Q4" for row in inside),
        len(rest),
        sum(row["quadrant"] == "Q4" for row in rest),
    )


def check_row(row: dict, rows: list[dict]) -> float:
    """Compare a row with a slow count; returns the p of SciPy."""
    conditions = list(zip(row["column"].split(" and "), row["value"].split(" and "), strict=True))
    n, flips, rest_n, rest_flips = slow_row(rows, conditions)
    wilson = rate(flips, n)
    assert (row["n"], row["negative_flips"], row["rest_n"]) == (n, flips, rest_n)
    assert row["nfr"] == pytest.approx(wilson.value, abs=1e-15)
    assert row["nfr_low"] == pytest.approx(wilson.low, abs=1e-14)
    assert row["nfr_high"] == pytest.approx(wilson.high, abs=1e-14)
    assert row["rest_nfr"] == pytest.approx(rest_flips / rest_n, abs=1e-15)
    assert row["slice"] == " and ".join(f"{column} = {value}" for column, value in conditions)
    p = fisher_exact([[flips, n - flips], [rest_flips, rest_n - rest_flips]], alternative="greater").pvalue
    assert row["p"] == pytest.approx(p, rel=1e-8, abs=1e-300)
    return float(p)


@pytest.mark.parametrize("seed", range(4))
def test_every_figure_of_the_table_is_that_of_a_slow_count(seed: int) -> None:
    frame = samples(300, seed)
    rows = frame.to_dict("records")
    table = slice_table(frame, COLUMNS, minimum=1)
    p = [check_row(row, rows) for row in table.to_dict("records")]
    assert list(table["p_adjusted"]) == pytest.approx(list(false_discovery_control(p)), rel=1e-8)
    for _, group in table.groupby("column"):
        assert group["n"].sum() == 300
        assert group["negative_flips"].sum() == (frame["quadrant"] == "Q4").sum()


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_the_search_tests_what_a_slow_search_tests(depth: int) -> None:
    frame = samples(300, 5, planted=0.4)
    rows, minimum = frame.to_dict("records"), 15
    singles = slice_table(frame, COLUMNS, minimum=1)
    conditions = list(zip(singles["column"], singles["value"], strict=True))
    slow = {}
    for size in range(1, depth + 1):
        for chosen in combinations(conditions, size):
            if len({column for column, _ in chosen}) < size:
                continue
            n, flips, rest_n, rest_flips = slow_row(rows, list(chosen))
            if n >= minimum:
                slow[" and ".join(f"{c} = {v}" for c, v in chosen)] = [
                    [flips, n - flips],
                    [rest_flips, rest_n - rest_flips],
                ]
    p = [fisher_exact(table, alternative="greater").pvalue for table in slow.values()]
    adjusted = dict(zip(slow, false_discovery_control(p), strict=True))
    found = find_slices(frame, COLUMNS, depth=depth, minimum=minimum, top=1000)
    assert found.attrs["tested"] == len(slow)
    for row in found.to_dict("records"):
        check_row(row, rows)
        assert row["p_adjusted"] == pytest.approx(adjusted[row["slice"]], rel=1e-8)
    keys = list(zip(found["p_adjusted"], -found["nfr"], strict=True))
    assert keys == sorted(keys)


def test_a_planted_slice_is_first_and_significant() -> None:
    for seed in range(5):
        found = find_slices(samples(600, seed, planted=0.5), COLUMNS, minimum=20)
        assert found["slice"].iloc[0] == "label = b and subject = law"
        assert found["p_adjusted"].iloc[0] < 0.05
        assert found["conditions"].iloc[0] == 2


def test_what_adds_nothing_to_a_parent_is_counted_but_not_shown() -> None:
    draw = np.random.default_rng(1)
    frame = pd.DataFrame({"cause": draw.choice(["x", "y"], 2000), "noise": draw.choice(["p", "q"], 2000)})
    frame["copy"] = frame["cause"]
    frame["quadrant"] = np.where(draw.random(2000) < np.where(frame["cause"] == "x", 0.3, 0.05), "Q4", "Q1")
    found = find_slices(frame, ["cause", "noise", "copy"], top=100)
    assert list(found["slice"][:2]) == ["cause = x", "copy = x"]
    assert (found["conditions"] == 1).all()
    # 6 single conditions; 4 pairs of each with noise are tested, those of cause and copy select what cause does alone.
    assert found.attrs["tested"] == 6 + 8


def test_shuffled_flips_give_no_significant_slice_in_95_percent_of_400_repetitions() -> None:
    frame = samples(500, 3, planted=0.3)
    quadrants = frame["quadrant"].to_numpy()
    hits = {"table": 0, "search": 0}
    for seed in range(400):
        shuffled = frame.assign(quadrant=np.random.default_rng(seed).permutation(quadrants))
        hits["table"] += bool((slice_table(shuffled, COLUMNS)["p_adjusted"] < 0.05).any())
        hits["search"] += bool((find_slices(shuffled, COLUMNS)["p_adjusted"] < 0.05).any())
    assert hits["table"] <= 0.05 * 400
    assert hits["search"] <= 0.05 * 400


@given(st.randoms(use_true_random=False), st.integers(1, 40))
@settings(max_examples=25, deadline=None)
def test_the_order_of_the_samples_does_not_matter(random, minimum: int) -> None:
    frame = samples(120, 7, planted=0.4)
    order = list(range(len(frame)))
    random.shuffle(order)
    for make in (slice_table, find_slices):
        pd.testing.assert_frame_equal(
            make(frame, COLUMNS, minimum=minimum), make(frame.iloc[order], COLUMNS, minimum=minimum), check_exact=True
        )


@given(
    st.integers(1, 400).flatmap(
        lambda size: st.tuples(st.just(size), st.integers(0, size), st.integers(0, size)).flatmap(
            lambda s: st.tuples(*map(st.just, s), st.integers(0, min(s[1], s[2])))
        )
    )
)
@settings(max_examples=300, deadline=None)
def test_the_exact_test_is_that_of_scipy(case: tuple[int, int, int, int]) -> None:
    size, marked, drawn, count = case
    ours = hypergeometric_tail(*(np.array([v], dtype=float) for v in (count, drawn, marked, size)))[0]
    assert ours == pytest.approx(hypergeom.sf(count - 1, size, marked, drawn), rel=1e-9, abs=1e-13)


def test_the_exact_test_keeps_its_digits_far_out() -> None:
    count, drawn, marked, size = np.array([500.0, 90, 3]), np.array([3000.0, 100, 10]), np.array([6000.0, 100, 10]), 1e5
    expected = [hypergeom.sf(c - 1, size, m, d) for c, d, m in zip(count, drawn, marked, strict=True)]
    assert hypergeometric_tail(count, drawn, marked, size) == pytest.approx(expected, rel=1e-7)


def test_missing_values_are_a_value() -> None:
    frame = samples(300, 2).assign(gap=[math.nan, 1.0, None] * 100, flag=pd.array([True, None, False] * 100, "boolean"))
    table = slice_table(frame, ["gap", "flag"]).set_index("slice")["n"].to_dict()
    assert table == {"gap = 1": 100, "gap = (missing)": 200} | {
        f"flag = {v}": 100 for v in ("False", "True", "(missing)")
    }


def test_numbers_fall_into_quarters_of_numbers_that_occur() -> None:
    frame = samples(400, 2).assign(number=[*range(398), None, math.nan], few=[1, 2, 10, 9] * 100)
    frame["text"] = [str(v) for v in range(400)]
    table = slice_table(frame, ["number", "few", "text"], minimum=1)
    assert list(table["slice"][:5]) == [
        "number = 0 to 99",
        "number = 100 to 198",
        "number = 199 to 298",
        "number = 299 to 397",
        "number = (missing)",
    ]
    assert list(table["value"][5:9]) == ["1", "2", "9", "10"]
    assert list(table["slice"][9:]) == [f"text = {low} to {low + 99}" for low in range(0, 400, 100)]


def test_what_cannot_be_sliced_by_is_left_out_and_named() -> None:
    frame = samples(200, 1).assign(
        constant="same",
        nothing=None,
        tags=[["x"]] * 200,
        details=[{"a": 1}] * 200,
        essay=["word " * 60 + str(i % 2) for i in range(200)],
        kind=["big"] * 180 + ["tiny"] * 15 + ["rare"] * 5,
    )
    columns = ["constant", "nothing", "tags", "details", "essay", "sample_id", "kind", "label"]
    for make in (slice_table, find_slices):
        table = make(frame, columns)
        assert set(table["column"]) == {"kind", "label"}
        reasons = {entry["column"]: entry for entry in table.attrs["left_out"]}
        assert reasons["constant"]["reason"] == "holds one value only, same"
        assert reasons["nothing"]["reason"] == "holds no value"
        assert reasons["tags"]["reason"] == reasons["details"]["reason"] == "holds lists or objects, not single values"
        assert "texts" in reasons["essay"]["reason"]
        assert reasons["sample_id"]["reason"].startswith("200 different values")
        assert reasons["kind"]["what"] == "2 values: tiny (15), rare (5)"
        assert reasons["kind"]["samples"] == 20
        assert len(left_out(table)) == len(reasons) == 7


def test_nothing_left_to_slice_by_is_an_empty_table_that_says_why() -> None:
    for make in (slice_table, find_slices):
        table = make(samples(100).assign(same=1), ["same"])
        assert table.empty
        assert list(table.columns)[:3] == ["slice", "column", "value"]
        assert left_out(table) == ["same: the column (100 samples): holds one value only, 1"]


def test_samples_without_a_right_or_wrong_are_not_counted_and_named() -> None:
    frame = samples(200, 1)
    frame.loc[:49, "quadrant"] = None
    table = slice_table(frame, ["label"], minimum=1)
    assert table["n"].sum() == 150
    assert left_out(table) == ["50 samples without a right or wrong (or score) in both versions"]


def test_slices_of_a_score_against_a_slow_count_and_scipy() -> None:
    draw = np.random.default_rng(4)
    frame = samples(300, 4).drop(columns="quadrant").assign(quadrant=None)
    worse = np.where(frame["label"] == "b", 0.4, 0.0)
    frame["delta_rouge1"] = np.round(draw.normal(0.1, 0.2, 300) - worse, 2)  # with ties
    table = slice_table(frame, COLUMNS, minimum=5)
    assert "nfr" not in table
    for row in table.to_dict("records"):
        inside = np.array([meets(r, row["column"], row["value"]) for r in frame.to_dict("records")])
        loss = np.maximum(-frame["delta_rouge1"].to_numpy(), 0)
        assert (row["n"], row["rest_n"]) == (inside.sum(), (~inside).sum())
        assert row["regression"] == pytest.approx(loss[inside].mean())
        assert row["rest_regression"] == pytest.approx(loss[~inside].mean())
        half = 1.959963984540054 * loss[inside].std(ddof=1) / math.sqrt(inside.sum())
        assert row["regression_high"] == pytest.approx(loss[inside].mean() + half)
        assert row["regression_low"] == pytest.approx(max(0.0, loss[inside].mean() - half))
        expected = mannwhitneyu(loss[inside], loss[~inside], alternative="greater", method="asymptotic").pvalue
        assert row["p"] == pytest.approx(expected, rel=1e-9)
    found = find_slices(frame, COLUMNS)
    assert found["slice"].iloc[0] == "label = b"
    assert found["p_adjusted"].iloc[0] < 0.05
    assert (
        slice_table(samples(300, 4).assign(delta_x=frame["delta_rouge1"]), ["label"], score="x").columns[4]
        == "regression"
    )


@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        (["nope"], {}, "no column 'nope'"),
        ([], {}, "at least one column"),
        (["label", "label"], {}, "named twice"),
        (["label"], {"minimum": 0}, "minimum is 0"),
        (["label"], {"confidence": 1.0}, "confidence"),
        (["label"], {"depth": 4}, "depth is 4"),
        (["label"], {"top": 0}, "top is 0"),
    ],
)
def test_options_that_cannot_be_are_refused(columns: list[str], options: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        find_slices(samples(100), columns, **options)


def test_nothing_to_count_is_refused() -> None:
    with pytest.raises(DataError, match="right or wrong"):
        slice_table(samples(100).assign(quadrant=None), ["label"])
    with pytest.raises(DataError, match="rouge1"):
        slice_table(samples(100), ["label"], score="rouge1")


def test_two_values_that_read_alike_are_one() -> None:
    mixed = pd.Series([1, "1", 1.0, "", None, " "] * 50, dtype=object)
    table = slice_table(samples(300, 1).assign(mixed=mixed), ["mixed"]).set_index("value")["n"].to_dict()
    assert table == {"1": 150, "(missing)": 150}
