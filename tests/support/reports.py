"""Small updates of every kind of task, imported from files: what a report is made from, without loading a model."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

from muscle_core.actions.imports.outputs import import_predictions
from muscle_core.actions.library.datasets import add_dataset_rows
from muscle_core.interchange import ImportColumns
from muscle_core.store import Workspace

MOMENT = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
WORDS = ("cat", "dog", "bird", "fish")


def add_update(workspace: Workspace, folder: Path, kind: str, *, rows: int = 120, extra: str = "") -> None:
    """A dataset `kind` with outputs of `old` and `new`: the old one fails every 5th sample, the new one every 4th.

    Args:
        workspace: where it goes.
        folder: for the files.
        kind: "choice", "math" or "summary".
        rows: samples.
        extra: text that is put into inputs, answers and metadata.
    """
    task, columns, made = {
        "choice": ("multiple_choice", ImportColumns(prediction="answer"), _choice),
        "math": ("math", ImportColumns(output="answer"), _math),
        "summary": ("summarization", ImportColumns(output="answer"), _summary),
    }[kind]
    content = [made(number, extra) for number in range(rows)]
    placed = [(f"row {n}", {"id": f"s{n}", **row}) for n, (row, _, _) in enumerate(content)]
    add_dataset_rows(workspace, kind, task, {"test": placed})
    for name, every in (("old", 5), ("new", 4)):
        answers = [
            {"id": f"s{n}", "answer": wrong if n % every == 0 else right} for n, (_, right, wrong) in enumerate(content)
        ]
        add_answers(workspace, folder, f"{kind}-{name}", kind, answers, columns)


def add_answers(
    workspace: Workspace, folder: Path, name: str, dataset: str, answers: list[dict], columns: ImportColumns
) -> None:
    """Import the answers of one version."""
    file = folder / f"{name}.json"
    file.write_text(json.dumps(answers), encoding="utf-8")
    import_predictions(workspace, name, dataset, file, columns)


def _choice(n: int, extra: str) -> tuple[dict, str, str]:
    choices = [word + extra for word in WORDS]
    row = {"question": f"Who runs {n}?{extra}", "choices": choices, "answer": n % 4, "part": "even" if n % 2 else "odd"}
    return {**row, "note": f"n{extra}"}, choices[n % 4], choices[(n + 1) % 4]


def _math(n: int, extra: str) -> tuple[dict, str, str]:
    row = {"question": f"What is {n} + 2?{extra}", "answer": f"{n} + 2 = {n + 2}\n#### {n + 2}", "part": f"p{n % 3}"}
    return row, f"So {n} + 2 = {n + 2}.{extra} #### {n + 2}", f"So {n} + 2 = {n + 3}.{extra} #### {n + 3}"


def _summary(n: int, extra: str) -> tuple[dict, str, str]:
    row = {"dialogue": f"Ann: come at {n}? Bob: yes.{extra}", "summary": f"Ann and Bob will meet at {n}.", "part": "p"}
    return row, f"Ann and Bob will meet at {n}.", f"Nobody knows{extra} when {n} is."


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.hidden += tag in ("script", "style")

    def handle_endtag(self, tag: str) -> None:
        self.hidden -= tag in ("script", "style")

    def handle_data(self, data: str) -> None:
        if not self.hidden:
            self.parts.append(data)


def parsed(page: str) -> tuple[str, list[tuple[str, dict[str, str | None]]]]:
    """Text of a page as read (spaces as one, no joiners), and its tags with their attributes."""
    parser = _Text()
    parser.feed(page)
    parser.close()
    text = " ".join(parser.parts).replace("\u00a0", " ").replace("\u2060", "")
    return " ".join(text.split()), parser.tags
