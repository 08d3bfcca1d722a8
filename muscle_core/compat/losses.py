"""The MUSCLE loss: per answer token, forward KL to the teacher that the mask selects (paper.md, Training, 3)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch.nn.functional import cross_entropy

from muscle_core.compat.masks import MASKS, TokenStatistics
from muscle_core.scoring.loglikelihood import gold_loglikelihood


class LossParts(NamedTuple):
    """Sums over the answer tokens of one forward pass (divide by the tokens of the whole optimizer step).

    Attributes:
        loss: differentiable sum of the token losses, in nats.
        tokens: number of answer tokens.
        old_tokens: tokens that follow the old teacher.
        correct_tokens: tokens whose student argmax is the gold token.
        kl_old: sum of KL(old || student).
        kl_new: sum of KL(new || student).
    """

    loss: torch.Tensor
    tokens: int
    old_tokens: int
    correct_tokens: int
    kl_old: float
    kl_new: float


def forward_kl(teacher: torch.Tensor, student: torch.Tensor, temperature: float = 1.0) -> torch.Tensor:
    """KL(teacher || student) of each token.

    Args:
        teacher: logits [tokens, vocabulary], no gradient.
        student: logits [tokens, vocabulary].
        temperature: divides both; the result is multiplied by its square so that gradients keep their size.

    Returns:
        Divergence in nats, [tokens].
    """
    log_teacher = torch.log_softmax(teacher / temperature, dim=-1)
    log_student = torch.log_softmax(student / temperature, dim=-1)
    return (log_teacher.exp() * (log_teacher - log_student)).sum(dim=-1) * temperature**2


def token_statistics(
    student: torch.Tensor, old: torch.Tensor, gold: torch.Tensor, row: torch.Tensor
) -> TokenStatistics:
    """What the masks look at, from logits [tokens, vocabulary]."""
    student = student.detach()
    return TokenStatistics(
        gold=gold,
        row=row,
        student_argmax=student.argmax(dim=-1),
        old_argmax=old.argmax(dim=-1),
        student_gold=gold_loglikelihood(student, gold),
        old_gold=gold_loglikelihood(old, gold),
    )


def muscle_loss(
    student: torch.Tensor,
    old: torch.Tensor,
    new: torch.Tensor,
    gold: torch.Tensor,
    row: torch.Tensor,
    *,
    strategy: str,
    temperature: float = 1.0,
) -> LossParts:
    """Masked distillation of one forward pass.

    Args:
        student: logits of the student [tokens, vocabulary], with gradient.
        old: logits of the old teacher [tokens, vocabulary].
        new: logits of the new teacher [tokens, vocabulary].
        gold: gold token ids [tokens].
        row: sample number of each token [tokens].
        strategy: a key of `MASKS`.
        temperature: see `forward_kl`.
    """
    with torch.no_grad():
        to_old = MASKS[strategy](token_statistics(student, old, gold, row))
        chosen = torch.where(to_old[:, None], old, new)
    divergence = forward_kl(chosen, student, temperature)
    with torch.no_grad():
        detached = student.detach()
        kl_old = forward_kl(old, detached).sum()
        kl_new = forward_kl(new, detached).sum()
    return LossParts(
        loss=divergence.sum(),
        tokens=gold.numel(),
        old_tokens=int(to_old.sum()),
        correct_tokens=int((detached.argmax(dim=-1) == gold).sum()),
        kl_old=float(kl_old),
        kl_new=float(kl_new),
    )


def gold_loss(student: torch.Tensor, gold: torch.Tensor) -> LossParts:
    """Plain cross-entropy on the gold tokens: task adapters and the `cross_entropy` baseline."""
    nan = float("nan")
    return LossParts(
        loss=cross_entropy(student, gold, reduction="sum"),
        tokens=gold.numel(),
        old_tokens=0,
        correct_tokens=int((student.detach().argmax(dim=-1) == gold).sum()),
        kl_old=nan,
        kl_new=nan,
    )
