"""Every figure of a comparison against one slow oracle in plain loops, from the formulas of the method notes."""

import json
import math
import random as random_module

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from muscle_core.comparison import compare
from muscle_core.errors import DataError

NAMES = {"task_kind": "multiple_choice", "old_name": "v1", "new_name": "v2"}

ids = st.sampled_from([f"sample-{n:02d}" for n in range(9)] + ["x", ""])
answers = st.sampled_from(["0", "1", "2", None])
scores = st.sampled_from([0.0, 0.25, 0.5, 1.0])
# Ids may repeat, be in one table only, or carry another right answer; answers and judgements may be missing.
rows = st.lists(
    st.tuples(ids, answers, st.sampled_from([True, False, None]), st.sampled_from(["0", "0", "0", "1", None]), scores),
    min_size=1,
    max_size=14,
)
COLUMNS = ["sample_id", "prediction", "correct", "gold", "rouge1"]


def oracle(old, new, tau):
    """All figures, one row at a time."""
    old_by_id, new_by_id = {}, {}
    for table, by_id in ((old, old_by_id), (new, new_by_id)):
        for row in table:
            by_id.setdefault(row[0], []).append(row)
    report = {"matched": 0, "only_old": 0, "only_new": 0, "duplicate_old": 0, "duplicate_new": 0, "conflicting": 0}
    pairs = []
    for identity in dict.fromkeys([row[0] for row in old] + [row[0] for row in new]):
        first, second = old_by_id.get(identity, []), new_by_id.get(identity, [])
        report["duplicate_old"] += len(first) > 1
        report["duplicate_new"] += len(second) > 1
        report["only_old"] += len(first) == 1 and not second
        report["only_new"] += len(second) == 1 and not first
        if len(first) == len(second) == 1:
            gold = (first[0][3], second[0][3])
            if None not in gold and gold[0] != gold[1]:
                report["conflicting"] += 1
            else:
                report["matched"] += 1
                pairs.append((first[0], second[0]))
    counts = dict.fromkeys(("q1", "q2", "q3", "q3_same", "q3_changed", "q4"), 0)
    n = right_old = right_new = nf = pf = nf_mc = unjudged = graded_differently = 0
    for (_, m1, old_correct, _, _), (_, m2, new_correct, _, _) in pairs:
        if old_correct is None or new_correct is None:
            unjudged += 1
            continue
        n += 1
        right_old += old_correct
        right_new += new_correct
        nf += old_correct and not new_correct
        pf += new_correct and not old_correct
        nf_mc += not new_correct and (m1 != m2 or old_correct)
        graded_differently += m1 == m2 and old_correct != new_correct
        if old_correct:
            counts["q1" if new_correct else "q4"] += 1
        elif new_correct:
            counts["q2"] += 1
        else:
            counts["q3"] += 1
            counts["q3_same" if m1 == m2 else "q3_changed"] += 1
    wrong_new = n - right_new
    changes = [second[4] - first[4] for first, second in pairs]
    return {
        "join": report,
        "unjudged": unjudged,
        "graded_differently": graded_differently,
        "quadrants": counts if n else None,
        "rates": {
            "accuracy_old": (right_old, n),
            "accuracy_new": (right_new, n),
            "nfr": (nf, n),
            "pfr": (pf, n),
            "nfr_mc": (nf_mc, n),
            "btc": (counts["q1"], right_old),
            "bec": (counts["q3"], wrong_new),
            "inconsistency": (counts["q3_changed"], counts["q3"]),
        },
        "relative_nfr": (nf / n) / ((right_old / n) * (wrong_new / n)) if right_old and wrong_new else None,
        "gain": sum(max(d, 0) for d in changes) / len(pairs) if pairs else None,
        "regression": sum(max(-d, 0) for d in changes) / len(pairs) if pairs else None,
        "gain_rate": sum(d > tau for d in changes),
        "regression_rate": sum(d < -tau for d in changes),
    }


def as_table(listed, storage):
    columns = {name: [row[place] for row in listed] for place, name in enumerate(COLUMNS)}
    if storage == "pandas":
        frame = pd.DataFrame({name: columns[name] for name in ("sample_id", "rouge1")})
        for name in ("prediction", "gold"):
            frame[name] = pd.Series(columns[name], dtype="str")
        frame["correct"] = pd.array(columns["correct"], dtype="boolean")
        return frame
    kinds = [pa.string(), pa.string(), pa.bool_(), pa.string(), pa.float64()]
    return pa.table(columns, schema=pa.schema(list(zip(COLUMNS, kinds, strict=True))))


def compared(old, new, tau=0.0, storage="arrow"):
    return compare(as_table(old, storage), as_table(new, storage), tau=tau, **NAMES)


def check(result, expected):
    figures = result.to_dict()
    assert figures["join"] == expected["join"]
    for name in ("unjudged", "graded_differently", "quadrants"):
        assert figures[name] == expected[name], name
    if expected["quadrants"] is not None:
        for name, (numerator, denominator) in expected["rates"].items():
            rate = getattr(result, name)
            assert (rate.numerator, rate.denominator) == (numerator, denominator), name
            assert figures[name] == (pytest.approx(numerator / denominator) if denominator else None), name
        assert result.relative_nfr == (
            None if expected["relative_nfr"] is None else pytest.approx(expected["relative_nfr"])
        )
    change = result.continuous["rouge1"]
    assert change.gain.value == pytest.approx(expected["gain"])
    assert change.regression.value == pytest.approx(expected["regression"])
    assert change.gain_rate.numerator == expected["gain_rate"]
    assert change.regression_rate.numerator == expected["regression_rate"]
    json.dumps(figures, allow_nan=False)


@given(rows, rows, st.sampled_from([0.0, 0.25, 0.3]), st.sampled_from(["pandas", "arrow"]))
@settings(max_examples=150, deadline=None)
def test_every_figure_is_that_of_the_slow_oracle(old, new, tau, storage):
    expected = oracle(old, new, tau)
    if not expected["join"]["matched"]:
        with pytest.raises(DataError, match=r"no sample is in both|not the right answer"):
            compared(old, new, tau, storage)
        return
    check(compared(old, new, tau, storage), expected)


@given(rows, rows)
@settings(max_examples=80, deadline=None)
def test_identities_of_the_figures(old, new):
    if not oracle(old, new, 0.0)["join"]["matched"]:
        return
    result = compared(old, new)
    change = result.continuous["rouge1"]
    assert change.gain.value - change.regression.value == pytest.approx(change.mean_change.value, abs=1e-12)
    if result.counts is None:
        return
    difference = result.accuracy_new.value - result.accuracy_old.value
    assert abs(difference - (result.pfr.value - result.nfr.value)) < 1e-12
    assert result.accuracy_change.value == pytest.approx(difference, abs=1e-12)
    assert result.nfr_mc.value >= result.nfr.value
    assert 0 <= result.mcnemar_p <= 1
    for rate in result.rates.values():
        assert not rate.denominator or rate.low <= rate.value <= rate.high
    low, high = result.accuracy_change.low, result.accuracy_change.high
    assert -1 <= low <= high <= 1


@given(rows, rows)
@settings(max_examples=80, deadline=None)
def test_swapping_the_versions_swaps_the_figures(old, new):
    if not oracle(old, new, 0.0)["join"]["matched"]:
        return
    forward, backward = compared(old, new), compared(new, old)
    assert forward.unjudged == backward.unjudged
    assert forward.join.only_old == backward.join.only_new
    assert forward.join.duplicate_old == backward.join.duplicate_new
    assert forward.continuous["rouge1"].gain.value == pytest.approx(backward.continuous["rouge1"].regression.value)
    if forward.counts is None:
        return
    assert forward.nfr == backward.pfr
    assert forward.accuracy_old == backward.accuracy_new
    assert forward.counts.q3_same == backward.counts.q3_same
    assert forward.mcnemar_p == backward.mcnemar_p
    assert forward.accuracy_change.value == -backward.accuracy_change.value


@given(rows, rows, st.integers(0, 1000))
@settings(max_examples=80, deadline=None)
def test_the_order_of_the_rows_does_not_matter(old, new, seed):
    if not oracle(old, new, 0.0)["join"]["matched"]:
        return
    random = random_module.Random(seed)
    shuffled = [random.sample(table, len(table)) for table in (old, new)]
    plain, other = compared(old, new).to_dict(), compared(*shuffled).to_dict()
    for name in ("mean_old", "mean_new", "mean_change", "gain", "regression"):  # sums of floats, drawn by row
        plain["continuous"]["rouge1"].pop(name)
        other["continuous"]["rouge1"].pop(name)
    assert plain == other


def test_the_oracle_itself_by_hand():
    old = [
        ("a", "0", True, "0", 0.5),
        ("b", "1", False, "0", 0.5),
        ("c", "0", True, "0", 1.0),
        ("d", "1", False, "0", 0.0),
    ]
    new = [
        ("a", "2", False, "0", 0.25),
        ("b", "2", False, "0", 0.5),
        ("c", "0", True, "0", 1.0),
        ("d", "0", True, "0", 1.0),
    ]
    expected = oracle(old, new, 0.0)
    assert expected["quadrants"] == {"q1": 1, "q2": 1, "q3": 1, "q3_same": 0, "q3_changed": 1, "q4": 1}
    assert expected["rates"]["nfr_mc"] == (2, 4)
    assert expected["relative_nfr"] == pytest.approx(0.25 / (0.5 * 0.5))
    assert math.isclose(expected["gain"] - expected["regression"], (1 - 0.25) / 4)
