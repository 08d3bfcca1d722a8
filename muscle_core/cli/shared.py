"""What the commands share: options, the workspace, and how results are printed."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any

import typer

from muscle_core.errors import ConfigError
from muscle_core.store import Workspace

DatasetOption = Annotated[str, typer.Option("--dataset", "-d", help="Name of a dataset in the workspace.")]
TemplateOption = Annotated[str | None, typer.Option(help="Prompt template with {input}; \\n is a line break.")]
ChatOption = Annotated[bool, typer.Option("--chat", help="Put the prompt into the tokenizer's chat template.")]
_SCORINGS = "Choices: sum or per_byte; math: flexible or strict; summarization: rouge or bertscore."
ScoringOption = Annotated[str | None, typer.Option(help=f"How answers are judged. {_SCORINGS}")]
EncoderOption = Annotated[str | None, typer.Option(help="Folder or hub id of the encoder of --scoring bertscore.")]
SplitOption = Annotated[str, typer.Option(help="Split of the dataset.")]
NoiseFromOption = Annotated[
    list[str] | None,
    typer.Option(help="Borrow the noise floor of these versions, each run more than once: A,B or given repeatedly."),
]
MarginOption = Annotated[
    float, typer.Option(help="Difference to the noise floor that counts as noise; 0.01 is 1 point.")
]


def workspace_here() -> Workspace:
    """The workspace of MUSCLE_HOME."""
    return Workspace.open()


def print_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows in columns, or say that there are none."""
    cells = [[str(value) for value in row] for row in rows]
    if not cells:
        print("none yet")
        return
    widths = [max(len(row[i]) for row in [list(header), *cells]) for i in range(len(header))]
    for row in [list(header), *cells]:
        print("  ".join(value.ljust(width) for value, width in zip(row, widths, strict=True)).rstrip())


def say(text: str) -> None:
    """Tell of progress, on standard error: standard output is for results."""
    print(text, file=sys.stderr, flush=True)


def say_now_and_then(every_seconds: float = 2.0) -> Callable[[str, int, int], None]:
    """A report of work in stages, every few seconds and at the end of each stage."""
    last = 0.0

    def report(stage: str, done: int, total: int) -> None:
        nonlocal last
        if done < total and time.monotonic() - last < every_seconds:
            return
        last = time.monotonic()
        say(f"{stage}: {done:,} of {total:,}")

    return report


def sample_counter(what: str) -> Callable[[int, int], None]:
    """A report of samples done."""

    def report(done: int, total: int) -> None:
        say(f"{what}: {done:,} of {total:,}")

    return report


def step_printer(every: int = 20) -> Callable[[dict[str, float]], None]:
    """A report of training steps, of every so many."""

    def report(step: dict[str, float]) -> None:
        if step["step"] % every == 0 or step["step"] == step["steps"]:
            aligned = (
                "" if step["old_share"] != step["old_share"] else f", {step['old_share']:.1%} of tokens follow old"
            )
            say(f"step {step['step']:,.0f} of {step['steps']:,.0f}: loss {step['loss']:.4f}{aligned}")

    return report


def names_of(values: list[str] | None) -> list[str]:
    """Names of a repeatable option that may also hold several, separated by commas."""
    return [name.strip() for value in values or () for name in value.split(",") if name.strip()]


def unescaped(template: str | None) -> str | None:
    """A template in which \\n was typed for a line break."""
    return None if template is None else template.replace("\\n", "\n")


def options_of(pairs: list[str] | None) -> dict[str, Any]:
    """Values of OPTION=VALUE pairs.

    Raises:
        ConfigError: a pair has no "=".
    """
    values: dict[str, Any] = {}
    for pair in pairs or ():
        key, mark, value = pair.partition("=")
        if not mark:
            raise ConfigError(f"write options as OPTION=VALUE, got {pair!r}.")
        try:
            values[key] = json.loads(value)
        except (ValueError, RecursionError):
            values[key] = value
    return values


def print_submission(submission: Any) -> None:
    """Say that a job was queued, or was before."""
    print(f"{'queued' if submission.is_new else 'already under way:'} job {submission.job_id[:8]}")
