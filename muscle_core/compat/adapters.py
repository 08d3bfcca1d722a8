"""Where an adapter starts, and how it is saved."""

from __future__ import annotations

from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import PreTrainedTokenizerBase

from muscle_core.compat.config import CompatConfig, TrainOptions
from muscle_core.errors import ConfigError, ModelError
from muscle_core.models.load import (
    check_adapter,
    load_tokenizer,
    put_adapter,
    shared_base,
    tokenizer_fingerprint,
)
from muscle_core.models.spec import ModelSpec, base_fingerprint, write_base_record


def check_same_tokenizer(old: ModelSpec, new: ModelSpec) -> PreTrainedTokenizerBase:
    """Refuse two versions whose tokenizers differ: their token distributions cannot be compared.

    Returns:
        The new version's tokenizer.

    Raises:
        ModelError: naming both versions (paper.md, Words: the method assumes one vocabulary).
    """
    first, second = load_tokenizer(old), load_tokenizer(new)
    if tokenizer_fingerprint(first) != tokenizer_fingerprint(second):
        raise ModelError(
            f"the tokenizers differ: {old.base!r} has {len(first):,} tokens, {new.base!r} has {len(second):,}, or they "
            "split texts differently. MUSCLE compares both versions token by token, so both must share one "
            "tokenizer. Choose two versions of the same family."
        )
    return second


def fresh_adapter(base: ModelSpec, options: TrainOptions) -> PeftModel:
    """A trainable LoRA adapter with new weights (seeded) on a base.

    Raises:
        ConfigError: none of the named layers exists in the base.
    """
    torch.manual_seed(options.seed)
    model = shared_base(base)
    config = LoraConfig(
        r=options.lora_rank,
        lora_alpha=options.lora_alpha,
        lora_dropout=options.lora_dropout,
        target_modules=list(options.lora_modules),
        task_type="CAUSAL_LM",
    )
    try:
        return get_peft_model(model, config)
    except ValueError as error:
        raise ConfigError(f"no LoRA adapter can be put on {base.base!r}: {error}") from error


def compat_student(old: ModelSpec, new: ModelSpec, config: CompatConfig) -> PeftModel:
    """The trainable student: an adapter on the NEW base, started as `config.initialisation` says.

    Raises:
        ModelError: the adapter to start from does not fit the new base's shapes.
        ConfigError: that version has no adapter.
    """
    if config.initialisation == "scratch":
        return fresh_adapter(new, config)
    source = old if config.initialisation == "old" else new
    folder = source.adapter_path
    if folder is None:
        raise ConfigError(
            f"initialisation {config.initialisation!r} needs an adapter, but the {config.initialisation} version is "
            "a plain base. Choose initialisation 'scratch'."
        )
    torch.manual_seed(config.seed)
    base = shared_base(new)
    check_adapter(ModelSpec(new.base, new.revision, source.adapter), base, other_base_is_fine=source is old)
    return put_adapter(base, folder, is_trainable=True)


def require_new_folder(out: Path) -> None:
    """Refuse to write an adapter over something.

    Raises:
        ConfigError: the folder exists.
    """
    if out.exists():
        raise ConfigError(f"the folder {out} exists; name a new one for the adapter.")


def save_adapter(student: PeftModel, base: ModelSpec, out: Path) -> None:
    """Save in PEFT's own format (safetensors) with a record of the base; the folder appears whole or not at all."""
    partial = out.with_name(out.name + ".partial")
    for config in student.peft_config.values():
        # A student that started from the old adapter still names the old base here.
        config.base_model_name_or_path, config.revision = base.base, base.revision
        # PEFT holds them as a set, whose order differs from process to process: so would the adapter's fingerprint.
        modules = vars(config).get("target_modules")
        if isinstance(modules, set):
            vars(config)["target_modules"] = sorted(modules)
    student.save_pretrained(str(partial))
    write_base_record(partial, base, base_fingerprint(base))
    partial.rename(out)
