import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from muscle_core.comparison import compare, verdict
from muscle_core.errors import ConfigError, DataError
from muscle_core.metrics import cluster_rate, paired_rate_difference

NAMES = {"task_kind": "multiple_choice", "old_name": "v1", "new_name": "v2"}


@pytest.fixture(scope="module")
def tables():
    """80 prompts of 5 rows; versions differ prompt by prompt."""
    generator = np.random.default_rng(2)
    prompt = np.repeat(np.arange(80), 5)
    ids = [f"s{row}" for row in range(400)]
    made = []
    for share in (0.55, 0.65):
        correct = np.repeat(generator.random(80) < share, 5) ^ (generator.random(400) < 0.05)
        answers = np.where(correct, "0", generator.integers(1, 3, size=400).astype(str))
        made.append(pd.DataFrame({"sample_id": ids, "prediction": answers, "correct": correct, "score": correct * 0.5}))
    return made[0].assign(prompt=[f"p{n}" for n in prompt]), made[1].sample(frac=1, random_state=0), prompt


def test_intervals_and_test_are_those_of_groups(tables):
    old, new, prompt = tables
    result = compare(old, new, clusters="prompt", **NAMES)
    aligned = new.set_index("sample_id").loc[old["sample_id"]]
    before, after = old["correct"].to_numpy(), aligned["correct"].to_numpy()
    same = (old["prediction"].to_numpy() == aligned["prediction"].to_numpy()).astype(bool)
    for name, flags, among in (
        ("nfr", before & ~after, None),
        ("pfr", ~before & after, None),
        ("accuracy_old", before, None),
        ("accuracy_new", after, None),
        ("nfr_mc", ~after & (before | ~same), None),
        ("btc", before & after, before),
        ("bec", ~before & ~after, ~after),
        ("inconsistency", ~before & ~after & ~same, ~before & ~after),
    ):
        rate, expected = getattr(result, name), cluster_rate(flags, prompt, among=among)
        assert rate[:3] == expected[:3], name
        # Other sums, other draws: equal up to the chance of 2,000 of them.
        assert rate[3:] == pytest.approx(expected[3:], abs=0.012), name
    expected = paired_rate_difference(after, before, seed=0, clusters=prompt)
    assert result.accuracy_change.value == pytest.approx(expected.value)
    assert result.mcnemar_p == result.accuracy_change.p == pytest.approx(expected.p)
    assert result.accuracy_change[1:3] == pytest.approx(expected[1:3], abs=0.02)

    plain = compare(old, new, **NAMES)
    assert result.counts == plain.counts
    assert result.nfr.high - result.nfr.low > 1.5 * (plain.nfr.high - plain.nfr.low)
    assert result.mcnemar_p > plain.mcnemar_p
    grouped, alone = (one.continuous["score"].mean_change for one in (result, plain))
    assert grouped.high - grouped.low > 1.5 * (alone.high - alone.low)


def test_a_column_a_mapping_and_another_order_say_the_same(tables):
    old, new, prompt = tables
    by_column = compare(old, new, clusters="prompt", **NAMES).to_dict()
    groups = dict(zip(old["sample_id"], prompt, strict=True))
    assert compare(old.drop(columns="prompt"), new, clusters=groups, **NAMES).to_dict() == by_column
    moved = new.assign(prompt=[f"p{groups[i]}" for i in new["sample_id"]])
    assert compare(old.drop(columns="prompt"), moved, clusters="prompt", **NAMES).to_dict() == by_column


def test_the_dictionary_and_the_verdict_say_what_the_interval_is(tables):
    old, new, _ = tables
    plain, grouped = compare(old, new, **NAMES), compare(old, new, clusters="prompt", **NAMES)
    assert (plain.to_dict()["interval_method"], plain.to_dict()["test"]) == ("Wilson", "exact McNemar")
    figures = grouped.to_dict()
    assert figures["interval_method"] == "cluster bootstrap over 80 groups"
    assert (figures["test"], figures["clusters"]) == ("sign flips by group", 80)
    assert figures["accuracy_change"]["p"] == figures["mcnemar_p"]
    json.dumps(figures, allow_nan=False)
    assert "by 80 groups of samples" in verdict(grouped)
    assert "McNemar" not in verdict(grouped)
    assert "groups" not in verdict(plain)
    few = compare(old.head(50), new, clusters="prompt", **NAMES)
    assert "fewer than 30, intervals are too narrow" in verdict(few)


def test_samples_that_are_not_judged_are_in_no_group(tables):
    old, new, _ = tables
    gaps = old.assign(correct=old["correct"].astype("boolean").mask(old["prompt"].isin(["p0", "p1"])))
    result = compare(gaps, new, clusters="prompt", **NAMES)
    assert (result.unjudged, result.nfr.denominator) == (10, 390)
    rest = compare(old[10:].drop(columns="score"), new, clusters="prompt", **NAMES)
    assert result.nfr == rest.nfr


def test_groups_that_cannot_be_are_refused(tables):
    old, new, prompt = tables
    with pytest.raises(ConfigError, match="neither v1 nor v2 has a column 'prmpt'"):
        compare(old, new, clusters="prmpt", **NAMES)
    with pytest.raises(DataError, match=r"'prompt': 5 of 400 samples have no group, the first is 's0'"):
        compare(old.assign(prompt=old["prompt"].where(old["prompt"] != "p0")), new, clusters="prompt", **NAMES)
    numbers = pa.array(np.r_[np.nan, prompt[1:]])  # nan, which Arrow does not count as missing
    nan = pa.Table.from_pandas(old.drop(columns="prompt"), preserve_index=False).append_column("prompt", numbers)
    with pytest.raises(DataError, match=r"'prompt': 1 of 400 samples have no group, the first is 's0'"):
        compare(nan, new, clusters="prompt", **NAMES)
    groups = dict(zip(old["sample_id"][1:], prompt[1:], strict=True))
    with pytest.raises(DataError, match=r"groups given: 1 of 400 samples have no group, the first is 's0'"):
        compare(old, new, clusters=groups, **NAMES)
    with pytest.raises(DataError, match="all 400 samples are in one group"):
        compare(old.assign(prompt="p"), new, clusters="prompt", **NAMES)
