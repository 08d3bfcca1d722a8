"""Token ids of prompt and answer, the same for scoring and for training.

The border must be stable: prompt and answer are encoded together and cut where the prompt's own ids end. Where the
tokenizer merges across the border, the answer is encoded on its own instead, so that the prompt's ids never change.
(paper.md, Traps: "Right-padding, BOS, a space at the prompt/answer border, and EOS".)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from transformers import PreTrainedTokenizerBase

from muscle_core.errors import ModelError
from muscle_core.scoring.packing import PromptGroup


class EncodedPair(NamedTuple):
    """Token ids of a prompt and of one answer to it: a row of a padded batch."""

    prompt: list[int]
    answer: list[int]


def encode_prompts(
    tokenizer: PreTrainedTokenizerBase, prompts: Sequence[str], *, chat: bool = False
) -> list[list[int]]:
    """Ids of prompts as the tokenizer writes them (with BOS where it adds one), never ending in EOS.

    Args:
        tokenizer: the model's tokenizer.
        prompts: rendered prompts.
        chat: they are texts of a chat template, which brings its own special tokens.
    """
    if not prompts:
        return []
    encoded: list[list[int]] = tokenizer(list(prompts), add_special_tokens=not chat)["input_ids"]
    ends = None if chat else tokenizer.eos_token_id
    return [ids[:-1] if ids and ids[-1] == ends else list(ids) for ids in encoded]


def encode_groups(
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[str],
    answers: Sequence[Sequence[str]],
    *,
    chat: bool = False,
) -> list[PromptGroup]:
    """Ids of prompts and of the answers to each; an answer gets one leading space where its prompt ends in a sign.

    No EOS is added: a score is that of the answer's text alone, as in lm-evaluation-harness. Training adds EOS.

    Args:
        tokenizer: the model's tokenizer.
        prompts: rendered prompts.
        answers: for each prompt its answers.
        chat: see `encode_prompts`.

    Raises:
        ModelError: a prompt or an answer has no tokens at all, so there is nothing to score.
    """
    prompt_ids = encode_prompts(tokenizer, prompts, chat=chat)
    texts = [
        [answer if prompt[-1:].isspace() or answer[:1].isspace() else " " + answer for answer in group]
        for prompt, group in zip(prompts, answers, strict=True)
    ]
    whole = iter(
        encode_prompts(
            tokenizer,
            [prompt + text for prompt, group in zip(prompts, texts, strict=True) for text in group],
            chat=chat,
        )
    )
    groups = []
    for prompt, ids, group in zip(prompts, prompt_ids, texts, strict=True):
        if not ids:
            raise ModelError(f"the prompt {prompt[:80]!r} has no tokens, so no answer to it can be scored.")
        groups.append(PromptGroup(ids, [_answer_ids(tokenizer, ids, text, next(whole)) for text in group]))
    return groups


def encode_pair(tokenizer: PreTrainedTokenizerBase, prompt: str, answer: str) -> EncodedPair:
    """Ids of one prompt and one answer; see `encode_groups`."""
    [group] = encode_groups(tokenizer, [prompt], [[answer]])
    return EncodedPair(group.prompt, group.answers[0])


def _answer_ids(tokenizer: PreTrainedTokenizerBase, prompt: list[int], text: str, whole: list[int]) -> list[int]:
    if whole[: len(prompt)] == prompt and len(whole) > len(prompt):
        return whole[len(prompt) :]
    alone: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    if not alone:
        raise ModelError(f"the answer {text[:80]!r} has no tokens, so it cannot be scored.")
    return alone
