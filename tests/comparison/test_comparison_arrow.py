"""Arrow tables are compared as pandas frames are."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from muscle_core.comparison import compare
from muscle_core.errors import DataError

NAMES = {"task_kind": "multiple_choice", "old_name": "v1", "new_name": "v2"}


def tables(n=200, seed=0):
    generator = np.random.default_rng(seed)
    made = []
    for order in (np.arange(n), generator.permutation(n)):
        prediction = generator.integers(0, 4, size=n).astype(str)
        made.append(
            pa.table(
                {
                    "sample_id": [f"sample-{row:06d}" for row in order],
                    "prediction": pa.array(np.where(generator.random(n) < 0.1, None, prediction), pa.string()),
                    "correct": pa.array(generator.random(n) < 0.6, mask=generator.random(n) < 0.05),
                    "gold": pa.array((order % 4).astype(str).tolist()),
                    "margin": generator.random(n),
                    "rouge1": generator.random(n),
                    "latency_seconds": generator.random(n),
                    "choice_loglikelihoods": [[0.1, 0.2]] * n,
                }
            )
        )
    return made


def same(first, second):
    assert first.to_dict() == second.to_dict()
    pd.testing.assert_frame_equal(first.samples, second.samples)


def test_arrow_and_pandas_give_the_same_figures_and_samples():
    old, new = tables()
    same(compare(old, new, **NAMES), compare(old.to_pandas(), new.to_pandas(), **NAMES))
    same(compare(old, new.to_pandas(), **NAMES), compare(old.to_pandas(), new, **NAMES))


def test_chunks_dictionaries_and_views_hold_the_same_values(tmp_path):
    old, new = tables()
    plain = compare(old, new, **NAMES)
    same(compare(pa.concat_tables([old[:70], old[70:70], old[70:]]), new, **NAMES), plain)
    pq.write_table(new, tmp_path / "new.parquet", row_group_size=30)
    coded = pq.read_table(tmp_path / "new.parquet", read_dictionary=["sample_id", "prediction", "gold"])
    assert pa.types.is_dictionary(coded.schema.field("prediction").type)
    assert coded.column("prediction").num_chunks > 1
    same(compare(old, coded, **NAMES), plain)
    viewed = old.set_column(0, "sample_id", old.column("sample_id").cast(pa.string_view()))
    same(compare(viewed, new, **NAMES), plain)
    numbers = old.set_column(2, "correct", old.column("correct").cast(pa.float64()))
    same(compare(numbers, new, **NAMES), plain)


def test_nan_is_no_right_or_wrong_and_no_score():
    table = pa.table({"sample_id": ["a", "b"], "prediction": ["1", "2"], "correct": [1.0, float("nan")]})
    result = compare(table, table, **NAMES)
    assert (result.counts.q1, result.unjudged) == (1, 1)
    empty = table.append_column("rouge1", pa.array([float("nan")] * 2))
    assert compare(empty, empty, **NAMES).continuous == {}


def test_the_samples_are_made_once_and_only_when_asked_for():
    result = compare(*tables(), **NAMES)
    assert "samples" not in vars(result)
    assert result.samples is result.samples
    assert "samples" in vars(result)


def test_columns_of_the_wrong_kind_are_refused_before_the_samples_are_asked_for():
    old, new = tables()
    for name, values, message in (
        ("gold", [0.5] * 200, "'gold' of the v2 table must hold text"),
        ("margin", ["wide"] * 200, "'margin' of the v2 table must hold numbers"),
        ("correct", ["yes"] * 200, "'correct' of the v2 table must hold true"),
        ("rouge1", ["high"] * 200, "'rouge1' of the v2 table must hold numbers"),
    ):
        bad = new.set_column(new.column_names.index(name), name, pa.array(values))
        with pytest.raises(DataError, match=message):
            compare(old, bad, **NAMES)
    with pytest.raises(DataError, match="v1 has no column prediction"):
        compare(old.drop_columns("prediction"), new, **NAMES)
    with pytest.raises(DataError, match="more than one column called gold"):
        compare(old, new.append_column("gold", new.column("gold")), **NAMES)
