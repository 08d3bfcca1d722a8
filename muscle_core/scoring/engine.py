"""Where answers are computed: in this process. `ray_engine.py` is the other place."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from muscle_core.models.spec import ModelSpec
from muscle_core.scoring.decoding import Decoding
from muscle_core.scoring.prediction import Answer
from muscle_core.tasks import Sample, task_of

Shard = Sequence[Sample]
# Answers shards one by one, in any order: pairs of a shard's number and its answers.
Engine = Callable[["AnswerJob", Iterable[tuple[int, Shard]]], Iterator[tuple[int, list[Answer]]]]


@dataclass(frozen=True)
class AnswerJob:
    """Everything that decides a model's answers, but the samples; small enough to send to another machine.

    Attributes:
        spec: base and adapter.
        task_kind: name of the task kind.
        template: prompt template with `{input}`.
        decoding: how answers are asked for and produced.
    """

    spec: ModelSpec
    task_kind: str
    template: str
    decoding: Decoding

    def answerer(self, tokenizer: Any = None) -> Any:
        """Load the model; a `SampleAnswerer`.

        Args:
            tokenizer: the spec's tokenizer where it is loaded already; a GGUF file takes seconds for it.

        Raises:
            ModelError: it cannot be loaded or has no chat template.
        """
        # torch from here on only: stored answers are judged without it.
        from muscle_core.models.load import load_model, load_tokenizer
        from muscle_core.scoring.answerer import SampleAnswerer

        return SampleAnswerer(
            load_model(self.spec),
            tokenizer or load_tokenizer(self.spec),
            task_of(self.task_kind),
            template=self.template,
            decoding=self.decoding,
        )


def local_engine(
    job: AnswerJob, shards: Iterable[tuple[int, Shard]], *, tokenizer: Any = None
) -> Iterator[tuple[int, list[Answer]]]:
    """Answer shards in this process; the model is loaded when the first one is asked for.

    Args:
        job: what decides the answers.
        shards: numbered lists of samples.
        tokenizer: see `AnswerJob.answerer`.
    """
    answerer = None
    for number, samples in shards:
        answerer = answerer or job.answerer(tokenizer)
        yield number, answerer(samples)
