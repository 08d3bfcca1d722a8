"""Evaluate a model version on a dataset split; answers once given are kept and never asked for again."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from muscle_core.actions.evaluation.question import EvaluationOptions, Question, ask
from muscle_core.actions.evaluation.runs import known_run, store_run
from muscle_core.errors import Cancelled, ModelError
from muscle_core.models.spec import (
    ModelSpec,
    adapter_fingerprint,
    base_fingerprint,
    check_paths,
    tokenizer_files_fingerprint,
)
from muscle_core.scoring.engine import AnswerJob, Engine, local_engine
from muscle_core.scoring.judging import judge_shards
from muscle_core.scoring.prediction import Answer, sample_content
from muscle_core.store import (
    ArtifactsUnreachable,
    EvaluationRun,
    ModelVersion,
    Workspace,
    get_version,
    made_by,
    spec_of,
)
from muscle_core.store.answers import AnswerStore
from muscle_core.tasks import Sample, Task, task_of

_log = logging.getLogger(__name__)

Report = Callable[[int, int], None]  # samples done, samples in all
# Answers numbered lists of samples, in any order.
Answering = Callable[[Iterable[tuple[int, Sequence[Sample]]]], Iterator[tuple[int, list[Answer]]]]
Answered = Iterator[tuple[list[Sample], list[Answer]]]
_Shard = list[tuple[str, Sample]]  # content and sample

# An evaluation is cut into about 64 shards of so many samples at least and at most; a killed one repeats a shard.
_SHARDS, _SMALLEST_SHARD, _LARGEST_SHARD = 64, 64, 1024


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
    version = get_version(workspace, version_name)
    question = ask(workspace, dataset_name, split=split, limit=limit, options=options)
    spec = spec_of(workspace, version)
    check_paths(spec)
    files = tokenizer_files_fingerprint(spec)
    key = question.key(version, files)
    known = known_run(workspace, key)
    if known is not None:
        report(len(question.samples), len(question.samples))
        return known
    check_unchanged(version, spec)

    def start() -> Answering:
        tokenizer = tokenizer_of(version, spec)
        question.check_chat(tokenizer, version_name)
        job = AnswerJob(spec, question.dataset.task_kind, question.template, question.decoding)
        return partial(engine or partial(local_engine, tokenizer=tokenizer), job)

    folder = question.answers_folder(version, files)
    answered = answer(workspace, version, question, folder, start, report=report, should_stop=should_stop)
    return judge_and_store(workspace, version, question, key, answered)


def answer(
    workspace: Workspace,
    version: ModelVersion,
    question: Question,
    folder: str,
    start: Callable[[], Answering],
    *,
    report: Report,
    should_stop: Callable[[], bool],
) -> Answered:
    """Answers to all samples: those that are kept already, and what is missing.

    Args:
        workspace: where answers are kept.
        version: who is asked; need not be saved yet.
        question: what is asked.
        folder: where its answers are kept, relative to the workspace.
        start: called where something is missing; checks the rest and gives what answers shards.
        report: called after every shard of samples.
        should_stop: asked after every shard.

    Raises:
        Cancelled: `should_stop` said so; the answers so far are kept.
        ArtifactsUnreachable: the shared place does not answer at the beginning.
    """
    task, samples = task_of(question.dataset.task_kind), question.samples
    if workspace.artifacts is not None:
        workspace.artifacts.share(folder, workspace.path(folder))
    answers = AnswerStore(workspace.path(folder), question.note(version))
    shards = [[(sample_content(task, sample), sample) for sample in shard] for shard in _shards(task, samples)]
    missing = _missing(shards, answers)
    done = len(samples) - sum(map(len, missing.values()))
    answering = start() if missing else None
    report(done, len(samples))
    if answering is not None:
        asked = ((number, [sample for _, sample in shard]) for number, shard in missing.items())
        for number, given in answering(asked):
            shard = answers.add([content for content, _ in missing[number]], given)
            try:
                workspace.publish(f"{folder}/{shard.name}")
            except ArtifactsUnreachable as error:  # kept here, and published by the next evaluation
                _log.warning("answers are not shared with other machines for now: %s", error)
            done += len(given)
            report(done, len(samples))
            if should_stop() and done < len(samples):
                raise Cancelled(
                    f"the evaluation of {version.name!r} was stopped after {done:,} samples; they are kept, and the "
                    "next evaluation goes on from there."
                )
    return (([sample for _, sample in shard], answers.get(content for content, _ in shard)) for shard in shards)


def judge_and_store(
    workspace: Workspace, version: ModelVersion, question: Question, key: str, answered: Answered
) -> EvaluationRun:
    """Judge answers and keep them as a run of a version that is in the workspace."""
    run = EvaluationRun(
        key=key,
        version_id=version.id,
        dataset_id=question.dataset.id,
        split=question.split,
        template=question.template,
        decoding=question.decoding.as_dict(),
        row_limit=question.limit,
        origin="evaluated",
        made_by=made_by(),
    )
    task = task_of(question.dataset.task_kind)
    rows = judge_shards(task, answered, question.decoding.scoring, total=len(question.samples))
    if question.encoder is not None:
        from muscle_core.scoring.bertscore import with_bertscore

        rows = with_bertscore(rows, question.encoder)
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
