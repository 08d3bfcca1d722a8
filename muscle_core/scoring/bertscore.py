"""BERTScore of generated texts by a local encoder, beside ROUGE (Zhang et al., ICLR 2020).

Plain F1 of the last layer, without idf weights and without rescaling by a baseline. Written here because torchmetrics
1.9.0 gives the scores back in another order than that of the texts, and bert-score is no longer kept up.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from transformers import AutoModel, AutoTokenizer

from muscle_core.errors import ModelError, first_line
from muscle_core.models.spec import ModelSpec, check_paths, hub_snapshot

_BATCH = 32  # texts a forward pass
_LONGEST = 512  # tokens; what is longer is cut, as encoders must


class BertScorer:
    """Scores texts with one encoder."""

    def __init__(self, encoder: str) -> None:
        """Load the encoder.

        Args:
            encoder: folder in Hugging Face format, or a hub id, of an encoder such as DeBERTa or RoBERTa.

        Raises:
            ModelError: there is no such encoder, or it cannot be loaded.
        """
        spec = ModelSpec(encoder)
        check_paths(spec)
        folder = str(spec.base_path if spec.base_path.exists() else hub_snapshot(spec))
        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
            self._model: Any = AutoModel.from_pretrained(folder, trust_remote_code=False, use_safetensors=True).eval()
        except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
            raise ModelError(f"the encoder {encoder!r} cannot be loaded: {first_line(error)}") from error

    def scores(self, outputs: Sequence[str], golds: Sequence[str]) -> list[float]:
        """F1 of each output against its reference, from -1 to 1; a text without a token gets 0."""
        pairs = zip(self._vectors(outputs), self._vectors(golds), strict=True)
        return [_f1(output, gold) for output, gold in pairs]

    @torch.inference_mode()
    def _vectors(self, texts: Sequence[str]) -> Iterator[torch.Tensor]:
        """For each text the unit vectors of its tokens, [tokens, size], without those of the special tokens."""
        for start in range(0, len(texts), _BATCH):
            encoded = self._tokenizer(
                list(texts[start : start + _BATCH]),
                padding=True,
                truncation=True,
                max_length=_LONGEST,
                return_special_tokens_mask=True,
                return_tensors="pt",
            )
            special = encoded.pop("special_tokens_mask").bool()
            states = self._model(**encoded).last_hidden_state.float()
            units = torch.nn.functional.normalize(states, dim=-1)
            for row, own in zip(units, encoded["attention_mask"].bool() & ~special, strict=True):
                yield row[own]


def _f1(output: torch.Tensor, gold: torch.Tensor) -> float:
    if not len(output) or not len(gold):
        return 0.0
    cosines = output @ gold.T
    precision, recall = float(cosines.max(1).values.mean()), float(cosines.max(0).values.mean())
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def with_bertscore(shards: Iterable[list[dict[str, Any]]], encoder: str) -> Iterator[list[dict[str, Any]]]:
    """Prediction rows with a score `bertscore` beside the others.

    Raises:
        ModelError: see `BertScorer`.
    """
    scorer = BertScorer(encoder)
    for rows in shards:
        values = scorer.scores([row["output"] for row in rows], [row["gold"] for row in rows])
        yield [{**row, "bertscore": value} for row, value in zip(rows, values, strict=True)]
