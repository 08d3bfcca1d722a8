"""Attention over a packed pass: every tree on its own, all trees in one call, the shared prefix in front of each.

It enters transformers by its public attention interface, so that any architecture that uses the interface takes it.
What it cannot honour (sliding windows, soft caps, attention sinks) it refuses, and the caller scores without packing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar, cast

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

from muscle_core.scoring.packing import Layout, Lines
from muscle_core.scoring.probe import NotPackableError

NAME = "muscle_packed"
# Options of an architecture's attention that change its result, and that a packed pass does not know.
_UNKNOWN_OPTIONS = ("softcap", "s_aux", "position_bias", "head_mask")
_WINDOWS = ("sliding_window", "attention_chunk_size")


class _OwnPass(Protocol):
    @property
    def reach(self) -> int: ...


_Own = TypeVar("_Own", bound=_OwnPass)


def require_plain_attention(
    module: torch.nn.Module, own: _Own | None, attention_mask: torch.Tensor | None, options: dict[str, Any]
) -> _Own:
    """Refuse an attention layer that asks for more than plain causal attention.

    Args:
        module: the layer.
        own: what our own passes hand through the model; None if it did not arrive.
        attention_mask: the model's own mask; our passes hand none in.
        options: further options of the layer.

    Returns:
        `own`, which has arrived.

    Raises:
        NotPackableError: naming what it asks for.
    """
    if own is None or attention_mask is not None:
        raise NotPackableError("the model does not hand our layout to its attention")
    asked = [name for name in _UNKNOWN_OPTIONS if options.get(name) is not None]
    if asked:
        raise NotPackableError(f"the model's attention uses {', '.join(asked)}")
    # Some architectures apply their window in the mask alone, which our passes do not ask them for.
    config = getattr(module, "config", None)
    windows = [options.get("sliding_window"), *(getattr(config, name, None) for name in _WINDOWS)]
    window = min((window for window in windows if window), default=None)
    if window is not None and window < own.reach:
        raise NotPackableError(f"the model's attention has a sliding window of {window} tokens")
    return own


def packed_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    layout: Layout | Lines | None = None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """Attention of one packed row.

    Args:
        module: the attention layer; `layer_idx` finds its keys and values of the prefix.
        query: [1, heads, tokens, head size].
        key: [1, key heads, tokens, head size].
        value: as `key`.
        attention_mask: must be None; the layout says what sees what.
        scaling: factor of the products; by default 1 / sqrt(head size).
        dropout: share of weights dropped in training.
        layout: of the pass.
        **options: what else the architecture asks for.

    Returns:
        Output [1, tokens, heads, head size], and None for the weights.

    Raises:
        NotPackableError: the layout did not arrive, or the architecture asks for something else than plain attention.
    """
    own = cast(Layout | Lines, require_plain_attention(module, layout, attention_mask, options))
    if isinstance(own, Lines):
        return _line_by_line(query, key, value, scaling, dropout, own), None
    slots = own.slots

    def trees(states: torch.Tensor) -> torch.Tensor:
        return states[0].transpose(0, 1)[slots].transpose(1, 2)  # [trees, heads, width, head size]

    queries, keys, values = trees(query), trees(key), trees(value)
    if own.prefix:
        shared_key, shared_value = own.prefix[int(module.layer_idx)]  # type: ignore[arg-type]
        count = len(slots)
        keys = torch.cat([shared_key.expand(count, -1, -1, -1), keys], dim=2)
        values = torch.cat([shared_value.expand(count, -1, -1, -1), values], dim=2)
    output = scaled_dot_product_attention(
        queries,
        keys,
        values,
        attn_mask=own.visible,
        dropout_p=dropout,
        scale=scaling,
        enable_gqa=keys.shape[1] != queries.shape[1],
    )
    return output.transpose(1, 2)[own.taken][None], None


def _line_by_line(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scaling: float | None, dropout: float, lines: Lines
) -> torch.Tensor:
    """One causal call a line: nothing is copied into a padded batch, and no mask is read."""
    gqa = key.shape[1] != query.shape[1]
    queries, keys, values = (states.split(lines.lengths, dim=2) for states in (query, key, value))
    outputs = [
        scaled_dot_product_attention(*line, None, dropout, True, scale=scaling, enable_gqa=gqa)
        for line in zip(queries, keys, values, strict=True)
    ]
    return torch.cat(outputs, dim=2).transpose(1, 2)


AttentionInterface.register(NAME, packed_attention)


@contextmanager
def attention(plain: Any, name: str) -> Iterator[None]:
    """Let a model (a `PreTrainedModel`) attend by another implementation for a while."""
    before = plain.config._attn_implementation
    plain.set_attn_implementation(name)
    try:
        yield
    finally:
        plain.set_attn_implementation(before)
