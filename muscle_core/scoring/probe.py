"""Find out by trying whether a model takes one of our own kinds of pass."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import torch

from muscle_core.scoring.packing import PromptGroup

# Float32 noise of a log-likelihood or a logit is below 1e-4; a wrong mask is off by far more.
_TOLERANCE = 1e-3


class NotPackableError(Exception):
    """The architecture's attention does more than our passes can do; caught by the caller, never shown."""


def plain_model(model: Any) -> Any:
    """The `PreTrainedModel` under a PEFT adapter, or the model itself."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def device_of(model: Any) -> torch.device:
    """Where a model's weights lie."""
    where: torch.device = next(model.parameters()).device
    return where


def context_of(model: Any) -> int | None:
    """Most tokens that a text may have, or None where the model does not say."""
    limit: int | None = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    return limit


def probe_groups(vocabulary: int, shared: int) -> list[PromptGroup]:
    """Three prompts of different length that begin with `shared` equal tokens, and answers of 1 to 4; always the same.

    They are of chance tokens, so that what leaks from one into another is seen.
    """
    generator = random.Random(0)

    def tokens(count: int) -> list[int]:
        return [generator.randrange(vocabulary) for _ in range(count)]

    beginning = tokens(shared)
    return [
        PromptGroup(beginning + tokens(length), [tokens(count) for count in counts])
        for length, counts in ((7, (3, 1, 4)), (2, (1, 1)), (4, (2,)))
    ]


def why_not(largest_difference: Callable[[], float]) -> str | None:
    """Why an own way of computing cannot be used, or None.

    Args:
        largest_difference: computes a probe both ways and returns the largest difference of the results.
    """
    try:
        difference = largest_difference()
    # Whatever an unknown architecture answers to a pass that it was not made for, the usual way is there.
    except (NotPackableError, TypeError, ValueError, RuntimeError, AttributeError, IndexError, KeyError) as error:
        return f"{type(error).__name__}: {error}".splitlines()[0]
    if difference <= _TOLERANCE:  # False for NaN
        return None
    return f"its results differ from those of whole passes by {difference:.2g}"
