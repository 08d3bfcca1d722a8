"""All pairs at once say what `compare` says of each pair."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from muscle_core.comparison import compare
from muscle_core.comparison.pair_map import MEASURES, pair_map
from muscle_core.errors import ConfigError

ANSWERS = st.sampled_from(["0", "1", "2", None])


def table(answers: list[str | None], missing: set[int], unjudged: set[int]) -> pd.DataFrame:
    """Predictions of samples whose right answer is "0"; some rows are missing, some not judged."""
    rows = [
        (f"s{n}", answer, None if n in unjudged else answer == "0", "0")
        for n, answer in enumerate(answers)
        if n not in missing
    ]
    frame = pd.DataFrame(rows, columns=["sample_id", "prediction", "correct", "gold"])
    return frame.astype({"prediction": "str", "correct": "boolean"})


@st.composite
def versions(draw: st.DrawFn) -> dict[str, pd.DataFrame]:
    n = draw(st.integers(2, 12))
    places = st.sets(st.integers(1, n - 1))  # every version has judged the first sample
    return {
        f"v{number}": table(draw(st.lists(ANSWERS, min_size=n, max_size=n)), draw(places), draw(places))
        for number in range(draw(st.integers(2, 4)))
    }


@given(versions())
def test_every_pair_is_that_of_the_comparison(tables: dict[str, pd.DataFrame]) -> None:
    found = pair_map(tables)
    for old in tables:
        for new in tables:
            if old == new:
                continue
            one = compare(tables[old], tables[new], task_kind="math", old_name=old, new_name=new)
            expected = {"nfr": one.nfr, "pfr": one.pfr, "nfr_mc": one.nfr_mc}
            for measure, rate in expected.items():
                figure = found.figure(measure, old, new)
                assert (figure.counted, figure.n) == (rate.numerator, rate.denominator)
                assert (figure.value, figure.low, figure.high) == (rate.value, rate.low, rate.high)
            change = found.figure("accuracy_change", old, new)
            assert change.value == pytest.approx(one.accuracy_change.value)
            assert change.low <= change.value <= change.high
            at = found.names.index(old), found.names.index(new)
            assert [found.values(m)[at] for m in MEASURES] == [found.figure(m, old, new).value for m in MEASURES]


def test_what_is_not_there_is_none_and_another_measure_is_refused() -> None:
    apart = {"a": table(["0", "1"], {1}, set()), "b": table(["0", "1"], {0}, set())}
    found = pair_map(apart)
    assert found.figure("nfr", "a", "b") is None
    assert found.figure("nfr", "a", "c") is None
    assert math.isnan(found.values("nfr")[0, 1])
    assert np.array_equal(found.accuracies(), [1.0, 0.0])
    with pytest.raises(ConfigError, match="no measure 'f1' of a pair; there are: nfr, pfr, nfr_mc, accuracy_change"):
        found.values("f1")  # type: ignore[arg-type]


def test_tables_without_answers_count_right_and_wrong_only() -> None:
    one = pd.DataFrame({"sample_id": ["a", "b"], "correct": [True, False]})
    two = pd.DataFrame({"sample_id": ["b", "a"], "correct": [False, False]})
    found = pair_map({"one": one, "two": two})
    assert found.figure("nfr", "one", "two")[:3] == (0.5, 1, 2)
    assert found.figure("nfr_mc", "one", "two")[:3] == (0.5, 1, 2)
