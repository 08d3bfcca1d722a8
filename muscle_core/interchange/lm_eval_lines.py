"""Lines of an lm-eval log: what each must hold, and the row that is made of it."""

from __future__ import annotations

import dataclasses
import json
import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

from muscle_core.interchange.lm_eval_choices import Choices
from muscle_core.interchange.log import LogRow, distinct, number_of, right_or_wrong, sha256, shown

_OWN_FIELDS = {"doc_id", "doc", "target", "arguments", "resps", "filtered_resps", "filter", "metrics"}
_OWN_FIELDS |= {"doc_hash", "prompt_hash", "target_hash"}
_NO_ANSWER = "[invalid]"  # what lm-eval's regex filters put where they find nothing


class Entry(NamedTuple):
    """One line: a document under a filter."""

    place: str
    doc_id: int
    filter: str | None
    form: str  # "choices", "text" or "likelihood": what the model was asked for
    requests: list[tuple[str, Any]]  # prompt and what follows it
    answers: list[Any]  # after the filter
    metrics: tuple[str, ...]
    row: dict[str, Any]


def read_entry(place: str, row: dict[str, Any]) -> Entry:
    """Check a line and find its parts.

    Raises:
        ValueError: it is not a line of lm-eval.
    """
    missing = [name for name in ("doc_id", "doc", "filtered_resps") if name not in row]
    if missing:
        raise ValueError(f"no field {', '.join(missing)}; the line has {', '.join(row)[:200]}")
    doc_id = row["doc_id"]
    if isinstance(doc_id, bool) or not isinstance(doc_id, int) or doc_id < 0:
        raise ValueError(f"doc_id must be a whole number from 0, got {shown(doc_id)}")
    name = row.get("filter")
    if name is not None and not isinstance(name, str):
        raise ValueError(f"filter must be a text, got {shown(name)}")
    answers = row["filtered_resps"]
    if not isinstance(answers, list) or not answers:
        raise ValueError(f"filtered_resps must be a list with an entry, got {shown(answers)}")
    metrics = row.get("metrics")
    if metrics is None:  # older versions write the values only
        metrics = [key for key in row if key not in _OWN_FIELDS]
    if not isinstance(metrics, list) or not all(isinstance(key, str) for key in metrics):
        raise ValueError(f"metrics must be a list of names, got {shown(metrics)}")
    for key in ("doc_hash", "prompt_hash", "target_hash"):
        if row.get(key) is not None and not isinstance(row[key], str):
            raise ValueError(f"{key} must be a text, got {shown(row[key])}")
    requests = _requests(row.get("arguments"))
    pairs = [_is_pair(answer) for answer in answers]
    if all(pairs) and all(isinstance(after, str) for _, after in requests):
        form = "choices" if len(answers) > 1 else "likelihood"
        if len(requests) != len(answers):
            raise ValueError(f"{len(requests)} requests in arguments, but {len(answers)} in filtered_resps")
    else:
        form = "text"
    return Entry(place, doc_id, name, form, requests, answers, tuple(metrics), row)


def _requests(arguments: Any) -> list[tuple[str, Any]]:
    """Prompt and what follows it, of each request: an object of objects, or lists in older versions."""
    if isinstance(arguments, dict):
        arguments = list(arguments.values())
    if not isinstance(arguments, list) or not arguments:
        raise ValueError(f"arguments must hold at least one request, got {shown(arguments)}")
    requests = []
    for request in arguments:
        parts = list(request.values()) if isinstance(request, dict) else request
        if not isinstance(parts, list) or not parts:
            raise ValueError(f"a request in arguments must hold a prompt, got {shown(request)}")
        prompt = parts[0] if isinstance(parts[0], str) else json.dumps(parts[0], ensure_ascii=False)
        requests.append((prompt, parts[1] if len(parts) > 1 else None))
    return requests


def _is_pair(answer: Any) -> bool:
    """Whether an answer is a log-likelihood and whether it was the most likely text, both as text or not."""
    return (
        isinstance(answer, list)
        and len(answer) == 2
        and number_of(answer[0]) is not None
        and str(answer[1]) in ("True", "False", "1", "0")
    )


def is_right_or_wrong(entries: Sequence[Entry], metric: str) -> bool:
    """Whether all values of a metric are right or wrong."""
    try:
        for entry in entries:
            right_or_wrong(entry.row.get(metric))
    except ValueError:
        return False
    return True


def runs_in_file(entries: list[Entry]) -> tuple[list[list[Entry]], int]:
    """The n-th line of each document, for n = 1, 2, …, and how many lines are exact copies of another one.

    Lines are the same if the answers and the metrics' values are.
    """
    by_document: dict[int, list[Entry]] = defaultdict(list)
    dropped = 0
    for entry in entries:
        same = by_document[entry.doc_id]
        if any(_same_line(known, entry) for known in same):
            dropped += 1
        else:
            same.append(entry)
    most = max(len(lines) for lines in by_document.values())
    return [[lines[n] for lines in by_document.values() if len(lines) > n] for n in range(most)], dropped


def _same_line(first: Entry, second: Entry) -> bool:
    # As text: NaN is not equal to itself.
    names = ("doc", "target", "arguments", "resps", "filtered_resps", *first.metrics)
    return all(repr(first.row.get(name)) == repr(second.row.get(name)) for name in names)


def example(times: list[list[Entry]]) -> str:
    """A document that occurs more than once, with its places; empty where there is none."""
    if len(times) < 2:
        return ""
    doc_id = times[1][0].doc_id
    places = [entry.place for entries in times[:2] for entry in entries if entry.doc_id == doc_id]
    return f"document {doc_id} at {' and '.join(places)}"


def own_ids(entries: Sequence[Entry]) -> list[str | None]:
    """The documents' own ids, where each has one of its own; else None for all."""
    ids = []
    for entry in entries:
        doc = entry.row["doc"]
        value = doc.get("id") if isinstance(doc, dict) else None
        ids.append(str(value) if isinstance(value, str | int) and str(value).strip() else None)
    return ids if None not in ids and len(set(ids)) == len(ids) else [None] * len(entries)


def log_row(
    entry: Entry, correct: bool | None, choices: Choices | None, gold: int | None, identity: str | None
) -> LogRow:
    """The row of a line.

    Args:
        entry: the line.
        correct: right or wrong by the chosen metric.
        choices: of a line with choices.
        gold: index of the right choice, where it is known.
        identity: the document's own id, where it has one.
    """
    row, doc = entry.row, entry.row["doc"]
    target = str(row.get("target", ""))
    prompt = entry.requests[0][0]
    doc_hash = row.get("doc_hash") or sha256(json.dumps(doc, indent=2, ensure_ascii=False))
    found = LogRow(
        place=entry.place,
        order=entry.doc_id,
        input=prompt,
        id=identity,
        gold=target,
        source=doc if isinstance(doc, dict) else None,
        hashes=(doc_hash, row.get("target_hash") or sha256(target)),
        prompt_hash=row.get("prompt_hash") or sha256(prompt),
        metadata=dict(doc) if isinstance(doc, dict) else {},
        correct=correct,
    )
    if choices is not None:
        return _with_choices(found, choices, gold)
    if entry.form == "likelihood":
        likely = str(entry.answers[0][1]) in ("True", "1")
        return dataclasses.replace(
            found, prediction=target if likely else None, gold_loglikelihood=number_of(entry.answers[0][0])
        )
    return dataclasses.replace(found, prediction=_answer_text(entry.answers), output=_output(row))


def _with_choices(row: LogRow, choices: Choices, gold: int | None) -> LogRow:
    margin = None
    if gold is not None:
        margin = choices.scores[gold] - max(score for n, score in enumerate(choices.scores) if n != gold)
    best = choices.texts[choices.best]
    return dataclasses.replace(
        row,
        gold=gold if gold is not None else row.gold,
        choices=choices.texts,
        prediction=best,
        choice=choices.best,
        output=best,
        choice_loglikelihoods=choices.sums,
        choice_loglikelihoods_per_byte=[
            value / max(len(text.encode("utf-8", "replace")), 1)
            for value, text in zip(choices.sums, choices.texts, strict=True)
        ],
        margin=margin if margin is not None and math.isfinite(margin) else None,
        gold_loglikelihood=None if gold is None else choices.sums[gold],
    )


def _answer_text(answers: list[Any]) -> str | None:
    """The answer after the filter; several different ones as a JSON list."""
    texts: Sequence[str] = [
        answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False) for answer in answers
    ]
    if len(texts) == 1 and isinstance(answers[0], list) and all(isinstance(text, str) for text in answers[0]):
        texts = distinct(answers[0]) or [""]  # the repeats of one request
    found = texts[0] if len(texts) == 1 else json.dumps(list(texts), ensure_ascii=False)
    return None if found.strip() in ("", _NO_ANSWER) else found.strip()


def _output(row: dict[str, Any]) -> str | None:
    """The generated text before the filter: the first of the first request."""
    found = row.get("resps")
    while isinstance(found, list):
        if not found:
            return None
        found = found[0]
    return found if isinstance(found, str) else None
