"""Two models asked together: every token has the mean of the probabilities that both give it.

The costly upper reference of the paper (paper.md, Extra baselines: "the probability ensemble of old+new"): it needs
both models at inference.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from muscle_core.errors import ModelError
from muscle_core.scoring.answer_scorer import AnswerScorer
from muscle_core.scoring.answerer import Generator, SampleAnswerer, Scorer
from muscle_core.scoring.generation import BATCH_TOKENS, Generated, StopRules, end_ids
from muscle_core.scoring.loglikelihood import length_sorted_batches
from muscle_core.scoring.packing import PromptGroup
from muscle_core.scoring.probe import device_of, plain_model

Models = tuple[Any, Any]  # causal language models in evaluation mode


def check_one_vocabulary(models: Models) -> None:
    """Refuse two models whose distributions are over different tokens.

    Raises:
        ModelError: with both sizes.
    """
    sizes = [int(plain_model(model).config.get_text_config().vocab_size) for model in models]
    if sizes[0] != sizes[1]:
        raise ModelError(
            f"the output vocabularies have {sizes[0]:,} and {sizes[1]:,} entries; the mean of two distributions needs "
            "one vocabulary. Choose two versions of the same family."
        )


class EnsembleScorer:
    """Scores answers by the mean probability of two models.

    Attributes:
        fallback_reason: why one of both is not asked in packed passes; None where both are.
    """

    def __init__(self, models: Models, *, pad_id: int = 0) -> None:
        """Probe both models.

        Args:
            models: both.
            pad_id: any token id; padding is masked.

        Raises:
            ModelError: their vocabularies differ.
        """
        check_one_vocabulary(models)
        self.scorers = [AnswerScorer(model, pad_id=pad_id) for model in models]
        self.fallback_reason = next((s.fallback_reason for s in self.scorers if s.fallback_reason), None)

    def loglikelihoods(self, groups: Sequence[PromptGroup]) -> list[list[list[float]]]:
        """For each group and each answer one log-likelihood (nats) an answer token: log(p1 / 2 + p2 / 2)."""
        first, second = (scorer.loglikelihoods(groups) for scorer in self.scorers)
        return [
            [(np.logaddexp(one, other) - math.log(2.0)).tolist() for one, other in zip(*answers, strict=True)]
            for answers in zip(first, second, strict=True)
        ]


class EnsembleGenerator:
    """Writes greedy answers by the mean next-token distribution of two models, each with its own keys and values.

    Attributes:
        fallback_reason: always None; there is one way only.
    """

    fallback_reason: str | None = None

    def __init__(
        self,
        models: Models,
        tokenizer: PreTrainedTokenizerBase,
        *,
        max_new_tokens: int,
        stop: Sequence[str] = (),
        batch_tokens: int = BATCH_TOKENS,
    ) -> None:
        """Prepare.

        Args:
            models: both.
            tokenizer: of both.
            max_new_tokens: most tokens an answer may have.
            stop: an answer ends before the first of these.
            batch_tokens: tokens that the rows of a batch may have together.

        Raises:
            ModelError: their vocabularies differ.
        """
        check_one_vocabulary(models)
        self.models, self.batch_tokens, self.max_new_tokens = models, batch_tokens, max_new_tokens
        # Whatever ends an answer of one of both ends theirs.
        ends = [token for model in models for token in end_ids(tokenizer, plain_model(model).generation_config)]
        self.rules = StopRules(tokenizer, list(dict.fromkeys(ends)), max_new_tokens, stop)

    def generate(self, prompts: Sequence[list[int]]) -> list[Generated]:
        """One text a prompt of token ids (none empty), in the order given."""
        results: list[Generated | None] = [None] * len(prompts)
        lengths = [len(prompt) + self.max_new_tokens for prompt in prompts]
        for batch in length_sorted_batches(lengths, self.batch_tokens):
            for index, new in zip(batch, self._batch([prompts[i] for i in batch]), strict=True):
                results[index] = self.rules.finish(new)
        return [result for result in results if result is not None]

    @torch.inference_mode()
    def _batch(self, prompts: Sequence[list[int]]) -> list[list[int]]:
        """New token ids of left-padded prompts; a row that is over leaves the batch."""
        where = device_of(self.models[0])
        width = max(map(len, prompts))
        input_ids = torch.tensor([[0] * (width - len(ids)) + ids for ids in prompts], device=where)
        mask = torch.tensor([[0] * (width - len(ids)) + [1] * len(ids) for ids in prompts], device=where)
        caches: list[Any] = [None, None]
        results: list[list[int]] = [[] for _ in prompts]
        rows = list(range(len(prompts)))
        while True:
            positions = (mask.cumsum(-1) - 1).clamp_min(0)[:, -input_ids.shape[1] :]
            total = None
            for number, model in enumerate(self.models):
                output = model(
                    input_ids=input_ids.to(device_of(model)),
                    attention_mask=mask.to(device_of(model)),
                    past_key_values=caches[number],
                    use_cache=True,
                    **_understood(model, position_ids=positions.to(device_of(model)), logits_to_keep=1),
                )
                caches[number] = output.past_key_values
                likelihood = torch.softmax(output.logits[:, -1].double(), dim=-1).to(where)
                total = likelihood if total is None else total + likelihood
            assert total is not None
            staying = []
            for place, (row, token) in enumerate(zip(rows, total.argmax(-1).tolist(), strict=True)):
                results[row].append(token)
                if not self.rules.is_over(results[row]):
                    staying.append(place)
            if not staying:
                return results
            if len(staying) < len(rows):
                kept = torch.tensor(staying, device=where)
                for cache, model in zip(caches, self.models, strict=True):
                    cache.batch_select_indices(kept.to(device_of(model)))
                rows, mask = [rows[place] for place in staying], mask[kept]
            input_ids = torch.tensor([[results[row][-1]] for row in rows], device=where)
            mask = torch.cat([mask, mask.new_ones(len(rows), 1)], dim=1)


def _understood(model: Any, **options: Any) -> dict[str, Any]:
    """Those options that a model's forward pass has; Bloom, say, counts positions by itself."""
    known = inspect.signature(plain_model(model).forward).parameters
    return {name: value for name, value in options.items() if name in known}


class EnsembleAnswerer(SampleAnswerer):
    """Answers samples with two models together; `model` is the pair of both, the tokenizer one for both.

    Raises:
        ModelError: as `SampleAnswerer`, or the vocabularies of both differ.
    """

    def _context(self, model: Models) -> int | None:
        limits = [limit for one in model if (limit := super(EnsembleAnswerer, self)._context(one)) is not None]
        return min(limits, default=None)

    def _make_scorer(self, model: Models) -> Scorer:
        return EnsembleScorer(model, pad_id=self.tokenizer.pad_token_id or 0)

    def _make_generator(self, model: Models) -> Generator:
        decoding = self.decoding
        return EnsembleGenerator(model, self.tokenizer, max_new_tokens=decoding.max_new_tokens, stop=decoding.stop)
