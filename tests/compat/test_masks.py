import torch
from hypothesis import given
from hypothesis import strategies as st

from muscle_core.compat.config import STRATEGIES
from muscle_core.compat.masks import MASKS, TokenStatistics


def oracle(strategy, tokens):
    """Which tokens follow the old teacher, word by word from paper.md; tokens are dicts of plain values."""
    answer_of_student, answer_of_old = {}, {}
    for token in tokens:
        answer_of_student.setdefault(token["row"], []).append(token["student_gold"])
        answer_of_old.setdefault(token["row"], []).append(token["old_gold"])
    follows_old = []
    for token in tokens:
        if strategy == "token_correctness":
            old = token["student_argmax"] != token["gold"]
        elif strategy == "token_likelihood":
            old = token["student_gold"] < token["old_gold"]
        elif strategy == "sequence_likelihood":
            old = sum(answer_of_student[token["row"]]) < sum(answer_of_old[token["row"]])
        elif strategy == "old_correct":
            old = token["old_argmax"] == token["gold"]
        else:
            old = {"always_old": True, "always_new": False}[strategy]
        follows_old.append(old)
    return follows_old


def stacked(tokens):
    whole = ("gold", "row", "student_argmax", "old_argmax")
    return TokenStatistics(
        **{name: torch.tensor([t[name] for t in tokens], dtype=torch.long) for name in whole},
        **{name: torch.tensor([t[name] for t in tokens]) for name in ("student_gold", "old_gold")},
    )


_TOKEN = st.fixed_dictionaries(
    {
        "gold": st.integers(0, 2),
        "row": st.integers(0, 4),
        "student_argmax": st.integers(0, 2),
        "old_argmax": st.integers(0, 2),
        # sixteenths are exact in float32, so that equal sums are equal in both
        "student_gold": st.integers(-64, 0).map(lambda n: n / 16),
        "old_gold": st.integers(-64, 0).map(lambda n: n / 16),
    }
)


@given(st.lists(_TOKEN, min_size=1, max_size=12))
def test_every_mask_equals_its_definition(tokens):
    for strategy, mask in MASKS.items():
        found = mask(stacked(tokens))
        assert found.dtype == torch.bool
        assert found.tolist() == oracle(strategy, tokens), strategy


def test_there_is_a_mask_for_every_strategy_with_teachers():
    assert set(MASKS) == set(STRATEGIES) - {"cross_entropy"}


def test_equal_likelihoods_follow_the_new_teacher():
    tokens = stacked(
        [{"gold": 0, "row": 0, "student_argmax": 0, "old_argmax": 0, "student_gold": -1, "old_gold": -1.0}]
    )
    assert MASKS["token_likelihood"](tokens).tolist() == [False]
    assert MASKS["sequence_likelihood"](tokens).tolist() == [False]


def test_a_batch_without_answer_tokens_gives_empty_masks():
    empty = torch.zeros(0, dtype=torch.long)
    for mask in MASKS.values():
        assert mask(TokenStatistics(empty, empty, empty, empty, empty.float(), empty.float())).tolist() == []
