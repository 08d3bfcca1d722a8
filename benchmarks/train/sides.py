"""The three ways to train: a plain loop, TRL's GKDTrainer, and ours. Each reports the loss after every step."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import kl_div, log_softmax

from benchmarks.train.case import BATCH_SIZE, LEARNING_RATE, LORA_ALPHA, LORA_RANK, SEED, TEMPLATE, Case, Pair

Report = Callable[[float], None]
_NO_CLIPPING = 1e6  # a norm that no gradient reaches


def plain_loop(case: Case, steps: int, report: Report) -> None:
    """What one writes first: three models, three padded forward passes a step, the divergence of full logits."""
    from transformers import AutoModelForCausalLM

    old, new = (
        AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval() for folder in (case.old, case.new)
    )
    student = _student(case)
    optimizer = torch.optim.AdamW(
        [parameter for parameter in student.parameters() if parameter.requires_grad],
        lr=LEARNING_RATE,
        weight_decay=0.0,
    )
    for step in range(steps):
        batch = _padded(case.batch(step), case.pad_id)
        labels = batch.pop("labels")[:, 1:]
        with torch.no_grad():
            old_logits = old(**batch).logits[:, :-1]
            new_logits = new(**batch).logits[:, :-1]
        student_logits = student(**batch).logits[:, :-1]
        right = student_logits.argmax(dim=-1) == labels
        teacher_logits = torch.where(right[..., None], new_logits, old_logits)
        divergence = kl_div(
            log_softmax(student_logits, dim=-1), log_softmax(teacher_logits, dim=-1), reduction="none", log_target=True
        ).sum(dim=-1)
        loss = divergence[labels != -100].mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        report(loss.item())


def trl_gkd(case: Case, steps: int, report: Report) -> None:
    """TRL's GKDTrainer as it is, off-policy, with the old version as its only teacher."""
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer, PrinterCallback, TrainerCallback
    from trl.experimental.gkd import GKDConfig, GKDTrainer

    drawn: list[list[int]] = []

    def collate(rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        drawn.append([row["number"] for row in rows])
        return _padded([case.pairs[row["number"]] for row in rows], case.pad_id)

    losses: list[float] = []

    class Reporter(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            report(losses[-1])

    class Recording(GKDTrainer):
        def training_step(self, *args: Any, **kwargs: Any) -> torch.Tensor:
            loss: torch.Tensor = super().training_step(*args, **kwargs)
            losses.append(loss.item())
            return loss

    with tempfile.TemporaryDirectory() as scratch:
        arguments = GKDConfig(
            output_dir=scratch,
            lmbda=0.0,  # never generates
            max_steps=steps,
            per_device_train_batch_size=BATCH_SIZE,
            learning_rate=LEARNING_RATE,
            lr_scheduler_type="constant",
            max_grad_norm=_NO_CLIPPING,
            seed=SEED,
            data_seed=SEED,
            gradient_checkpointing=False,
            bf16=False,
            use_cpu=True,
            logging_strategy="no",
            save_strategy="no",
            report_to=[],
            dataloader_pin_memory=False,
            disable_tqdm=True,
        )
        trainer = Recording(
            model=_student(case),
            teacher_model=AutoModelForCausalLM.from_pretrained(case.old, dtype=torch.float32).eval(),
            args=arguments,
            data_collator=collate,
            train_dataset=Dataset.from_dict(
                {
                    "number": list(range(len(case.pairs))),
                    "input_ids": [[*pair.prompt, *pair.answer] for pair in case.pairs],
                    "labels": [[-100] * len(pair.prompt) + pair.answer for pair in case.pairs],
                }
            ),
            processing_class=AutoTokenizer.from_pretrained(case.new),
            callbacks=[Reporter()],
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    if drawn[:steps] != case.order[:steps]:
        raise RuntimeError("TRL drew other batches than the other sides")


def ours(
    case: Case,
    steps: int,
    report: Report,
    *,
    stores: Path,
    gradient_checkpointing: bool = False,
    report_teacher: Callable[[str, int, int], None] = lambda teacher, done, total: None,
) -> Any:
    """Our training, as the workbench starts it; returns its result."""
    from muscle_core.compat.config import CompatConfig
    from muscle_core.compat.fit import fit_compat_adapter
    from muscle_core.models.spec import ModelSpec
    from muscle_core.tasks import Sample

    config = CompatConfig(
        steps=steps,
        initialisation="scratch",
        schedule="constant",
        warmup_steps=0,
        max_grad_norm=_NO_CLIPPING,
        checkpoint_every=0,
        gradient_checkpointing=gradient_checkpointing,
        batch_size=BATCH_SIZE,
        learning_rate=LEARNING_RATE,
        lora_rank=LORA_RANK,
        lora_alpha=LORA_ALPHA,
        seed=SEED,
    )
    with tempfile.TemporaryDirectory() as scratch:
        return fit_compat_adapter(
            ModelSpec(case.old),
            ModelSpec(case.new),
            [Sample(one["id"], "train", one["input"], "", one["target"]) for one in case.samples],
            TEMPLATE,
            config,
            Path(scratch) / "adapter",
            stores=stores,
            report=lambda record: report(record["loss"]),
            report_teacher=report_teacher,
        )


def _student(case: Case) -> Any:
    """A fresh LoRA adapter on the new version; same seed, so the same initial weights as ours."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(case.new, dtype=torch.float32)
    torch.manual_seed(SEED)
    config = LoraConfig(
        r=LORA_RANK,
        lora_alpha=LORA_ALPHA,
        lora_dropout=0.0,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    return get_peft_model(base, config).train()


def _padded(pairs: list[Pair], pad_id: int) -> dict[str, torch.Tensor]:
    """A right-padded batch; labels are -100 outside the answers."""
    lengths = [len(pair.prompt) + len(pair.answer) for pair in pairs]
    shape = (len(pairs), max(lengths))
    input_ids, labels = torch.full(shape, pad_id), torch.full(shape, -100)
    attention_mask = torch.zeros(shape, dtype=torch.long)
    for row, (pair, length) in enumerate(zip(pairs, lengths, strict=True)):
        input_ids[row, :length] = torch.tensor([*pair.prompt, *pair.answer])
        labels[row, len(pair.prompt) : length] = torch.tensor(pair.answer)
        attention_mask[row, :length] = 1
    return {"input_ids": input_ids, "attention_mask": attention_mask, "labels": labels}
