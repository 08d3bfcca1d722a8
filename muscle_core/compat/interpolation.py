"""Weight interpolation of two LoRA adapters on one base (paper.md, Extra baselines; Schumann et al. 2023, BCWI).

The weight changes are mixed, not the factors: a LoRA adapter changes a layer by scale * B A, and the mean of two
products is not the product of two means. The factors are put side by side instead, which gives the mix exactly:

    (1 - w) * s1 * B1 A1 + w * s2 * B2 A2 = [(1 - w) * s1 * B1, w * s2 * B2] [A1; A2].
"""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftConfig
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from muscle_core.compat.adapters import require_new_folder
from muscle_core.errors import ConfigError, ModelError, first_line
from muscle_core.models.load import base_skeleton, check_adapter
from muscle_core.models.spec import (
    ModelSpec,
    base_fingerprint,
    check_paths,
    recorded_base_fingerprint,
    write_base_record,
)

_PREFIX = "base_model.model."
_A, _B = ".lora_A.weight", ".lora_B.weight"
# Options with which a layer's change is not scale * B A with one scale and one rank for all layers.
_OTHER_RULES = (
    "rank_pattern",
    "alpha_pattern",
    "fan_in_fan_out",
    "layer_replication",
    "target_parameters",
    "alora_invocation_tokens",
    "use_qalora",
    "use_bdlora",
    "arrow_config",
    "kasa_config",
    "monteclora_config",
)
# Initialisations that also changed the base's weights, which a file of the adapter alone does not tell.
_CHANGED_BASES = ("pissa", "olora", "corda", "loftq", "lora_ga")

# By the name of a layer: A [rank, inputs], and B [outputs, rank] with the adapter's scale in it; both float32.
_Factors = dict[str, tuple[torch.Tensor, torch.Tensor]]


def check_share(share: float) -> None:
    """Refuse a share outside 0 to 1.

    Raises:
        ConfigError: with the value.
    """
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0.0 <= share <= 1.0:
        raise ConfigError(f"the share of the second adapter must be a number from 0 to 1, got {share!r}.")


def interpolate_adapters(
    base: ModelSpec, first: Path, second: Path, share: float, out: Path, *, other_base_is_fine: bool = False
) -> None:
    """Write the adapter whose weight change is (1 - share) * that of `first` + share * that of `second`.

    Exact up to float32 rounding. Its rank is the sum of both ranks, its own scale is 1, and it holds every layer that
    one of both has: where the other has none, it adds nothing.

    Args:
        base: the base that the result is for; an adapter in it is ignored.
        first: folder of a PEFT LoRA adapter.
        second: folder of another.
        share: weight of the second, from 0 (the first alone) to 1 (the second alone).
        out: folder to write, in PEFT's format with a record of the base; it appears whole or not at all.
        other_base_is_fine: one of both may have been trained on another base, if all shapes are equal.

    Raises:
        ConfigError: the share is outside 0 to 1, or `out` exists.
        ModelError: an adapter is damaged, for another base, or of a kind whose change is not scale * B A.
    """
    check_share(share)
    require_new_folder(out)
    plain = ModelSpec(base.base, base.revision)
    skeleton, fingerprint = base_skeleton(plain), base_fingerprint(plain)
    folders = (first, second)
    for folder in folders:
        spec = ModelSpec(base.base, base.revision, str(folder))
        check_paths(spec)
        check_adapter(spec, skeleton, other_base_is_fine=other_base_is_fine)
    if all(recorded_base_fingerprint(folder) not in (None, fingerprint) for folder in folders):
        raise ModelError(
            f"neither adapter, {first} or {second}, was trained on {base.base!r}; name the base of one of them."
        )
    _save(_mixed(_read_factors(first), _read_factors(second), share), plain, fingerprint, out)


def _read_factors(folder: Path) -> _Factors:
    """Factors of a saved adapter that `check_adapter` has passed."""
    config: Any = PeftConfig.from_pretrained(str(folder))
    odd = [name for name in _OTHER_RULES if getattr(config, name, None)]
    start = str(config.init_lora_weights).lower()
    if start.startswith(_CHANGED_BASES):
        odd.append(f"init_lora_weights = {start!r}")
    if odd:
        raise ModelError(
            f"the adapter at {folder} cannot be interpolated: it uses {', '.join(odd)}, and only plain LoRA of one "
            "rank and one scale is supported."
        )
    try:
        tensors = load_file(folder / "adapter_model.safetensors")
    except (OSError, SafetensorError) as error:
        raise ModelError(f"the adapter at {folder} cannot be read: {first_line(error)}") from error
    scale = config.lora_alpha / (math.sqrt(config.r) if config.use_rslora else config.r)
    factors: _Factors = {}
    for key in sorted(tensors):
        name = key.removeprefix(_PREFIX).removesuffix(_A).removesuffix(_B)
        if key not in (_PREFIX + name + _A, _PREFIX + name + _B):
            raise ModelError(
                f"the adapter at {folder} cannot be interpolated: it holds {key!r}, and only the factors of LoRA "
                "layers can be mixed (no biases, no whole layers, no embeddings)."
            )
        pair = [tensors.get(_PREFIX + name + end) for end in (_A, _B)]
        a, b = pair
        if a is None or b is None:
            raise ModelError(f"the adapter at {folder} is damaged: {key!r} has no counterpart. Copy its folder again.")
        factors[name] = (a.float(), b.float() * scale)
    if not factors:
        raise ModelError(f"the adapter at {folder} holds no LoRA layer, so there is nothing to interpolate.")
    return factors


def _mixed(first: _Factors, second: _Factors, share: float) -> _Factors:
    """Both factors side by side; zeros where one adapter lacks a layer, so that all layers have one rank."""
    ranks = [len(next(iter(factors.values()))[0]) for factors in (first, second)]
    mixed: _Factors = {}
    for name in sorted({*first, *second}):
        like_a, like_b = first[name] if name in first else second[name]
        parts = []
        for factors, rank, weight in zip((first, second), ranks, (1.0 - share, share), strict=True):
            nothing = (like_a.new_zeros(rank, like_a.shape[1]), like_b.new_zeros(like_b.shape[0], rank))
            a, b = factors.get(name, nothing)
            parts.append((a, b * weight))
        mixed[name] = torch.cat([a for a, _ in parts]), torch.cat([b for _, b in parts], dim=1)
    return mixed


def _save(factors: _Factors, base: ModelSpec, fingerprint: str, out: Path) -> None:
    """Write factors as an adapter whose own scale is 1; the folder appears whole or not at all.

    Args:
        factors: by layer.
        base: the base of the adapter.
        fingerprint: of that base.
        out: folder to write.
    """
    rank = len(next(iter(factors.values()))[0])
    config = LoraConfig(
        r=rank,
        lora_alpha=rank,
        target_modules=sorted(factors),
        task_type="CAUSAL_LM",
        inference_mode=True,
        base_model_name_or_path=base.base,
        revision=base.revision,
    )
    # PEFT holds them as a set, whose order differs from process to process: so would the adapter's fingerprint.
    vars(config)["target_modules"] = sorted(factors)
    partial = out.with_name(out.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    tensors: dict[str, torch.Tensor] = {}
    for name, (a, b) in factors.items():
        tensors |= {_PREFIX + name + _A: a.contiguous(), _PREFIX + name + _B: b.contiguous()}
    save_file(tensors, partial / "adapter_model.safetensors", metadata={"format": "pt"})
    config.save_pretrained(str(partial))
    write_base_record(partial, base, fingerprint)
    partial.rename(out)
