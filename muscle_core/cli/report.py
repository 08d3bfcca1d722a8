"""The command that writes the report of an update."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from muscle_core.cli.shared import DatasetOption, SplitOption, workspace_here

app = typer.Typer()


@app.command("report")
def report_command(
    old: str,
    new: str,
    dataset: DatasetOption,
    split: SplitOption = "test",
    compat: Annotated[
        str | None, typer.Option(help="Adapter to set beside the new version; by default all that were trained.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="File to write; by default OLD-to-NEW-DATASET.html.")] = None,
    flips: Annotated[int, typer.Option(help="Most negative flips to spell out.")] = 20,
    theme: Annotated[str, typer.Option(help="auto (as the reader's system), light or dark.")] = "auto",
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file.")] = False,
) -> None:
    """Write the report of an update: one HTML file that opens without a network and prints."""
    from muscle_core.actions.updates.report import write_report

    file = write_report(
        workspace_here(), old, new, dataset, out, split=split, compat=compat, flips=flips, theme=theme, force=force
    )
    print(f"wrote {file} ({file.stat().st_size / 1e6:.1f} MB)")
