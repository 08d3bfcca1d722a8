"""Evaluate a model version on a dataset split; answers once given are kept and never asked for again."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from muscle_core.actions.datasets import load_samples
from muscle_core.actions.runs import known_run, store_run
from muscle_core.errors import Cancelled, ConfigError, ModelError
from muscle_core.models.spec import (
    ModelSpec,
    adapter_fingerprint,
    base_fingerprint,
    check_paths,
    tokenizer_files_fingerprint,
)
from muscle_core.scoring.decoding import Decoding
from muscle_core.scoring.engine import AnswerJob, Engine, local_engine
from muscle_core.scoring.judging import judge_shards
from muscle_core.scoring.prediction import sample_content
from muscle_core.store import (
    Dataset,
    EvaluationRun,
    ModelVersion,
    Workspace,
    get_dataset,
    get_version,
    made_by,
    spec_of,
)
from muscle_core.store.answers import AnswerStore
from muscle_core.tasks import Sample, Task, task_of, template_problem

Report = Callable[[int, int], None]  # samples done, samples in all
_Shard = list[tuple[str, Sample]]  # content and sample

# An evaluation is cut into about 64 shards of so many samples at least and at most; a killed one repeats a shard.
_SHARDS, _SMALLEST_SHARD, _LARGEST_SHARD = 64, 64, 1024


@dataclass(frozen=True)
class EvaluationOptions:
    """What may differ from a dataset's own way of asking and judging.

    Attributes:
        template: prompt template with `{input}`; None for the dataset's.
        chat: put the prompt into the tokenizer's chat template.
        scoring: one of the task kind's `scorings`; None for the usual one.
        encoder: of the scoring "bertscore": folder or hub id.
    """

    template: str | None = None
    chat: bool = False
    scoring: str | None = None
    encoder: str | None = None

    def as_flags(self) -> str:
        """The same on the command line, with a space in front."""
        flags = {"--template": self.template, "--scoring": self.scoring, "--encoder": self.encoder}
        texts = [f" {flag} {shlex.quote(value)}" for flag, value in flags.items() if value is not None]
        return "".join(texts) + (" --chat" if self.chat else "")

    def template_of(self, dataset: Dataset) -> str:
        """The template to use.

        Raises:
            ConfigError: it cannot be used.
        """
        if self.template is None:
            return dataset.template
        problem = template_problem(self.template)
        if problem:
            raise ConfigError(f"the evaluation on {dataset.name!r} cannot start: {problem}")
        return self.template

    def decoding_of(self, dataset: Dataset) -> Decoding:
        """How answers are produced and judged.

        Raises:
            ConfigError: the task kind has no such scoring, or the encoder is missing or one too many.
            ModelError: there is no such encoder.
        """
        task = task_of(dataset.task_kind)
        scoring = self.scoring or task.scorings[0]
        if scoring not in task.scorings:
            raise ConfigError(f"{task.kind} has no scoring {scoring!r}; known: {', '.join(task.scorings)}")
        if (scoring == "bertscore") != (self.encoder is not None):
            raise ConfigError(
                'the scoring "bertscore" needs an encoder (a folder or hub id), and no other one takes it.'
            )
        encoder = None
        if self.encoder is not None:
            check_paths(ModelSpec(self.encoder))
            encoder = base_fingerprint(ModelSpec(self.encoder))
        stop = tuple(dataset.decoding["stop"])
        return Decoding(dataset.decoding["max_new_tokens"], stop, self.chat, scoring, encoder)


def evaluation_key(
    version: ModelVersion,
    tokenizer_files: str,
    dataset: Dataset,
    split: str,
    template: str,
    decoding: Decoding,
    first_ids: list[str] | None,
) -> str:
    """Hash of all that decides the predictions, and of whose they are.

    Args:
        version: its name, weights and adapter enter.
        tokenizer_files: fingerprint of its tokenizer's files.
        dataset: its id and content enter; the same content under two names is two sets of runs.
        split: the split.
        template: the template used.
        decoding: how answers are produced and scored.
        first_ids: ids of the samples where only the first of the split are scored: the dataset's fingerprint does not
            tell the order of rows.
    """
    content = [
        [version.name, version.fingerprint, tokenizer_files],
        [dataset.id, dataset.fingerprint, template, split, first_ids],
        decoding.as_dict(),
    ]
    return _hash(content)


def answers_folder(version: ModelVersion, tokenizer_files: str, template: str, decoding: Decoding) -> str:
    """Where the answers of a version are kept, relative to the workspace: by weights and way of asking, not by name."""
    asked = [version.fingerprint, tokenizer_files, template, decoding.answering()]
    return f"answers/{_hash(asked)[:32]}"


def _hash(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def evaluate(
    workspace: Workspace,
    version_name: str,
    dataset_name: str,
    *,
    split: str = "test",
    limit: int | None = None,
    options: EvaluationOptions | None = None,
    engine: Engine | None = None,
    report: Report = lambda done, total: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> EvaluationRun:
    """Evaluate a version on a split, or return the run that did so before.

    Answers are kept shard by shard: after a stop or a crash, the next call goes on with what is missing.

    Args:
        workspace: where both are.
        version_name: model version.
        dataset_name: dataset.
        split: split to score.
        limit: only the first samples of it.
        options: where the dataset's own template and the task kind's usual scoring are not meant.
        engine: where answers are computed; None for this process.
        report: called after every shard of samples.
        should_stop: asked after every shard.

    Raises:
        StoreError: no such version, dataset or split.
        ConfigError: an option that cannot be used.
        ModelError: the version has no weights here, or its files have changed since it was added.
        Cancelled: `should_stop` said so; the answers so far are kept.
    """
    options = options or EvaluationOptions()
    version, dataset = get_version(workspace, version_name), get_dataset(workspace, dataset_name)
    template, decoding = options.template_of(dataset), options.decoding_of(dataset)
    samples = load_samples(workspace, dataset, split, limit)
    task = task_of(dataset.task_kind)
    if limit is not None and limit >= dataset.splits[split]:
        limit = None
    first_ids = None if limit is None else [sample.id for sample in samples]
    spec = spec_of(workspace, version)
    check_paths(spec)
    files = tokenizer_files_fingerprint(spec)
    key = evaluation_key(version, files, dataset, split, template, decoding, first_ids)
    known = known_run(workspace, key)
    if known is not None:
        report(len(samples), len(samples))
        return known
    check_unchanged(version, spec)

    answers = AnswerStore(workspace.path(answers_folder(version, files, template, decoding)))
    shards = [[(sample_content(task, sample), sample) for sample in shard] for shard in _shards(task, samples)]
    missing = _missing(shards, answers)
    done = len(samples) - sum(map(len, missing.values()))
    tokenizer = tokenizer_of(version, spec) if missing else None
    if tokenizer is not None and decoding.chat and not tokenizer.chat_template:
        raise ModelError(f"the tokenizer of {version_name!r} has no chat template; evaluate without the chat option.")
    report(done, len(samples))
    if missing:
        engine = engine or partial(local_engine, tokenizer=tokenizer)
        job = AnswerJob(spec, dataset.task_kind, template, decoding)
        asked = ((number, [sample for _, sample in shard]) for number, shard in missing.items())
        for number, given in engine(job, asked):
            answers.add([content for content, _ in missing[number]], given)
            done += len(given)
            report(done, len(samples))
            if should_stop() and done < len(samples):
                raise Cancelled(
                    f"the evaluation of {version_name!r} was stopped after {done:,} samples; they are kept, and the "
                    "next evaluation goes on from there."
                )
    run = EvaluationRun(
        key=key,
        version_id=version.id,
        dataset_id=dataset.id,
        split=split,
        template=template,
        decoding=decoding.as_dict(),
        row_limit=limit,
        origin="evaluated",
        made_by=made_by(),
    )
    judged = (([sample for _, sample in shard], answers.get(content for content, _ in shard)) for shard in shards)
    rows = judge_shards(task, judged, decoding.scoring, total=len(samples))
    if options.encoder is not None:
        from muscle_core.scoring.bertscore import with_bertscore

        rows = with_bertscore(rows, options.encoder)
    return store_run(workspace, run, rows)


def _shards(task: Task, samples: list[Sample]) -> list[list[Sample]]:
    """Shards of similar length, the longest first; always the same for the same samples."""
    ordered = sorted(samples, key=lambda sample: (-len(sample.input), sample.id))
    # A generated shard takes minutes on a CPU; a stop waits for its end.
    largest = _SMALLEST_SHARD if task.generates else _LARGEST_SHARD
    size = max(_SMALLEST_SHARD, min(largest, len(ordered) // _SHARDS))
    return [ordered[start : start + size] for start in range(0, len(ordered), size)]


def _missing(shards: list[_Shard], answers: AnswerStore) -> dict[int, _Shard]:
    """By number of its shard, what is to be asked; equal contents once, so that a resumed run asks the same."""
    seen: set[str] = set()
    missing: dict[int, _Shard] = {}
    for number, shard in enumerate(shards):
        fresh = {content: sample for content, sample in shard if content not in seen}
        seen |= fresh.keys()
        unanswered = [(content, sample) for content, sample in fresh.items() if content not in answers]
        if unanswered:
            missing[number] = unanswered
    return missing


def check_unchanged(version: ModelVersion, spec: ModelSpec) -> None:
    """Refuse a version whose weights are no longer those that were added; see `tokenizer_of` for the rest.

    Args:
        version: the version.
        spec: what to load for it; its paths exist.

    Raises:
        ModelError: with both fingerprints.
    """
    for what, recorded, current in (
        ("base", version.base_fingerprint, base_fingerprint(spec)),
        ("adapter", version.adapter_fingerprint, adapter_fingerprint(spec)),
    ):
        if recorded != current:
            raise ModelError(
                f"the {what} files of {version.name!r} have changed since it was added ({str(recorded)[:12]}… then, "
                f"{str(current)[:12]}… now). Add the new files as a new model version."
            )


def tokenizer_of(version: ModelVersion, spec: ModelSpec) -> Any:
    """The tokenizer of a version (a `PreTrainedTokenizerBase`).

    Args:
        version: the version.
        spec: what to load for it.

    Raises:
        ModelError: there is none, or it is no longer the one that was added.
    """
    from muscle_core.models.load import load_tokenizer, tokenizer_fingerprint

    tokenizer = load_tokenizer(spec)
    recorded, current = version.tokenizer_fingerprint, tokenizer_fingerprint(tokenizer)
    if recorded is not None and recorded != current:
        raise ModelError(
            f"the tokenizer files of {version.name!r} have changed since it was added ({recorded[:12]}… then, "
            f"{current[:12]}… now): texts would be split differently. Add the new files as a new model version."
        )
    return tokenizer
