import hashlib
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from muscle_core.comparison import matching
from muscle_core.comparison.matching import Matches, hash_texts, match_ids


def column(ids):
    return pa.array(ids, pa.large_string())


def slow_matches(old, new):
    """One id at a time."""
    in_old, in_new = Counter(old), Counter(new)
    pairs = [(row, new.index(i)) for row, i in enumerate(old) if in_old[i] == in_new[i] == 1]
    return (
        pairs,
        sum(count == 1 and i not in in_new for i, count in in_old.items()),
        sum(count == 1 and i not in in_old for i, count in in_new.items()),
        sum(count > 1 for count in in_old.values()),
        sum(count > 1 for count in in_new.values()),
    )


def check(old, new):
    found = match_ids(column(old), column(new))
    pairs = list(zip(found.old_rows.tolist(), found.new_rows.tolist(), strict=True))
    assert (pairs, *found[2:]) == slow_matches(old, new)


# Few, so that they repeat and meet; of many lengths, also beyond one and two words; and beyond ASCII.
texts = st.sampled_from(["", "a", "b", "ab", "12345678", "123456789", "é", "日本", "x" * 40, "x" * 41, "x" * 40 + "y"])
columns = st.lists(texts | st.text(max_size=12), min_size=1, max_size=25)


@given(columns, columns)
@settings(max_examples=200, deadline=None)
def test_pairs_are_those_of_a_slow_loop(old, new):
    check(old, new)


@given(st.lists(texts, min_size=1, max_size=25, unique=True), st.randoms())
@settings(deadline=None)
def test_shuffled_ids_find_each_other(ids, random):
    new = list(ids)
    random.shuffle(new)
    check(ids, new)
    check(ids, ids)
    check([*ids, ids[0]], [*ids, ids[0]])


@given(columns, columns, st.integers(0, 3))
@settings(max_examples=100, deadline=None)
def test_the_result_does_not_depend_on_the_hash(old, new, values):
    """With a hash of few values or of one nearly all ids collide; they must be told apart all the same."""
    hashes = matching.hash_texts

    def poor(texts):
        return (hashes(texts) % np.uint64(values + 1)) << np.uint64(60)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matching, "hash_texts", poor)
        check(old, new)


@given(columns, st.integers(0, 30), st.integers(1, 5))
@settings(deadline=None)
def test_a_hash_depends_on_the_text_alone(ids, start, block):
    """Not on where the text stands: in a slice, in another block, or beside texts of other lengths."""
    one_by_one = [hash_texts(column([text]))[0] for text in ids]
    assert hash_texts(column(ids)).tolist() == one_by_one
    assert hash_texts(column(ids)[start:]).tolist() == one_by_one[start:]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matching, "_BLOCK", block)
        assert hash_texts(column(ids)).tolist() == one_by_one


@pytest.mark.parametrize(
    "name",
    [
        "sample-{:06d}".format,
        "{}".format,
        "{:016d}".format,
        "{:024d}".format,
        "data/test-{:07d}.jsonl#row".format,
        lambda n: hashlib.sha256(str(n).encode()).hexdigest(),
        lambda n: f"{n // 300}/{n % 300}",
        lambda n: str(n)[::-1] + "abcdefgh",
    ],
)
def test_ids_as_they_occur_do_not_share_hashes(name):
    hashes = hash_texts(column([name(n) for n in range(50_000)]))
    # The bits that remain beside the row number of a million rows on each side; 0.0003 chance meetings are expected.
    assert len(np.unique(hashes >> np.uint64(22))) == 50_000


def test_one_row_and_none():
    assert match_ids(column(["a"]), column(["a"]))[2:] == (0, 0, 0, 0)
    empty = match_ids(column([]), column(["a"]))
    assert (len(empty.old_rows), *empty[2:]) == (0, 0, 1, 0, 0)
    assert isinstance(empty, Matches)


def test_many_rows_across_blocks():
    generator = np.random.default_rng(0)
    old = [f"id-{n}" for n in range(40_000)]
    new = [old[n] for n in generator.permutation(40_000)[:30_000]] + ["other"] * 2 + ["id-1", "more"]
    found = match_ids(column(old), column(new))
    assert [old[row] for row in found.old_rows] == [new[row] for row in found.new_rows]
    twice = "id-1" in new[:30_000]
    assert len(found.old_rows) == 30_000 + (-1 if twice else 1)
    assert (found.only_new, found.duplicate_new) == (1, 1 + twice)
