"""The command that takes samples of a comparison out of the workspace."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from muscle_core.cli.shared import (
    ChatOption,
    DatasetOption,
    EncoderOption,
    ScoringOption,
    TemplateOption,
    say,
    unescaped,
    workspace_here,
)
from muscle_core.errors import ConfigError
from muscle_core.store import get_dataset

app = typer.Typer()


@app.command("export")
def export_command(
    old: str,
    new: str,
    dataset: DatasetOption,
    to: Annotated[Path | None, typer.Option(help="File to write.")] = None,
    file_format: Annotated[
        str | None,
        typer.Option("--format", help="csv, parquet, jsonl, llm-comparator or hard-examples; else told by the ending."),
    ] = None,
    split: Annotated[str | None, typer.Option(help="Split of the dataset; test, where it is no training data.")] = None,
    quadrant: Annotated[
        list[str] | None, typer.Option(help="Q1, Q2, Q3, Q3-same, Q3-changed or Q4; repeatable.")
    ] = None,
    cause: Annotated[list[str] | None, typer.Option(help="Cause of a negative flip; repeatable.")] = None,
    search: Annotated[str, typer.Option(help="Words that must occur in input, answers or id.")] = "",
    columns: Annotated[str | None, typer.Option(help="Columns, by commas, in this order; all by default.")] = None,
    as_dataset: Annotated[
        str | None, typer.Option(help="With hard-examples: add them to the workspace as a dataset of this name.")
    ] = None,
    from_test: Annotated[
        bool, typer.Option("--from-test", help="With hard-examples: samples that comparisons use are meant.")
    ] = False,
    tau: Annotated[float, typer.Option(help="With hard-examples of scores: how far the score must have fallen.")] = 0.0,
    force: Annotated[bool, typer.Option("--force", help="Replace an earlier file.")] = False,
    template: TemplateOption = None,
    chat: ChatOption = False,
    scoring: ScoringOption = None,
    encoder: EncoderOption = None,
) -> None:
    """Write samples of a comparison to a file, or its negative flips as a dataset for the next training."""
    from muscle_core.actions.evaluation.question import EvaluationOptions
    from muscle_core.actions.updates.exports import HARD_EXAMPLES, Filters, export_view, hard_examples

    options = EvaluationOptions(unescaped(template), chat, scoring, encoder)
    filters = Filters(quadrant or (), cause or (), search)
    named = [name.strip() for name in columns.split(",")] if columns else []
    if file_format != HARD_EXAMPLES:
        if as_dataset is not None or from_test or tau:
            raise ConfigError(f"--as-dataset, --from-test and --tau belong to --format {HARD_EXAMPLES}.")
        if to is None:
            raise ConfigError("name the file to write with --to.")
        rows = export_view(
            workspace_here(),
            old,
            new,
            dataset,
            to,
            file_format=file_format,
            split=split or "test",
            filters=filters,
            columns=named,
            options=options,
            force=force,
        )
        print(f"wrote {rows:,} samples to {to}")
        return
    if named:
        raise ConfigError("the fields of hard examples are fixed; leave out --columns.")
    workspace, chosen = workspace_here(), split or "test"
    found = hard_examples(
        workspace,
        old,
        new,
        dataset,
        split=chosen,
        to=to,
        as_dataset=as_dataset,
        from_test=from_test,
        tau=tau,
        filters=filters,
        options=options,
        force=force,
    )
    if from_test:
        say(
            f"warning: these samples come from {dataset!r} ({chosen}). After training on them, figures on this split "
            "say nothing any more; compare on other samples."
        )
    if found.dataset is not None:
        print(f"added {found.dataset.name}: train {len(found.samples):,} rows")
    if to is not None:
        source = get_dataset(workspace, dataset)
        asked = shlex.quote(source.template.replace("\n", "\\n"))
        print(f"wrote {len(found.samples):,} samples to {to}")
        say(f"read them back: datasets add NAME train={to} --task {source.task_kind} --template {asked}")
