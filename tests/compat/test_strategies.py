import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from muscle_core.compat.config import STRATEGIES, CompatConfig
from muscle_core.compat.strategies import TOKEN_STRATEGIES, TokenStatistics, focal_distillation, strategy_of

MASKING = set(TOKEN_STRATEGIES) - {"cross_entropy", "focal_distillation"}


def oracle(strategy, tokens):
    """(old, new, gold) of each token, word by word from paper.md; tokens are dicts of plain values."""
    answer_of_student, answer_of_old = {}, {}
    for token in tokens:
        answer_of_student.setdefault(token["row"], []).append(token["student_gold"])
        answer_of_old.setdefault(token["row"], []).append(token["old_gold"])
    weights = []
    for token in tokens:
        if strategy == "cross_entropy":
            weights.append((0, 0, 1))
            continue
        if strategy == "focal_distillation":
            weights.append((6 if token["old_argmax"] == token["gold"] else 1, 0, 1))
            continue
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
        weights.append((1, 0, 0) if old else (0, 1, 0))
    return weights


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
def test_every_strategy_equals_its_definition(tokens):
    for name, strategy in TOKEN_STRATEGIES.items():
        found = strategy.weigh(stacked(tokens))
        assert [tuple(row) for row in zip(*(w.tolist() for w in found), strict=True)] == oracle(name, tokens), name


@given(st.lists(_TOKEN, min_size=1, max_size=12))
def test_a_mask_gives_every_token_to_exactly_one_teacher(tokens):
    for name in MASKING:
        old, new, gold = TOKEN_STRATEGIES[name].weigh(stacked(tokens))
        assert set((old + new).tolist()) == {1.0}
        assert not (old * new).any()
        assert not gold.any()


@given(st.lists(_TOKEN, min_size=2, max_size=12), st.randoms())
def test_only_strategies_that_say_so_look_at_the_other_tokens_of_an_answer(tokens, random):
    shuffled = random.sample(tokens, len(tokens))
    for name, strategy in TOKEN_STRATEGIES.items():
        alone = [strategy.weigh(stacked([token])) for token in shuffled]
        together = strategy.weigh(stacked(shuffled))
        if not strategy.whole_answers:
            assert [w.old.item() for w in alone] == together.old.tolist(), name


def test_there_is_a_function_for_every_strategy_of_the_options():
    assert list(TOKEN_STRATEGIES) == list(STRATEGIES)
    weighing = {name: set(strategy.teachers) for name, strategy in TOKEN_STRATEGIES.items()}
    token = [
        {"gold": 0, "row": 0, "student_argmax": a, "old_argmax": a, "student_gold": -1.0, "old_gold": -b}
        for a in (0, 1)
        for b in (0.5, 2.0)
    ]
    for row, entry in enumerate(token):
        entry["row"] = row
    for name, strategy in TOKEN_STRATEGIES.items():
        weights = strategy.weigh(stacked(token))
        assert {teacher for teacher in ("old", "new") if getattr(weights, teacher).any()} == weighing[name], name


def test_equal_likelihoods_follow_the_new_teacher():
    tokens = stacked(
        [{"gold": 0, "row": 0, "student_argmax": 0, "old_argmax": 0, "student_gold": -1, "old_gold": -1.0}]
    )
    assert TOKEN_STRATEGIES["token_likelihood"].weigh(tokens).old.tolist() == [0]
    assert TOKEN_STRATEGIES["sequence_likelihood"].weigh(tokens).old.tolist() == [0]


def test_a_batch_without_answer_tokens_gives_no_weights():
    empty = torch.zeros(0, dtype=torch.long)
    for strategy in TOKEN_STRATEGIES.values():
        found = strategy.weigh(TokenStatistics(empty, empty, empty, empty.float(), empty, empty.float()))
        assert [weight.tolist() for weight in found] == [[], [], []]


def test_options_change_the_weights_of_the_strategies_they_belong_to():
    tokens = stacked(
        [
            {"gold": 0, "row": 0, "student_argmax": 0, "old_argmax": old, "student_gold": -1, "old_gold": -1.0}
            for old in (0, 1)
        ]
    )
    focal = strategy_of(CompatConfig(strategy="focal_distillation", focal_alpha=0.5, focal_beta=2.0))
    assert focal.weigh(tokens).old.tolist() == [2.5, 0.5]
    assert focal_distillation(tokens).old.tolist() == [6.0, 1.0]
    for name in STRATEGIES:
        plain, changed = (
            strategy_of(CompatConfig(strategy=name, cross_entropy_weight=weight)).weigh(tokens) for weight in (0, 0.25)
        )
        assert changed.old.tolist() == plain.old.tolist()
        extra = 0.25 if name in MASKING else 0.0
        assert changed.gold.tolist() == pytest.approx([value + extra for value in plain.gold.tolist()])
