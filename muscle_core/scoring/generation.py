"""Greedy generation in left-padded batches, cut at the task's stop strings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from transformers import GenerationConfig, PreTrainedTokenizerBase, StoppingCriteria, StoppingCriteriaList

from muscle_core.scoring.encode import encode_prompt


class Generated(NamedTuple):
    """One generated text and why it ended: "stop" (EOS or a stop string) or "length"."""

    text: str
    finish_reason: str


class _StopStrings(StoppingCriteria):
    """Ends a row when its new text holds a stop string.

    transformers' own `stop_strings` also match across the border to the prompt, which cuts answers short.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, stop: Sequence[str], width: int) -> None:
        self.tokenizer, self.stop, self.width = tokenizer, stop, width
        # A token is at least a byte, so a stop string ends within this many tokens.
        self.reach = max(len(mark.encode()) for mark in stop) + 1

    def __call__(self, input_ids: torch.Tensor, scores: Any, **kwargs: Any) -> Any:
        start = max(self.width, input_ids.shape[1] - self.reach)
        texts = self.tokenizer.batch_decode(input_ids[:, start:], skip_special_tokens=True)
        found = [any(mark in text for mark in self.stop) for text in texts]
        return torch.tensor(found, device=input_ids.device)


@torch.inference_mode()
def generate_greedy(
    model: Any,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[str],
    *,
    max_new_tokens: int,
    stop: Sequence[str] = (),
) -> list[Generated]:
    """Generate one greedy answer to each prompt, as one batch.

    Args:
        model: a causal language model in evaluation mode.
        tokenizer: its tokenizer.
        prompts: rendered prompts; similar lengths waste least.
        max_new_tokens: most tokens an answer may have.
        stop: the answer ends before the first of these.

    Returns:
        One text a prompt, in the order given, without the stop string and without outer white space.
    """
    encoded = [encode_prompt(tokenizer, prompt) for prompt in prompts]
    width = max(len(ids) for ids in encoded)
    where = next(model.parameters()).device
    input_ids = torch.full((len(encoded), width), tokenizer.pad_token_id, dtype=torch.long)
    attention_mask = torch.zeros_like(input_ids)
    for row, ids in enumerate(encoded):
        input_ids[row, width - len(ids) :] = torch.tensor(ids)
        attention_mask[row, width - len(ids) :] = 1
    plain = model.get_base_model() if hasattr(model, "get_base_model") else model
    ends = _end_ids(tokenizer, plain.generation_config)
    config = GenerationConfig(
        max_new_tokens=max_new_tokens,
        do_sample=False,
        num_beams=1,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=ends,
    )
    # generate() fills what `config` leaves open from the vendor's generation_config.json: a repetition penalty, say.
    vendor, plain.generation_config = plain.generation_config, GenerationConfig()
    try:
        output = model.generate(
            input_ids=input_ids.to(where),
            attention_mask=attention_mask.to(where),
            generation_config=config,
            stopping_criteria=StoppingCriteriaList([_StopStrings(tokenizer, stop, width)] if stop else []),
        )[:, width:]
    finally:
        plain.generation_config = vendor
    return [_finish(tokenizer, row.tolist(), ends, stop) for row in output]


def _end_ids(tokenizer: PreTrainedTokenizerBase, vendor: GenerationConfig) -> list[int]:
    """EOS of the tokenizer, and what else the vendor lets an answer end with (Llama 3 has three such tokens)."""
    named = vendor.eos_token_id
    others = named if isinstance(named, list) else [] if named is None else [named]
    return list(dict.fromkeys([tokenizer.eos_token_id, *others]))


def _finish(tokenizer: PreTrainedTokenizerBase, ids: list[int], ends: list[int], stop: Sequence[str]) -> Generated:
    first = next((position for position, token in enumerate(ids) if token in ends), None)
    ended = first is not None
    ids = ids[:first]
    text = str(tokenizer.decode(ids, skip_special_tokens=True))
    cuts = [position for position in (text.find(mark) for mark in stop) if position >= 0]
    if cuts:
        text, ended = text[: min(cuts)], True
    return Generated(text.strip(), "stop" if ended else "length")
