"""Command that says how many samples a comparison needs; reads no workspace."""

from __future__ import annotations

from typing import Annotated

import typer

from muscle_core.cli.shared import print_table

app = typer.Typer()


@app.command("samples-needed")
def samples_needed_command(
    nfr: Annotated[list[float], typer.Argument(help="NFR of the plain new version, such as 0.085; repeatable.")],
    difference: Annotated[
        list[float], typer.Option(help="By how much an adapter should lower it, such as 0.01; repeatable.")
    ],
    added: Annotated[float, typer.Option(help="Share of samples on which the adapter adds a flip of its own.")] = 0.0,
    alpha: Annotated[float, typer.Option(help="Level of the two-sided test.")] = 0.05,
    power: Annotated[float, typer.Option(help="Chance to find the difference.")] = 0.8,
) -> None:
    """Show how many samples it takes to see a lower NFR on the same samples (exact McNemar test)."""
    from muscle_core.metrics.power import samples_needed

    rows = samples_needed(nfr, difference, added=added, alpha=alpha, power=power)
    print_table(
        ["NFR now", "lower by", "NFR then", "flips removed", "flips added", "samples needed"],
        (
            [
                f"{100 * row.nfr:g} %",
                f"{100 * row.difference:g} points",
                f"{100 * (row.nfr - row.difference):g} %",
                f"{100 * row.removed:g} %",
                f"{100 * row.added:g} %",
                "not possible" if row.samples is None else f"{row.samples:,}",
            ]
            for row in rows
        ),
    )
