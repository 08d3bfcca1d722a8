"""What several tests build: tiny real models, small data sets, and a look at running workers."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

import psutil

# Options of a training that is over in a moment.
FAST = {"steps": 2, "batch_size": 4, "warmup_steps": 0, "lora_rank": 2, "lora_alpha": 4}
_WORDS = "the a cat dog bird house tree runs sleeps eats one two three four five Question Answer : ? . , and or is"


def make_tiny_base(folder: Path, *, seed: int, hidden: int = 32, extra_token: str | None = None) -> Path:
    """A real Llama of a few thousand parameters with a real byte-level BPE tokenizer, in Hugging Face format."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<pad>", "<bos>", "<eos>"] + ([extra_token] if extra_token else [])
    tokenizer.train_from_iterator(
        [_WORDS] * 20,
        trainers.BpeTrainer(
            vocab_size=320,
            special_tokens=special,
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        ),
    )
    tokenizer.post_processor = processors.TemplateProcessing(single="<bos> $A", special_tokens=[("<bos>", 1)])
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", bos_token="<bos>", eos_token="<eos>")
    torch.manual_seed(seed)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(fast),
            hidden_size=hidden,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=256,
            initializer_range=0.3,  # far from uniform, so that argmax and rankings mean something
            pad_token_id=0,
            bos_token_id=1,
            eos_token_id=2,
        )
    )
    model.save_pretrained(folder)
    fast.save_pretrained(folder)
    return folder


def save_random_adapter(out: Path, base: Path, seed: int, **options) -> Path:
    """A PEFT adapter with random factors and a record of its base, made without this project's training."""
    import torch
    from peft import LoraConfig, get_peft_model

    from muscle_core.models import ModelSpec, base_fingerprint
    from muscle_core.models.load import load_base
    from muscle_core.models.spec import write_base_record

    spec = ModelSpec(str(base))
    torch.manual_seed(seed)
    config = {"r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "v_proj"], "init_lora_weights": False, **options}
    get_peft_model(load_base(spec), LoraConfig(task_type="CAUSAL_LM", **config)).save_pretrained(str(out))
    write_base_record(out, spec, base_fingerprint(spec))
    return out


CHOICES = ["cat", "dog", "bird"]


def choice_rows(count: int, offset: int = 0) -> list[dict]:
    """Small multiple-choice rows whose gold answer alternates."""
    return [
        {"id": f"c{n}", "question": f"the {CHOICES[n % 3]} runs {n} ?", "choices": CHOICES, "answer": (n * 7) % 3}
        for n in range(offset, offset + count)
    ]


def worker_pids(home: Path) -> list[int]:
    """Workers (not their children) that serve a workspace."""
    found = []
    for process in psutil.process_iter():
        try:
            if "worker" in process.cmdline() and process.environ().get("MUSCLE_HOME") == str(home):
                found.append(process.pid)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def end_workers(home: Path) -> None:
    """End the workers of a workspace, and wait until they have."""
    for pid in worker_pids(home):
        os.kill(pid, signal.SIGTERM)
        with contextlib.suppress(psutil.NoSuchProcess):
            psutil.Process(pid).wait(timeout=90)
