"""The rule that chooses the flips to show: the largest losses, spread over causes and slices, in any order of rows."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from muscle_core.comparison import compare
from muscle_core.report import telling_samples

FLIPS: Any = SimpleNamespace(counts=object(), score=None, tau=0.0)


def frame(losses: list[float], causes: list[str], parts: list[str]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "sample_id": [f"s{n:03d}" for n in range(len(losses))],
            "quadrant": "Q4",
            "old_margin": losses,
            "new_margin": 0.0,
            "cause": causes,
            "meta.part": parts,
        }
    )


ROWS = st.lists(
    st.tuples(st.integers(0, 5).map(float), st.sampled_from(["x", "y", "z"]), st.sampled_from(["p", "q"])),
    min_size=1,
    max_size=25,
)


@given(ROWS, st.integers(0, 30), st.randoms())
@settings(max_examples=60)
def test_the_choice_does_not_depend_on_the_order_and_is_spread_over_causes(
    rows: list[tuple[float, str, str]], limit: int, random: Any
) -> None:
    samples = frame(*(list(column) for column in zip(*rows, strict=True)))
    chosen = telling_samples(samples, FLIPS, limit, spread_column="meta.part").rows
    assert len(chosen) == min(limit, len(samples))
    assert chosen["sample_id"].is_unique
    order = list(range(len(samples)))
    random.shuffle(order)
    again = telling_samples(samples.iloc[order], FLIPS, limit, spread_column="meta.part").rows
    assert list(again["sample_id"]) == list(chosen["sample_id"])
    # The causes take turns: no cause has two more than another that still has flips left.
    taken, there = chosen["cause"].value_counts(), samples["cause"].value_counts()
    for cause in there.index:
        if taken.get(cause, 0) < there[cause]:
            assert all(taken.get(other, 0) <= taken.get(cause, 0) + 1 for other in there.index)


@given(ROWS, st.integers(1, 10))
@settings(max_examples=40)
def test_without_slices_each_cause_gives_its_largest_losses(rows: list[tuple[float, str, str]], limit: int) -> None:
    samples = frame(*(list(column) for column in zip(*rows, strict=True)))
    chosen = telling_samples(samples, FLIPS, limit).rows
    for cause, group in chosen.groupby("cause"):
        of_cause = samples[samples["cause"] == cause].sort_values(["old_margin", "sample_id"], ascending=[False, True])
        assert list(group["sample_id"]) == list(of_cause["sample_id"])[: len(group)]


def test_slices_take_turns_within_a_cause() -> None:
    samples = frame([9.0, 8.0, 7.0, 1.0], ["x"] * 4, ["p", "p", "p", "q"])
    chosen = telling_samples(samples, FLIPS, 2, spread_column="meta.part")
    assert list(chosen.rows["sample_id"]) == ["s000", "s003"]
    assert "slice of “part”" in chosen.rule
    assert chosen.loss_name == "loss of margin"


def test_flips_without_a_known_loss_come_in_the_order_of_their_ids_and_the_rule_says_so() -> None:
    samples = frame([1.0, 2.0], ["x", "x"], ["p", "p"]).drop(columns=["old_margin", "new_margin"])
    chosen = telling_samples(samples.iloc[::-1], FLIPS, 5)
    assert list(chosen.rows["sample_id"]) == ["s000", "s001"]
    assert "no measure of loss is known" in chosen.rule


def test_a_missing_margin_comes_last() -> None:
    samples = frame([np.nan, 2.0, 3.0], ["x"] * 3, ["p"] * 3)
    assert list(telling_samples(samples, FLIPS, 3).rows["sample_id"]) == ["s002", "s001", "s000"]


def test_a_score_is_ranked_by_its_fall() -> None:
    old = pd.DataFrame({"sample_id": list("abcd"), "prediction": "t", "rouge1": [0.9, 0.5, 0.5, 0.2]})
    new = old.assign(rouge1=[0.4, 0.4, 0.6, 0.2])
    comparison = compare(old, new, task_kind="summarization", old_name="old", new_name="new", tau=0.05)
    chosen = telling_samples(comparison.samples, comparison, 9)
    assert list(chosen.rows["sample_id"]) == ["a", "b"]
    assert (chosen.total, chosen.loss_name) == (2, "fall of ROUGE-1")
    assert list(chosen.rows["loss"]) == pytest.approx([0.5, 0.1])


def test_nothing_to_show_is_no_error() -> None:
    samples = frame([1.0], ["x"], ["p"]).assign(quadrant="Q1")
    assert len(telling_samples(samples, FLIPS, 5).rows) == 0
