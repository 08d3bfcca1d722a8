"""The command that runs a whole experiment from a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from muscle_core.cli.shared import print_table, say_now_and_then, workspace_here

app = typer.Typer()


@app.command("recipe")
def recipe_command(
    path: Annotated[Path, typer.Argument(help="A YAML file; see recipes/ for examples.")],
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the tables as Markdown.")] = False,
) -> None:
    """Make all that a recipe names, from datasets and versions to ablations, and print one table an ablation.

    What is there already is not made again: a recipe that was stopped goes on where it was.
    """
    from muscle_core.actions.strategies.over_seeds import compare_over_seeds
    from muscle_core.actions.training.recipes import read_recipe, run_recipe
    from muscle_core.comparison.table_text import readable_over_seeds

    recipe, workspace = read_recipe(path), workspace_here()
    for plan in run_recipe(workspace, recipe, report=say_now_and_then()):
        old, new, dataset = plan.old.name, plan.new.name, plan.dataset.name
        table = compare_over_seeds(workspace, old, new, dataset, plan.variants, split=plan.test_split)
        text = readable_over_seeds(table)
        print(f"\n{old} -> {new} on {dataset} ({plan.test_split})")
        if markdown:
            rows = [list(text.columns), ["---"] * len(text.columns), *text.itertuples(index=False)]
            print("\n" + "\n".join(f"| {' | '.join(map(str, row))} |" for row in rows))
        else:
            print_table(list(text.columns), text.itertuples(index=False))
