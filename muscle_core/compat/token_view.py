"""The tokens of gold answers as both versions and a student see them, and which teacher each token follows.

Teacher-forced, on the very tokens that a training sees (paper.md, Training, 2 to 4).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd
import torch
from transformers import PreTrainedTokenizerBase

from muscle_core.compat.strategies import TOKEN_STRATEGIES, TokenStatistics
from muscle_core.errors import ModelError
from muscle_core.scoring.encode import EncodedPair
from muscle_core.scoring.loglikelihood import (
    BATCH_TOKENS,
    answer_logits,
    gold_loglikelihood,
    length_sorted_batches,
    pad_pairs,
)

_CONTEXT = 8  # tokens before one that decide how its text is written


class ModelTokens(NamedTuple):
    """What one model says at every token of an answer.

    Attributes:
        argmax: its most likely token ids; of equally likely ones the lowest id.
        argmax_text: their texts.
        gold_loglikelihood: log-likelihood of the gold tokens, in nats.
    """

    argmax: list[int]
    argmax_text: list[str]
    gold_loglikelihood: list[float]


class TokenView(NamedTuple):
    """One gold answer, token by token.

    Attributes:
        gold: gold token ids, EOS last.
        text: their texts; joined they are the answer.
        models: by "old", "new" and "student".
        follows: by strategy, what each token learns from: "old", "new" or "gold" (cross-entropy), several joined by
            "+".
    """

    gold: list[int]
    text: list[str]
    models: dict[str, ModelTokens]
    follows: dict[str, list[str]]

    def frame(self) -> pd.DataFrame:
        """One row a token: token, gold_id, for each model NAME_argmax (text) and NAME_probability, and each strategy.

        A probability is that of the gold token, from 0 to 1.
        """
        columns: dict[str, Any] = {"token": self.text, "gold_id": self.gold}
        for name, tokens in self.models.items():
            columns[f"{name}_argmax"] = tokens.argmax_text
            columns[f"{name}_probability"] = torch.tensor(tokens.gold_loglikelihood).double().exp().numpy()
        return pd.DataFrame({**columns, **self.follows})


def token_views(
    models: Mapping[str, Any],
    tokenizer: PreTrainedTokenizerBase,
    pairs: Sequence[EncodedPair],
    *,
    batch_tokens: int = BATCH_TOKENS,
) -> list[TokenView]:
    """Look at gold answers with two versions and a student.

    Args:
        models: causal language models in evaluation mode by "old", "new" and, where it is not the new one, "student".
        tokenizer: of all.
        pairs: prompts with their gold answers, as `training_pairs` gives them.
        batch_tokens: padded tokens a forward pass may hold.

    Returns:
        One view a pair, in the order given.

    Raises:
        ModelError: the models' vocabularies differ.
    """
    views: dict[int, TokenView] = {}
    for indices in length_sorted_batches([len(p.prompt) + len(p.answer) for p in pairs], batch_tokens):
        chosen = [pairs[index] for index in indices]
        views |= zip(indices, _batch(models, tokenizer, chosen), strict=True)
    return [views[index] for index in range(len(pairs))]


class _Look(NamedTuple):
    """One model at the answer tokens of a batch, [tokens] each."""

    argmax: torch.Tensor
    gold: torch.Tensor


@torch.inference_mode()
def _batch(
    models: Mapping[str, Any], tokenizer: PreTrainedTokenizerBase, pairs: Sequence[EncodedPair]
) -> Iterator[TokenView]:
    batch = pad_pairs(pairs, tokenizer.pad_token_id or 0)
    looks: dict[str, _Look] = {}
    sizes = set()
    gold = row = torch.zeros(0)
    for name, model in models.items():
        logits, gold, row = answer_logits(model, batch)
        sizes.add(logits.shape[1])
        looks[name] = _Look(logits.argmax(-1).cpu(), gold_loglikelihood(logits, gold).cpu())
    if len(sizes) > 1:
        raise ModelError(
            f"the output vocabularies differ ({', '.join(f'{size:,}' for size in sorted(sizes))} entries); token by "
            "token, only models of one vocabulary can be compared."
        )
    looks.setdefault("student", looks["new"])
    student, old = looks["student"], looks["old"]
    statistics = TokenStatistics(gold.cpu(), row.cpu(), student.argmax, student.gold, old.argmax, old.gold)
    follows = {name: _follows(strategy.weigh(statistics)) for name, strategy in TOKEN_STRATEGIES.items()}
    start = 0
    for pair in pairs:
        part = slice(start, start + len(pair.answer))
        start = part.stop
        yield _view(tokenizer, pair, looks, follows, part)


def _follows(weights: Any) -> list[str]:
    """What each token learns from; see `TokenView`."""
    named = weights._asdict()
    return [
        "+".join(name for name, weight in zip(named, values, strict=True) if weight > 0)
        for values in zip(*(weight.tolist() for weight in named.values()), strict=True)
    ]


def _view(
    tokenizer: PreTrainedTokenizerBase,
    pair: EncodedPair,
    looks: Mapping[str, _Look],
    follows: Mapping[str, list[str]],
    part: slice,
) -> TokenView:
    befores = [[*pair.prompt, *pair.answer[:position]][-_CONTEXT:] for position in range(len(pair.answer))]

    def texts(tokens: Sequence[int]) -> list[str]:
        return [_text(tokenizer, before, token) for before, token in zip(befores, tokens, strict=True)]

    models = {}
    for name, look in looks.items():
        argmax = look.argmax[part].tolist()
        models[name] = ModelTokens(argmax, texts(argmax), look.gold[part].tolist())
    return TokenView(
        gold=pair.answer,
        text=texts(pair.answer),
        models=models,
        follows={name: values[part] for name, values in follows.items()},
    )


def _text(tokenizer: PreTrainedTokenizerBase, before: list[int], token: int) -> str:
    """What a token adds to the text before it: alone, many tokenizers would leave out its leading space."""
    options = {"skip_special_tokens": False, "clean_up_tokenization_spaces": False}
    earlier, whole = (str(tokenizer.decode(ids, **options)) for ids in (before, [*before, token]))
    # A part of a letter changes the text before it; then it is shown alone.
    return whole[len(earlier) :] if whole.startswith(earlier) else str(tokenizer.decode([token], **options))
