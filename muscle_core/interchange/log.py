"""What all logs of other tools are read into: one row a sample, with right or wrong as the log says it.

A log is read in two steps: first all that it holds (its filters, metrics, scorers, epochs), then the rows that one
choice among these names. So a preview can show what there is to choose where nothing was chosen yet.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from muscle_core.errors import ConfigError

GENERIC, LM_EVAL, INSPECT, LLM_COMPARATOR, WIDE = "generic", "lm-eval", "inspect", "llm-comparator", "wide"
FORMATS = (GENERIC, LM_EVAL, INSPECT, LLM_COMPARATOR, WIDE)
ALL_EPOCHS = "all"

_TRUE, _FALSE = {"true", "yes"}, {"false", "no"}


@dataclass(frozen=True)
class LogOptions:
    """What of a log is meant, where it holds more than one thing.

    Attributes:
        filter: lm-eval: name of the filter.
        metric: lm-eval: the metric that says right or wrong; Inspect: the key of a score that holds several values.
        scorer: Inspect: name of the scorer.
        epoch: Inspect: number of the epoch; lm-eval: number of the run in a file that holds several, one after the
            other. "all": each as a version of its own.
        threshold: a number from which an answer counts as right (up to which, where the log says that lower is
            better), for metrics that are neither 0 nor 1.
        allow_partial: import a log that did not end well or lacks rows.
        results: lm-eval: the results file; by default the one beside the log with the same date.
        correct: LLM Comparator: name of a `per_model_boolean` field that says right or wrong.
        score: LLM Comparator: name of a `per_model_number` field, higher is better.
    """

    filter: str | None = None
    metric: str | None = None
    scorer: str | None = None
    epoch: int | str | None = None
    threshold: float | None = None
    allow_partial: bool = False
    results: str | Path | None = None
    correct: str | None = None
    score: str | None = None


@dataclass(frozen=True)
class LogRow:
    """One sample of a log with one model's answer.

    Attributes:
        place: file and line, for messages.
        order: its place in the source, where the log says it; else its place in the log.
        input: what was asked.
        id: the sample's own id, or None where the log has none that means something elsewhere.
        gold: right answer as the log gives it (an index where there are choices); None where it is not known.
        choices: texts of the choices.
        source: the original row of the source's data, or None.
        hashes: of the source's row and of its target; None where the log has none.
        prompt_hash: of the prompt, or None.
        metadata: further fields of the sample.
        prediction: the answer as text, or None where none was found.
        choice: index of the chosen choice, or None.
        correct: right or wrong; None where the log does not say.
        output: the generated text, or None.
        finish_reason: how the text ended, or "imported" where the log does not say.
        choice_loglikelihoods: nats, one a choice, or None.
        choice_loglikelihoods_per_byte: the same by byte of the choice's text, or None.
        margin: of the right choice to the best wrong one in the unit of the metric; None where it is not defined.
        gold_loglikelihood: nats, or None.
        score: a number, higher is better, or None.
    """

    place: str
    order: int
    input: str
    id: str | None = None
    gold: str | int | None = None
    choices: tuple[str, ...] = ()
    source: dict[str, Any] | None = None
    hashes: tuple[str, str] | None = None
    prompt_hash: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    prediction: str | None = None
    choice: int | None = None
    correct: bool | None = None
    output: str | None = None
    finish_reason: str = "imported"
    choice_loglikelihoods: list[float] | None = None
    choice_loglikelihoods_per_byte: list[float] | None = None
    margin: float | None = None
    gold_loglikelihood: float | None = None
    score: float | None = None


@dataclass(frozen=True)
class LoggedRun:
    """One model's answers in a log.

    Attributes:
        model: the model's name in the log; empty where it has none.
        rows: one a sample.
        judged: whether the log says right or wrong; else the task does.
        chosen: what was chosen among what the log holds, by name; part of the run's identity.
        notes: what the reader of the run should know.
        suffix: what tells this run from others of the same model in one file.
    """

    model: str
    rows: list[LogRow]
    judged: bool = True
    chosen: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    suffix: str = ""


@dataclass(frozen=True)
class LogFacts:
    """What a file holds, before anything is chosen.

    Attributes:
        format: one of `FORMATS`.
        file: its path.
        rows: rows, lines or samples in it.
        kind: task kind of a dataset made from it, if none is named.
        task: name of the task in the log; empty where it has none.
        models: names of the models in it.
        columns: columns of a table.
        filters: of lm-eval.
        metrics: names of metrics (lm-eval), or keys of a score that holds several values (Inspect).
        scorers: of Inspect.
        epochs: how many answers to each sample there are.
        made_by: facts to keep with a run: versions, arguments.
    """

    format: str
    file: str
    rows: int
    kind: str = "instruction"
    task: str = ""
    models: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    filters: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    scorers: tuple[str, ...] = ()
    epochs: int = 1
    made_by: dict[str, Any] = field(default_factory=dict)


class Log(Protocol):
    """A log that was read."""

    @property
    def facts(self) -> LogFacts:
        """What it holds."""
        ...

    def runs(self, options: LogOptions) -> list[LoggedRun]:
        """The rows that the options name, for each model.

        Raises:
            ConfigError: the options name nothing of it, or too little to know what is meant.
            DataError: a row cannot be read, with all problems at once.
        """
        ...


def right_or_wrong(value: Any, threshold: float | None = None, *, higher_is_better: bool = True) -> bool | None:
    """Right or wrong from a value of a metric.

    Args:
        value: true or false, a number, or one of them as text; NaN means that nobody judged.
        threshold: see `LogOptions`.
        higher_is_better: which side of the threshold is right.

    Raises:
        ValueError: the value is none of these, or a number other than 0 and 1 without a threshold.
    """
    if isinstance(value, str):
        text = value.strip().lower()
        if text in _TRUE or text in _FALSE:
            return text in _TRUE
    if isinstance(value, bool):
        return value
    number = number_of(value)
    if number is None:
        raise ValueError(f"the value {shown(value)} is neither right nor wrong nor a number")
    if math.isnan(number):
        return None
    if threshold is not None:
        return number >= threshold if higher_is_better else number <= threshold
    if number in (0, 1):
        return number == 1
    raise ValueError(
        f"the value {shown(value)} is neither right (1) nor wrong (0); choose another metric, or say from which value "
        "an answer counts as right (--threshold)"
    )


def number_of(value: Any) -> float | None:
    """The number that a value is or says as text; None where it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def choose(what: str, known: Sequence[str], wanted: str | None, option: str, usual: Sequence[str] = ()) -> str:
    """One of several names: the one wanted, the only one, or the usual one.

    Raises:
        ConfigError: the one wanted is not there, or none is wanted and there are several.
    """
    listed = ", ".join(map(repr, known[:20])) + (", …" if len(known) > 20 else "")
    if wanted is not None:
        if wanted not in known:
            raise ConfigError(f"the log has no {what} {wanted!r}; it has {listed or 'none'}.")
        return wanted
    if len(known) == 1:
        return known[0]
    if found := next((name for name in usual if name in known), None):
        return found
    if not known:
        raise ConfigError(f"the log has no {what}.")
    raise ConfigError(f"the log has {len(known)} {what}s: {listed}. Choose one ({option} NAME).")


def check_epoch(epoch: int | str | None, known: int, what: str) -> list[int]:
    """Numbers of the epochs that are meant.

    Raises:
        ConfigError: none is named and there are several, or there is no such epoch.
    """
    if epoch is None:
        if known > 1:
            raise ConfigError(
                f"{what}. Choose one (--epoch 1 to {known}), or import each as a version of its own (--epoch all)."
            )
        return [1]
    if epoch == ALL_EPOCHS:
        return list(range(1, known + 1))
    number = int(epoch) if isinstance(epoch, int) or epoch.strip().isdecimal() else 0
    if not 1 <= number <= known:
        raise ConfigError(f"there is no epoch {epoch!r}; the log has {known}, counted from 1.")
    return [number]


def sha256(text: str) -> str:
    """Hash of a text; half characters (lone surrogates) count as what JSON writes them as."""
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()


def shown(value: Any, width: int = 80) -> str:
    """A value for a message, cut where it is long."""
    text = repr(value)
    return text if len(text) <= width else f"{text[:width]}…"


def version_name(text: str) -> str:
    """A model's name in a log as a version may be called: letters, digits, '.', '_' and '-'; may be empty."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-._")[:200]


def distinct(values: Iterable[str]) -> tuple[str, ...]:
    """The different values in the order in which they come."""
    return tuple(dict.fromkeys(values))
