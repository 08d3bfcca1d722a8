"""Score samples with a model: one prediction row a sample, by log-likelihood or greedy generation."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

from transformers import PreTrainedTokenizerBase

from muscle_core.errors import ModelError
from muscle_core.scoring.decoding import Decoding
from muscle_core.scoring.encode import encode_pair
from muscle_core.scoring.generation import generate_greedy
from muscle_core.scoring.loglikelihood import BATCH_TOKENS, answer_loglikelihoods, length_sorted_batches
from muscle_core.tasks import Sample, Task, render_prompt

_CHUNK = 256  # samples between two progress reports


def score_samples(
    model: Any,
    tokenizer: PreTrainedTokenizerBase,
    task: Task,
    samples: Sequence[Sample],
    *,
    template: str,
    decoding: Decoding,
) -> Iterator[list[dict[str, Any]]]:
    """Score samples in chunks.

    Args:
        model: model in evaluation mode.
        tokenizer: its tokenizer.
        task: decides between log-likelihood and generation, and judges.
        samples: what to score.
        template: prompt template with `{input}`.
        decoding: options of generation.

    Yields:
        Lists of prediction rows: sample_id, prediction, correct, gold, gold_loglikelihood (nats, sum over the
        answer's tokens), finish_reason, output, latency_seconds, and by task choice_loglikelihoods and margin or
        the continuous scores.

    Raises:
        ModelError: a prompt with its answer exceeds the model's context.
    """
    limit = getattr(model.config, "max_position_embeddings", None)
    ordered = sorted(samples, key=lambda sample: (-len(sample.input), sample.id))
    for start in range(0, len(ordered), _CHUNK):
        chunk = ordered[start : start + _CHUNK]
        if task.generates:
            yield _generated(model, tokenizer, task, chunk, template, decoding, limit)
        else:
            yield _chosen(model, tokenizer, task, chunk, template, limit)


def _chosen(
    model: Any,
    tokenizer: PreTrainedTokenizerBase,
    task: Task,
    samples: Sequence[Sample],
    template: str,
    limit: int | None,
) -> list[dict[str, Any]]:
    started = time.perf_counter()
    pairs = []
    for sample in samples:
        prompt = render_prompt(template, sample.input)
        pairs += [encode_pair(tokenizer, prompt, choice) for choice in sample.choices]
        _check_length(sample, max(len(p.prompt) + len(p.answer) for p in pairs[-len(sample.choices) :]), limit)
    per_token = iter(answer_loglikelihoods(model, pairs, tokenizer.pad_token_id or 0))
    seconds = (time.perf_counter() - started) / len(samples)
    rows = []
    for sample in samples:
        scores = [sum(next(per_token)) for _ in sample.choices]
        gold = int(sample.gold)
        best = max(range(len(scores)), key=scores.__getitem__)
        judgement = task.judge(str(best), sample.gold)
        rows.append(
            {
                "sample_id": sample.id,
                "prediction": judgement.prediction,
                "correct": judgement.correct,
                "gold": sample.gold,
                "gold_loglikelihood": scores[gold],
                "finish_reason": "choice",
                "output": sample.choices[best],
                "latency_seconds": seconds,
                "choice_loglikelihoods": scores,
                "margin": scores[gold] - max(score for i, score in enumerate(scores) if i != gold),
            }
        )
    return rows


def _generated(
    model: Any,
    tokenizer: PreTrainedTokenizerBase,
    task: Task,
    samples: Sequence[Sample],
    template: str,
    decoding: Decoding,
    limit: int | None,
) -> list[dict[str, Any]]:
    prompts = [render_prompt(template, sample.input) for sample in samples]
    pairs = [encode_pair(tokenizer, p, s.target) for p, s in zip(prompts, samples, strict=True)]
    for sample, pair in zip(samples, pairs, strict=True):
        _check_length(sample, len(pair.prompt) + max(len(pair.answer), decoding.max_new_tokens), limit)
    gold_scores = answer_loglikelihoods(model, pairs, tokenizer.pad_token_id)
    rows: list[dict[str, Any]] = []
    for indices in length_sorted_batches([len(pair.prompt) + decoding.max_new_tokens for pair in pairs], BATCH_TOKENS):
        started = time.perf_counter()
        answers = generate_greedy(
            model,
            tokenizer,
            [prompts[i] for i in indices],
            max_new_tokens=decoding.max_new_tokens,
            stop=decoding.stop,
        )
        seconds = (time.perf_counter() - started) / len(indices)
        for index, answer in zip(indices, answers, strict=True):
            sample = samples[index]
            judgement = task.judge(answer.text, sample.gold)
            rows.append(
                {
                    "sample_id": sample.id,
                    "prediction": judgement.prediction,
                    "correct": judgement.correct,
                    "gold": sample.gold,
                    "gold_loglikelihood": sum(gold_scores[index]),
                    "finish_reason": "no answer" if judgement.prediction is None else answer.finish_reason,
                    "output": answer.text,
                    "latency_seconds": seconds,
                    **judgement.scores,
                }
            )
    return rows


def _check_length(sample: Sample, tokens: int, limit: int | None) -> None:
    if limit is not None and tokens > limit:
        raise ModelError(
            f"sample {sample.id!r} needs {tokens:,} tokens (prompt and answer), but the model's context holds "
            f"{limit:,}. Use fewer new tokens, a shorter template, or leave the sample out."
        )
