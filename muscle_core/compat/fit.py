"""Train an adapter: a task adapter by cross-entropy, a compatibility adapter by MUSCLE."""

from __future__ import annotations

import hashlib
import json
import math
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import peft
import torch
import transformers
from transformers import PreTrainedTokenizerBase, PrinterCallback, TrainingArguments, set_seed

from muscle_core.compat import ranks
from muscle_core.compat.adapters import (
    check_same_tokenizer,
    compat_student,
    fresh_adapter,
    require_new_folder,
    save_adapter,
)
from muscle_core.compat.checkpoints import Totals, latest_checkpoint, restore
from muscle_core.compat.config import CompatConfig, TaskConfig, share_of_batch
from muscle_core.compat.early_stopping import EarlyStopping, Validation
from muscle_core.compat.fused_lora import fused_lora
from muscle_core.compat.pairs import TrainingSet, training_pairs
from muscle_core.compat.states import StateReader
from muscle_core.compat.strategies import TOKEN_STRATEGIES, Strategy, strategy_of
from muscle_core.compat.teachers import LiveTeacher, StoredTeacher, Teacher, fill_store, is_filled, store_key
from muscle_core.compat.trainer import AdapterTrainer, CheckpointSaved, Report, ShouldStop, StepRecord, StepReporter
from muscle_core.errors import ConfigError, ModelError
from muscle_core.models.load import forget_bases, load_model, load_tokenizer
from muscle_core.models.spec import ModelSpec, adapter_fingerprint, base_fingerprint
from muscle_core.tasks import Sample

AskReport = Callable[[str, int, int], None]  # teacher, samples done, samples in all
_WAIT_SECONDS = 0.2


class TrainingResult(NamedTuple):
    """What a training run produced.

    Attributes:
        adapter: folder of the saved adapter; of a stopped training it is not there.
        steps: optimizer steps done (fewer than asked for after a stop).
        seconds: wall time of the steps, also of those before a resumed checkpoint; without loading, asking the
            teachers, validating and saving.
        teacher_seconds: wall time of asking the teachers before it.
        stopped: whether it was asked to stop; its checkpoint is kept.
        old_share: share of all answer tokens that followed the old teacher (nan without teachers).
        truncated: samples that were cut.
        best_step: the step that early stopping chose, or None.
        padded: why samples were padded; None where they were not.
        last: the last step's record.
    """

    adapter: Path
    steps: int
    seconds: float
    teacher_seconds: float
    stopped: bool
    old_share: float
    truncated: int
    best_step: int | None
    padded: str | None
    last: StepRecord

    def summary(self) -> dict[str, Any]:
        """What a `TrainingRun` keeps of it."""
        return {
            "steps": self.steps,
            "seconds": self.seconds,
            "teacher_seconds": self.teacher_seconds,
            "truncated": self.truncated,
            "best_step": self.best_step,
            "padded": self.padded,
            "old_share": None if math.isnan(self.old_share) else self.old_share,
            "loss": self.last["loss"],
            "token_accuracy": self.last["token_accuracy"],
            "peak_memory_mb": self.last["peak_memory_mb"],
        }


class _Plan(NamedTuple):
    """What `_fit` needs beside the student."""

    base: ModelSpec
    samples: TrainingSet
    tokenizer: PreTrainedTokenizerBase
    options: TaskConfig | CompatConfig
    strategy: Strategy
    fingerprint: str
    out: Path
    checkpoints: Path | None
    checkpoint_saved: CheckpointSaved
    validation: Validation | None
    report: Report
    should_stop: ShouldStop


def fit_task_adapter(
    base: ModelSpec,
    samples: Sequence[Sample],
    template: str,
    config: TaskConfig,
    out: Path,
    *,
    checkpoints: Path | None = None,
    checkpoint_saved: CheckpointSaved = lambda folder: None,
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
        checkpoints: folder for checkpoints; where it holds one of this same training, it goes on from there. It is
            left to the caller, who may need it as long as the adapter is not safe. None for no checkpoints.
        checkpoint_saved: called with the folder of every complete checkpoint.
        report: called with a record after every step.
        should_stop: asked after every step.

    Raises:
        ModelError: the base cannot be loaded.
        DataError: no samples, or too long ones.
        ConfigError: `out` exists, or the checkpoint is that of another training.
        JobError: loss or gradient is not finite.
    """
    require_new_folder(out)
    plain = ModelSpec(base.base, base.revision)
    tokenizer = load_tokenizer(plain)
    encoded = training_pairs(tokenizer, samples, template, config.max_length, truncate=config.truncate)
    student = fresh_adapter(plain, config)
    fingerprint = _fingerprint("task", [plain], encoded.fingerprint(), config)
    strategy = TOKEN_STRATEGIES["cross_entropy"]
    plan = _Plan(
        plain,
        encoded,
        tokenizer,
        config,
        strategy,
        fingerprint,
        out,
        checkpoints,
        checkpoint_saved,
        None,
        report,
        should_stop,
    )
    return _fit(plan, student, StateReader(student, tokenizer.pad_token_id, encoded.pairs), {}, 0.0)


def fit_compat_adapter(
    old: ModelSpec,
    new: ModelSpec,
    samples: Sequence[Sample],
    template: str,
    config: CompatConfig,
    out: Path,
    *,
    stores: Path | None = None,
    checkpoints: Path | None = None,
    checkpoint_saved: CheckpointSaved = lambda folder: None,
    validation: Validation | None = None,
    report: Report = lambda record: None,
    report_teacher: AskReport = lambda teacher, done, total: None,
    should_stop: ShouldStop = lambda: False,
) -> TrainingResult:
    """Train a compatibility adapter on the new base (paper.md, Training the compatibility adapter).

    Args:
        old: the old version (teacher).
        new: the new version (teacher, and base of the student).
        samples: training samples of the task.
        template: prompt template with `{input}`.
        config: options; `strategy` decides what each answer token learns from.
        out: folder to write; must not exist.
        stores: folder of the teacher stores, shared by all trainings that name it; None for one of this training's own.
        checkpoints: see `fit_task_adapter`.
        checkpoint_saved: see there.
        validation: split for early stopping; needed where `config.validation_every` is not 0.
        report: called with a record after every step.
        report_teacher: called while the teachers are asked.
        should_stop: asked after every step.

    Raises:
        ModelError: a version cannot be loaded, or their tokenizers differ.
        ConfigError: the initialisation is not possible, a teacher store does not fit on the disk, `out` exists, or the
            checkpoint is that of another training.
        DataError: no samples, or too long ones.
        JobError: loss or gradient is not finite.
    """
    require_new_folder(out)
    if config.validation_every and validation is None:
        raise ConfigError("validation_every needs a validation split; name one, or set validation_every=0.")
    tokenizer = check_same_tokenizer(old, new)
    encoded = training_pairs(tokenizer, samples, template, config.max_length, truncate=config.truncate)
    strategy = strategy_of(config)
    specs = {name: spec for name, spec in (("old", old), ("new", new)) if name in strategy.teachers}
    with ExitStack() as stack:
        stored: dict[str, Path] = {}
        started = time.perf_counter()
        samples_print = encoded.fingerprint()
        if config.teacher_store:
            folder = stores or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="muscle-teachers-")))
            for name, spec in specs.items():
                fingerprint = f"{base_fingerprint(spec)}:{adapter_fingerprint(spec) or '-'}"
                stored[name] = folder / store_key(fingerprint, samples_print)
                while not ranks.is_first() and not is_filled(stored[name]):
                    time.sleep(_WAIT_SECONDS)  # the first process fills it; should that one fail, all are ended
                if is_filled(stored[name]):
                    continue
                fill_store(
                    stored[name],
                    partial(load_model, spec),
                    encoded.pairs,
                    tokenizer.pad_token_id,
                    name=name,
                    limit_bytes=config.teacher_store_gib * 2**30,
                    report=partial(report_teacher, name),
                )
                if name == "old" and (old.base, old.revision) != (new.base, new.revision):
                    forget_bases()  # its states are all that is needed of it
        teacher_seconds = time.perf_counter() - started
        student = compat_student(old, new, config)
        reader = StateReader(student, tokenizer.pad_token_id, encoded.pairs)
        teachers: dict[str, Teacher] = {}
        for name, spec in specs.items():
            if config.teacher_store:
                head = reader.head if name == "new" else None
                device = next(student.parameters()).device
                teachers[name] = StoredTeacher(stored[name], encoded.pairs, device, head)
            else:
                own = StateReader(load_model(spec), tokenizer.pad_token_id, encoded.pairs)
                teachers[name] = LiveTeacher(own, encoded.pairs)
            if teachers[name].vocabulary != reader.vocabulary:
                raise ModelError(
                    f"the output vocabularies differ: {spec.base!r} has {teachers[name].vocabulary:,} entries, "
                    f"{new.base!r} {reader.vocabulary:,}. MUSCLE needs one vocabulary."
                )
        plan = _Plan(
            ModelSpec(new.base, new.revision),
            encoded,
            tokenizer,
            config,
            strategy,
            _fingerprint("compat", [old, new], samples_print, config),
            out,
            checkpoints,
            checkpoint_saved,
            validation if config.validation_every else None,
            report,
            should_stop,
        )
        return _fit(plan, student, reader, teachers, teacher_seconds)


def _fit(
    plan: _Plan, student: Any, reader: StateReader, teachers: Mapping[str, Teacher], teacher_seconds: float
) -> TrainingResult:
    options = plan.options
    set_seed(options.seed)
    stopping, validation_every = None, 0
    if isinstance(options, CompatConfig) and plan.validation is not None:
        stopping = EarlyStopping(plan.validation, options.accuracy_margin, options.patience)
        validation_every = options.validation_every
    resumed = latest_checkpoint(plan.checkpoints, plan.fingerprint)
    totals = Totals() if resumed is None else restore(resumed, stopping)
    reporter = StepReporter(
        options,
        plan.fingerprint,
        plan.report,
        plan.should_stop,
        checkpoint_saved=plan.checkpoint_saved,
        stopping=stopping,
        validation_every=validation_every,
        tokenizer=plan.tokenizer,
        totals=totals,
    )
    with tempfile.TemporaryDirectory(prefix="muscle-train-") as scratch:
        trainer = AdapterTrainer(
            samples=plan.samples,
            reader=reader,
            strategy=plan.strategy,
            temperature=options.temperature if isinstance(options, CompatConfig) else 1.0,
            teachers=teachers,
            checkpoints=plan.checkpoints,
            model=student,
            args=_arguments(options, plan.checkpoints or Path(scratch)),
            callbacks=[reporter],
        )
        trainer.remove_callback(PrinterCallback)  # its summary line would only blur the log
        reporter.trainer = trainer
        reporter.clock = time.perf_counter()
        with fused_lora(student):
            trainer.train(resume_from_checkpoint=None if resumed is None else str(resumed))
    ranks.wait_for_all()  # whoever called removes the checkpoints next
    best_step = None
    if not reporter.stopped and ranks.is_first():
        if stopping is not None and stopping.best is not None:
            best_step = stopping.best.step
            student.load_state_dict(stopping.weights, strict=False)
        plan.out.parent.mkdir(parents=True, exist_ok=True)
        save_adapter(student, plan.base, plan.out)
    return TrainingResult(
        adapter=plan.out,
        steps=int(reporter.last.get("step", 0)),
        seconds=reporter.totals.seconds,
        teacher_seconds=teacher_seconds,
        stopped=reporter.stopped,
        old_share=reporter.totals.old / reporter.totals.all if teachers else float("nan"),
        truncated=plan.samples.truncated,
        best_step=best_step,
        padded=reader.fallback_reason,
        last=reporter.last,
    )


def _arguments(options: TaskConfig | CompatConfig, folder: Path) -> TrainingArguments:
    more: dict[str, Any] = {}
    if options.gradient_checkpointing:
        more = {"gradient_checkpointing": True, "gradient_checkpointing_kwargs": {"use_reentrant": False}}
    if ranks.count() > 1:
        # Without `use_cpu`, accelerate does not see the other processes of machines without a GPU.
        more |= {"use_cpu": not torch.cuda.is_available(), "ddp_find_unused_parameters": False}
    return TrainingArguments(
        output_dir=str(folder),
        max_steps=options.steps,
        per_device_train_batch_size=share_of_batch(options.batch_size, ranks.count()),
        gradient_accumulation_steps=options.gradient_accumulation,
        learning_rate=options.learning_rate,
        lr_scheduler_type=options.schedule if options.schedule != "constant" else "constant_with_warmup",
        warmup_steps=options.warmup_steps,
        weight_decay=options.weight_decay,
        max_grad_norm=options.max_grad_norm,
        seed=options.seed,
        data_seed=options.seed,
        logging_strategy="no",
        save_strategy="no",  # the reporter says when
        save_total_limit=2,  # the newest may be cut off by a kill
        report_to=[],
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=torch.cuda.is_available(),
        bf16=False,
        **more,
    )


def _fingerprint(kind: str, specs: Sequence[ModelSpec], samples: str, options: TaskConfig | CompatConfig) -> str:
    """Hash of all that decides a training; a checkpoint of another one is of no use to it."""
    versions = {module.__name__: module.__version__ for module in (torch, transformers, peft)}
    models = [[base_fingerprint(spec), adapter_fingerprint(spec)] for spec in specs]
    content = [kind, models, samples, options.as_dict(), versions]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
