"""History over many versions against a slow loop, and what must hold for any history."""

from __future__ import annotations

import json
import math
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from muscle_core.comparison import compare, history
from muscle_core.comparison.history import CATEGORIES
from muscle_core.comparison.pairwise import pairwise_flips
from muscle_core.errors import ConfigError, DataError
from muscle_core.metrics import mcnemar_p, rate

# 1 right, 0 wrong, -1 not judged.
shapes = st.tuples(st.integers(1, 25), st.integers(2, 7))
matrices = shapes.flatmap(lambda shape: arrays.arrays(np.int8, shape, elements=st.sampled_from([1, 1, 0, 0, -1])))


def tables(matrix, order=None, **columns):
    """One prediction table a version; what is not judged has no row, or a row without right or wrong."""
    found = {}
    for version in range(matrix.shape[1]):
        rows = pd.DataFrame({"sample_id": [f"s{i}" for i in range(len(matrix))], **columns})
        rows["correct"] = pd.Series([None if x < 0 else bool(x) for x in matrix[:, version]], dtype="boolean")
        gone = (matrix[:, version] < 0) & (np.arange(len(matrix)) % 2 == 0)
        rows = rows[~gone]
        found[f"v{version}"] = rows if order is None else rows.sample(frac=1, random_state=order + version)
    return found


def usable(matrix):
    """Every version judged a sample and every sample has a row somewhere: what a history is made of."""
    has_row = (matrix >= 0) | (np.arange(len(matrix)) % 2 == 1)[:, None]
    return bool((matrix >= 0).any(axis=0).all() and has_row.any(axis=1).all())


def slow_path(row):
    """Category, flips, first broken, fixed again and first fixed of one sample, by the words of the rules."""
    seen = [(version, bool(x)) for version, x in enumerate(row) if x >= 0]
    flips = [(b[0], b[1]) for a, b in pairwise(seen) if a[1] != b[1]]
    broken = next((version for version, right in flips if not right), -1)
    again = next((version for version, right in flips if right and 0 <= broken < version), -1)
    fixed = next((version for version, right in flips if right), -1)
    if len(seen) < 2:
        category = "judged less than twice"
    elif not flips:
        category = "always right" if seen[0][1] else "always wrong"
    elif len(flips) > 2:
        category = "flip-flop"
    elif seen[-1][1]:
        category = "fixed and kept" if len(flips) == 1 else "broken and fixed again"
    else:
        category = "broken and still broken"
    return category, len(flips), broken, again, fixed


@given(matrices.filter(usable))
@settings(max_examples=150, deadline=None)
def test_every_figure_equals_that_of_a_slow_loop(matrix):
    found = history(tables(matrix))
    frame = found.samples().set_index("sample_id")
    names = [*found.names, None]
    for number, row in enumerate(matrix):
        category, flips, broken, again, fixed = slow_path(row)
        sample = frame.loc[f"s{number}"]
        assert sample["category"] == category
        assert sample["trajectory"] == "".join("-WR"[x + 1] for x in row)
        assert (sample["flips"], sample["judged"]) == (flips, int((row >= 0).sum()))
        for column, version in (("first_broken", broken), ("fixed_again", again), ("first_fixed", fixed)):
            assert (None if pd.isna(sample[column]) else sample[column]) == names[version]
    table = found.category_table().set_index("category")
    assert table["samples"].to_dict() == {c: sum(slow_path(r)[0] == c for r in matrix) for c in CATEGORIES}
    total = sum((row >= 0).sum() > 1 for row in matrix)
    assert (table["n"] == total).all()
    right = rate(int(table.loc["always right", "samples"]), total)
    np.testing.assert_equal(
        table.loc["always right", ["share", "share_low", "share_high"]].tolist(), [*right[:1], *right[3:]]
    )
    json.dumps(found.to_dict(matrix=True), allow_nan=False)


@given(matrices)
@settings(max_examples=150, deadline=None)
def test_the_pairwise_counts_equal_those_of_loops_over_all_pairs(matrix):
    right, known = matrix == 1, matrix >= 0
    flips, both, n = pairwise_flips(right, known)
    for i in range(matrix.shape[1]):
        for j in range(matrix.shape[1]):
            rows = [(a, b) for a, b in zip(matrix[:, i], matrix[:, j], strict=True) if a >= 0 and b >= 0]
            assert n[i, j] == len(rows)
            assert flips[i, j] == sum(a == 1 and b == 0 for a, b in rows)
            assert both[i, j] == sum(a == 1 and b == 1 for a, b in rows)


@given(matrices, st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_identities_of_the_pairwise_matrix(matrix, random):
    right, known = matrix == 1, matrix >= 0
    pairs = pairwise_flips(right, known)
    assert not np.diag(pairs.flips).any()
    assert (pairs.n == pairs.n.T).all()
    # Accuracy of j minus that of i is PFR minus NFR, on the samples judged in both (paper.md, Metrics).
    for i in range(matrix.shape[1]):
        for j in range(matrix.shape[1]):
            shared = known[:, i] & known[:, j]
            assert pairs.flips[j, i] - pairs.flips[i, j] == right[shared, j].sum() - right[shared, i].sum()
    # A row sums to what all other versions have wrong of what this one has right.
    wrong = (known & ~right).sum(axis=1)
    assert (pairs.flips.sum(axis=1) == [int(wrong[right[:, v]].sum()) for v in range(matrix.shape[1])]).all()
    # Neither the order of the samples nor that of the versions matters.
    rows, columns = list(range(matrix.shape[0])), list(range(matrix.shape[1]))
    random.shuffle(rows)
    random.shuffle(columns)
    moved = pairwise_flips(right[rows][:, columns], known[rows][:, columns])
    assert (moved.flips == pairs.flips[np.ix_(columns, columns)]).all()
    assert (moved.n == pairs.n[np.ix_(columns, columns)]).all()
    low, high = pairs.limits()
    for i, j in np.ndindex(pairs.n.shape):
        single = rate(int(pairs.flips[i, j]), int(pairs.n[i, j]))
        np.testing.assert_allclose([pairs.nfr[i, j], low[i, j], high[i, j]], [single.value, single.low, single.high])


@given(matrices.filter(usable), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_the_order_of_the_rows_does_not_matter(matrix, order):
    plain, shuffled = history(tables(matrix)), history(tables(matrix, order))
    assert (plain.pairwise.flips == shuffled.pairwise.flips).all()
    key = "sample_id"
    pd.testing.assert_frame_equal(
        plain.samples().sort_values(key, ignore_index=True), shuffled.samples().sort_values(key, ignore_index=True)
    )


def test_a_block_border_changes_nothing(monkeypatch):
    matrix = np.random.default_rng(0).random((1000, 5)) < 0.7
    known = np.random.default_rng(1).random((1000, 5)) < 0.9
    whole = pairwise_flips(matrix), pairwise_flips(matrix, known)
    monkeypatch.setattr("muscle_core.comparison.pairwise._BLOCK", 64)
    for before, after in zip(whole, (pairwise_flips(matrix), pairwise_flips(matrix, known)), strict=True):
        for one, other in zip(before, after, strict=True):
            assert (one == other).all()


def test_steps_equal_comparisons_of_two_versions():
    matrix = np.random.default_rng(3).choice([1, 1, 1, 0, -1], size=(200, 4)).astype(np.int8)
    found = tables(matrix, prediction="x")
    steps = history(found).steps()
    assert len(steps) == 3
    for number, step in enumerate(steps.to_dict("records")):
        old, new = f"v{number}", f"v{number + 1}"
        two = compare(found[old], found[new], task_kind="math", old_name=old, new_name=new)
        assert (step["old"], step["new"]) == (old, new)
        assert [step[f"q{k}"] for k in (1, 2, 3, 4)] == [two.counts.q1, two.counts.q2, two.counts.q3, two.counts.q4]
        assert step["p"] == two.mcnemar_p == mcnemar_p(step["q4"], step["q2"])
        assert (step["nfr"], step["nfr_low"], step["nfr_high"]) == (two.nfr.value, two.nfr.low, two.nfr.high)
        assert (step["accuracy_old"], step["accuracy_new"]) == (two.accuracy_old.value, two.accuracy_new.value)
    paths = history(found).samples()
    assert steps["first_broken"].sum() == paths["first_broken"].notna().sum()
    assert steps["fixed_again"].sum() == paths["fixed_again"].notna().sum()


def test_transitions_hold_every_sample_at_every_step():
    matrix = np.array([[1, 1, 0], [1, 0, -1], [0, -1, 1], [0, 1, 1]], dtype=np.int8)
    streams = history(tables(matrix)).transitions()
    assert (streams.groupby("old")["samples"].sum() == 4).all()
    first = streams[streams["old"] == "v0"].set_index(["old_state", "new_state"])["samples"].to_dict()
    assert first == {("right", "right"): 1, ("right", "wrong"): 1, ("wrong", "right"): 1, ("wrong", "not judged"): 1}


@given(matrices.filter(usable))
def test_patterns_count_every_trajectory(matrix):
    found = history(tables(matrix))
    samples = found.samples()
    counts = samples["trajectory"].value_counts()
    patterns = found.patterns()
    assert dict(zip(patterns["trajectory"], patterns["samples"], strict=True)) == counts.to_dict()
    assert list(patterns["samples"]) == sorted(patterns["samples"], reverse=True)
    category = samples.set_index("trajectory")["category"].to_dict()
    assert list(patterns["category"]) == [category[text] for text in patterns["trajectory"]]
    first = patterns.iloc[0]
    assert (first["share"], first["share_low"], first["share_high"]) == (
        (share := rate(int(first["samples"]), found.n)).value,
        share.low,
        share.high,
    )


def test_patterns_of_more_versions_than_a_number_holds():
    matrix = np.ones((4, 43), dtype=np.int8)
    matrix[1:3, 2], matrix[3, 42] = 0, 0
    patterns = history(tables(matrix)).patterns()
    right = "R" * 43
    broken, last = right[:2] + "W" + right[3:], right[:42] + "W"
    assert list(zip(patterns["trajectory"], patterns["samples"], strict=True)) == [(broken, 2), (right, 1), (last, 1)]


def test_doubled_ids_and_different_gold_answers_are_counted_and_left_out():
    ids = ["a", "b", "c"]
    one = pd.DataFrame({"sample_id": [*ids, "a"], "correct": [True, False, True, False], "gold": ["1", "2", "3", "1"]})
    two = pd.DataFrame({"sample_id": ids, "correct": [True, True, True], "gold": ["1", "9", None]})
    found = history({"one": one, "two": two})
    assert (found.duplicates, found.conflicting, found.n) == ((1, 0), 1, 2)
    assert dict(zip(found.samples()["sample_id"], found.trajectories(), strict=True)) == {"a": "-R", "c": "RR"}


def test_what_cannot_be_a_history_is_refused():
    good = pd.DataFrame({"sample_id": ["a"], "correct": [True]})
    with pytest.raises(ConfigError, match="two versions or more, got 1"):
        history({"one": good})
    with pytest.raises(DataError, match="two has no right or wrong"):
        history({"one": good, "two": good.assign(correct=pd.Series([None], dtype="boolean"))})
    with pytest.raises(DataError, match=r"(?s)2 problems.*two must have one column sample_id.*three hold no row"):
        history({"one": good, "two": good.drop(columns="sample_id"), "three": good.iloc[:0]})
    with pytest.raises(DataError, match="1 rows of two have no sample_id"):
        history({"one": good, "two": good.assign(sample_id=pd.Series([None], dtype="str"))})
    with pytest.raises(DataError, match="hold no sample that can be used: 1 have different right answers"):
        history({"one": good.assign(gold="1"), "two": good.assign(gold="2")})
    for bad in (np.zeros((0, 3), bool), np.zeros(4, bool), np.full((2, 2), 2), np.full((2, 2), math.nan)):
        with pytest.raises(DataError):
            pairwise_flips(bad)
    with pytest.raises(DataError, match="right is 2 x 2, but known is 2 x 3"):
        pairwise_flips(np.ones((2, 2), bool), np.ones((2, 3), bool))
