"""Log-likelihood of answers after their prompts, in right-padded batches; logits only where answers are read."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch

from muscle_core.scoring.encode import EncodedPair
from muscle_core.scoring.probe import device_of, plain_model

BATCH_TOKENS = 8192


class PaddedBatch(NamedTuple):
    """Right-padded pairs.

    Attributes:
        input_ids: [rows, length] token ids.
        attention_mask: [rows, length], 1 at real tokens.
        labels: [rows, length], the token id at answer tokens, -100 elsewhere.
    """

    input_ids: torch.Tensor
    attention_mask: torch.Tensor
    labels: torch.Tensor


def pad_pairs(pairs: Sequence[EncodedPair], pad_id: int) -> PaddedBatch:
    """Stack pairs into one right-padded batch."""
    length = max(len(pair.prompt) + len(pair.answer) for pair in pairs)
    input_ids = torch.full((len(pairs), length), pad_id, dtype=torch.long)
    attention_mask = torch.zeros((len(pairs), length), dtype=torch.long)
    labels = torch.full((len(pairs), length), -100, dtype=torch.long)
    for row, (prompt, answer) in enumerate(pairs):
        end = len(prompt) + len(answer)
        input_ids[row, :end] = torch.tensor([*prompt, *answer])
        attention_mask[row, :end] = 1
        labels[row, len(prompt) : end] = torch.tensor(answer)
    return PaddedBatch(input_ids, attention_mask, labels)


def answer_logits(model: Any, batch: PaddedBatch) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Logits that predict each answer token.

    Args:
        model: a causal language model, with or without a PEFT adapter.
        batch: right-padded pairs.

    Returns:
        logits [answer tokens, vocabulary] in float32, gold ids [answer tokens], row numbers [answer tokens].
    """
    where = device_of(model)
    labels = batch.labels[:, 1:].to(where)
    selected = labels != -100
    # The head runs only at positions where some row has an answer token: the vocabulary is the larger cost.
    keep = selected.any(dim=0).nonzero()[:, 0]
    options = {"logits_to_keep": keep} if takes_positions(model) else {}
    logits = model(
        input_ids=batch.input_ids.to(where), attention_mask=batch.attention_mask.to(where), use_cache=False, **options
    ).logits
    if not options:
        logits = logits[:, keep]
    rows = torch.arange(labels.shape[0], device=where)[:, None].expand_as(selected)
    return logits[selected[:, keep]].float(), labels[selected], rows[selected]


def takes_positions(model: Any) -> bool:
    """Whether the model can be told at which positions logits are wanted."""
    return "logits_to_keep" in inspect.signature(plain_model(model).forward).parameters


def gold_loglikelihood(logits: torch.Tensor, gold: torch.Tensor) -> torch.Tensor:
    """Log-likelihood of each gold token, [tokens].

    Written as z - logsumexp(z): torch's CPU log_softmax is biased by about 1.5e-5 a token (speed.md, 1).
    """
    return logits.gather(1, gold[:, None])[:, 0] - torch.logsumexp(logits, dim=-1)


@torch.inference_mode()
def answer_loglikelihoods(
    model: Any, pairs: Sequence[EncodedPair], pad_id: int, *, batch_tokens: int = BATCH_TOKENS
) -> list[list[float]]:
    """Per-token log-likelihoods of every answer.

    Args:
        model: a causal language model in evaluation mode.
        pairs: encoded prompts and answers.
        pad_id: any token id; padding is masked.
        batch_tokens: padded tokens a forward pass may hold.

    Returns:
        For each pair, in the order given, one log-likelihood (in nats) an answer token.
    """
    results: list[list[float]] = [[] for _ in pairs]
    for indices in length_sorted_batches([len(p.prompt) + len(p.answer) for p in pairs], batch_tokens):
        logits, gold, rows = answer_logits(model, pad_pairs([pairs[i] for i in indices], pad_id))
        values = gold_loglikelihood(logits, gold).tolist()
        for row, value in zip(rows.tolist(), values, strict=True):
            results[indices[row]].append(value)
    return results


def length_sorted_batches(
    lengths: Sequence[int], batch_tokens: int, batch_rows: int | None = None
) -> Iterator[list[int]]:
    """Indices in batches of similar length, longest first, each within a budget of padded tokens and of rows."""
    batch: list[int] = []
    longest = 0
    for index in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        longest = longest or lengths[index]
        full = longest * (len(batch) + 1) > batch_tokens or len(batch) == batch_rows
        if batch and full:
            yield batch
            batch, longest = [], lengths[index]
        batch.append(index)
    if batch:
        yield batch
