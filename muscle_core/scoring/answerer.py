"""What a model answers to samples: log-likelihoods of choices, or a generated text. Judging is `prediction.py`'s."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Any, Protocol

from transformers import PreTrainedTokenizerBase

from muscle_core.errors import ModelError, raise_all
from muscle_core.scoring.answer_scorer import AnswerScorer
from muscle_core.scoring.decoding import Decoding
from muscle_core.scoring.encode import encode_groups
from muscle_core.scoring.generation import Generated, GreedyGenerator
from muscle_core.scoring.packing import PromptGroup
from muscle_core.scoring.prediction import Answer, scored_answers
from muscle_core.scoring.probe import context_of
from muscle_core.tasks import Sample, Task, render_prompt

_log = logging.getLogger(__name__)


class Scorer(Protocol):
    """Scores answers; `AnswerScorer` says how."""

    fallback_reason: str | None

    def loglikelihoods(self, groups: Sequence[PromptGroup]) -> list[list[list[float]]]:
        """Per-token log-likelihoods (nats) of every answer of every group."""
        ...


class Generator(Protocol):
    """Writes answers; `GreedyGenerator` says how."""

    fallback_reason: str | None

    def generate(self, prompts: Sequence[list[int]]) -> list[Generated]:
        """One text a prompt of token ids."""
        ...


class SampleAnswerer:
    """Answers samples with one model.

    The answers to a list of samples depend on nothing but the list: the same list gives the same floats.
    """

    def __init__(
        self, model: Any, tokenizer: PreTrainedTokenizerBase, task: Task, *, template: str, decoding: Decoding
    ) -> None:
        """Prepare the model.

        Args:
            model: a causal language model in evaluation mode.
            tokenizer: its tokenizer.
            task: decides between log-likelihood and generation.
            template: prompt template with `{input}`.
            decoding: how answers are asked for and produced.

        Raises:
            ModelError: a chat template is asked for, but the tokenizer has none.
        """
        if decoding.chat and not tokenizer.chat_template:
            raise ModelError("the tokenizer has no chat template; evaluate without the chat option.")
        self.tokenizer, self.task, self.template, self.decoding = tokenizer, task, template, decoding
        self._limit = self._context(model)
        self._scorer = self._make_scorer(model)
        self._generator = self._make_generator(model) if task.generates else None
        for part in (self._scorer, self._generator):
            if part is not None and part.fallback_reason:
                _log.warning("%s takes the slower way: %s", type(part).__name__, part.fallback_reason)

    def _context(self, model: Any) -> int | None:
        """Most tokens that a text may have, or None where the model does not say."""
        return context_of(model)

    def _make_scorer(self, model: Any) -> Scorer:
        return AnswerScorer(model, pad_id=self.tokenizer.pad_token_id or 0)

    def _make_generator(self, model: Any) -> Generator:
        decoding = self.decoding
        return GreedyGenerator(model, self.tokenizer, max_new_tokens=decoding.max_new_tokens, stop=decoding.stop)

    def __call__(self, samples: Sequence[Sample]) -> list[Answer]:
        """Answers to samples, in the order given.

        Raises:
            ModelError: prompts with their answers exceed the model's context (all are named), or have no tokens.
        """
        started = time.perf_counter()
        prompts = [self._prompt(sample) for sample in samples]
        wanted = [scored_answers(self.task, sample) for sample in samples]
        groups = encode_groups(self.tokenizer, prompts, wanted, chat=self.decoding.chat)
        self._check_lengths(samples, groups)
        loglikelihoods = self._scorer.loglikelihoods(groups)
        texts = (
            self._generator.generate([group.prompt for group in groups]) if self._generator else [None] * len(groups)
        )
        seconds = (time.perf_counter() - started) / max(len(samples), 1)
        return [
            Answer(
                token_loglikelihoods=values,
                text=None if text is None else text.text,
                finish_reason="choice" if text is None else text.finish_reason,
                latency_seconds=seconds,
            )
            for values, text in zip(loglikelihoods, texts, strict=True)
        ]

    def _prompt(self, sample: Sample) -> str:
        prompt = render_prompt(self.template, sample.input)
        if not self.decoding.chat:
            return prompt
        message = [{"role": "user", "content": prompt}]
        return str(self.tokenizer.apply_chat_template(message, tokenize=False, add_generation_prompt=True))

    def _check_lengths(self, samples: Sequence[Sample], groups: Sequence[PromptGroup]) -> None:
        problems = []
        for sample, group in zip(samples, groups, strict=True):
            longest = max((len(answer) for answer in group.answers), default=0)
            if self._generator is not None:
                longest = max(longest, self.decoding.max_new_tokens)
            tokens = len(group.prompt) + longest
            if self._limit is not None and tokens > self._limit:
                problems.append(f"sample {sample.id!r} needs {tokens:,} tokens (prompt and answer)")
        raise_all(
            problems,
            ModelError,
            f"the model's context holds {self._limit or 0:,} tokens; use fewer new tokens, a shorter template, or "
            "a dataset without these samples",
            shown=5,
        )
