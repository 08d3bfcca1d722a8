"""The demo's tokenizer and its two tiny Llama bases, pre-trained from nothing by the recipe.

The weights are stored as float16 to keep the repository small and are always loaded back as float32, so
adapters must be trained on the stored weights, never on the unrounded ones.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from muscle_core.demo.corpus import corpus
from muscle_core.demo.recipe import (
    BASES,
    CORPORA,
    TOKENIZER_CORPUS,
    VERSIONS,
    VOCABULARY_SIZE,
    BaseRecipe,
    CorpusRecipe,
)
from muscle_core.errors import ConfigError

PAD, BEGIN, END = "<pad>", "<bos>", "<eos>"
# The words that only the tasks' prompts and targets use; without them they would fall into single letters.
_PROMPT_WORDS = "question: answer: dialogue: summary: ####"


def build_tokenizer() -> PreTrainedTokenizerFast:
    """Trains the byte-level BPE tokenizer that both versions share.

    Digits are single tokens, so that sums can be learned digit by digit. The tokenizer puts BOS
    first; EOS is the caller's, as it ends answers, not prompts.

    Returns:
        The tokenizer; always the same one.
    """
    texts = list(corpus(TOKENIZER_CORPUS))
    texts += [_PROMPT_WORDS] * 200
    tokenizer = Tokenizer(models.BPE(unk_token=None))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=VOCABULARY_SIZE,
            special_tokens=[PAD, BEGIN, END],
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        ),
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BEGIN} $A", special_tokens=[(BEGIN, tokenizer.token_to_id(BEGIN))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        bos_token=BEGIN,
        eos_token=END,
        model_max_length=256,
        clean_up_tokenization_spaces=False,
    )


def _packed_blocks(tokenizer: PreTrainedTokenizerFast, texts: Iterable[str], length: int) -> torch.Tensor:
    """Tokenises documents and packs them end to end into blocks of one length."""
    begin, end = tokenizer.bos_token_id, tokenizer.eos_token_id
    stream: list[int] = []
    for document in tokenizer(list(texts), add_special_tokens=False)["input_ids"]:
        stream += [begin, *document, end]
    count = len(stream) // length
    return torch.tensor(stream[: count * length]).view(count, length)


def _learning_rate(recipe: BaseRecipe, step: int) -> float:
    """Linear warm-up, then a cosine down to the final share of the peak."""
    if step < recipe.warmup_steps:
        return recipe.learning_rate * (step + 1) / recipe.warmup_steps
    progress = (step - recipe.warmup_steps) / max(1, recipe.steps - recipe.warmup_steps)
    cosine = 0.5 * (1 + math.cos(math.pi * progress))
    return recipe.learning_rate * (recipe.final_share + (1 - recipe.final_share) * cosine)


def _new_model(recipe: BaseRecipe, tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """A Llama of the recipe's shape with seeded random weights."""
    torch.manual_seed(recipe.seed)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=recipe.hidden_size,
            intermediate_size=recipe.intermediate_size,
            num_hidden_layers=recipe.layers,
            num_attention_heads=recipe.heads,
            num_key_value_heads=recipe.heads,
            max_position_embeddings=recipe.max_positions,
            tie_word_embeddings=True,
            initializer_range=recipe.initial_spread,
            pad_token_id=tokenizer.pad_token_id,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
        )
    )


def pretrain_base(
    version: str,
    tokenizer: PreTrainedTokenizerFast,
    out_dir: Path,
    recipe: BaseRecipe | None = None,
    corpus_recipe: CorpusRecipe | None = None,
    say: Callable[[str], None] = print,
) -> Path:
    """Pre-trains one base and saves it, with the tokenizer, in the Hugging Face format.

    The same arguments give the same weights on the same kind of machine: seeds, the number of threads and the
    order of the blocks are fixed. Torch's global state is put back afterwards.

    Args:
        version: "v1" or "v2".
        tokenizer: The shared tokenizer.
        out_dir: The folder to write; it is made where it is missing.
        recipe: Another shape or length than the recipe's, for tests.
        corpus_recipe: Another corpus than the recipe's, for tests.
        say: Receives a line of progress now and then.

    Returns:
        The folder written.

    Raises:
        ConfigError: There is no such version.
    """
    if version not in VERSIONS:
        raise ConfigError(f"The demo has no base version '{version}'. It has {', '.join(VERSIONS)}.")
    recipe = recipe or BASES[version]
    threads_before = torch.get_num_threads()
    deterministic_before = torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(recipe.threads)
    torch.use_deterministic_algorithms(True)
    try:
        with torch.random.fork_rng(devices=[]):
            blocks = _packed_blocks(tokenizer, corpus(corpus_recipe or CORPORA[version]), recipe.block_length)
            model = _train(version, recipe, _new_model(recipe, tokenizer), blocks, say)
    finally:
        torch.set_num_threads(threads_before)
        torch.use_deterministic_algorithms(deterministic_before)
    out_dir.mkdir(parents=True, exist_ok=True)
    model.half().save_pretrained(out_dir)
    tokenizer.save_pretrained(out_dir)
    return out_dir


def _train(
    version: str,
    recipe: BaseRecipe,
    model: LlamaForCausalLM,
    blocks: torch.Tensor,
    say: Callable[[str], None],
) -> LlamaForCausalLM:
    """Runs the optimiser steps; every epoch sees the blocks in a fresh, seeded order."""
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay, betas=(0.9, 0.95)
    )
    order_generator = torch.Generator().manual_seed(recipe.seed)
    order = torch.empty(0, dtype=torch.long)
    size = f"{model.num_parameters():,} parameters, {blocks.numel():,} tokens"
    say(f"base {version}: {size}, {recipe.steps} steps")
    model.train()
    started = time.monotonic()
    for step in range(recipe.steps):
        if len(order) < recipe.batch_size:
            order = torch.cat([order, torch.randperm(len(blocks), generator=order_generator)])
        batch, order = blocks[order[: recipe.batch_size]], order[recipe.batch_size :]
        for group in optimizer.param_groups:
            group["lr"] = _learning_rate(recipe, step)
        loss = model(input_ids=batch, labels=batch).loss
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % 100 == 0 or step == recipe.steps - 1:
            say(f"base {version}: step {step}, loss {loss.item():.3f}, {time.monotonic() - started:.0f} s")
    return model
