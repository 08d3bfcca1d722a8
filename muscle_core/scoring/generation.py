"""Greedy generation in left-padded batches, cut at the task's stop strings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from transformers import GenerationConfig, PreTrainedTokenizerBase

from muscle_core.scoring.encode import encode_prompt


class Generated(NamedTuple):
    """One generated text and why it ended: "stop" (EOS or a stop string) or "length"."""

    text: str
    finish_reason: str


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
    config = GenerationConfig(
        max_new_tokens=max_new_tokens,
        do_sample=False,
        num_beams=1,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        **({"stop_strings": list(stop)} if stop else {}),
    )
    plain = model.get_base_model() if hasattr(model, "get_base_model") else model
    # generate() fills what `config` leaves open from the vendor's generation_config.json: a repetition penalty, say.
    vendor, plain.generation_config = plain.generation_config, GenerationConfig()
    try:
        output = model.generate(
            input_ids=input_ids.to(where),
            attention_mask=attention_mask.to(where),
            generation_config=config,
            **({"tokenizer": tokenizer} if stop else {}),
        )[:, width:]
    finally:
        plain.generation_config = vendor
    return [_finish(tokenizer, row.tolist(), stop) for row in output]


def _finish(tokenizer: PreTrainedTokenizerBase, ids: list[int], stop: Sequence[str]) -> Generated:
    ended = tokenizer.eos_token_id in ids
    if ended:
        ids = ids[: ids.index(tokenizer.eos_token_id)]
    text = str(tokenizer.decode(ids, skip_special_tokens=True))
    cuts = [position for position in (text.find(mark) for mark in stop) if position >= 0]
    if cuts:
        text, ended = text[: min(cuts)], True
    return Generated(text.strip(), "stop" if ended else "length")
