"""The loss of answer tokens, computed in chunks with its own gradient (paper.md, Training, 3).

Only one chunk of logits exists at a time: student and teachers come as final hidden states, which are projected chunk
by chunk, and only where a teacher's divergence is asked for. The gradient is computed in the same pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch

from muscle_core.compat.products import project
from muscle_core.compat.strategies import Strategy, TokenStatistics, TokenWeights
from muscle_core.scoring.loglikelihood import gold_loglikelihood

CHUNK_LOGITS = 4_000_000  # logits a chunk may hold (16 MB); larger ones were not faster


class Head(NamedTuple):
    """The output projection of a model; None for states that are logits already.

    Attributes:
        weight: [vocabulary, width] or None.
        bias: [vocabulary] or None.
    """

    weight: torch.Tensor | None
    bias: torch.Tensor | None = None

    def __call__(self, states: torch.Tensor) -> torch.Tensor:
        """Logits of states [tokens, width], in float32 and in memory of their own."""
        if self.weight is None:
            return states.float().clone()
        return project(states, self.weight, self.bias).float()

    def back(self, gradient: torch.Tensor) -> torch.Tensor:
        """Gradient of the states from that of the logits."""
        return gradient if self.weight is None else project(gradient.to(self.weight.dtype), self.weight.T)

    def vocabulary(self, states: torch.Tensor) -> int:
        """Number of logits of each of these states."""
        return int(states.shape[1] if self.weight is None else self.weight.shape[0])


class TeacherTokens(NamedTuple):
    """What a frozen teacher says about answer tokens.

    Attributes:
        head: its output projection.
        states: final hidden states [tokens, width of the teacher].
        argmax: its most likely token ids [tokens].
        gold: its log-likelihood of the gold tokens, in nats [tokens].
    """

    head: Head
    states: torch.Tensor
    argmax: torch.Tensor
    gold: torch.Tensor


class LossParts(NamedTuple):
    """Sums over the answer tokens of one forward pass (divide by the tokens of the whole optimizer step).

    Attributes:
        loss: differentiable sum of the token losses, in nats.
        tokens: number of answer tokens.
        old_tokens: tokens that the old teacher has a weight for.
        new_tokens: tokens that the new teacher has a weight for.
        correct_tokens: tokens whose student argmax is the gold token.
        kl_old: sum of KL(old || student) over `old_tokens`, not weighted.
        kl_new: sum of KL(new || student) over `new_tokens`, not weighted.
    """

    loss: torch.Tensor
    tokens: int
    old_tokens: int
    new_tokens: int
    correct_tokens: int
    kl_old: float
    kl_new: float


def distillation_loss(
    states: torch.Tensor,
    head: Head,
    gold: torch.Tensor,
    row: torch.Tensor,
    teachers: Mapping[str, TeacherTokens],
    strategy: Strategy,
    *,
    temperature: float = 1.0,
    chunk_logits: int = CHUNK_LOGITS,
) -> LossParts:
    """Loss of one forward pass.

    Args:
        states: final hidden states of the student at the answer tokens [tokens, width], with gradient.
        head: the student's output projection; frozen.
        gold: gold token ids [tokens].
        row: sample number of each token [tokens].
        teachers: by "old" and "new", at least those that the strategy names.
        strategy: gives every token its weights, without gradient.
        temperature: divides the logits of student and teacher before the divergence, which is multiplied by its
            square so that gradients keep their size; the cross-entropy is not touched by it.
        chunk_logits: logits a chunk may hold.
    """
    with torch.no_grad():
        sums, gradient = _in_chunks(states.detach(), head, gold, row, teachers, strategy, temperature, chunk_logits)
    loss = sums.pop("loss").float()
    attached: torch.Tensor = _WithGradient.apply(states, loss, gradient)
    counts = {name: float(value) for name, value in sums.items()}
    return LossParts(
        loss=attached,
        tokens=gold.numel(),
        old_tokens=int(counts["old_tokens"]),
        new_tokens=int(counts["new_tokens"]),
        correct_tokens=int(counts["correct_tokens"]),
        kl_old=counts["kl_old"],
        kl_new=counts["kl_new"],
    )


class _WithGradient(torch.autograd.Function):
    """A loss whose gradient is known already."""

    @staticmethod
    def forward(ctx: Any, states: torch.Tensor, loss: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(gradient)
        return loss.clone()

    @staticmethod
    def backward(ctx: Any, *outputs: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * outputs[0], None, None


def _in_chunks(
    states: torch.Tensor,
    head: Head,
    gold: torch.Tensor,
    row: torch.Tensor,
    teachers: Mapping[str, TeacherTokens],
    strategy: Strategy,
    temperature: float,
    chunk_logits: int,
) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """Sums over all tokens, in float64, and the gradient of the loss with regard to the states."""
    names = ("loss", "old_tokens", "new_tokens", "correct_tokens", "kl_old", "kl_new")
    sums = {name: torch.zeros((), dtype=torch.float64, device=states.device) for name in names}
    gradient = torch.empty_like(states)
    size = max(1, chunk_logits // head.vocabulary(states))
    chunks = [slice(start, start + size) for start in range(0, len(gold), size)]
    # Weights that depend on whole answers need all logits once before: projected twice, they are never kept.
    known = None
    if strategy.whole_answers:
        looks = [look(head(states[chunk]), gold[chunk]) for chunk in chunks]
        argmax, likelihood = (torch.cat(parts) for parts in zip(*looks, strict=True))
        known = strategy.weigh(_statistics(gold, row, argmax, likelihood, teachers, slice(None)))
    for chunk in chunks:
        logits = head(states[chunk])
        argmax, likelihood = look(logits, gold[chunk])
        if known is not None:
            weights = TokenWeights(*(weight[chunk] for weight in known))
        else:
            weights = strategy.weigh(_statistics(gold[chunk], row[chunk], argmax, likelihood, teachers, chunk))
        sums["correct_tokens"] += (argmax == gold[chunk]).sum()
        sums["loss"] += (weights.gold * -likelihood).double().sum()
        slope = _add_divergences(logits, weights, teachers, chunk, temperature, sums)
        if weights.gold.any():
            own = torch.softmax(logits, dim=-1)
            own[torch.arange(len(own)), gold[chunk]] -= 1.0
            slope = slope.add_(own.mul_(weights.gold[:, None]))
        gradient[chunk] = head.back(slope)
    return sums, gradient


def look(logits: torch.Tensor, gold: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The most likely token ids, and the log-likelihoods of the gold ones (nats), both [tokens]."""
    return logits.argmax(dim=-1), gold_loglikelihood(logits, gold)


def _statistics(
    gold: torch.Tensor,
    row: torch.Tensor,
    argmax: torch.Tensor,
    likelihood: torch.Tensor,
    teachers: Mapping[str, TeacherTokens],
    chunk: slice,
) -> TokenStatistics:
    old = teachers.get("old")
    return TokenStatistics(
        gold=gold,
        row=row,
        student_argmax=argmax,
        student_gold=likelihood,
        old_argmax=torch.zeros_like(gold) if old is None else old.argmax[chunk],
        old_gold=torch.zeros_like(likelihood) if old is None else old.gold[chunk],
    )


def _add_divergences(
    logits: torch.Tensor,
    weights: TokenWeights,
    teachers: Mapping[str, TeacherTokens],
    chunk: slice,
    temperature: float,
    sums: dict[str, torch.Tensor],
) -> torch.Tensor:
    """Add the divergences of a chunk to the sums; returns their gradient with regard to the logits."""
    if not any(weight.any() for weight in (weights.old, weights.new)):
        return torch.zeros_like(logits)
    log_student = logits / temperature
    log_student -= log_student.logsumexp(dim=-1, keepdim=True)
    # d KL / d logits = T * (softmax(student / T) - softmax(teacher / T)), with the factor T squared in it.
    slope = log_student.exp().mul_(((weights.old + weights.new) * temperature)[:, None])
    for name, weight in (("old", weights.old), ("new", weights.new)):
        chosen = weight.nonzero()[:, 0]
        sums[f"{name}_tokens"] += len(chosen)
        if not len(chosen):
            continue
        teacher = teachers[name]
        everything = len(chosen) == len(weight)
        states = teacher.states[chunk]
        log_teacher = teacher.head(states if everything else states[chosen]).div_(temperature)
        log_teacher -= log_teacher.logsumexp(dim=-1, keepdim=True)
        likelihood = log_teacher.exp()
        log_teacher -= log_student if everything else log_student[chosen]
        divergence = log_teacher.mul_(likelihood).sum(dim=-1) * temperature**2
        sums[f"kl_{name}"] += divergence.double().sum()
        sums["loss"] += (weight[chosen] * divergence).double().sum()
        likelihood.mul_((weight[chosen] * temperature)[:, None])
        if everything:
            slope -= likelihood
        else:
            slope.index_add_(0, chosen, likelihood, alpha=-1.0)
    return slope
