"""Commands that import outputs and logs made elsewhere, and show before what they would do."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from muscle_core.cli.library import runs_app
from muscle_core.cli.shared import SplitOption, print_submission, print_table, say
from muscle_core.cli.shared import workspace_here as _workspace
from muscle_core.errors import ConfigError
from muscle_core.store import summary_text

FileArgument = Annotated[Path, typer.Argument(help="Log, table or matrix; see docs/imports.md.")]
FormatOption = Annotated[
    str, typer.Option(help="auto (by content), generic, lm-eval, inspect, llm-comparator or wide.")
]  # fmt: skip
TaskOption = Annotated[str | None, typer.Option(help="Task kind of a dataset that is made from the file.")]
FilterOption = Annotated[str | None, typer.Option(help="lm-eval: which filter, where there are several.")]
MetricOption = Annotated[
    str | None, typer.Option(help="lm-eval: which metric says right or wrong; Inspect: which value of a score.")
]
ScorerOption = Annotated[str | None, typer.Option(help="Inspect: which scorer, where there are several.")]
EpochOption = Annotated[
    str | None, typer.Option(help="Which of several answers to a sample: a number, or all: each as its own version.")
]
ThresholdOption = Annotated[float | None, typer.Option(help="From which value of the metric an answer is right.")]
PartialOption = Annotated[bool, typer.Option("--allow-partial", help="Take a log that is not complete as it is.")]
ResultsOption = Annotated[Path | None, typer.Option(help="lm-eval: results file; by default the one beside the log.")]
IdOption = Annotated[str, typer.Option("--id", help="Column of the sample id.")]
PredictionOption = Annotated[str | None, typer.Option(help="Column of the extracted answer.")]
CorrectOption = Annotated[str | None, typer.Option(help="Column that says right (1) or wrong (0).")]
OutputOption = Annotated[str | None, typer.Option(help="Column of the generated text.")]
ScoreOption = Annotated[str | None, typer.Option(help="Column of a score, higher is better; for free texts.")]
InputOption = Annotated[str | None, typer.Option(help="Column of what was asked: makes or checks the dataset.")]
GoldOption = Annotated[str | None, typer.Option(help="Column of the right answer: makes or checks the dataset.")]
ChoicesOption = Annotated[str | None, typer.Option(help="Column of the list of choices.")]
TextsOption = Annotated[Path | None, typer.Option(help="Second file that holds the text column, joined by id.")]
AnswersOption = Annotated[Path | None, typer.Option(help="Wide: second file of the same shape with the answers.")]


@runs_app.command("import")
def runs_import(
    version: Annotated[str, typer.Argument(help="Version the outputs are of, made where it is new; - as in the file.")],
    file: FileArgument,
    dataset: Annotated[str, typer.Option("--dataset", "-d", help="Dataset; made from the file where it is new.")],
    format: FormatOption = "auto",
    split: SplitOption = "test",
    task: TaskOption = None,
    filter: FilterOption = None,
    metric: MetricOption = None,
    scorer: ScorerOption = None,
    epoch: EpochOption = None,
    threshold: ThresholdOption = None,
    allow_partial: PartialOption = False,
    results: ResultsOption = None,
    id_column: IdOption = "id",
    prediction: PredictionOption = None,
    correct: CorrectOption = None,
    output: OutputOption = None,
    score: ScoreOption = None,
    input: InputOption = None,
    gold: GoldOption = None,
    choices: ChoicesOption = None,
    texts: TextsOption = None,
    answers: AnswersOption = None,
    preview: Annotated[bool, typer.Option("--preview", help="Show what would be done; write nothing.")] = False,
    background: Annotated[bool, typer.Option(help="Queue it for the worker and return.")] = False,
) -> None:
    """Import per-sample outputs or logs that were made elsewhere: all of a file, or nothing."""
    from muscle_core.actions.imports.outputs import import_log

    arguments = _arguments(**{name: value for name, value in locals().items() if name in _NAMES})
    if preview:
        _show_preview(file, {**arguments, "version": version, "dataset": dataset})
        return
    if background:
        from muscle_core.actions.background.submit import submit_import
        from muscle_core.actions.imports.request import ImportRequest

        request = ImportRequest(file, version=version, dataset=dataset, **arguments)
        print_submission(submit_import(_workspace(), request))
        return
    done = import_log(_workspace(), file, version=version, dataset=dataset, **arguments)
    for note in done.notes:
        say(f"note: {note}")
    if done.made_dataset:
        rows = ", ".join(f"{name} {count:,} rows" for name, count in done.dataset.splits.items())
        print(f"made the dataset {done.dataset.name} ({done.dataset.task_kind}) from the file: {rows}")
    for name, run, is_new in done.runs:
        known = "" if is_new else f", imported before: same run {run.id[:8]}"
        print(f"{name} on {dataset} ({split}): {summary_text(run.summary)}{known}")


@runs_app.command("preview")
def runs_preview(
    file: FileArgument,
    version: Annotated[str | None, typer.Option(help="As of import; may be left out.")] = None,
    dataset: Annotated[str | None, typer.Option("--dataset", "-d", help="As of import; may be left out.")] = None,
    format: FormatOption = "auto",
    split: SplitOption = "test",
    task: TaskOption = None,
    filter: FilterOption = None,
    metric: MetricOption = None,
    scorer: ScorerOption = None,
    epoch: EpochOption = None,
    threshold: ThresholdOption = None,
    allow_partial: PartialOption = False,
    results: ResultsOption = None,
    id_column: IdOption = "id",
    prediction: PredictionOption = None,
    correct: CorrectOption = None,
    output: OutputOption = None,
    score: ScoreOption = None,
    input: InputOption = None,
    gold: GoldOption = None,
    choices: ChoicesOption = None,
    texts: TextsOption = None,
    answers: AnswersOption = None,
) -> None:
    """Show what an import of a file would do, and all that is wrong with it; nothing is written."""
    arguments = _arguments(**{name: value for name, value in locals().items() if name in _NAMES})
    _show_preview(file, {**arguments, "version": version, "dataset": dataset})


_COLUMNS = ("prediction", "correct", "output", "score", "input", "gold", "choices")
_OPTIONS = ("filter", "metric", "scorer", "epoch", "threshold", "allow_partial", "results")
_SHOWN = (("sample_id", 24), ("input", 40), ("gold", 16), ("prediction", 24), ("correct", 5))  # with their widths
_NAMES = {"format", "split", "task", "id_column", "texts", "answers", *_COLUMNS, *_OPTIONS}


def _arguments(
    *, format: str, split: str, task: str | None, id_column: str, texts: Path | None, answers: Path | None, **rest: Any
) -> dict[str, Any]:
    """The options of both commands as the library's arguments."""
    from muscle_core.interchange import ImportColumns, LogOptions

    return {
        "format": format,
        "split": split,
        "task": task,
        "options": LogOptions(**{name: rest[name] for name in _OPTIONS}),
        "columns": ImportColumns(id=id_column, **{name: rest[name] for name in _COLUMNS}),
        "texts_file": texts,
        "answers_file": answers,
    }


def _show_preview(file: Path, arguments: dict[str, Any]) -> None:
    """Print a preview.

    Raises:
        ConfigError: the file cannot be imported so.
    """
    from muscle_core.actions.imports.preview import preview_import

    found = preview_import(_workspace(), file, **arguments)
    facts = found.facts
    if facts is not None:
        print(f"format: {facts.format}, {facts.rows:,} rows" + (f", task {facts.task}" if facts.task else ""))
        for name in ("models", "columns", "filters", "metrics", "scorers"):
            values = getattr(facts, name)
            if values:
                print(f"{name}: {', '.join(map(str, values[:12]))}" + (" …" if len(values) > 12 else ""))
        if facts.epochs > 1:
            print(f"answers a sample (epochs): {facts.epochs}")
    if found.task is not None:
        how = "would be made from the file" if found.makes_dataset else "exists"
        print(f"dataset: {arguments['dataset'] or '(not named)'}, {found.task}, {how}")
    for run in found.runs:
        print(f"{run.version}: {run.rows:,} samples, {_figures(run)}" + (", imported before" if run.known else ""))
    if found.first:
        print()
        print_table(
            ("sample", "input", "right answer", "answer", "right"),
            ([_short(row[name], width) for name, width in _SHOWN] for row in found.first),
        )
    for note in found.notes:
        print(f"note: {note}")
    if found.problems:
        listed = "".join(f"\n  - {problem}" for problem in found.problems)
        count = "1 problem" if len(found.problems) == 1 else f"{len(found.problems):,} problems"
        raise ConfigError(f"{count}; nothing can be imported so:{listed}")
    print("nothing was written")


def _figures(run: Any) -> str:
    if run.accuracy is not None:
        return f"{run.accuracy * 100:.2f} % right ({run.right:,} of {run.judged:,})"
    return "not judged" if run.mean_score is None else f"score {run.mean_score:.4f}"


def _short(value: object, width: int) -> str:
    text = "-" if value is None else " ".join(str(value).split())
    return text if len(text) <= width else f"{text[: width - 1]}…"
