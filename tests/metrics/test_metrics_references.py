"""Our figures beside those of statsmodels, which implements the same methods independently."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from muscle_core.errors import DataError
from muscle_core.metrics import adjusted_p, mcnemar_p, rate

statsmodels = pytest.importorskip("statsmodels")


@given(st.integers(1, 3000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.floats(0.5, 0.999))
@settings(deadline=None)
def test_wilson_is_that_of_statsmodels(counts, confidence):
    from statsmodels.stats.proportion import proportion_confint

    expected = proportion_confint(*counts, alpha=1 - confidence, method="wilson")
    result = rate(*counts, confidence)
    assert (result.low, result.high) == pytest.approx(expected, abs=1e-9)


@given(*[st.integers(0, 200)] * 4)
@settings(deadline=None)
def test_mcnemar_is_that_of_statsmodels(q1, q2, q3, q4):
    from statsmodels.stats.contingency_tables import mcnemar

    if q2 + q4 == 0:
        assert mcnemar_p(q4, q2) == 1.0
        return
    assert mcnemar_p(q4, q2) == pytest.approx(mcnemar([[q1, q4], [q2, q3]], exact=True).pvalue, rel=1e-9)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.sets(st.integers(0, 29)))
@settings(deadline=None)
def test_benjamini_hochberg_is_that_of_statsmodels_and_steps_over_gaps(values, gaps):
    from statsmodels.stats.multitest import multipletests

    p = np.array([np.nan if place in gaps else value for place, value in enumerate(values)])
    known = ~np.isnan(p)
    adjusted = adjusted_p(p)
    assert np.isnan(adjusted[~known]).all()
    if known.any():
        assert adjusted[known] == pytest.approx(multipletests(p[known], method="fdr_bh")[1], abs=1e-12)
        assert (adjusted[known] >= p[known]).all()


def test_benjamini_hochberg_by_hand():
    assert adjusted_p([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.02, 0.04, 0.04, 0.02])
    assert adjusted_p([0.03]).tolist() == [0.03]
    assert np.isnan(adjusted_p([np.nan])).all()
    with pytest.raises(DataError, match="between 0 and 1"):
        adjusted_p([0.1, 1.2])
