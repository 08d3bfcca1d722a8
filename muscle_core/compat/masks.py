"""Which teacher each answer token follows: one pure function a strategy (paper.md, "Masking strategies to compare").

Every function takes the same `TokenStatistics` and returns a boolean tensor [tokens]: True where the token follows
the OLD teacher. All is computed without gradient, anew at every step from the current student.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch


class TokenStatistics(NamedTuple):
    """What the strategies look at, one entry an answer token of the batch.

    Attributes:
        gold: gold token ids [tokens].
        row: number of the sample each token belongs to [tokens].
        student_argmax: the student's most likely token ids [tokens].
        old_argmax: the old teacher's most likely token ids [tokens].
        student_gold: the student's log-likelihood of the gold tokens, in nats [tokens].
        old_gold: the old teacher's log-likelihood of the gold tokens, in nats [tokens].
    """

    gold: torch.Tensor
    row: torch.Tensor
    student_argmax: torch.Tensor
    old_argmax: torch.Tensor
    student_gold: torch.Tensor
    old_gold: torch.Tensor


def token_correctness(tokens: TokenStatistics) -> torch.Tensor:
    """Old where the student's argmax is not the gold token (paper.md, Training, 3: m_t = 0)."""
    return tokens.student_argmax != tokens.gold


def token_likelihood(tokens: TokenStatistics) -> torch.Tensor:
    """Old where the student's gold-token likelihood is below the old model's."""
    return tokens.student_gold < tokens.old_gold


def sequence_likelihood(tokens: TokenStatistics) -> torch.Tensor:
    """Old where the whole answer's likelihood under the student is below the old model's; all its tokens together."""
    rows = int(tokens.row.max()) + 1 if tokens.row.numel() else 0
    # float64: the sums decide a comparison, and float32 sums depend on the padding of the batch.
    student = torch.zeros(rows, dtype=torch.float64, device=tokens.row.device)
    old = torch.zeros_like(student)
    student.index_add_(0, tokens.row, tokens.student_gold.double())
    old.index_add_(0, tokens.row, tokens.old_gold.double())
    return (student < old)[tokens.row]


def old_correct(tokens: TokenStatistics) -> torch.Tensor:
    """Old where the old model's argmax is the gold token."""
    return tokens.old_argmax == tokens.gold


def always_old(tokens: TokenStatistics) -> torch.Tensor:
    """Old for every token (no mask)."""
    return torch.ones_like(tokens.gold, dtype=torch.bool)


def always_new(tokens: TokenStatistics) -> torch.Tensor:
    """New for every token (self-distillation)."""
    return torch.zeros_like(tokens.gold, dtype=torch.bool)


MASKS: dict[str, Callable[[TokenStatistics], torch.Tensor]] = {
    "token_correctness": token_correctness,
    "token_likelihood": token_likelihood,
    "sequence_likelihood": sequence_likelihood,
    "old_correct": old_correct,
    "always_old": always_old,
    "always_new": always_new,
}
