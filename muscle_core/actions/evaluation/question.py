"""What is asked of a model version: dataset, samples, way of asking and judging; and the keys made of it."""

from __future__ import annotations

import hashlib
import json
import shlex
from dataclasses import dataclass
from typing import Any

from muscle_core.actions.library.datasets import load_samples
from muscle_core.errors import ConfigError, ModelError
from muscle_core.models.spec import ModelSpec, base_fingerprint, check_paths
from muscle_core.scoring.decoding import Decoding
from muscle_core.store import Dataset, ModelVersion, Workspace, get_dataset
from muscle_core.tasks import Sample, task_of, template_problem


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


@dataclass(frozen=True)
class Question:
    """What is asked of a version.

    Attributes:
        dataset: the dataset.
        split: its split.
        template: prompt template with `{input}`.
        decoding: how answers are produced and judged.
        samples: what is asked, in file order.
        limit: number of samples where only the first of the split are asked, else None.
        encoder: of the scoring "bertscore": folder or hub id.
    """

    dataset: Dataset
    split: str
    template: str
    decoding: Decoding
    samples: list[Sample]
    limit: int | None
    encoder: str | None

    def key(self, version: ModelVersion, tokenizer_files: str) -> str:
        """Hash of all that decides the predictions, and of whose they are.

        Args:
            version: its name, weights and adapter enter.
            tokenizer_files: fingerprint of its tokenizer's files.
        """
        # Ids where only the first samples are asked: the dataset's fingerprint does not tell the order of rows. The
        # dataset's own id enters too: the same content under two names is two sets of runs.
        first_ids = None if self.limit is None else [sample.id for sample in self.samples]
        content = [
            [version.name, version.fingerprint, tokenizer_files],
            [self.dataset.id, self.dataset.fingerprint, self.template, self.split, first_ids],
            self.decoding.as_dict(),
        ]
        return _hash(content)

    def answers_folder(self, version: ModelVersion, tokenizer_files: str) -> str:
        """Where a version's answers are kept, relative to the workspace: by weights and way of asking, not by name."""
        asked = [version.fingerprint, tokenizer_files, self.template, self.decoding.answering()]
        return f"answers/{_hash(asked)[:32]}"

    def note(self, version: ModelVersion) -> dict[str, Any]:
        """What is noted beside a version's answers."""
        asked = {"template": self.template, "decoding": self.decoding.answering()}
        return {"version": version.fingerprint, "name": version.name, **asked}

    def check_chat(self, tokenizer: Any, name: str) -> None:
        """Refuse to ask through a chat template that a version's tokenizer does not have.

        Raises:
            ModelError: naming the version.
        """
        if self.decoding.chat and not tokenizer.chat_template:
            raise ModelError(f"the tokenizer of {name!r} has no chat template; evaluate without the chat option.")


def ask(
    workspace: Workspace, dataset_name: str, *, split: str, limit: int | None, options: EvaluationOptions | None
) -> Question:
    """What is asked of a version; arguments and errors as of `evaluate`."""
    options = options or EvaluationOptions()
    dataset = get_dataset(workspace, dataset_name)
    template, decoding = options.template_of(dataset), options.decoding_of(dataset)
    samples = load_samples(workspace, dataset, split, limit)
    if limit is not None and limit >= dataset.splits[split]:
        limit = None
    return Question(dataset, split, template, decoding, samples, limit, options.encoder)


def _hash(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
