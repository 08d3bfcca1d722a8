"""Early stopping: the adapter with the fewest negative flips on a validation split, among those that are good enough.

The rule, stated once: of all looks at the validation split take the one with the least harm whose quality is at least
the new version's minus a margin; of equals the earlier. Where no look is good enough, take the one with the highest
quality. Training ends when so many looks in a row brought nothing better.

For right or wrong answers quality is accuracy and harm is NFR. For scores they are the mean score and the mean of what
was lost against the old version (paper.md, Metrics: regression); with 1 and 0 for right and wrong both are the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from transformers import PreTrainedTokenizerBase

from muscle_core.errors import ConfigError, DataError
from muscle_core.scoring.answerer import SampleAnswerer
from muscle_core.scoring.decoding import Decoding
from muscle_core.scoring.prediction import prediction_row
from muscle_core.tasks import Sample, Task

SCORE = "rouge1"  # of tasks whose answers are neither right nor wrong
_BATCH = 256  # samples answered at a time


class Look(NamedTuple):
    """What a validation split says about an adapter.

    Attributes:
        step: optimizer steps done.
        quality: accuracy, or mean score.
        harm: NFR against the old version, or mean loss of score.
    """

    step: int
    quality: float
    harm: float


@dataclass(frozen=True)
class Validation:
    """A validation split with what both versions reached on it.

    Attributes:
        samples: the samples.
        task: judges.
        template: prompt template with `{input}`.
        decoding: how answers are produced and judged.
        old: by sample id what the old version reached: 1 right, 0 wrong, or its score.
        new: the same of the new version.
    """

    samples: Sequence[Sample]
    task: Task
    template: str
    decoding: Decoding
    old: Mapping[str, float]
    new: Mapping[str, float]


def value_of(row: Mapping[str, Any]) -> float:
    """What a prediction row reached: 1 right, 0 wrong, or its score.

    Raises:
        ConfigError: the task has neither.
    """
    if row.get("correct") is not None:
        return float(row["correct"])
    if row.get(SCORE) is None:
        raise ConfigError("answers of this task are neither right nor wrong nor scored; set validation_every=0.")
    return float(row[SCORE])


def is_better(look: Look, best: Look | None, wanted: float) -> bool:
    """Whether a look beats the best one so far, by the rule above.

    Args:
        look: the newest.
        best: the best before it, or None.
        wanted: least quality that is good enough.
    """
    if best is None:
        return True

    def rank(one: Look) -> tuple[bool, float]:
        good_enough = one.quality >= wanted
        return (not good_enough, one.harm if good_enough else -one.quality)

    return rank(look) < rank(best)


class EarlyStopping:
    """Looks at the validation split and remembers the best adapter.

    Attributes:
        best: the best look so far, or None.
        weights: the adapter of that look, by name.
        without_gain: looks since then.
    """

    def __init__(self, validation: Validation, margin: float, patience: int) -> None:
        """Set up the rule.

        Args:
            validation: the split.
            margin: how far quality may lie below the new version's.
            patience: looks without gain before training ends.

        Raises:
            DataError: the split is empty.
        """
        if not validation.samples:
            raise DataError("the validation split has no samples; choose another one or set validation_every=0.")
        self.validation, self.patience = validation, patience
        new = [validation.new[sample.id] for sample in validation.samples]
        self.wanted = sum(new) / len(new) - margin
        self.best: Look | None = None
        self.weights: dict[str, Any] = {}
        self.without_gain = 0

    def look(self, student: Any, tokenizer: PreTrainedTokenizerBase, step: int) -> Look:
        """Evaluate a student that is in evaluation mode; remembers its adapter if it is the best so far."""
        values = self._values(student, tokenizer)
        lost = [max(self.validation.old[sample_id] - value, 0.0) for sample_id, value in values.items()]
        found = Look(step, sum(values.values()) / len(values), sum(lost) / len(lost))
        if is_better(found, self.best, self.wanted):
            self.best, self.without_gain = found, 0
            self.weights = {
                name: value.detach().clone() for name, value in student.named_parameters() if value.requires_grad
            }
        else:
            self.without_gain += 1
        return found

    @property
    def is_over(self) -> bool:
        """Whether training should end."""
        return self.without_gain >= self.patience

    def _values(self, student: Any, tokenizer: PreTrainedTokenizerBase) -> dict[str, float]:
        asked = self.validation
        answerer = SampleAnswerer(student, tokenizer, asked.task, template=asked.template, decoding=asked.decoding)
        values = {}
        for start in range(0, len(asked.samples), _BATCH):
            samples = asked.samples[start : start + _BATCH]
            for sample, answer in zip(samples, answerer(samples), strict=True):
                values[sample.id] = value_of(prediction_row(asked.task, sample, answer, asked.decoding.scoring))
        return values
