"""An approved baseline: what a version answered when it was approved, in one file that lives beside the code.

A gate only reads it. It is text with one line a sample, so that a change of it can be read in a review; a digest over
all of it tells damage and edits by hand.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NoReturn

import pandas as pd

from muscle_core.comparison.gate import Thresholds
from muscle_core.comparison.gate_samples import some
from muscle_core.errors import DataError, first_line, raise_all

_FORMAT = 1


@dataclass(frozen=True)
class ApprovedSample:
    """One sample of the approved run.

    Attributes:
        id: its id.
        content: hash of its input, choices, right answer and target; None where only outputs were known.
        gold: its right answer; None where it was not known.
        correct: whether the approved version was right; None where only a score tells.
        prediction: its answer; None where there was none.
        scores: continuous scores by name.
    """

    id: str
    content: str | None
    gold: str | None
    correct: bool | None
    prediction: str | None
    scores: dict[str, float]


@dataclass(frozen=True)
class Baseline:
    """What was approved, by whom and when.

    Attributes:
        version: name and fingerprint of the approved version; the fingerprint is None where it has no weights here.
        task_kind: kind of task.
        dataset: name, fingerprint and split; None where it was made from files.
        evaluation: template and decoding of the approved run; None where it was imported or read from a file.
        samples: all samples of the split.
        accepted: ids of negative flips that were accepted.
        candidate: name and fingerprint of the version whose negative flips were accepted, if any.
        thresholds: limits that apply where a gate names none, if any.
        approved_by: who approved it.
        approved_at: when, as ISO 8601 in UTC.
        made_by: versions of the libraries that wrote it.
    """

    version: dict[str, str | None]
    task_kind: str
    dataset: dict[str, str] | None
    evaluation: dict[str, Any] | None
    samples: tuple[ApprovedSample, ...]
    accepted: tuple[str, ...]
    candidate: dict[str, str | None] | None
    thresholds: Thresholds | None
    approved_by: str
    approved_at: str
    made_by: dict[str, Any]

    @property
    def name(self) -> str:
        """Name of the approved version."""
        return str(self.version["name"])

    def predictions(self) -> pd.DataFrame:
        """The recorded outputs as a prediction table."""
        columns: dict[str, Any] = {
            "sample_id": [sample.id for sample in self.samples],
            "prediction": pd.array([sample.prediction for sample in self.samples], dtype="string"),
            "correct": pd.array([sample.correct for sample in self.samples], dtype="boolean"),
            "gold": pd.array([sample.gold for sample in self.samples], dtype="string"),
        }
        for name in self.samples[0].scores:
            columns[name] = [sample.scores[name] for sample in self.samples]
        return pd.DataFrame(columns)

    def check_contents(self, contents: Mapping[str, str], place: str) -> None:
        """Refuse a dataset whose samples are not those that were approved.

        Args:
            contents: hash of the content of each sample of the split, by id.
            place: names the baseline in the message.

        Raises:
            DataError: samples were added, removed or changed.
        """
        approved = {sample.id: sample.content for sample in self.samples}
        found = (
            ("added since", sorted(contents.keys() - approved.keys())),
            ("no longer there", sorted(approved.keys() - contents.keys())),
            ("changed since", sorted(key for key, value in approved.items() if contents.get(key, value) != value)),
        )
        problems = [f"{what}: {some(ids)}" for what, ids in found if ids]
        raise_all(problems, DataError, f"the dataset is not the one approved in {place}; approve a baseline for it")

    def to_text(self) -> str:
        """The file's text: strict JSON, one line a sample, with a digest."""
        head = asdict(self)
        samples = head.pop("samples")
        content = {"muscle_baseline": _FORMAT, **head}
        lines = [f"  {json.dumps(key)}: {_json(value)}," for key, value in content.items()]
        rows = ",\n".join(f"    {_json(sample)}" for sample in samples)
        digest = _digest({**content, "samples": samples})
        return "\n".join(["{", *lines, '  "samples": [', rows, "  ],", f'  "digest": {json.dumps(digest)}', "}", ""])

    @classmethod
    def from_text(cls, text: str, place: str) -> Baseline:
        """Read a baseline back.

        Args:
            text: what `to_text` gave.
            place: names the file in messages.

        Raises:
            DataError: it is no baseline, of another format, damaged, or edited by hand.
        """
        try:
            data = json.loads(text, parse_constant=_refuse, object_pairs_hook=_unique)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{place} is no approved baseline: {first_line(error)}. {_ANEW}") from error
        if not isinstance(data, dict) or "muscle_baseline" not in data:
            raise DataError(f"{place} is no approved baseline. {_ANEW}")
        if data.pop("muscle_baseline") != _FORMAT:
            raise DataError(f"{place} has another format than this version reads ({_FORMAT}). {_ANEW}")
        digest = data.pop("digest", None)
        if digest != _digest({"muscle_baseline": _FORMAT, **data}):
            raise DataError(f"{place} is damaged or was edited by hand: its digest does not fit. {_ANEW}")
        try:
            thresholds = None if data["thresholds"] is None else Thresholds(**data["thresholds"])
            samples = tuple(ApprovedSample(**sample) for sample in data.pop("samples"))
            baseline = cls(
                **{**data, "samples": samples, "thresholds": thresholds, "accepted": tuple(data["accepted"])}
            )
            baseline.check(place)
        except (AttributeError, KeyError, TypeError) as error:
            raise DataError(f"{place} lacks a field, or has one too many ({error}). {_ANEW}") from error
        return baseline

    def check(self, place: str) -> None:
        """Refuse a baseline that a gate could not trust.

        Raises:
            DataError: naming all problems.
        """
        doubled = [key for key, times in Counter(sample.id for sample in self.samples).items() if times > 1]
        problems = [] if self.samples else ["it holds no sample"]
        if doubled:
            problems.append(f"it holds more than once: {some(doubled)}")
        names = [tuple(sample.scores) for sample in self.samples]
        wrong = [
            sample.id
            for sample in self.samples
            if not _is_whole(sample, names[0]) or (self.dataset is not None and sample.content is None)
        ]
        if wrong:
            problems.append(f"a field is missing or of a wrong kind in {some(wrong)}")
        unknown = sorted(set(self.accepted) - {sample.id for sample in self.samples})
        if unknown:
            problems.append(f"accepted, but not among the samples: {some(unknown)}")
        raise_all(problems, DataError, f"{place} is no usable baseline")
        if self.thresholds is not None:
            self.thresholds.check()


_ANEW = "Write it anew: python -m muscle_core gate approve … --out FILE --force"


def _is_whole(sample: ApprovedSample, scores: Sequence[str]) -> bool:
    texts = (sample.content, sample.gold, sample.prediction)
    return (
        isinstance(sample.id, str)
        and sample.id != ""
        and all(text is None or isinstance(text, str) for text in texts)
        and sample.correct in (True, False, None)
        and tuple(sample.scores) == tuple(scores)
        and all(isinstance(value, int | float) and math.isfinite(value) for value in sample.scores.values())
        and (sample.correct is not None or bool(scores))
    )


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, allow_nan=False).encode()).hexdigest()


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number of JSON")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key occurs twice in one object")
    return found
