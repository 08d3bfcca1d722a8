"""How answers are produced and scored. No torch here: a known run is found without loading it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Decoding:
    """How answers are produced; part of an evaluation's cache key.

    Attributes:
        max_new_tokens: most tokens a generated answer may have (unused for multiple choice).
        stop: stop strings of generation.
    """

    max_new_tokens: int
    stop: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """JSON form; greedy is stated because sampling would make flips of its own (paper.md, Traps).

        "sum": the score of an answer is the sum over its tokens, not their mean, as in lm-evaluation-harness' acc.
        """
        return {
            "method": "greedy",
            "scoring": "sum",
            "max_new_tokens": self.max_new_tokens,
            "stop": list(self.stop),
        }
