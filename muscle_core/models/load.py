"""Load tokenizers, bases and adapters; one base in memory serves several adapters.

Everything is float32 (bfloat16 was measured 5 times slower on CPUs) and safetensors or GGUF only; remote code is never
run.
"""

from __future__ import annotations

import copy
import hashlib
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from peft import PeftConfig, PeftModel
from safetensors import SafetensorError, safe_open
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils.logging import disable_progress_bar

from muscle_core.errors import ModelError, first_line
from muscle_core.models.spec import (
    ModelSpec,
    base_fingerprint,
    check_paths,
    hub_snapshot,
    recorded_base_fingerprint,
)

disable_progress_bar()  # jobs write to log files, where a bar is only noise

_PROBES = (
    "The quick brown fox, 1,234.5 + 67% = $8.90?\n",
    "  two  spaces\tand a tab; naïve café 東京 🙂",
    "def f(x):\n    return x ** 2  # code",
    "#### 42",
)


def device() -> torch.device:
    """CUDA where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _source(spec: ModelSpec) -> tuple[str, dict[str, Any]]:
    """First argument and options of `from_pretrained` for a base."""
    path = spec.base_path
    if spec.is_gguf:
        return str(path.parent), {"gguf_file": path.name}
    return str(path if path.exists() else hub_snapshot(spec)), {}


def load_tokenizer(spec: ModelSpec) -> PreTrainedTokenizerBase:
    """Load a base's tokenizer; the pad token falls back to EOS.

    Raises:
        ModelError: no usable tokenizer beside the weights.
    """
    check_paths(spec)
    source, options = _source(spec)
    try:
        tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False, **options)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"no usable tokenizer at {spec.base!r}: {first_line(error)}") from error
    if tokenizer.eos_token_id is None:
        raise ModelError(f"the tokenizer of {spec.base!r} has no EOS token, so answers would never end.")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def tokenizer_fingerprint(tokenizer: PreTrainedTokenizerBase) -> str:
    """Hash of the vocabulary and of how probe texts are split.

    Files of the same tokenizer differ between formats (GGUF, tokenizer.json); its behaviour does not.
    """
    vocabulary = sorted(tokenizer.get_vocab().items(), key=lambda item: (item[1], item[0]))
    probes = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in _PROBES]
    content = json.dumps([vocabulary, probes], ensure_ascii=False)
    return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()


def load_base(spec: ModelSpec) -> Any:
    """Load a base (a `PreTrainedModel`) in float32 and evaluation mode, frozen.

    Raises:
        ModelError: the files are missing, damaged or of an unknown architecture.
    """
    check_paths(spec)
    source, options = _source(spec)
    try:
        model: Any = AutoModelForCausalLM.from_pretrained(
            source, dtype=torch.float32, trust_remote_code=False, use_safetensors=None if options else True, **options
        )
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        raise ModelError(f"the model at {spec.base!r} cannot be loaded: {first_line(error)}") from error
    if spec.is_gguf:
        # The weights are plain float32 now; with the marks of quantisation, saving and training would be refused.
        model.hf_quantizer, model.is_quantized = None, False
        del model.config.quantization_config
    model.requires_grad_(False)
    return model.to(device()).eval()


def base_skeleton(spec: ModelSpec) -> PreTrainedModel:
    """The base's layers without their weights (on the meta device): enough to check an adapter's shapes.

    Raises:
        ModelError: the config is missing or of an unknown architecture.
    """
    check_paths(spec)
    source, options = _source(spec)
    try:
        config = AutoConfig.from_pretrained(source, trust_remote_code=False, **options)
        with torch.device("meta"):
            return AutoModelForCausalLM.from_config(config)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"the model at {spec.base!r} cannot be read: {first_line(error)}") from error


@lru_cache(maxsize=2)
def _cached_base(spec: ModelSpec, fingerprint: str) -> PreTrainedModel:
    return load_base(spec)


def shared_base(spec: ModelSpec) -> PreTrainedModel:
    """A fresh module tree over weights that are loaded once per process (the last two bases are kept).

    Adapters change a model's module tree, so every user gets a tree of its own; the frozen weights are the
    same tensors in memory.
    """
    plain = ModelSpec(base=spec.base, revision=spec.revision)
    base = _cached_base(plain, base_fingerprint(plain))
    tensors = [*base.parameters(), *base.buffers()]
    return copy.deepcopy(base, memo={id(tensor): tensor for tensor in tensors})


def forget_bases() -> None:
    """Let go of bases kept in memory, whose room is free once nobody uses them; they load again."""
    _cached_base.cache_clear()


def load_model(spec: ModelSpec) -> PreTrainedModel | PeftModel:
    """Load a model version for inference: the shared base, with its adapter where it has one.

    Raises:
        ModelError: the base cannot be loaded, or the adapter does not belong to it.
    """
    model = shared_base(spec)
    folder = spec.adapter_path
    if folder is None:
        return model
    check_adapter(spec, model)
    return put_adapter(model, folder, is_trainable=False).requires_grad_(False).eval()


def put_adapter(base: PreTrainedModel, folder: Path, *, is_trainable: bool) -> PeftModel:
    """Put a saved adapter on a base; see `check_adapter` for the messages that tell most.

    Raises:
        ModelError: PEFT refuses the adapter.
    """
    try:
        return PeftModel.from_pretrained(base, str(folder), is_trainable=is_trainable)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, SafetensorError) as error:
        raise ModelError(f"the adapter at {folder} cannot be loaded: {first_line(error)}") from error


def check_adapter(spec: ModelSpec, base: PreTrainedModel, *, other_base_is_fine: bool = False) -> None:
    """Refuse an adapter that was trained on another base or does not fit this one's shapes.

    Args:
        spec: the base and the adapter.
        base: the loaded base, before any adapter.
        other_base_is_fine: compare shapes only, for starting a new adapter from another version's.

    Raises:
        ModelError: with the first shape that does not fit, or both fingerprints; or the adapter's files are damaged
            or of a kind that is not supported.
    """
    folder = spec.adapter_path
    if folder is None:
        return
    recorded = recorded_base_fingerprint(folder)
    if not other_base_is_fine and recorded is not None and recorded != base_fingerprint(spec):
        raise ModelError(
            f"the adapter at {folder} was trained on another base (fingerprint {recorded[:12]}…) than {spec.base!r} "
            f"({base_fingerprint(spec)[:12]}…). Name the base it was trained on."
        )
    try:
        config = PeftConfig.from_pretrained(str(folder))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ModelError(
            f"{folder / 'adapter_config.json'} cannot be read: {first_line(error)}. Copy the adapter's folder again."
        ) from error
    kind = getattr(config.peft_type, "value", str(config.peft_type))
    if kind != "LORA":
        raise ModelError(f"the adapter at {folder} is of type {kind}; only LORA adapters are supported.")
    if getattr(config, "use_dora", False):
        raise ModelError(f"the adapter at {folder} uses DoRA; only plain LoRA adapters are supported.")
    rank = None if getattr(config, "rank_pattern", None) else getattr(config, "r", None)
    layers = {name: module for name, module in base.named_modules() if isinstance(module, torch.nn.Linear)}
    try:
        opened = safe_open(folder / "adapter_model.safetensors", framework="pt")
    except (OSError, SafetensorError) as error:
        raise ModelError(f"the adapter at {folder} cannot be read: {first_line(error)}") from error
    with opened as tensors:
        for key in tensors.keys():  # noqa: SIM118 - safe_open is not a dict
            name, mark, _ = key.removeprefix("base_model.model.").partition(".lora_")
            if not mark:
                continue
            layer = layers.get(name)
            if layer is None:
                raise ModelError(f"the adapter at {folder} is for another base: {spec.base!r} has no layer {name!r}.")
            shape = tensors.get_slice(key).get_shape()
            if len(shape) != 2:
                raise ModelError(f"the adapter at {folder} is damaged: {key!r} is not a matrix but has shape {shape}.")
            rows, columns = shape
            wanted, got = (layer.in_features, columns) if ".lora_A" in key else (layer.out_features, rows)
            if wanted != got:
                raise ModelError(
                    f"the adapter at {folder} is for another base: layer {name!r} of {spec.base!r} has {wanted} "
                    f"{'inputs' if '.lora_A' in key else 'outputs'}, the adapter {got}."
                )
            own_rank = rows if ".lora_A" in key else columns
            if rank is not None and own_rank != rank:
                raise ModelError(
                    f"the adapter at {folder} is damaged: its config says rank {rank}, but {key!r} has rank "
                    f"{own_rank}. Copy config and weights of one and the same adapter."
                )
