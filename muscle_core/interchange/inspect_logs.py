"""Logs of Inspect (`.json` and `.eval`), read by inspect_ai's own reader, which is an optional package.

One sample with one epoch is one row. Right is the value "C" (or 1, true, yes); "P" (partly right), "I" and "N" (no
answer) are not right; NaN was not scored. What is not decided here: whether two logs asked the same; that is checked
against the dataset, by content.
"""

from __future__ import annotations

import contextlib
import logging
import math
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from muscle_core.errors import ConfigError, DataError, MuscleError, first_line, raise_all
from muscle_core.interchange.log import (
    INSPECT,
    LogFacts,
    LoggedRun,
    LogOptions,
    LogRow,
    check_epoch,
    choose,
    distinct,
    number_of,
    right_or_wrong,
    shown,
)

_LARGEST = 8 * 2**30  # bytes a log may have when it is unpacked; a zip bomb has far more
_MOST_MEMBERS = 2_000_000
_VALUES = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0}
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_CUT_OFF = ("max_tokens", "model_length")
# What neither a comparison nor a report reads, and most of a log's bytes.
_NOT_READ = {"messages", "events", "events_data", "store", "timelines"}


class InspectLog:
    """A log that inspect_ai has read."""

    def __init__(self, file: Path, log: Any) -> None:
        self.file = file
        self.log = log
        self.samples: list[Any] = list(log.samples or [])
        self.scorers = distinct(name for sample in self.samples for name in sample.scores or {})
        self.epochs = sorted({sample.epoch for sample in self.samples})
        self.keys = distinct(
            str(key)
            for sample in self.samples
            for score in (sample.scores or {}).values()
            if isinstance(score.value, dict)
            for key in score.value
        )

    @property
    def facts(self) -> LogFacts:
        """What the log holds."""
        spec = self.log.eval
        kept = {
            "status": self.log.status,
            "created": spec.created,
            "eval_id": spec.eval_id,
            "task_version": spec.task_version,
            "task_args": spec.task_args,
            "model_args": spec.model_args,
            "packages": spec.packages,
        }
        return LogFacts(
            INSPECT,
            str(self.file),
            len(self.samples),
            kind="multiple_choice" if all(map(_has_one_letter, self.samples)) else "instruction",
            task=str(spec.task),
            models=(str(spec.model),),
            metrics=self.keys,
            scorers=self.scorers,
            epochs=len(self.epochs),
            made_by=_plain(kept),
        )

    def runs(self, options: LogOptions) -> list[LoggedRun]:
        """See `Log`."""
        notes = self._check_complete(options)
        scorer = choose("scorer", self.scorers, options.scorer, "--scorer")
        numbers = check_epoch(
            options.epoch,
            len(self.epochs),
            f"{self.file.name} holds {len(self.epochs)} epochs: several answers a sample",
        )
        key = choose("value", self.keys, options.metric, "--metric") if self._has_keys(scorer) else None
        if key is None and options.metric is not None:
            raise ConfigError(
                f"the scorer {scorer!r} gives one value a sample; --metric {options.metric} names nothing of it."
            )
        runs: list[LoggedRun] = []
        problems: list[str] = []
        for number in numbers:
            epoch = self.epochs[number - 1]
            run = self._run([s for s in self.samples if s.epoch == epoch], scorer, key, options, problems)
            several = len(self.epochs) > 1
            chosen = {**run.chosen, **({"epoch": epoch} if several else {})}
            suffix = f"-epoch{epoch}" if len(numbers) > 1 else ""
            runs.append(LoggedRun(run.model, run.rows, True, chosen, (*notes, *run.notes), suffix))
        raise_all(problems, DataError, f"{self.file} cannot be imported")
        self._check_results(scorer, key, options)
        return runs

    def _run(
        self, samples: list[Any], scorer: str, key: str | None, options: LogOptions, problems: list[str]
    ) -> LoggedRun:
        rows = []
        partly = failed = 0
        for number, sample in enumerate(samples):
            place = f"{self.file.name}:sample {shown(sample.id)}"
            score = (sample.scores or {}).get(scorer)
            value = None if score is None else score.value
            if key is not None and isinstance(value, dict):
                value = value.get(key)
            partly += isinstance(value, str) and value == "P"
            failed += sample.error is not None
            try:
                correct = _verdict(value, options.threshold)
            except ValueError as error:
                problems.append(f"{place}: {scorer}: {error}")
                continue
            rows.append(_log_row(sample, number, place, score, value, correct))
        unscored = sum(row.correct is None for row in rows)
        notes = []
        if partly:
            notes.append(f"{partly:,} of {len(samples):,} samples are partly right (P) and count as not right")
        if unscored:
            notes.append(
                f"{unscored:,} of {len(samples):,} samples have no score and count as not judged"
                + (f"; {failed:,} of all ended with an error" if failed else "")
            )
        chosen: dict[str, Any] = {"scorer": scorer, **({"metric": key} if key else {})}
        if options.threshold is not None:
            chosen["threshold"] = options.threshold
        return LoggedRun(str(self.log.eval.model), rows, True, chosen, tuple(notes))

    def _has_keys(self, scorer: str) -> bool:
        found = ((sample.scores or {}).get(scorer) for sample in self.samples)
        return any(score is not None and isinstance(score.value, dict) for score in found)

    def _check_complete(self, options: LogOptions) -> list[str]:
        """Refuse a log that did not end well, unless partial logs are allowed; what is said of it then."""
        log, problems = self.log, []
        if log.status != "success":
            reason = f" ({first_line(Exception(log.error.message))})" if log.error is not None else ""
            problems.append(f"its status is {log.status!r}, not 'success'{reason}")
        if getattr(log, "invalidated", False):
            problems.append("it was marked as invalid")
        wanted = log.results.total_samples if log.results is not None else 0
        if wanted > len(self.samples):
            problems.append(f"it counts {wanted:,} samples, but holds {len(self.samples):,}")
        if not self.samples:
            raise DataError(f"{self.file} holds no samples ({'; '.join(problems) or 'only a header'}).")
        times = Counter((sample.id, sample.epoch) for sample in self.samples)
        doubled = [f"sample {shown(key[0])}, epoch {key[1]}: {n} times" for key, n in times.items() if n > 1]
        raise_all(doubled, DataError, f"{self.file} holds a sample more than once")
        if problems and not options.allow_partial:
            raise DataError(f"{self.file}: {'; '.join(problems)}. Import what it holds with --allow-partial.")
        return problems

    def _check_results(self, scorer: str, key: str | None, options: LogOptions) -> None:
        """Set the rows against the accuracy that the log states itself, where there is one epoch and one value.

        Raises:
            DataError: they do not agree, and partial logs are not allowed.
        """
        stated = self.stated_accuracy(scorer)
        if stated is None or key is not None or len(self.epochs) > 1 or options.allow_partial:
            return
        found = [(s.scores or {}).get(scorer) for s in self.samples]
        values = [_as_inspect(score.value) for score in found if score is not None]
        known = [value for value in values if value is not None and not math.isnan(value)]
        if len(known) < len(values) or not known:
            return
        mean = math.fsum(known) / len(known)
        if not math.isclose(mean, stated, rel_tol=1e-9, abs_tol=1e-12):
            raise DataError(
                f"{self.file} states an accuracy of {stated}, but the scores of its samples give {mean}: samples are "
                "missing or were changed. Import what it holds with --allow-partial."
            )

    def stated_accuracy(self, scorer: str) -> float | None:
        """The accuracy that the log states for a scorer; P counts half there."""
        for result in self.log.results.scores if self.log.results is not None else []:
            if result.name == scorer and "accuracy" in result.metrics:
                return number_of(result.metrics["accuracy"].value)
        return None


def read_inspect(file: Path) -> InspectLog:
    """Read a log.

    Raises:
        ConfigError: inspect_ai is not installed.
        DataError: inspect_ai cannot read the file, or it would unpack to more than a log can be.
    """
    with file.open("rb") as stream:
        is_zip = stream.read(4) == b"PK\x03\x04"
    if is_zip:
        _check_zip(file)
    try:
        with _quiet():
            from inspect_ai.log import read_eval_log
    except ImportError as error:
        raise ConfigError(
            "logs of Inspect are read by inspect_ai, which is not installed: pip install -r requirements-inspect.txt"
        ) from error
    try:
        with _quiet():
            log = read_eval_log(
                str(file.resolve()),
                format="eval" if is_zip else "json",
                resolve_attachments="core",
                exclude_fields=set(_NOT_READ),
            )
            return InspectLog(file, log)
    except MuscleError:
        raise
    except Exception as error:  # its reader has no error of its own: pydantic's, zipfile's, KeyError, …
        raise DataError(f"{file} cannot be read as a log of Inspect: {_what(error)}.") from error


def _check_zip(file: Path) -> None:
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, EOFError) as error:
        raise DataError(f"{file} is a damaged .eval file: {first_line(error)}.") from error
    size = sum(member.file_size for member in members)
    if size > _LARGEST or len(members) > _MOST_MEMBERS:
        raise DataError(
            f"{file} would unpack to {size / 2**30:,.1f} GiB in {len(members):,} parts; at most "
            f"{_LARGEST / 2**30:.0f} GiB in {_MOST_MEMBERS:,} parts are read."
        )
    names = {member.filename for member in members}
    if not names & {"header.json", "_journal/start.json"}:
        raise DataError(f"{file} is a ZIP file, but not a log of Inspect: it has no header.json.")
    if "header.json" not in names:
        raise DataError(
            f"{file} has no header.json: its evaluation is still running or has crashed. Wait for its end, or use "
            "'inspect log recover'."
        )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep inspect_ai's own words about a file away from the user: what matters is in our message."""
    logger = logging.getLogger("inspect_ai")
    before = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(before)


def _what(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = ": ".join(lines[:3]) if lines else type(error).__name__
    return text[:300].rstrip(".")


def _verdict(value: Any, threshold: float | None) -> bool | None:
    if value is None:
        return None
    if isinstance(value, str) and value in _VALUES:
        return _VALUES[value] >= threshold if threshold is not None else value == "C"
    return right_or_wrong(value, threshold)


def _as_inspect(value: Any) -> float | None:
    """A value as inspect_ai's own accuracy counts it."""
    if isinstance(value, str) and value in _VALUES:
        return _VALUES[value]
    if isinstance(value, bool):
        return float(value)
    if isinstance(value, str) and value.lower() in ("yes", "true", "no", "false"):
        return float(value.lower() in ("yes", "true"))
    return number_of(value)


def _log_row(sample: Any, number: int, place: str, score: Any, value: Any, correct: bool | None) -> LogRow:
    answer = getattr(score, "answer", None) if value != "N" else None
    choices = tuple(sample.choices or ())
    output = sample.output
    stop = output.choices[0].stop_reason if output is not None and output.choices else None
    gold: str | int = _target_text(sample)
    index = None
    if _has_one_letter(sample):
        gold = _LETTERS.index(str(gold).strip())
        letters = str(answer or "").strip().upper()
        index = _LETTERS.index(letters) if len(letters) == 1 and letters in _LETTERS[: len(choices)] else None
    limit = getattr(sample, "limit", None)
    finish = str(stop) if stop is not None else "imported"
    if stop in _CUT_OFF or getattr(limit, "type", None) == "token":
        finish = "length"
    completion = output.completion if output is not None and output.choices else None
    prediction = answer if isinstance(answer, str) and answer.strip() else None
    if prediction is None and value != "N" and not choices and completion:
        prediction = completion  # a scorer that does not say what it read
    return LogRow(
        place=place,
        order=number,
        input=_input_text(sample.input),
        id=str(sample.id),
        gold=gold,
        choices=choices if isinstance(gold, int) else (),
        metadata={
            **_plain(sample.metadata),
            **({"choices": list(choices)} if choices and isinstance(gold, str) else {}),
        },
        prediction=" ".join(prediction.split()) if prediction is not None else None,
        choice=index,
        correct=correct,
        output=completion,
        finish_reason=finish,
    )


def _has_one_letter(sample: Any) -> bool:
    """Whether a sample has choices and its target is the letter of one of them."""
    target = _target_text(sample).strip()
    return 2 <= len(sample.choices or ()) <= len(_LETTERS) and len(target) == 1 and (
        target in _LETTERS[: len(sample.choices)]
    )  # fmt: skip


def _target_text(sample: Any) -> str:
    if isinstance(sample.target, str):
        return sample.target
    return sample.target[0] if len(sample.target) == 1 else ", ".join(map(str, sample.target))


def _input_text(messages: Any) -> str:
    """What was asked as one text: a single message as it is, several with who said them."""
    if isinstance(messages, str):
        return messages
    if len(messages) == 1:
        return str(messages[0].text)
    return "\n".join(f"{message.role}: {message.text}" for message in messages)


def _plain(value: Any) -> Any:
    """Values that JSON has; others as text."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)
