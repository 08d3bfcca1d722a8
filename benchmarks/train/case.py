"""What all sides train on: the same token ids, batches, weights and settings."""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

TEMPLATE = "Summarize the dialogue.\n{input}\nSummary:"
BATCH_SIZE, LEARNING_RATE, LORA_RANK, LORA_ALPHA, SEED = 4, 1e-4, 8, 16, 0
_PROMPT_TOKENS = range(150, 251)
_ANSWER_TOKENS = range(15, 51)  # without EOS
_BITS, _GROUP_SIZE = 3, 32


class Pair(NamedTuple):
    """Token ids of a sample, the answer with EOS."""

    prompt: list[int]
    answer: list[int]


@dataclass(frozen=True)
class Case:
    """One training, for every side.

    Attributes:
        old: folder of the old version, safetensors.
        new: folder of the new version, safetensors.
        samples: id, input and target of each training sample.
        pairs: token ids of each sample.
        order: for each step the numbers of its samples, as the Trainer draws them.
        pad_id: padding token.
        threads: threads of torch.
    """

    old: str
    new: str
    samples: list[dict[str, str]]
    pairs: list[Pair]
    order: list[list[int]]
    pad_id: int
    threads: int

    def batch(self, step: int) -> list[Pair]:
        """The samples of a step."""
        return [self.pairs[number] for number in self.order[step]]

    def write(self, path: Path) -> Path:
        """Write the JSON form, for other processes."""
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")
        return path

    @classmethod
    def read(cls, path: Path) -> Case:
        """Read the JSON form."""
        content = json.loads(path.read_text(encoding="utf-8"))
        return cls(**content | {"pairs": [Pair(*pair) for pair in content["pairs"]]})


def prepare_versions(gguf: Path, folder: Path) -> tuple[Path, Path]:
    """The old and the new version as safetensors, so that no side pays for reading GGUF; kept for the next run."""
    from muscle_core.models.load import load_base, load_tokenizer
    from muscle_core.models.round_weights import write_rounded
    from muscle_core.models.spec import ModelSpec

    folder = folder / f"{gguf.stem}-{gguf.stat().st_size}"
    old, new = folder / "old", folder / "new"
    spec = ModelSpec(str(gguf))
    if not new.exists():
        partial = folder / "new.partial"
        load_base(spec).save_pretrained(partial)
        load_tokenizer(spec).save_pretrained(partial)
        partial.rename(new)
    if not old.exists():
        write_rounded(ModelSpec(str(new)), old, bits=_BITS, group_size=_GROUP_SIZE)
    return old, new


def make_case(old: Path, new: Path, data: Path, samples: int, steps: int, threads: int) -> Case:
    """The first dialogues of DialogSum's dev split whose prompt and summary are of the wanted lengths.

    Args:
        old: see `Case`.
        new: see `Case`.
        data: folder that holds `dialogsum/dev.jsonl`.
        samples: wanted number of samples.
        steps: steps to draw batches for.
        threads: see `Case`.
    """
    from muscle_core.compat.pairs import training_pairs
    from muscle_core.models.load import load_tokenizer
    from muscle_core.models.spec import ModelSpec
    from muscle_core.tasks import Sample

    tokenizer = load_tokenizer(ModelSpec(str(new)))
    rows = map(json.loads, (data / "dialogsum" / "dev.jsonl").read_text(encoding="utf-8").splitlines())
    found: list[dict[str, str]] = []
    pairs: list[Pair] = []
    for row in rows:
        sample = {"id": row["fname"], "input": row["dialogue"], "target": row["summary"]}
        wanted = Sample(row["fname"], "train", row["dialogue"], "", row["summary"])
        [pair] = training_pairs(tokenizer, [wanted], TEMPLATE, 1_000_000).pairs
        if len(pair.prompt) in _PROMPT_TOKENS and len(pair.answer) - 1 in _ANSWER_TOKENS:
            found.append(sample)
            pairs.append(Pair(*pair))
        if len(found) == samples:
            break
    else:
        raise ValueError(f"{data} has {len(found)} dialogues of these lengths; {samples} are needed")
    return Case(str(old), str(new), found, pairs, _order(samples, steps), int(tokenizer.pad_token_id), threads)


def _order(samples: int, steps: int) -> list[list[int]]:
    """Sample numbers of each step, as transformers.Trainer draws them with this seed."""
    import torch
    from transformers import Trainer, TrainingArguments

    def collate(numbers: list[int]) -> dict[str, Any]:
        return {"numbers": torch.tensor(numbers)}

    order: list[list[int]] = []
    with tempfile.TemporaryDirectory() as scratch:
        arguments = TrainingArguments(
            output_dir=scratch,
            per_device_train_batch_size=BATCH_SIZE,
            seed=SEED,
            data_seed=SEED,
            report_to=[],
            dataloader_pin_memory=False,
            remove_unused_columns=False,
        )
        numbers: Any = list(range(samples))
        trainer = Trainer(torch.nn.Linear(1, 1), arguments, collate, train_dataset=numbers)
        loader: Any = trainer.get_train_dataloader()
        for epoch in count():
            loader.set_epoch(epoch)
            for batch in loader:
                order.append(batch["numbers"].tolist())
                if len(order) == steps:
                    return order
    raise AssertionError("the loop above ends")
