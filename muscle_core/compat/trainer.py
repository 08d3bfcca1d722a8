"""The loop: transformers.Trainer with the loss of this project, its records, its checkpoints and its ends."""

from __future__ import annotations

import math
import resource
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import Dataset
from transformers import PreTrainedTokenizerBase, Trainer, TrainerCallback

from muscle_core.compat import ranks
from muscle_core.compat.checkpoints import Totals, complete, newest_checkpoint, step_of
from muscle_core.compat.config import TrainOptions
from muscle_core.compat.early_stopping import EarlyStopping
from muscle_core.compat.losses import LossParts, distillation_loss
from muscle_core.compat.pairs import TrainingSet
from muscle_core.compat.states import StateReader
from muscle_core.compat.strategies import Strategy
from muscle_core.compat.teachers import Teacher
from muscle_core.errors import JobError

StepRecord = dict[str, float]
Report = Callable[[StepRecord], None]
ShouldStop = Callable[[], bool]
CheckpointSaved = Callable[[Path], None]  # its folder


def peak_memory_mb() -> float:
    """Most memory that this process has held so far, in MiB: of the GPU where it trains there, else of the machine."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10  # bytes on macOS, KiB elsewhere


class SampleNumbers(Dataset):
    """Numbers of the training samples, with the count of their answer tokens."""

    def __init__(self, samples: TrainingSet) -> None:
        self.counts = [len(pair.answer) for pair in samples.pairs]

    def __len__(self) -> int:
        return len(self.counts)

    def __getitem__(self, index: int) -> tuple[int, int]:
        return index, self.counts[index]


def collate(batch: list[tuple[int, int]]) -> dict[str, torch.Tensor]:
    """Numbers of a batch; as labels as many entries as it has answer tokens, which is how the Trainer counts them."""
    numbers, counts = zip(*batch, strict=True)
    labels = torch.zeros((1, sum(counts) + 1), dtype=torch.long)
    labels[0, 0] = -100  # the Trainer does not count the first, for a model shifts its labels
    return {"numbers": torch.tensor(numbers), "labels": labels}


class AdapterTrainer(Trainer):
    """transformers.Trainer with the loss of this project: summed over answer tokens, divided by their global count."""

    def __init__(
        self,
        *,
        samples: TrainingSet,
        reader: StateReader,
        strategy: Strategy,
        temperature: float,
        teachers: Mapping[str, Teacher],
        checkpoints: Path | None,
        **kwargs: Any,
    ) -> None:
        super().__init__(train_dataset=SampleNumbers(samples), data_collator=collate, **kwargs)
        self.samples = samples
        self.reader = reader
        self.strategy = strategy
        self.temperature = temperature
        self.teachers = teachers
        self.checkpoints = checkpoints
        # The loss below divides by the answer tokens of the whole optimizer step (paper.md, Traps: global mean).
        self.model_accepts_loss_kwargs = True
        self.loss_is_scaled_for_ga = True
        self.parts: list[LossParts] = []

    def training_step(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        """One forward and backward pass."""
        with self.reader.reading():
            return super().training_step(*args, **kwargs)

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Loss of one forward pass, as its share of the optimizer step's token mean."""
        numbers = inputs["numbers"].tolist()
        states, gold, row = self.reader([self.samples.pairs[number] for number in numbers], model)
        asked = {name: teacher.tokens(numbers) for name, teacher in self.teachers.items()}
        parts = distillation_loss(
            states, self.reader.head, gold, row, asked, self.strategy, temperature=self.temperature
        )
        value = parts.loss.item()
        if not math.isfinite(value):
            self.refuse(f"the loss is {value}", numbers)
        self.parts.append(parts._replace(loss=parts.loss.detach()))
        # The items are those of all processes, whose gradients are averaged: their sum is meant.
        loss = parts.loss * ranks.count() / num_items_in_batch
        return (loss, None) if return_outputs else loss

    def floating_point_ops(self, inputs: dict[str, Any]) -> int:
        """Not estimated: it would need padded inputs."""
        return 0

    def refuse(self, what: str, numbers: list[int] | None = None) -> None:
        """End a training that has diverged, before its weights are touched.

        Raises:
            JobError: always; says where, and which checkpoint is the last good one.
        """
        batch = len(self.parts) + (numbers is not None)
        named = [repr(self.samples.ids[number]) for number in numbers or []]
        of_samples = f" (samples {', '.join(named[:5])}{' …' if len(named) > 5 else ''})" if named else ""
        saved = newest_checkpoint(self.checkpoints)
        kept = "" if saved is None else f"The adapter as of step {step_of(saved):,} is kept in {saved}. "
        raise JobError(
            f"{what} in step {self.state.global_step + 1:,}, batch {batch:,} of the step{of_samples}: training has "
            f"diverged. {kept}Use a lower learning rate (now {self.args.learning_rate:g}), more warm-up steps, or look "
            "at these samples."
        )


class StepReporter(TrainerCallback):
    """Turns the parts of every optimizer step into one record; saves, validates and ends when it is time."""

    def __init__(
        self,
        options: TrainOptions,
        training: str,
        report: Report,
        should_stop: ShouldStop,
        *,
        checkpoint_saved: CheckpointSaved,
        stopping: EarlyStopping | None,
        validation_every: int,
        tokenizer: PreTrainedTokenizerBase,
        totals: Totals,
    ) -> None:
        self.options, self.training, self.report, self.should_stop = options, training, report, should_stop
        self.checkpoint_saved = checkpoint_saved
        self.stopping, self.validation_every, self.tokenizer = stopping, validation_every, tokenizer
        self.totals = totals
        self.trainer: AdapterTrainer
        self.stopped = False
        self.last: StepRecord = {}
        self.clock = time.perf_counter()

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Refuse gradients that are not finite before they reach the weights."""
        gradients = [p.grad for p in self.trainer.reader.model.parameters() if p.grad is not None]
        if not all(bool(torch.isfinite(gradient).all()) for gradient in gradients):
            self.trainer.refuse("the gradient is not finite")

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Record the step."""
        parts, self.trainer.parts = self.trainer.parts, []
        self.last = self._record(parts, state)
        if self.stopping is not None and (
            state.global_step % self.validation_every == 0 or state.global_step == state.max_steps
        ):
            self._validate(self.stopping, state, control)
        self.clock = time.perf_counter()
        self.report(self.last)
        # All processes have to do the same next.
        if ranks.as_first_says(ranks.is_first() and self.should_stop()) and state.global_step < state.max_steps:
            self.stopped = control.should_training_stop = True
        if self.trainer.checkpoints is not None:
            every = self.options.checkpoint_every
            # None at the end: a training that goes on from there would have no step left to do, or one too many.
            over = control.should_training_stop or state.global_step == state.max_steps
            control.should_save = self.stopped or (every > 0 and state.global_step % every == 0 and not over)

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Complete the checkpoint."""
        ranks.wait_for_all()  # each process saves a part of it
        if not ranks.is_first():
            return
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        complete(folder, self.training, self.totals, self.stopping)
        self.checkpoint_saved(folder)

    def _record(self, parts: list[LossParts], state: Any) -> StepRecord:
        loss, kl_old, kl_new, *counts = ranks.sums(
            [
                sum(float(part.loss) for part in parts),
                sum(part.kl_old for part in parts),
                sum(part.kl_new for part in parts),
                sum(part.tokens for part in parts),
                sum(part.old_tokens for part in parts),
                sum(part.new_tokens for part in parts),
                sum(part.correct_tokens for part in parts),
            ]
        )
        tokens, old, new, correct = map(int, counts)
        seconds = time.perf_counter() - self.clock
        self.totals = Totals(self.totals.old + old, self.totals.all + tokens, self.totals.seconds + seconds)
        nan = float("nan")
        assert self.trainer.lr_scheduler is not None
        return {
            "step": state.global_step,
            "steps": state.max_steps,
            "loss": loss / tokens,
            "old_share": old / tokens if self.trainer.teachers else nan,
            "kl_old": kl_old / old if old else nan,
            "kl_new": kl_new / new if new else nan,
            "token_accuracy": correct / tokens,
            "learning_rate": float(self.trainer.lr_scheduler.get_last_lr()[0]),
            "tokens_per_second": tokens / max(seconds, 1e-9),
            "peak_memory_mb": peak_memory_mb(),
        }

    def _validate(self, stopping: EarlyStopping, state: Any, control: Any) -> None:
        if ranks.is_first():
            student = self.trainer.reader.model
            student.eval()
            look = stopping.look(student, self.tokenizer, state.global_step)
            student.train()
            self.last |= {"validation_quality": look.quality, "validation_harm": look.harm}
        if ranks.as_first_says(stopping.is_over):
            control.should_training_stop = True
