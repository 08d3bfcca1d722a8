"""Every number of the embedded demo: corpora, pre-training, task adapters, compatibility training.

Nothing here imports torch, so that pages and the command line can show the recipe without loading it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from muscle_core.compat.config import CompatConfig, TaskConfig

TASKS: tuple[str, ...] = ("choice", "math", "dialogue")
VERSIONS: tuple[str, ...] = ("v1", "v2")

# The tasks in the workbench's terms.
TASK_KINDS = {"choice": "multiple_choice", "math": "math", "dialogue": "summarization"}
TEMPLATES = {
    "choice": "question: {input} answer:",
    "math": "question: {input} answer:",
    "dialogue": "dialogue: {input} summary:",
}
DECODING: dict[str, dict[str, Any]] = {
    "choice": {},
    "math": {"max_new_tokens": 48, "stop": []},
    "dialogue": {"max_new_tokens": 48, "stop": []},
}

# Rows of every task and split. All of them are generated, so the size costs only training time.
SPLIT_SIZES: dict[str, dict[str, int]] = {
    "choice": {"train": 4000, "validation": 500, "test": 1000},
    "math": {"train": 3000, "validation": 500, "test": 1000},
    "dialogue": {"train": 3000, "validation": 250, "test": 500},
}
TASK_SEED = 20240709
# Standard deviation of the misjudgements of those who wrote the gold answers, on the scale of logarithms: who compares
# four objects at once errs more than who compares two.
JUDGEMENT_ERROR: dict[str, float] = {"choice": 0.3, "math": 0.2}
# Share of the word problems that need to know objects.
CHOOSING_SHARE = 0.5


@dataclass(frozen=True)
class CorpusRecipe:
    """What one version of the base reads in pre-training.

    Attributes:
        seed: Seed of the generator: two versions never read the same documents.
        documents: How many documents are written.
        authors: How many authors wrote the comparisons; each has judgements of their own.
        judgement_error: Standard deviation of an author's misjudgement of one object, as a share
            of the spread of all objects (on the scale of logarithms).
        sum_slips: Share of sums whose result has a slip in one digit.
        mix: Relative frequency of the kinds of document.
    """

    seed: int
    documents: int
    authors: int
    judgement_error: float
    sum_slips: float
    mix: dict[str, float] = field(default_factory=dict)


CORPORA: dict[str, CorpusRecipe] = {
    "v1": CorpusRecipe(
        seed=101,
        documents=35_000,
        authors=3,
        judgement_error=0.6,
        sum_slips=0.05,
        mix={"comparison": 0.35, "sums": 0.1, "story": 0.2, "talk": 0.25, "list": 0.1},
    ),
    "v2": CorpusRecipe(
        seed=202,
        documents=60_000,
        authors=4,
        judgement_error=0.45,
        sum_slips=0.01,
        mix={"comparison": 0.3, "sums": 0.1, "story": 0.25, "talk": 0.25, "list": 0.1},
    ),
}
TOKENIZER_CORPUS = CorpusRecipe(
    seed=7,
    documents=6000,
    authors=1,
    judgement_error=0.0,
    sum_slips=0.0,
    mix={"comparison": 0.4, "sums": 0.1, "story": 0.25, "talk": 0.25},
)
VOCABULARY_SIZE = 1024


@dataclass(frozen=True)
class BaseRecipe:
    """Shape and pre-training of one tiny Llama base.

    Attributes:
        seed: Seed of the initial weights and of the order of the batches.
        steps: Optimiser steps.
        batch_size: Blocks a step.
        block_length: Tokens a block; documents are packed end to end.
        learning_rate: Peak learning rate of AdamW.
        warmup_steps: Steps of linear warm-up, before a cosine to `final_share` of the peak.
        final_share: Learning rate at the last step as a share of the peak.
        weight_decay: Weight decay of AdamW.
        hidden_size: Width.
        intermediate_size: Width of the feed-forward layers.
        layers: Number of layers.
        heads: Attention heads.
        max_positions: Longest sequence.
        initial_spread: Standard deviation of the initial weights; at the usual 0.02 so narrow a model needs
            three times the steps before it learns to copy.
        threads: CPU threads; fixed, because the order of float sums depends on it.
    """

    seed: int
    steps: int
    batch_size: int = 16
    block_length: int = 128
    learning_rate: float = 3e-3
    warmup_steps: int = 60
    final_share: float = 0.05
    weight_decay: float = 0.1
    hidden_size: int = 128
    intermediate_size: int = 384
    layers: int = 3
    heads: int = 4
    max_positions: int = 256
    initial_spread: float = 0.06
    threads: int = 1


BASES: dict[str, BaseRecipe] = {
    "v1": BaseRecipe(seed=11, steps=3000),
    "v2": BaseRecipe(seed=22, steps=3600),
}


# The same for both versions: same rows, same order, same steps. For choice, training stops before the task data decide
# everything: after 800 steps both versions know equally much, and what the bases have read no longer shows.
TASK_ADAPTERS: dict[str, TaskConfig] = {
    "choice": TaskConfig(steps=200, batch_size=32, learning_rate=2e-3),
    "math": TaskConfig(steps=400, batch_size=32, learning_rate=2e-3),
    "dialogue": TaskConfig(steps=800, batch_size=32, learning_rate=2e-3),
}

# The preset of the compatibility training; docs/demo.md has the figures behind it.
COMPAT = CompatConfig(
    strategy="token_correctness",
    initialisation="new",
    temperature=0.5,
    cross_entropy_weight=0.05,
    steps=500,
    batch_size=32,
    learning_rate=2e-3,
)

# The compatibility adapters that the demo brings along. For the summaries the preset's weight of the cross-entropy
# would give a mean ROUGE-1 that is a point lower.
COMPAT_ADAPTERS: dict[str, CompatConfig] = {
    "choice": COMPAT,
    "math": COMPAT,
    "dialogue": replace(COMPAT, cross_entropy_weight=0.2),
}


def dataset_name(task: str) -> str:
    """What the demo calls the dataset of a task."""
    return f"demo-{task}"


def version_name(task: str, version: str) -> str:
    """What the demo calls a task version."""
    return f"demo-{task}-{version}"


def compat_name(task: str) -> str:
    """What the demo calls the compatibility adapter that it brings along."""
    return f"demo-{task}-compat"
