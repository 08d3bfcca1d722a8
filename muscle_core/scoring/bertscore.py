"""BERTScore of generated texts by a local encoder, beside ROUGE. Needs the optional package torchmetrics.

Plain F1 of the last layer, without idf weights and without rescaling by a baseline (Zhang et al., ICLR 2020).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from muscle_core.errors import ConfigError, ModelError
from muscle_core.models.spec import ModelSpec, check_paths, hub_snapshot


class BertScorer:
    """Scores texts with one encoder."""

    def __init__(self, encoder: str) -> None:
        """Load the encoder.

        Args:
            encoder: folder in Hugging Face format, or a hub id, of an encoder such as DeBERTa or RoBERTa.

        Raises:
            ConfigError: torchmetrics is not installed.
            ModelError: there is no such encoder, or it cannot be loaded.
        """
        try:
            from torchmetrics.functional.text.bert import bert_score
        except ImportError as error:
            raise ConfigError(
                "the scoring bertscore needs the package torchmetrics: pip install -r requirements-bertscore.txt"
            ) from error
        from transformers import AutoModel, AutoTokenizer

        spec = ModelSpec(encoder)
        check_paths(spec)
        folder = str(spec.base_path if spec.base_path.exists() else hub_snapshot(spec))
        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
            self._model: Any = AutoModel.from_pretrained(folder, trust_remote_code=False, use_safetensors=True).eval()
        except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
            raise ModelError(f"the encoder {encoder!r} cannot be loaded: {str(error).splitlines()[0]}") from error
        self._bert_score = bert_score
        self._longest = min(512, int(getattr(self._model.config, "max_position_embeddings", 512)))

    def scores(self, outputs: list[str], golds: list[str]) -> list[float]:
        """F1 of each output against its reference, from -1 to 1; an empty output gets 0."""
        import torch

        numbers = [number for number, output in enumerate(outputs) if output.strip()]
        values = [0.0] * len(outputs)
        if not numbers:
            return values
        with torch.inference_mode():
            found = self._bert_score(
                [outputs[n] for n in numbers],
                [golds[n] for n in numbers],
                model=self._model,
                user_tokenizer=self._tokenizer,
                truncation=True,
                max_length=self._longest,
            )["f1"]
        for number, value in zip(numbers, found.tolist(), strict=True):
            values[number] = value
        return values


def with_bertscore(shards: Iterable[list[dict[str, Any]]], encoder: str) -> Iterator[list[dict[str, Any]]]:
    """Prediction rows with a score `bertscore` beside the others.

    Raises:
        ConfigError, ModelError: see `BertScorer`.
    """
    scorer = BertScorer(encoder)
    for rows in shards:
        values = scorer.scores([row["output"] for row in rows], [row["gold"] for row in rows])
        yield [{**row, "bertscore": value} for row, value in zip(rows, values, strict=True)]
