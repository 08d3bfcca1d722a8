"""Training samples as token ids: prompt, and answer with EOS."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from transformers import PreTrainedTokenizerBase

from muscle_core.errors import DataError, raise_all
from muscle_core.scoring.encode import EncodedPair, encode_pair
from muscle_core.tasks import Sample, render_prompt


class TrainingSet(NamedTuple):
    """Encoded training samples.

    Attributes:
        pairs: token ids, each answer with EOS at its end.
        ids: the samples' ids, in the same order.
        truncated: how many were cut to the longest length allowed.
    """

    pairs: list[EncodedPair]
    ids: list[str]
    truncated: int

    @property
    def longest(self) -> int:
        """Tokens of the longest sample."""
        return max(len(pair.prompt) + len(pair.answer) for pair in self.pairs)

    def fingerprint(self) -> str:
        """Hash of all token ids and of their order."""
        total = hashlib.sha256()
        for prompt, answer in self.pairs:
            total.update(np.array([len(prompt), len(answer), *prompt, *answer], dtype="<i8").tobytes())
        return total.hexdigest()


def training_pairs(
    tokenizer: PreTrainedTokenizerBase,
    samples: Sequence[Sample],
    template: str,
    max_length: int,
    *,
    truncate: bool = False,
) -> TrainingSet:
    """Encode prompts and targets, with EOS after every target.

    Args:
        tokenizer: of the model to train.
        samples: training samples.
        template: prompt template with `{input}`.
        max_length: most tokens a sample may have.
        truncate: cut longer ones: the prompt from its beginning; an answer that is too long alone, from its end.

    Raises:
        DataError: no samples, samples without a target, or longer than `max_length` (counted; the first are named).
    """
    if not samples:
        raise DataError("there are no samples to train on; choose another split.")
    bare = [f"sample {sample.id!r} has no reference answer" for sample in samples if not sample.target]
    raise_all(bare, DataError, "there is nothing to learn from some samples", shown=5)
    pairs = []
    for sample in samples:
        prompt, answer = encode_pair(tokenizer, render_prompt(template, sample.input), sample.target)
        pairs.append(EncodedPair(prompt, [*answer, tokenizer.eos_token_id]))
    lengths = [len(pair.prompt) + len(pair.answer) for pair in pairs]
    problems = [
        f"sample {sample.id!r} has {length:,} tokens"
        for sample, length in zip(samples, lengths, strict=True)
        if length > max_length
    ]
    if problems and not truncate:
        headline = (
            f"{len(problems):,} of {len(samples):,} samples are longer than max_length = {max_length:,} tokens (the "
            f"longest has {max(lengths):,}). Raise max_length as far as the model's context allows, or set truncate"
        )
        raise_all(problems, DataError, headline, shown=5)
    return TrainingSet(
        [_cut(pair, max_length) for pair in pairs], [sample.id for sample in samples], truncated=len(problems)
    )


def _cut(pair: EncodedPair, max_length: int) -> EncodedPair:
    """The end of the prompt matters most to the answer; one token of it must stay, for the first answer token."""
    answer = pair.answer[: max_length - 1]
    return EncodedPair(pair.prompt[-(max_length - len(answer)) :], answer)
