"""Per-sample logs of lm-evaluation-harness (`--log_samples`), versions 0.4 and later.

One line is one document under one filter. What is decided here: which of several filters and runs in one file is meant,
which metric says right or wrong, and what the answer was. Right and wrong are those of the log, never judged again.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from muscle_core.datasets.read import json_problem, parse_json, read_rows, read_text
from muscle_core.errors import ConfigError, DataError, raise_all
from muscle_core.interchange.lm_eval_choices import Choices, read_choices, read_gold
from muscle_core.interchange.lm_eval_lines import (
    Entry,
    example,
    is_right_or_wrong,
    log_row,
    own_ids,
    read_entry,
    runs_in_file,
)
from muscle_core.interchange.log import (
    LM_EVAL,
    LogFacts,
    LoggedRun,
    LogOptions,
    LogRow,
    check_epoch,
    choose,
    distinct,
    number_of,
    right_or_wrong,
)
from muscle_core.paths import local_path

_FILE = re.compile(r"samples_(?P<task>.+)_(?P<date>\d{4}-\d\d-\d\dT[\d.-]+)\.jsonl")
# Of a whole set, or not of right and wrong: a row's 0 or 1 would mean nothing.
_NOT_RIGHT_OR_WRONG = ("perplexity", "word_perplexity", "byte_perplexity", "bits_per_byte", "likelihood")
_USUAL = {"choices": ("acc",), "text": ("exact_match",), "likelihood": ("acc",)}
_KINDS = {"choices": "multiple_choice", "text": "instruction", "likelihood": "instruction"}


class LmEvalLog:
    """A samples file that was read, with its results file where there is one."""

    def __init__(self, file: Path, entries: list[Entry], task: str, results: dict[str, Any] | None) -> None:
        self.file = file
        self.entries = entries
        self.results = results or {}
        self.task = task
        self.config = _part(self.results, "configs", task)
        self.filters = distinct(entry.filter for entry in entries if entry.filter is not None)
        self.form = entries[0].form
        self.epochs = max(Counter((e.filter, e.doc_id) for e in entries).values())

    @property
    def facts(self) -> LogFacts:
        """What the log holds."""
        kept = {name: self.results.get(name) for name in ("lm_eval_version", "git_hash", "date", "model_name")}
        config = self.results.get("config")
        if isinstance(config, dict):
            kept |= {name: config.get(name) for name in ("model", "model_args", "gen_kwargs", "limit", "num_fewshot")}
        versions = self.results.get("versions")
        kept["task_version"] = versions.get(self.task) if isinstance(versions, dict) else None
        return LogFacts(
            LM_EVAL,
            str(self.file),
            len(self.entries),
            kind=_KINDS[self.form],
            task=self.task,
            models=(model,) if (model := self._model()) else (),
            filters=self.filters,
            metrics=distinct(name for entry in self.entries for name in entry.metrics),
            epochs=self.epochs,
            made_by={name: value for name, value in kept.items() if value is not None},
        )

    def runs(self, options: LogOptions) -> list[LoggedRun]:
        """See `Log`."""
        name = choose("filter", self.filters, options.filter, "--filter") if self.filters or options.filter else None
        entries = [entry for entry in self.entries if name is None or entry.filter == name]
        known = distinct(metric for entry in entries for metric in entry.metrics)
        metric = choose("metric", known, options.metric, "--metric", self._usual(entries, known))
        if metric in _NOT_RIGHT_OR_WRONG and options.threshold is None:
            raise ConfigError(
                f"the metric {metric!r} is neither right nor wrong. Choose another of {', '.join(known)}, or "
                "say from which value of a row an answer counts as right (--threshold)."
            )
        times, dropped = runs_in_file(entries)
        epochs = check_epoch(
            options.epoch,
            len(times),
            f"{self.file.name} holds {len(times)} different lines for one document and filter, as where runs were "
            f"written one after the other into one file ({example(times)})",
        )
        runs = []
        for number in epochs:
            run = self._run(times[number - 1], name, metric, options)
            notes = (f"{dropped:,} lines are exact copies of others and count once",) if dropped else ()
            several = len(times) > 1
            chosen = {**run.chosen, **({"epoch": number} if several else {})}
            suffix = f"-epoch{number}" if len(epochs) > 1 else ""
            runs.append(LoggedRun(run.model, run.rows, True, chosen, (*notes, *run.notes), suffix))
        return runs

    def _run(self, entries: list[Entry], name: str | None, metric: str, options: LogOptions) -> LoggedRun:
        entries = sorted(entries, key=lambda entry: entry.doc_id)  # several processes write one after the other
        lower = _part(self.results, "higher_is_better", self.task).get(metric) is False and metric != "perplexity"
        problems: list[str] = []
        rows: list[LogRow] = []
        notes: list[str] = []
        correct: list[bool | None] = []
        for entry in entries:
            if metric not in entry.row:
                problems.append(f"{entry.place}: no value of the metric {metric!r}")
                continue
            try:
                value = right_or_wrong(entry.row[metric], options.threshold, higher_is_better=not lower)
            except ValueError as error:
                problems.append(f"{entry.place}: {metric}: {error}")
                continue
            correct.append(value)
        golds: list[int | None] = [None] * len(entries)
        choices: list[Choices] = []
        if not problems and self.form == "choices":
            choices, golds, notes = self._choices(entries, correct, metric, problems)
        raise_all(problems, DataError, f"{self.file} cannot be imported")
        ids = own_ids(entries)
        for number, (entry, value) in enumerate(zip(entries, correct, strict=True)):
            of_choice = choices[number] if choices else None
            rows.append(log_row(entry, value, of_choice, golds[number], ids[number]))
        unjudged = correct.count(None)
        if unjudged:
            notes.append(f"{unjudged:,} of {len(rows):,} rows have no {metric!r} (NaN) and count as not judged")
        if self.form == "likelihood":
            notes.append(
                "the log does not say what was answered instead of the target: two wrong answers look the same"
            )
        notes += self._check_results(entries, name, metric, options)
        chosen: dict[str, Any] = {"metric": metric, **({"filter": name} if name else {})}
        if options.threshold is not None:
            chosen["threshold"] = options.threshold
        return LoggedRun(self._model(), rows, True, chosen, tuple(notes))

    def _choices(
        self, entries: list[Entry], correct: list[bool | None], metric: str, problems: list[str]
    ) -> tuple[list[Choices], list[int | None], list[str]]:
        delimiter = self.config.get("target_delimiter")
        choices = read_choices(
            [(e.place, e.requests, e.answers, e.metrics, e.row) for e in entries],
            metric,
            problems,
            delimiter if isinstance(delimiter, str) else None,
        )
        if problems:
            return [], [], []
        by_choice = metric.startswith("acc")  # other metrics ask something else of the choices
        verdicts = correct if by_choice else [None] * len(correct)
        golds = read_gold([str(e.row.get("target", "")) for e in entries], choices, verdicts)
        wrong = sum(
            gold is not None and value is not None and (choice.best == gold) != value
            for choice, gold, value in zip(choices, golds, verdicts, strict=True)
        )
        notes = []
        if wrong:
            notes.append(
                f"in {wrong:,} of {len(entries):,} rows the choice with the highest log-likelihood is not the one that "
                f"{metric!r} counted; right and wrong are kept as logged"
            )
        return choices, golds, notes

    def _usual(self, entries: Sequence[Entry], known: Sequence[str]) -> list[str]:
        """The usual metric of the form; else the only one whose values are all right or wrong."""
        usual = [name for name in _USUAL[self.form] if name in known]
        fitting = [name for name in known if name not in _NOT_RIGHT_OR_WRONG and is_right_or_wrong(entries, name)]
        return usual or (fitting if len(fitting) == 1 else [])

    def _model(self) -> str:
        name = self.results.get("model_name")
        return name if isinstance(name, str) else ""

    def _check_results(self, entries: list[Entry], name: str | None, metric: str, options: LogOptions) -> list[str]:
        """Set the rows against the results file; where they do not agree, rows are missing or doubled.

        Raises:
            DataError: they do not agree, and partial logs are not allowed.
        """
        if not self.results:
            return []
        differences = []
        wanted = _part(self.results, "n-samples", self.task).get("effective")
        if isinstance(wanted, int) and wanted != len(entries):
            differences.append(f"the results file counts {wanted:,} documents, the log has {len(entries):,}")
        logged = number_of(_part(self.results, "results", self.task).get(f"{metric},{name or 'none'}"))
        values = [number_of(v) if not isinstance(v := e.row[metric], bool) else float(v) for e in entries]
        if logged is not None and self._is_mean(metric) and all(value is not None for value in values):
            mean = math.fsum(v for v in values if v is not None) / len(values)
            if not math.isclose(mean, logged, rel_tol=1e-9, abs_tol=1e-12):
                differences.append(f"the results file says {metric} = {logged}, the rows of the log give {mean}")
        if differences and not options.allow_partial:
            hint = "The log is not complete or not of that run; import it as it is with --allow-partial."
            raise DataError(f"{self.file} does not agree with its results file: {'; '.join(differences)}. {hint}")
        return differences

    def _is_mean(self, metric: str) -> bool:
        listed = self.config.get("metric_list")
        for item in listed if isinstance(listed, list) else ():
            if isinstance(item, dict) and item.get("metric") == metric:
                return item.get("aggregation", "mean") == "mean"
        return metric in ("acc", "acc_norm", "acc_bytes", "acc_mutual_info", "exact_match")


def read_lm_eval(file: Path, *, results: str | Path | None = None) -> LmEvalLog:
    """Read a samples file.

    Args:
        file: samples_<task>_<date>.jsonl, whatever it is called.
        results: results_<date>.json; by default the one beside it with the same date, if there is one.

    Raises:
        DataError: a line is not of lm-eval, with all problems at once.
    """
    entries, problems = [], []
    for place, row in read_rows(file, suffix=".jsonl"):
        try:
            entries.append(read_entry(place, row))
        except ValueError as error:
            problems.append(f"{place}: {error}")
    if entries:
        form = entries[0].form
        problems += [
            f"{e.place}: this line is of another kind ({e.form}) than the first ({form}); a file must hold one task"
            for e in entries
            if e.form != form
        ]
    raise_all(problems, DataError, f"{file} cannot be imported as an lm-eval log")
    named = _FILE.fullmatch(file.name)
    beside = file.with_name(f"results_{named['date']}.json") if named else None
    path = local_path(results, DataError) if results is not None else beside
    found = None
    if path is not None and (results is not None or path.is_file()):
        found = _read_results(path)
    task = named["task"] if named else ""
    tasks = list(_mapping(found, "configs")) if found else []
    if found and task not in tasks:
        if len(tasks) != 1:
            raise DataError(
                f"{path} holds the results of {', '.join(map(repr, tasks[:20])) or 'no task'}; none has the name "
                f"of the log's file ({file.name}). Name the log samples_TASK_DATE.jsonl, as lm-eval does."
            )
        task = tasks[0]
    return LmEvalLog(file, entries, task, found)


def _read_results(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise DataError(f"no such results file: {path}.")
    try:
        found = parse_json(read_text(path))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not JSON ({json_problem(error)}).") from error
    if not isinstance(found, dict) or not isinstance(found.get("results"), dict):
        raise DataError(f"{path} is not a results file of lm-eval: it has no object 'results'.")
    return found


def _part(results: dict[str, Any] | None, name: str, task: str) -> dict[str, Any]:
    return _mapping(_mapping(results, name), task)


def _mapping(value: Any, key: str) -> dict[str, Any]:
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}
