"""Pareto-optimal rows and the choice among strategies, against definitions written out in loops."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from muscle_core.comparison import compare_strategies, pool_seeds
from muscle_core.comparison.choice import choose_strategy
from muscle_core.comparison.pareto import Measures, measures_of, pareto
from muscle_core.comparison.table_text import compact_strategies
from muscle_core.errors import DataError

FLIPS = Measures("accuracy", "nfr")
VALUES = st.one_of(st.sampled_from([0.0, 0.1, 0.2, 0.5]), st.floats(0, 1), st.just(math.nan))
ROWS = st.lists(st.tuples(VALUES, VALUES, st.floats(0, 0.2), st.floats(0, 0.2)), min_size=1, max_size=14)


def frame_of(rows: list[tuple[float, float, float, float]]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "accuracy": accuracy,
                "accuracy_low": accuracy - wide,
                "accuracy_high": accuracy + wide,
                "nfr": nfr,
                "nfr_low": nfr - tall,
                "nfr_high": nfr + tall,
            }
            for accuracy, nfr, wide, tall in rows
        ]
    )


@given(ROWS)
def test_rows_are_sorted_as_defined(rows: list[tuple[float, float, float, float]]) -> None:
    known = [not (math.isnan(accuracy) or math.isnan(nfr)) for accuracy, nfr, *_ in rows]
    optimal, unclear, beaten = [], [], []

    def beats(first: int, second: int) -> bool:
        (a, f, *_), (b, g, *_) = rows[first], rows[second]
        return a >= b and f <= g and (a > b or f < g)

    for place in range(len(rows)):
        if known[place] and not any(beats(other, place) for other in range(len(rows))):
            optimal.append(place)
    for place, (accuracy, nfr, wide, tall) in enumerate(rows):
        if place in optimal:
            continue
        clear = False
        for other in optimal:
            a, f, w, t = rows[other]
            apart = a - w > accuracy + wide or f + t < nfr - tall
            clear = clear or (beats(other, place) and apart)
        (unclear if known[place] and not clear else beaten).append(place)
    assert pareto(frame_of(rows), FLIPS) == (optimal, unclear, beaten)


def test_intervals_that_overlap_are_not_told_apart() -> None:
    close = frame_of([(0.6, 0.05, 0.02, 0.01), (0.59, 0.055, 0.02, 0.01), (0.5, 0.2, 0.02, 0.01)])
    assert pareto(close, FLIPS) == ([0], [1], [2])


def table(correct: np.ndarray) -> pd.DataFrame:
    ids = [f"s{number}" for number in range(len(correct))]
    return pd.DataFrame({"sample_id": ids, "prediction": np.where(correct, "0", "1"), "correct": correct})


def scored(values: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame({"sample_id": [f"s{n}" for n in range(len(values))], "prediction": "x", "rouge1": values})


def test_measures_are_flips_where_there_are_any_else_scores() -> None:
    old, new = table(np.array([True, False])), table(np.array([True, True]))
    names = {"old_name": "a", "new_name": "b"}
    assert measures_of(compare_strategies(old, new, {}, task_kind="math", **names)) == FLIPS
    values = [scored(np.array(v)) for v in ([0.1, 0.2], [0.3, 0.1])]
    frame = compare_strategies(*values, {}, task_kind="summarization", **names)
    assert measures_of(frame) == ("mean_score", "regression")
    assert frame.loc[0, "mean_score"] == pytest.approx(0.2)
    assert frame.loc[0, "mean_score_low"] <= 0.2 <= frame.loc[0, "mean_score_high"]
    with pytest.raises(DataError, match="compare them again"):
        measures_of(pd.DataFrame({"strategy": ["a"]}))


def chosen(old: pd.DataFrame, new: pd.DataFrame, variants: dict, kind: str = "multiple_choice"):
    frame = pool_seeds(old, new, variants, task_kind=kind, old_name="v1", new_name="v2")
    return choose_strategy(frame, old, variants, task_kind=kind), frame


def test_the_one_that_breaks_least_among_those_that_keep_the_gain() -> None:
    right = np.zeros(400, dtype=bool)
    right[:200] = True
    old = table(right)
    plain, good, other, costly = (right.copy() for _ in range(4))
    plain[:60], plain[200:300] = False, True  # 60 flips, 100 gains
    good[:10], good[200:300] = False, True
    other[2:14], other[200:300] = False, True  # two more flips than good, on other samples
    costly[:2], costly[200:210] = False, True  # hardly flips, but the gain is lost
    bad = plain.copy()
    variants = {name: [table(values)] for name, values in (("good", good), ("other", other), ("bad", bad))}
    variants["costly"] = [table(costly)]
    choice, _ = chosen(old, table(plain), variants)
    assert (choice.name, choice.helps, choice.measures) == ("good", True, FLIPS)
    assert choice.keeping == ["good", "other", "bad"]
    assert choice.losing == ["costly"]
    assert choice.alike == ["other"]


def test_when_all_lose_the_gain_none_is_chosen_and_when_none_helps_it_is_said() -> None:
    right = np.zeros(400, dtype=bool)
    right[:200] = True
    plain, costly = right.copy(), right.copy()
    plain[:40], plain[200:300] = False, True
    choice, _ = chosen(table(right), table(plain), {"costly": [table(costly)]})
    assert (choice.name, choice.losing) == (None, ["costly"])
    choice, _ = chosen(table(right), table(plain), {"same": [table(plain), table(plain)]})
    assert (choice.name, choice.helps, choice.alike) == ("same", False, [])


def test_scores_are_chosen_by_regression_over_seeds() -> None:
    generator = np.random.default_rng(5)
    before = generator.uniform(0.2, 0.8, 300)
    plain = before + 0.1 + generator.normal(0, 0.15, 300)
    seeds = [before + 0.1 + generator.normal(0, 0.01, 300) for _ in range(2)]
    variants = {"steady": [scored(values) for values in seeds], "wild": [scored(plain)]}
    choice, frame = chosen(scored(before), scored(plain), variants, "summarization")
    assert (choice.name, choice.measures.harm, choice.helps, choice.alike) == ("steady", "regression", True, [])
    expected = np.mean([np.maximum(before - values, 0) for values in seeds])
    assert frame.set_index("strategy").loc["steady", "regression"] == pytest.approx(expected)
    assert frame.set_index("strategy").loc["steady", "mean_score"] == pytest.approx(np.mean(seeds))


def test_the_compact_table_holds_figure_and_interval_in_two_lines() -> None:
    right = np.arange(100) < 60
    plain = (np.arange(100) < 80) & (np.arange(100) > 9)
    frame = pool_seeds(
        table(right),
        table(plain),
        {"a": [table(right)] * 2},
        task_kind="math",
        old_name="v1",
        new_name="v2",
    )
    frame = frame.assign(label=frame["strategy"], seed_list=[None, "0, 1"])
    compact = compact_strategies(frame)
    assert list(compact.columns) == ["strategy", "NFR, %", "change", "accuracy, %", "change "]
    assert list(compact["strategy"]) == ["v2\nplain new version", "a\nseeds 0, 1"]
    assert compact.loc[1, "NFR, %"].startswith("0.0\n0.0 to ")
    assert compact.loc[1, "change"].splitlines()[0] == "-10.0"
    assert compact.loc[0, "change"] == "–"
    assert compact.loc[0, "accuracy, %"].splitlines()[0] == "70.0"
