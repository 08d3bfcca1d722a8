"""Train an adapter with transformers.Trainer: task adapters by cross-entropy, compatibility adapters by MUSCLE."""

from __future__ import annotations

import math
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch.utils.data import Dataset
from transformers import PreTrainedTokenizerBase, PrinterCallback, Trainer, TrainerCallback, TrainingArguments, set_seed

from muscle_core.compat.adapters import (
    Teachers,
    check_same_tokenizer,
    compat_student,
    fresh_adapter,
    load_teachers,
    save_adapter,
)
from muscle_core.compat.config import CompatConfig, TaskConfig, TrainOptions
from muscle_core.compat.losses import LossParts, gold_loss, muscle_loss
from muscle_core.errors import ConfigError, DataError, JobError, raise_all
from muscle_core.models.load import load_tokenizer
from muscle_core.models.spec import ModelSpec
from muscle_core.scoring.encode import EncodedPair, encode_pair
from muscle_core.scoring.loglikelihood import PaddedBatch, answer_logits, pad_pairs
from muscle_core.tasks import Sample, render_prompt

StepRecord = dict[str, float]
Report = Callable[[StepRecord], None]
ShouldStop = Callable[[], bool]


class TrainingResult(NamedTuple):
    """What a training run produced.

    Attributes:
        adapter: folder of the saved adapter.
        steps: optimizer steps done (fewer than asked for after a stop).
        seconds: wall time of training, without loading and saving.
        stopped: whether it was asked to stop early.
        old_share: share of all answer tokens that followed the old teacher (nan without teachers).
        last: the last step's record.
    """

    adapter: Path
    steps: int
    seconds: float
    stopped: bool
    old_share: float
    last: StepRecord


def peak_memory_mb() -> float:
    """Most memory that this process has held so far, in MiB: of the GPU where it trains there, else of the machine."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10  # bytes on macOS, KiB elsewhere


class _Pairs(Dataset):
    """Encoded training samples as a map-style dataset."""

    def __init__(self, pairs: Sequence[EncodedPair]) -> None:
        self.pairs = pairs

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> EncodedPair:
        return self.pairs[index]


def training_pairs(
    tokenizer: PreTrainedTokenizerBase, samples: Sequence[Sample], template: str, max_length: int
) -> list[EncodedPair]:
    """Encode prompts and targets, with EOS after every target.

    Raises:
        DataError: no samples, samples without a target, or longer than `max_length` (all are named; nothing is
            truncated silently).
    """
    if not samples:
        raise DataError("there are no samples to train on; choose another split.")
    bare = [f"sample {sample.id!r} has no reference answer" for sample in samples if not sample.target]
    raise_all(bare, DataError, "there is nothing to learn from some samples", shown=5)
    pairs, problems = [], []
    for sample in samples:
        prompt, answer = encode_pair(tokenizer, render_prompt(template, sample.input), sample.target)
        pair = EncodedPair(prompt, [*answer, tokenizer.eos_token_id])
        if len(pair.prompt) + len(pair.answer) > max_length:
            problems.append(f"sample {sample.id!r} has {len(pair.prompt) + len(pair.answer):,} tokens")
        pairs.append(pair)
    raise_all(problems, DataError, f"samples are longer than max_length = {max_length:,} tokens", shown=5)
    return pairs


class AdapterTrainer(Trainer):
    """transformers.Trainer with the loss of this project: summed over answer tokens, divided by their global count."""

    def __init__(self, *, options: TrainOptions, teachers: Teachers | None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.options = options
        self.teachers = teachers
        # The loss below divides by the answer tokens of the whole optimizer step (paper.md, Traps: global mean).
        self.model_accepts_loss_kwargs = True
        self.loss_is_scaled_for_ga = True
        self.parts: list[LossParts] = []

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Loss of one forward pass, as its share of the optimizer step's token mean."""
        batch = PaddedBatch(inputs["input_ids"], inputs["attention_mask"], inputs["labels"])
        student, gold, row = answer_logits(model, batch)
        if self.teachers is None:
            parts = gold_loss(student, gold)
        else:
            assert isinstance(self.options, CompatConfig)
            with torch.no_grad():
                old, new = (answer_logits(teacher, batch)[0] for teacher in self.teachers)
            parts = muscle_loss(
                student, old, new, gold, row, strategy=self.options.strategy, temperature=self.options.temperature
            )
        self.parts.append(parts._replace(loss=parts.loss.detach()))
        loss = parts.loss / num_items_in_batch
        return (loss, None) if return_outputs else loss


class _StepReporter(TrainerCallback):
    """Turns the parts of every optimizer step into one record, and passes a stop request on."""

    def __init__(self, report: Report, should_stop: ShouldStop) -> None:
        self.report, self.should_stop = report, should_stop
        self.trainer: AdapterTrainer
        self.stopped = False
        self.old_tokens = self.tokens = 0
        self.last: StepRecord = {}
        self.clock = time.perf_counter()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        parts, self.trainer.parts = self.trainer.parts, []
        tokens = sum(part.tokens for part in parts)
        now = time.perf_counter()
        assert self.trainer.lr_scheduler is not None
        loss = sum(float(part.loss) for part in parts) / tokens
        if not math.isfinite(loss):
            raise JobError(
                f"the loss is {loss} at step {state.global_step}: training has diverged. Use a lower learning rate "
                f"(now {self.trainer.options.learning_rate:g}) or more warm-up steps."
            )
        masked = self.trainer.teachers is not None
        self.old_tokens += sum(part.old_tokens for part in parts)
        self.tokens += tokens
        nan = float("nan")
        self.last = {
            "step": state.global_step,
            "steps": state.max_steps,
            "loss": loss,
            "old_share": sum(part.old_tokens for part in parts) / tokens if masked else nan,
            "kl_old": sum(part.kl_old for part in parts) / tokens,
            "kl_new": sum(part.kl_new for part in parts) / tokens,
            "token_accuracy": sum(part.correct_tokens for part in parts) / tokens,
            "learning_rate": float(self.trainer.lr_scheduler.get_last_lr()[0]),
            "tokens_per_second": tokens / max(now - self.clock, 1e-9),
            "peak_memory_mb": peak_memory_mb(),
        }
        self.clock = now
        self.report(self.last)
        if self.should_stop():
            self.stopped = True
            control.should_training_stop = True


def _fit(
    student: Any,
    base: ModelSpec,
    pairs: Sequence[EncodedPair],
    pad_id: int,
    options: TrainOptions,
    teachers: Teachers | None,
    out: Path,
    report: Report,
    should_stop: ShouldStop,
) -> TrainingResult:
    if out.exists():
        raise ConfigError(f"the folder {out} exists; name a new one for the adapter.")
    set_seed(options.seed)

    def collate(batch: list[EncodedPair]) -> dict[str, torch.Tensor]:
        return pad_pairs(batch, pad_id)._asdict()

    reporter = _StepReporter(report, should_stop)
    with tempfile.TemporaryDirectory(prefix="muscle-train-") as scratch:
        arguments = TrainingArguments(
            output_dir=scratch,
            max_steps=options.steps,
            per_device_train_batch_size=options.batch_size,
            gradient_accumulation_steps=options.gradient_accumulation,
            learning_rate=options.learning_rate,
            lr_scheduler_type=options.schedule if options.schedule != "constant" else "constant_with_warmup",
            warmup_steps=options.warmup_steps,
            weight_decay=options.weight_decay,
            max_grad_norm=options.max_grad_norm,
            seed=options.seed,
            data_seed=options.seed,
            logging_strategy="no",
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            remove_unused_columns=False,
            dataloader_pin_memory=torch.cuda.is_available(),
            bf16=False,
        )
        trainer = AdapterTrainer(
            options=options,
            teachers=teachers,
            model=student,
            args=arguments,
            data_collator=collate,
            train_dataset=_Pairs(pairs),
            callbacks=[reporter],
        )
        trainer.remove_callback(PrinterCallback)  # its summary line would only blur the log
        reporter.trainer = trainer
        started = reporter.clock = time.perf_counter()
        trainer.train()
        seconds = time.perf_counter() - started
    out.parent.mkdir(parents=True, exist_ok=True)
    save_adapter(student, base, out)
    old_share = reporter.old_tokens / reporter.tokens if teachers is not None else float("nan")
    steps = int(reporter.last.get("step", 0))
    return TrainingResult(out, steps, seconds, reporter.stopped, old_share, reporter.last)


def fit_task_adapter(
    base: ModelSpec,
    samples: Sequence[Sample],
    template: str,
    config: TaskConfig,
    out: Path,
    *,
    report: Report = lambda record: None,
    should_stop: ShouldStop = lambda: False,
) -> TrainingResult:
    """Train a task adapter (LoRA, cross-entropy on the answer tokens) on a base.

    Args:
        base: the base; an adapter in it is ignored.
        samples: training samples.
        template: prompt template with `{input}`.
        config: options.
        out: folder to write; must not exist.
        report: called with a record after every step.
        should_stop: asked after every step.

    Raises:
        ModelError: the base cannot be loaded.
        DataError: no samples, or too long ones.
        JobError: the loss is not finite.
    """
    plain = ModelSpec(base.base, base.revision)
    tokenizer = load_tokenizer(plain)
    pairs = training_pairs(tokenizer, samples, template, config.max_length)
    student = fresh_adapter(plain, config)
    return _fit(student, plain, pairs, tokenizer.pad_token_id, config, None, out, report, should_stop)


def fit_compat_adapter(
    old: ModelSpec,
    new: ModelSpec,
    samples: Sequence[Sample],
    template: str,
    config: CompatConfig,
    out: Path,
    *,
    report: Report = lambda record: None,
    should_stop: ShouldStop = lambda: False,
) -> TrainingResult:
    """Train a compatibility adapter on the new base (paper.md, Training the compatibility adapter).

    Args:
        old: the old version (teacher).
        new: the new version (teacher, and base of the student).
        samples: training samples of the task.
        template: prompt template with `{input}`.
        config: options; `strategy` decides which teacher each answer token follows.
        out: folder to write; must not exist.
        report: called with a record after every step.
        should_stop: asked after every step.

    Raises:
        ModelError: a version cannot be loaded, or their tokenizers differ.
        ConfigError: the initialisation is not possible.
        DataError: no samples, or too long ones.
        JobError: the loss is not finite.
    """
    check_same_tokenizer(old, new)
    tokenizer = load_tokenizer(new)
    pairs = training_pairs(tokenizer, samples, template, config.max_length)
    student = compat_student(old, new, config)
    teachers = None if config.strategy == "cross_entropy" else load_teachers(old, new)
    plain = ModelSpec(new.base, new.revision)
    return _fit(student, plain, pairs, tokenizer.pad_token_id, config, teachers, out, report, should_stop)
