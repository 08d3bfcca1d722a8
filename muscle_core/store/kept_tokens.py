"""Looks at the tokens of gold answers, kept so that a page can show them without loading a model.

tokens/<key>/              one folder for two versions and a student on one dataset
tokens/<key>/asked.json    whose they are: fingerprints of the versions, id of the dataset
tokens/<key>/<content>.json    one sample; named by its content, so that a changed sample is looked at anew

Everything here can be made again from the versions' weights.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

from muscle_core.errors import StoreError
from muscle_core.paths import reason
from muscle_core.store.tables import Dataset, ModelVersion
from muscle_core.store.workspace import Workspace
from muscle_core.tasks import Sample

TOKENS = "tokens"
_ASKED = "asked.json"
_FORMAT = 1  # raised where a strategy decides otherwise or a file holds other fields


class KeptTokens(NamedTuple):
    """One gold answer, token by token; all lists have one entry a token.

    Attributes:
        text: the tokens as text, EOS last; joined they are the answer.
        argmax: by "old", "new" and "student", the text of the most likely token.
        probability: likewise, the probability of the gold token, from 0 to 1.
        follows: by strategy, what the token learns from: "old", "new" or "gold", several joined by "+".
    """

    text: list[str]
    argmax: dict[str, list[str]]
    probability: dict[str, list[float]]
    follows: dict[str, list[str]]


class TokensOf(NamedTuple):
    """Whose tokens are looked at; `student` is the version that stands for the student of a training."""

    old: ModelVersion
    new: ModelVersion
    student: ModelVersion
    dataset: Dataset

    def asked(self) -> dict[str, Any]:
        """What is noted beside the files."""
        versions = {name: getattr(self, name) for name in ("old", "new", "student")}
        return {
            "format": _FORMAT,
            **{name: version.fingerprint for name, version in versions.items()},
            "tokenizer": self.old.tokenizer_fingerprint,
            "dataset": self.dataset.id,
            "template": self.dataset.template,
        }

    def path_of(self, sample: Sample) -> str:
        """Where the look at a sample is kept, relative to the workspace."""
        content = json.dumps([sample.input, sample.target], ensure_ascii=False)
        return f"{TOKENS}/{_sum_of(json.dumps(self.asked(), sort_keys=True))}/{_sum_of(content)}.json"


def read_tokens(workspace: Workspace, whose: TokensOf, sample: Sample, *, fetch: bool = False) -> KeptTokens | None:
    """The look at a sample that is kept; None where there is none, or its file cannot be read.

    Args:
        workspace: where it is kept.
        whose: the versions and the dataset.
        sample: of the dataset.
        fetch: ask the shared place for what another machine has made.
    """
    path = whose.path_of(sample)
    try:
        place = workspace.path(path)
        if fetch and not place.is_file():
            place = workspace.local(path)
            _note(place, whose)
        return KeptTokens(**json.loads(place.read_text(encoding="utf-8")))
    except (StoreError, OSError, ValueError, TypeError):
        return None  # it is looked at again


def write_tokens(workspace: Workspace, whose: TokensOf, sample: Sample, tokens: KeptTokens) -> None:
    """Keep the look at a sample, whole or not at all.

    Raises:
        StoreError: it cannot be written.
    """
    path = whose.path_of(sample)
    file = workspace.path(path)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        _note(file, whose)
        _write(file, tokens._asdict())
    except OSError as error:
        raise StoreError(
            f"the tokens of sample {sample.id!r} cannot be kept in {file.parent}: {reason(error)}."
        ) from error
    workspace.publish(path)


def whose_tokens(folder: Path) -> dict[str, Any] | None:
    """What was noted beside the files of a folder; None where that cannot be read."""
    try:
        asked = json.loads((folder / _ASKED).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return asked if isinstance(asked, dict) and {"old", "new", "student", "dataset"} <= asked.keys() else None


def is_of_none(asked: dict[str, Any] | None, fingerprints: set[str], datasets: set[str]) -> bool:
    """Whether one of the versions, or the dataset, is not among those named; so also where nothing was noted."""
    if asked is None:
        return True
    return not {asked["old"], asked["new"], asked["student"]} <= fingerprints or asked["dataset"] not in datasets


def _note(file: Path, whose: TokensOf) -> None:
    """Note whose the files of a folder are, by which the clean-up finds what is of no version any more."""
    note = file.with_name(_ASKED)
    if file.parent.is_dir() and not note.is_file():
        _write(note, whose.asked())


def _write(file: Path, content: dict[str, Any]) -> None:
    partial = file.with_name(f"{uuid4().hex}.partial")
    try:
        partial.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
        partial.replace(file)
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


def _sum_of(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
