"""The two sides of the benchmark: lm-evaluation-harness's HFLM and our scorer, on one and the same loaded model."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, NamedTuple

from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from sets import MAX_NEW_TOKENS, STOP, EvalSet

from muscle_core.scoring.answer_scorer import AnswerScorer
from muscle_core.scoring.encode import encode_groups, encode_prompts
from muscle_core.scoring.generation import GreedyGenerator

BATCH_SIZES = (8, 16)

logging.getLogger("lm_eval").setLevel(logging.ERROR)  # it warns at every HFLM that a loaded model was handed in


class Side(NamedTuple):
    """One way to evaluate a set.

    Attributes:
        name: "ours", "ours 8", "lm-eval 16", …
        prepare: makes ready what belongs to loading (not timed), and gives what is timed: from texts to results.
            Results are the log-likelihoods of each row's choices, or the texts.
    """

    name: str
    prepare: Callable[[], Callable[[], list]]


def sides_of(rows: EvalSet, model: Any, tokenizer: Any) -> list[Side]:
    """All sides for a set; ours is prepared afresh each time, so that no repetition finds the work of another."""
    theirs = [Side(f"lm-eval {size}", lambda size=size: _theirs(rows, model, tokenizer, size)) for size in BATCH_SIZES]
    if not rows.generates:
        return [*theirs, Side("ours", lambda: _our_choices(rows, model, tokenizer))]
    ours = [Side(f"ours {size}", lambda size=size: _our_texts(rows, model, tokenizer, size)) for size in BATCH_SIZES]
    return [*theirs, *ours]


def rows_with_other_tokens(rows: EvalSet, model: Any, tokenizer: Any) -> list[int]:
    """Numbers of the rows whose token ids are not the same on both sides."""
    lm = HFLM(pretrained=model, tokenizer=tokenizer)
    if rows.generates:
        ours: list[Any] = encode_prompts(tokenizer, rows.prompts)
        theirs: list[Any] = [lm.tok_encode(prompt) for prompt in rows.prompts]
    else:
        groups = encode_groups(tokenizer, rows.prompts, rows.answers)
        ours = [[(group.prompt, answer) for answer in group.answers] for group in groups]
        theirs = [
            [lm._encode_pair(prompt, f" {answer}") for answer in answers]
            for prompt, answers in zip(rows.prompts, rows.answers, strict=True)
        ]
    return [number for number, (one, other) in enumerate(zip(ours, theirs, strict=True)) if one != other]


def answer_tokens(rows: EvalSet, tokenizer: Any) -> list[list[int]]:
    """Number of tokens of every choice."""
    groups = encode_groups(tokenizer, rows.prompts, rows.answers)
    return [[len(answer) for answer in group.answers] for group in groups]


def fallbacks(rows: EvalSet, model: Any, tokenizer: Any) -> str | None:
    """Why our side does not take its fast way here; None where it does."""
    if not rows.generates:
        return AnswerScorer(model, pad_id=tokenizer.pad_token_id or 0).fallback_reason
    return GreedyGenerator(model, tokenizer, max_new_tokens=MAX_NEW_TOKENS, stop=STOP).fallback_reason


def _theirs(rows: EvalSet, model: Any, tokenizer: Any, size: int) -> Callable[[], list]:
    lm = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=size)

    def texts() -> list[str]:
        options = {"until": list(STOP), "do_sample": False, "max_gen_toks": MAX_NEW_TOKENS}
        requests = [
            Instance("generate_until", {}, (prompt, dict(options)), number)
            for number, prompt in enumerate(rows.prompts)
        ]
        return lm.generate_until(requests, disable_tqdm=True)

    def choices() -> list[list[float]]:
        requests = [
            Instance("loglikelihood", {}, (prompt, f" {answer}"), number)
            for prompt, answers in zip(rows.prompts, rows.answers, strict=True)
            for number, answer in enumerate(answers)
        ]
        values = iter(lm.loglikelihood(requests, disable_tqdm=True))
        return [[next(values)[0] for _ in answers] for answers in rows.answers]

    return texts if rows.generates else choices


def _our_choices(rows: EvalSet, model: Any, tokenizer: Any) -> Callable[[], list]:
    scorer = AnswerScorer(model, pad_id=tokenizer.pad_token_id or 0)

    def choices() -> list[list[float]]:
        values = scorer.loglikelihoods(encode_groups(tokenizer, rows.prompts, rows.answers))
        return [[sum(answer) for answer in answers] for answers in values]

    return choices


def _our_texts(rows: EvalSet, model: Any, tokenizer: Any, size: int) -> Callable[[], list]:
    generator = GreedyGenerator(model, tokenizer, max_new_tokens=MAX_NEW_TOKENS, stop=STOP, batch_rows=size)

    def texts() -> list[str]:
        return [generated.text for generated in generator.generate(encode_prompts(tokenizer, rows.prompts))]

    return texts
