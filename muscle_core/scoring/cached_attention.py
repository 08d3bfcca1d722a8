"""Keys and values of rows that are being generated, and the attention that fills and reads them.

Rows stand right-aligned in buffers that are written in place, so that a step copies nothing; rows that are done leave,
and others take their room. Keys carry their positions already (rotary) or the model adds them before (learned), so a
row may move between columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

from muscle_core.scoring.packed_attention import require_plain_attention
from muscle_core.scoring.packing import KeysAndValues

NAME = "muscle_cached"
_ROOM = 64  # columns that a buffer grows by


class KeyValueStore:
    """Keys and values of the rows in work.

    Attributes:
        layers: for each layer keys and values, [rows, key heads, columns, head size].
        filled: columns in use; every row ends there.
        start: [rows] first column of each row.
        fresh: keys and values of a prompt pass that is not merged yet, by layer; None outside such a pass.
        fresh_start: [rows] first column of each of its rows.
        visible: mask of the running pass, broadcastable to [rows, heads, queries, columns].
    """

    def __init__(self, device: torch.device) -> None:
        self.layers: list[KeysAndValues] = []
        self.filled = 0
        self.start = torch.zeros(0, dtype=torch.long, device=device)
        self.fresh: dict[int, KeysAndValues] | None = None
        self.fresh_start = self.start
        self.visible = torch.zeros(0)

    @property
    def reach(self) -> int:
        """Tokens that the last token of the longest row may see."""
        return int(self.visible.shape[-1])

    def begin_prompts(self, lengths: torch.Tensor, width: int) -> None:
        """Prepare a pass over left-padded prompts of the given lengths [rows]."""
        self.fresh, self.fresh_start = {}, width - lengths
        columns = torch.arange(width, device=lengths.device)
        own = (columns >= self.fresh_start[:, None])[:, None, :] & (columns[None, :] <= columns[:, None])
        # Padding sees itself: a softmax over nothing is NaN.
        self.visible = (own | torch.eye(width, dtype=torch.bool, device=lengths.device))[:, None]

    def begin_step(self) -> None:
        """Prepare a pass over one new token a row; `filled` is the caller's to raise after it."""
        if self.filled == self.layers[0][0].shape[2]:
            self.rearrange(range(len(self.start)))
        columns = torch.arange(self.filled + 1, device=self.start.device)
        self.visible = (columns >= self.start[:, None])[:, None, None]

    def rearrange(self, kept: Sequence[int], entering: Sequence[int] = ()) -> None:
        """Keep some rows, and put rows of the last prompt pass behind them; the others are gone.

        Args:
            kept: numbers of the rows that stay.
            entering: numbers of the rows of the prompt pass.
        """
        where = self.start.device
        fresh, self.fresh = self.fresh or {}, None
        old_rows = torch.tensor(list(kept), dtype=torch.long, device=where)
        new_rows = torch.tensor(list(entering), dtype=torch.long, device=where)
        parts: list[list[KeysAndValues]] = []  # for each source its layers, cut to what is filled
        lengths: list[torch.Tensor] = []
        if len(old_rows):
            end = self.filled
            parts.append([(keys[old_rows, :, :end], values[old_rows, :, :end]) for keys, values in self.layers])
            lengths.append(end - self.start[old_rows])
        if len(new_rows):
            parts.append([(fresh[i][0][new_rows], fresh[i][1][new_rows]) for i in range(len(fresh))])
            lengths.append(fresh[0][0].shape[2] - self.fresh_start[new_rows])
        if not parts:
            self.layers, self.filled, self.start = [], 0, self.start[:0]
            return
        total = torch.cat(lengths)
        columns = int(total.max())
        self.layers = [
            (_stack([keys for keys, _ in layer], columns), _stack([values for _, values in layer], columns))
            for layer in zip(*parts, strict=True)
        ]
        self.filled, self.start = columns, columns - total


def _stack(parts: list[torch.Tensor], columns: int) -> torch.Tensor:
    """Stack [rows, heads, any, size] tensors, right-aligned at a column, with room behind; the rest is zero."""
    first = parts[0]
    rows = sum(len(part) for part in parts)
    buffer = first.new_zeros(rows, first.shape[1], columns + _ROOM, first.shape[3])
    row = 0
    for part in parts:
        width = min(part.shape[2], columns)
        buffer[row : row + len(part), :, columns - width : columns] = part[:, :, part.shape[2] - width :]
        row += len(part)
    return buffer


def cached_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    store: KeyValueStore | None = None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """Attention of a prompt pass or of one step; see `KeyValueStore`.

    Args:
        module: the attention layer; `layer_idx` finds its buffers.
        query: [rows, heads, tokens, head size].
        key: [rows, key heads, tokens, head size].
        value: as `key`.
        attention_mask: must be None; the store says what is visible.
        scaling: factor of the products; by default 1 / sqrt(head size).
        dropout: unused; nothing is trained here.
        store: of the rows.
        **options: what else the architecture asks for.

    Returns:
        Output [rows, tokens, heads, head size], and None for the weights.

    Raises:
        NotPackableError: the store did not arrive, or the architecture asks for something else than plain attention.
    """
    rows, heads, _, size = query.shape
    store = require_plain_attention(module, store, attention_mask, options)
    layer = int(module.layer_idx)  # type: ignore[arg-type]
    if store.fresh is not None:
        store.fresh[layer] = (key, value)
        gqa = key.shape[1] != heads
        output = scaled_dot_product_attention(query, key, value, attn_mask=store.visible, scale=scaling, enable_gqa=gqa)
        return output.transpose(1, 2).contiguous(), None
    keys, values = store.layers[layer]
    end = store.filled + 1
    keys[:, :, store.filled : end] = key
    values[:, :, store.filled : end] = value
    # One token a row: the heads that share a key head are its queries, so that no key is repeated in memory.
    grouped = query.reshape(rows, key.shape[1], -1, size)
    output = scaled_dot_product_attention(
        grouped, keys[:, :, :end], values[:, :, :end], attn_mask=store.visible, scale=scaling
    )
    return output.reshape(rows, 1, heads, size), None


AttentionInterface.register(NAME, cached_attention)
