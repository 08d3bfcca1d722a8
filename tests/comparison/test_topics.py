"""Topics: the groups of made-up texts are found again, in any order, and names are told apart."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from muscle_core.comparison.topics import find_topics, topic_count
from muscle_core.errors import ConfigError

WORDS = {
    "kitchen": ["flour", "sugar", "oven", "bake", "cake", "butter", "recipe", "dough"],
    "garden": ["soil", "seeds", "tulip", "water", "spade", "roots", "plant", "leaves"],
    "money": ["bank", "loan", "interest", "price", "wallet", "coins", "savings", "credit"],
}


def texts(n: int, seed: int = 0) -> tuple[list[str], list[str]]:
    draw = np.random.default_rng(seed)
    kinds = draw.choice(list(WORDS), n)
    return [f"{i} the " + " ".join(draw.choice(WORDS[kind], 5)) for i, kind in enumerate(kinds)], list(kinds)


def test_groups_of_words_are_found_again() -> None:
    made, kinds = texts(300)
    table = pd.crosstab(find_topics(made, 3), kinds)
    assert table.shape == (3, 3)
    assert (table.to_numpy() > 0).sum() == 3  # each topic is one of the kinds
    for name, row in table.iterrows():
        assert set(str(name).split(", ")) <= set(WORDS[row.idxmax()])


def test_the_order_of_the_texts_and_copies_do_not_matter() -> None:
    made, _ = texts(200)
    topics = find_topics(made, 3, seed=5)
    order = np.random.default_rng(1).permutation(200)
    assert list(find_topics([made[i] for i in order], 3, seed=5)) == [topics[i] for i in order]
    assert list(find_topics(made + made, 3, seed=5)) == list(topics) * 2


def test_how_many_topics_there_are() -> None:
    assert [topic_count(n) for n in (1, 199, 300, 1319, 100_000)] == [2, 2, 3, 12, 12]
    assert find_topics(texts(300)[0]).nunique() == 3
    assert find_topics(["cats sleep", "dogs bark"], 8).nunique() == 2


def test_topics_with_the_same_words_are_told_apart() -> None:
    made = ["alpha beta gamma"] * 5 + ["alpha " * 30 + "beta gamma"] * 5 + ["gamma " * 30 + "beta alpha"] * 5
    names = find_topics(made, 3)
    assert names.nunique() == 3


def test_texts_without_words_have_no_topic() -> None:
    found = find_topics(["", None, "12 + 3", "the and", "cats sleep", "dogs bark"], 2)
    assert list(found.isna()) == [True, True, True, True, False, False]
    assert find_topics(["1", None]).isna().all()
    assert len(find_topics([])) == 0


def test_one_topic_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least 2"):
        find_topics(["a"], 1)
