"""Log-likelihoods of answers by one model: packed passes where its architecture takes them, else padded batches.

Whether it does is measured on a probe, not read off a list of names: the packed and the padded way must give the same
log-likelihoods.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from muscle_core.scoring.encode import EncodedPair
from muscle_core.scoring.loglikelihood import answer_loglikelihoods
from muscle_core.scoring.packed_attention import NAME, attention
from muscle_core.scoring.packing import KeysAndValues, PromptGroup, build_pass, build_tree, common_prefix, plan_passes
from muscle_core.scoring.probe import NotPackableError, device_of, plain_model, probe_groups, why_not

PASS_TOKENS = 768  # measured: 384 to 1,536 are alike (speed.md, 1)
PREFIX_STEP = 16  # tokens; in whole steps, so that a token shared by chance does not make another prefix


class AnswerScorer:
    """Scores answers by one model.

    Attributes:
        fallback_reason: why passes are not packed; None where they are.
    """

    def __init__(self, model: Any, *, pad_id: int = 0, pass_tokens: int = PASS_TOKENS) -> None:
        """Probe the model.

        Args:
            model: a causal language model in evaluation mode, with or without a PEFT adapter.
            pad_id: any token id; padding is masked.
            pass_tokens: tokens a packed pass may hold.
        """
        self.model = model
        self.plain = plain_model(model)
        self.pad_id = pad_id
        self.pass_tokens = pass_tokens
        self._prefix: tuple[list[int], list[KeysAndValues]] | None = None
        self.fallback_reason = why_not(self._probe)

    def loglikelihoods(self, groups: Sequence[PromptGroup]) -> list[list[list[float]]]:
        """Per-token log-likelihoods of every answer.

        Args:
            groups: prompts with their answers.

        Returns:
            For each group and each of its answers, in the order given, one log-likelihood (nats) an answer token.
        """
        asked = [group for group in groups if group.answers]
        values = iter(self._score(asked) if asked else ())
        return [next(values) if group.answers else [] for group in groups]

    def _score(self, groups: Sequence[PromptGroup]) -> list[list[list[float]]]:
        if self.fallback_reason is None:
            try:
                return self._packed(groups)
            except NotPackableError:
                # A window that the probe was too short for. The next, shorter ones go packed again: what a list of
                # answers scores depends on that list alone.
                pass
        return self._padded(groups)

    def _padded(self, groups: Sequence[PromptGroup]) -> list[list[list[float]]]:
        pairs = [EncodedPair(group.prompt, answer) for group in groups for answer in group.answers]
        values = iter(answer_loglikelihoods(self.model, pairs, self.pad_id))
        return [[next(values) for _ in group.answers] for group in groups]

    @torch.inference_mode()
    def _packed(self, groups: Sequence[PromptGroup]) -> list[list[list[float]]]:
        where = device_of(self.model)
        shared = common_prefix(groups) // PREFIX_STEP * PREFIX_STEP if len(groups) > 1 else 0
        prefix = self._run_prefix(groups[0].prompt[:shared], where)
        trees = [build_tree(group, shared) for group in groups]
        results: list[list[list[float]]] = [[] for _ in groups]
        with attention(self.plain, NAME):
            for chosen in plan_passes(trees, self.pass_tokens):
                packed = build_pass(trees, chosen, prefix)
                logits = self.model(
                    input_ids=packed.input_ids.to(where),
                    position_ids=packed.position_ids.to(where),
                    use_cache=False,
                    logits_to_keep=packed.read.to(where),
                    layout=packed.layout.to(where),
                ).logits[0]
                # z - logsumexp(z): torch's CPU log_softmax is biased by about 1.5e-5 a token (speed.md, 1).
                source, target = packed.source.to(where), packed.target.to(where)
                values = iter((logits[source, target].float() - logits.float().logsumexp(-1)[source]).tolist())
                for index in chosen:
                    results[index] = [[next(values) for _ in answer] for answer in groups[index].answers]
        return results

    def _run_prefix(self, tokens: list[int], where: torch.device) -> list[KeysAndValues]:
        """Keys and values of a prefix; those of the last one are kept, because the next call mostly has the same."""
        if not tokens:
            return []
        if self._prefix is not None and self._prefix[0] == tokens:
            return self._prefix[1]
        output = self.model(input_ids=torch.tensor([tokens], device=where), use_cache=True, logits_to_keep=1)
        self._prefix = (tokens, [(layer.keys, layer.values) for layer in output.past_key_values.layers])
        return self._prefix[1]

    def _probe(self) -> float:
        """Largest difference of a token's log-likelihood between packed passes and padded batches."""
        groups = probe_groups(int(self.plain.config.get_text_config().vocab_size), PREFIX_STEP)
        pairs = zip(_flat(self._packed(groups)), _flat(self._padded(groups)), strict=True)
        return float(torch.tensor([one - other for one, other in pairs]).abs().max())


def _flat(values: list[list[list[float]]]) -> list[float]:
    return [value for group in values for answer in group for value in answer]
