"""Tiny random models of several architectures, vocabulary 320 as the tiny tokenizer's."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

_COMMON = {"vocab_size": 320, "initializer_range": 0.3, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
_SHAPE = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
_GROUPED = {"num_key_value_heads": 2}  # two heads share a key
_SHAPES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("Llama", {**_SHAPE, **_GROUPED}),
    "gpt2": ("GPT2", {"n_embd": 32, "n_layer": 2, "n_head": 4}),  # learned positions
    "qwen2": ("Qwen2", {**_SHAPE, **_GROUPED}),  # biases in its attention
    "qwen3": ("Qwen3", {**_SHAPE, **_GROUPED, "head_dim": 16}),  # normalised queries, heads wider than the model
    "gemma2": ("Gemma2", {**_SHAPE, **_GROUPED, "head_dim": 8}),  # soft caps, sliding windows
    "mistral": ("Mistral", {**_SHAPE, **_GROUPED, "sliding_window": 16}),
    "llama with adapter": ("Llama", {**_SHAPE, **_GROUPED}),
    "bloom": ("Bloom", {"hidden_size": 32, "n_layer": 2, "n_head": 4}),  # does not use the attention interface
}


@lru_cache(maxsize=len(_SHAPES))
def _make(name: str) -> Any:
    import torch
    import transformers

    prefix, shape = _SHAPES[name]
    head = "GPT2LMHeadModel" if prefix == "GPT2" else f"{prefix}ForCausalLM"
    config = getattr(transformers, f"{prefix}Config")(**_COMMON, **shape)
    torch.manual_seed(0)
    model = getattr(transformers, head)(config)
    if name.endswith("with adapter"):
        from peft import LoraConfig, get_peft_model

        modules = ["q_proj", "v_proj", "down_proj"]
        model = get_peft_model(model, LoraConfig(r=4, target_modules=modules, init_lora_weights=False))
    return model.eval()


# Name -> function that gives the model (always the same one).
TINY: dict[str, Callable[[], Any]] = {name: partial(_make, name) for name in _SHAPES}
