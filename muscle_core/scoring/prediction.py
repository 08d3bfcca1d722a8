"""From a model's answer to a prediction row: judged by the task, as often as wanted. No torch here."""

from __future__ import annotations

import hashlib
import json
from typing import Any, NamedTuple

from muscle_core.tasks import Sample, Task


class Answer(NamedTuple):
    """What a model answered to one sample.

    Attributes:
        token_loglikelihoods: nats a token, for each choice; of a generating task, for the gold answer alone.
        text: generated text, None for a choice.
        finish_reason: "choice", or how the text ended: "stop" or "length".
        latency_seconds: share of this sample in the time of its batch.
    """

    token_loglikelihoods: list[list[float]]
    text: str | None
    finish_reason: str
    latency_seconds: float


def scored_answers(task: Task, sample: Sample) -> list[str]:
    """The answers whose log-likelihood is asked for: all choices; of a generating task the gold answer, if any."""
    if not task.generates:
        return list(sample.choices)
    return [sample.target] if sample.target else []


def sample_content(task: Task, sample: Sample) -> str:
    """Hash of all that the model's answer depends on in a sample."""
    content = [sample.input, scored_answers(task, sample), task.generates]
    return hashlib.sha256(json.dumps(content, ensure_ascii=False).encode()).hexdigest()


def prediction_row(task: Task, sample: Sample, answer: Answer, scoring: str) -> dict[str, Any]:
    """Judge an answer.

    Args:
        task: judges.
        sample: what was asked.
        answer: what the model answered.
        scoring: one of the task's `scorings`.

    Returns:
        sample_id, prediction (None: no answer found), correct, gold, gold_loglikelihood (nats, sum over the answer's
        tokens), finish_reason, output, latency_seconds, token_loglikelihoods, and by task choice_loglikelihoods (nats),
        choice_loglikelihoods_per_byte, margin (of the gold choice to the best wrong one, in the unit of the scoring)
        or the continuous scores.
    """
    common = {
        "sample_id": sample.id,
        "gold": sample.gold,
        "finish_reason": answer.finish_reason,
        "latency_seconds": answer.latency_seconds,
        "token_loglikelihoods": answer.token_loglikelihoods,
    }
    sums = [sum(values) for values in answer.token_loglikelihoods]
    if answer.text is not None:
        judgement = task.judge(answer.text, sample.gold, scoring)
        return {
            **common,
            "prediction": judgement.prediction,
            "correct": judgement.correct,
            "gold_loglikelihood": sums[0] if sums else None,
            "output": answer.text,
            **judgement.scores,
        }
    per_byte = [value / len(choice.encode()) for value, choice in zip(sums, sample.choices, strict=True)]
    scores = per_byte if scoring == "per_byte" else sums
    gold = int(sample.gold)
    best = max(range(len(scores)), key=scores.__getitem__)
    judgement = task.judge(str(best), sample.gold, scoring)
    return {
        **common,
        "prediction": judgement.prediction,
        "correct": judgement.correct,
        "gold_loglikelihood": sums[gold],
        "output": sample.choices[best],
        "choice_loglikelihoods": sums,
        "choice_loglikelihoods_per_byte": per_byte,
        "margin": scores[gold] - max(score for i, score in enumerate(scores) if i != gold),
    }
