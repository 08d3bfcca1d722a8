"""Token ids of prompt and answer, the same for scoring and for training.

The border must be stable: prompt and answer are encoded together and cut where the prompt's own ids end. Where the
tokenizer merges across the border, the answer is encoded on its own instead, so that the prompt's ids never change.
(paper.md, Traps: "Right-padding, BOS, a space at the prompt/answer border, and EOS".)
"""

from __future__ import annotations

from typing import Any, NamedTuple

from transformers import PreTrainedTokenizerBase


class EncodedPair(NamedTuple):
    """Token ids of a prompt and of one answer to it."""

    prompt: list[int]
    answer: list[int]


def encode_prompt(tokenizer: PreTrainedTokenizerBase, prompt: str) -> list[int]:
    """Ids of a prompt as the tokenizer writes them (with BOS where it adds one), never ending in EOS."""
    ids: list[int] = list(_ids(tokenizer(prompt)))
    if ids and ids[-1] == tokenizer.eos_token_id:
        ids.pop()
    return ids


def encode_pair(tokenizer: PreTrainedTokenizerBase, prompt: str, answer: str) -> EncodedPair:
    """Ids of a prompt and an answer; the answer gets one leading space where the prompt ends in a visible sign.

    No EOS is added: a score is that of the answer's text alone, as in lm-evaluation-harness. Training adds EOS.
    """
    prompt_ids = encode_prompt(tokenizer, prompt)
    text = answer if prompt[-1:].isspace() or answer[:1].isspace() else " " + answer
    both = encode_prompt(tokenizer, prompt + text)
    if both[: len(prompt_ids)] == prompt_ids and len(both) > len(prompt_ids):
        return EncodedPair(prompt_ids, both[len(prompt_ids) :])
    return EncodedPair(prompt_ids, list(_ids(tokenizer(text, add_special_tokens=False))))


def _ids(encoding: Any) -> list[int]:
    return encoding["input_ids"]
