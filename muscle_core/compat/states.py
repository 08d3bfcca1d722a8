"""Final hidden states of a model at the answer tokens of training samples.

Samples stand one after the other without padding where the architecture allows it; that is measured at the start
against a padded batch. Elsewhere padded batches are used, and the states are the logits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, NamedTuple

import torch

from muscle_core.compat.losses import Head
from muscle_core.errors import DataError
from muscle_core.scoring.encode import EncodedPair
from muscle_core.scoring.loglikelihood import answer_logits, gold_loglikelihood, pad_pairs, takes_positions
from muscle_core.scoring.packed_attention import NAME, attention
from muscle_core.scoring.packing import PromptGroup, build_pass, build_tree
from muscle_core.scoring.probe import NotPackableError, context_of, device_of, plain_model, probe_groups, why_not


class AnswerStates(NamedTuple):
    """What a model computes for the answer tokens of some samples, sample by sample.

    Attributes:
        states: final hidden states [tokens, width].
        gold: gold token ids [tokens].
        row: number of the sample each token belongs to [tokens].
    """

    states: torch.Tensor
    gold: torch.Tensor
    row: torch.Tensor


class StateReader:
    """Reads the states of one model.

    Attributes:
        head: makes logits of the states.
        vocabulary: entries of the output vocabulary.
        fallback_reason: why samples are padded; None where they are not.
    """

    def __init__(self, model: Any, pad_id: int, pairs: Sequence[EncodedPair]) -> None:
        """Choose the way to read the states.

        Args:
            model: a causal language model, with or without a PEFT adapter.
            pad_id: any token id; padding is masked.
            pairs: all training samples; the longest of them is tried too.

        Raises:
            DataError: some are longer than the model's context.
        """
        self.model, self.pad_id = model, pad_id
        self.plain = plain_model(model)
        _check_context(self.plain, pairs)
        longest = max(pairs, key=lambda pair: len(pair.prompt) + len(pair.answer))
        output = self.plain.get_output_embeddings()
        self.vocabulary = int(output.weight.shape[0])
        self._layer = output if type(output) is torch.nn.Linear else None
        self.fallback_reason: str | None = "its output layer is no plain linear layer"
        if self._layer is not None:
            self.head = Head(*(None if p is None else p.detach() for p in (self._layer.weight, self._layer.bias)))
            self.fallback_reason = None
            self.fallback_reason = why_not(lambda: self._difference(longest))
        if self.fallback_reason is not None:
            self.head = Head(None)

    def reading(self) -> AbstractContextManager[None]:
        """Must be open while states are read, and until their gradient is computed: activations may be recomputed."""
        return nullcontext() if self.fallback_reason else attention(self.plain, NAME)

    def __call__(self, pairs: Sequence[EncodedPair], model: Any = None) -> AnswerStates:
        """States of some samples; see `reading`.

        Args:
            pairs: the samples.
            model: the model where something is wrapped around it (for several devices), else None.
        """
        model = self.model if model is None else model
        if self.fallback_reason is not None:
            return AnswerStates(*answer_logits(model, pad_pairs(pairs, self.pad_id)))
        where = device_of(self.plain)
        trees = [build_tree(PromptGroup(pair.prompt, [pair.answer])) for pair in pairs]
        packed = build_pass(trees, list(range(len(trees))))
        read = packed.read.to(where)
        kept = takes_positions(self.plain)
        with self._without_head():
            output = model(
                input_ids=packed.input_ids.to(where),
                position_ids=packed.position_ids.to(where),
                use_cache=False,
                layout=packed.layout.to(where),
                **({"logits_to_keep": read} if kept else {}),
            ).logits[0]
        lengths = torch.tensor([len(pair.answer) for pair in pairs])
        rows = torch.arange(len(pairs)).repeat_interleave(lengths)
        return AnswerStates(output if kept else output[read], packed.target.to(where), rows.to(where))

    @contextmanager
    def _without_head(self) -> Iterator[None]:
        """Let the model return its final hidden states where its logits would be."""
        self.plain.set_output_embeddings(torch.nn.Identity())
        try:
            yield
        finally:
            self.plain.set_output_embeddings(self._layer)

    @torch.no_grad()
    def _difference(self, longest: EncodedPair) -> float:
        """Largest difference of a gold token's log-likelihood between both ways; the longest sample must pass too."""
        groups = probe_groups(self.vocabulary, shared=2)
        pairs = [EncodedPair(group.prompt, answer) for group in groups for answer in group.answers]
        training = self.model.training
        self.model.eval()
        try:
            padded, gold, _ = answer_logits(self.model, pad_pairs(pairs, self.pad_id))
            with self.reading():
                own = self(pairs)
                self([longest])  # a window shorter than it is refused
            if not torch.equal(own.gold, gold):
                raise NotPackableError("both ways read other tokens")
            difference = gold_loglikelihood(self.head(own.states), gold) - gold_loglikelihood(padded, gold)
            return float(difference.abs().max())
        finally:
            self.model.train(training)


def _check_context(plain: Any, pairs: Sequence[EncodedPair]) -> None:
    limit = context_of(plain)
    if limit is None:
        return
    lengths = [len(pair.prompt) + len(pair.answer) for pair in pairs]
    longer = sum(length > limit for length in lengths)
    if longer:
        raise DataError(
            f"{longer:,} of {len(pairs):,} samples are longer than the model's context of {limit:,} tokens (the "
            f"longest has {max(lengths):,}). Leave them out, or set max_length={limit} and truncate."
        )
