"""How answers are asked for, produced and scored. No torch here: a known run is found without loading it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Decoding:
    """How answers are asked for, produced and scored.

    Attributes:
        max_new_tokens: most tokens a generated answer may have (unused for multiple choice).
        stop: stop strings of generation.
        chat: prompts go through the tokenizer's chat template.
        scoring: how answers are judged; one of the task kind's `scorings`.
        encoder: fingerprint of the encoder of the scoring "bertscore", else None.
    """

    max_new_tokens: int
    stop: tuple[str, ...]
    chat: bool = False
    scoring: str = "sum"
    encoder: str | None = None

    def answering(self) -> dict[str, Any]:
        """JSON form of what decides the model's answers; their scoring does not.

        Greedy is stated because sampling would make flips of its own (paper.md, Traps).
        """
        return {
            "method": "greedy",
            "max_new_tokens": self.max_new_tokens,
            "stop": list(self.stop),
            "chat": self.chat,
        }

    def as_dict(self) -> dict[str, Any]:
        """JSON form; part of an evaluation's key."""
        encoder = {} if self.encoder is None else {"encoder": self.encoder}
        return {**self.answering(), "scoring": self.scoring, **encoder}
