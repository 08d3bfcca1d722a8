"""Make a cheaper build of a model: round its linear weights to a few bits per group, as vendors do.

This gives a real "old version" of any model on any machine: same training, coarser weights.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import torch

from muscle_core.errors import ConfigError
from muscle_core.models.load import load_base, load_tokenizer
from muscle_core.models.spec import ModelSpec
from muscle_core.paths import full_disk_told, local_path


def round_groups(weight: torch.Tensor, bits: int, group_size: int) -> torch.Tensor:
    """Round to 2**bits evenly spaced levels between each group's minimum and maximum.

    Args:
        weight: [rows, columns]; a group is `group_size` neighbours of one row.
        bits: 2 to 8.
        group_size: must divide `columns`.

    Returns:
        The rounded weight, same shape and dtype.
    """
    groups = weight.reshape(-1, group_size)
    low, high = groups.min(dim=1, keepdim=True).values, groups.max(dim=1, keepdim=True).values
    step = ((high - low) / (2**bits - 1)).clamp_min(torch.finfo(weight.dtype).tiny)
    return (((groups - low) / step).round() * step + low).reshape(weight.shape)


def write_rounded(spec: ModelSpec, out: Path, *, bits: int = 3, group_size: int = 32) -> Path:
    """Write a copy of a base whose transformer linear layers are rounded; embeddings and norms stay.

    Raises:
        ConfigError: bits outside 2 to 8, or a group size that does not divide a layer's width.
        ModelError: the base cannot be loaded.
        StoreError: the disk is full; nothing is left of it.
    """
    if not 2 <= bits <= 8:
        raise ConfigError(f"bits must be from 2 to 8, got {bits}.")
    if group_size < 1:
        raise ConfigError(f"the group size must be at least 1, got {group_size}.")
    out = local_path(out, ConfigError)
    if out.is_file():
        raise ConfigError(f"{out} is a file; name a new folder.")
    if out.exists() and any(out.iterdir()):
        raise ConfigError(f"{out} is not empty; name a new folder.")
    model, tokenizer = load_base(spec), load_tokenizer(spec)
    head = model.get_output_embeddings()
    for name, module in model.named_modules():
        if not isinstance(module, torch.nn.Linear) or module is head:
            continue
        if module.in_features % group_size:
            raise ConfigError(f"group size {group_size} does not divide the {module.in_features} columns of {name}.")
        module.weight.data = round_groups(module.weight.data, bits, group_size)
    partial = out.with_name(out.name + ".partial")
    try:
        with full_disk_told(partial.parent):
            model.half().save_pretrained(partial)
            tokenizer.save_pretrained(partial)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    if out.exists():
        out.rmdir()
    partial.rename(out)
    return out
