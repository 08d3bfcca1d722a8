"""The strategies: what each answer token learns from, as small pure functions of its statistics.

Every strategy gives each token three weights, and the loss of a token is

    old * KL(p_old || p_student) + new * KL(p_new || p_student) + gold * (-log p_student(gold token)).

A masking strategy weighs one teacher 1 and the other 0 (paper.md, Training, 3: m_t).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch

from muscle_core.compat.config import CompatConfig


class TokenStatistics(NamedTuple):
    """What the strategies look at, one entry an answer token.

    Attributes:
        gold: gold token ids [tokens].
        row: number of the sample each token belongs to [tokens].
        student_argmax: the student's most likely token ids [tokens]; of equally likely ones the lowest id.
        student_gold: the student's log-likelihood of the gold tokens, in nats [tokens].
        old_argmax: the old teacher's most likely token ids [tokens]; zeros where the strategy asks for no old teacher.
        old_gold: the old teacher's log-likelihood of the gold tokens, in nats [tokens]; zeros likewise.
    """

    gold: torch.Tensor
    row: torch.Tensor
    student_argmax: torch.Tensor
    student_gold: torch.Tensor
    old_argmax: torch.Tensor
    old_gold: torch.Tensor


class TokenWeights(NamedTuple):
    """What each answer token learns from.

    Attributes:
        old: weight of the divergence from the old teacher [tokens].
        new: weight of the divergence from the new teacher [tokens].
        gold: weight of the cross-entropy on the gold token [tokens].
    """

    old: torch.Tensor
    new: torch.Tensor
    gold: torch.Tensor


Weigh = Callable[[TokenStatistics], TokenWeights]


class Strategy(NamedTuple):
    """How a strategy is computed.

    Attributes:
        weigh: the weights of tokens; see `TokenStatistics` for what it may look at.
        teachers: teachers whose divergence it may weigh: "old", "new", both or none.
        whole_answers: whether a token's weights depend on the other tokens of its answer.
    """

    weigh: Weigh
    teachers: tuple[str, ...]
    whole_answers: bool = False


def _follow_old(where: torch.Tensor) -> TokenWeights:
    """The old teacher where a mask says so, the new one elsewhere."""
    old = where.float()
    return TokenWeights(old, 1.0 - old, torch.zeros_like(old))


def token_correctness(tokens: TokenStatistics) -> TokenWeights:
    """Old where the student's argmax is not the gold token (paper.md, Training, 3: m_t = 0)."""
    return _follow_old(tokens.student_argmax != tokens.gold)


def token_likelihood(tokens: TokenStatistics) -> TokenWeights:
    """Old where the student's gold-token likelihood is below the old model's (paper.md, Masking strategies, row 2)."""
    return _follow_old(tokens.student_gold < tokens.old_gold)


def sequence_likelihood(tokens: TokenStatistics) -> TokenWeights:
    """Old where the whole answer is less likely under the student than under the old model; all its tokens together.

    paper.md, Masking strategies, row 3.
    """
    rows = int(tokens.row.max()) + 1 if tokens.row.numel() else 0
    # float64: the sums decide a comparison, and float32 sums depend on their order.
    student = torch.zeros(rows, dtype=torch.float64, device=tokens.row.device)
    old = torch.zeros_like(student)
    student.index_add_(0, tokens.row, tokens.student_gold.double())
    old.index_add_(0, tokens.row, tokens.old_gold.double())
    return _follow_old((student < old)[tokens.row])


def old_correct(tokens: TokenStatistics) -> TokenWeights:
    """Old where the old model's argmax is the gold token (paper.md, Masking strategies, row 4)."""
    return _follow_old(tokens.old_argmax == tokens.gold)


def always_old(tokens: TokenStatistics) -> TokenWeights:
    """Old for every token (paper.md, Masking strategies, row 5: no mask)."""
    return _follow_old(torch.ones_like(tokens.gold, dtype=torch.bool))


def always_new(tokens: TokenStatistics) -> TokenWeights:
    """New for every token: plain self-distillation (paper.md, Extra baselines)."""
    return _follow_old(torch.zeros_like(tokens.gold, dtype=torch.bool))


def cross_entropy(tokens: TokenStatistics) -> TokenWeights:
    """No teacher: the gold token alone, as a task adapter is trained (paper.md, Extra baselines)."""
    ones = torch.ones_like(tokens.student_gold)
    return TokenWeights(torch.zeros_like(ones), torch.zeros_like(ones), ones)


def focal_distillation(tokens: TokenStatistics, *, alpha: float = 1.0, beta: float = 5.0) -> TokenWeights:
    """Cross-entropy, and the old teacher with weight alpha, or alpha + beta where its argmax is the gold token.

    Positive-Congruent Training (Yan et al. 2021, focal distillation), a token at a time (paper.md, Extra baselines).
    """
    right = (tokens.old_argmax == tokens.gold).to(tokens.student_gold.dtype)
    return TokenWeights(alpha + beta * right, torch.zeros_like(right), torch.ones_like(right))


_BOTH = ("old", "new")
TOKEN_STRATEGIES: dict[str, Strategy] = {
    "token_correctness": Strategy(token_correctness, _BOTH),
    "token_likelihood": Strategy(token_likelihood, _BOTH),
    "sequence_likelihood": Strategy(sequence_likelihood, _BOTH, whole_answers=True),
    "old_correct": Strategy(old_correct, _BOTH),
    "always_old": Strategy(always_old, ("old",)),
    "always_new": Strategy(always_new, ("new",)),
    "cross_entropy": Strategy(cross_entropy, ()),
    "focal_distillation": Strategy(focal_distillation, ("old",)),
}


def strategy_of(config: CompatConfig) -> Strategy:
    """The strategy that the options name, with the options that belong to it."""
    strategy = TOKEN_STRATEGIES[config.strategy]
    if config.strategy == "focal_distillation":
        return strategy._replace(weigh=partial(focal_distillation, alpha=config.focal_alpha, beta=config.focal_beta))
    if not strategy.teachers or not config.cross_entropy_weight:
        return strategy

    def weigh(tokens: TokenStatistics) -> TokenWeights:
        weights = strategy.weigh(tokens)
        return weights._replace(gold=weights.gold + config.cross_entropy_weight)

    return strategy._replace(weigh=weigh)
