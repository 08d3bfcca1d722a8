"""Commands that train task adapters and compatibility adapters."""

from __future__ import annotations

from typing import Annotated

import typer

from muscle_core.cli.shared import (
    DatasetOption,
    SplitOption,
    options_of,
    print_submission,
    sample_counter,
    step_printer,
    workspace_here,
)
from muscle_core.store import get_dataset, summary_text

train_app = typer.Typer(no_args_is_help=True, help="Train task adapters and compatibility adapters.")


@train_app.command("task")
def train_task_command(
    name: Annotated[str, typer.Argument(help="Name of the new model version.")],
    base: Annotated[str, typer.Argument(help="Model version, folder, .gguf file or hub id to put the adapter on.")],
    dataset: DatasetOption,
    split: SplitOption = "train",
    role: Annotated[str, typer.Option(help="Place in the lineage: old or new.")] = "new",
    parent: Annotated[str | None, typer.Option(help="Version it follows.")] = None,
    option: Annotated[list[str] | None, typer.Option("--set", help="OPTION=VALUE, for example steps=500.")] = None,
) -> None:
    """Train a task adapter (LoRA, cross-entropy on the answer tokens)."""
    from muscle_core.actions.train import train_task
    from muscle_core.compat.config import TaskConfig

    config = TaskConfig.from_dict(options_of(option))
    version = train_task(
        workspace_here(), name, base, dataset, config, split=split, role=role, parent=parent, report=step_printer()
    )
    print(f"trained {version.name}")


@train_app.command("compat")
def train_compat_command(
    old: str,
    new: str,
    dataset: DatasetOption,
    split: SplitOption = "train",
    test_split: Annotated[str, typer.Option(help="Split to evaluate the result on.")] = "test",
    preset: Annotated[
        str | None, typer.Option(help="default, scratch, quick or demo; the demo's for its data.")
    ] = None,
    strategy: Annotated[str | None, typer.Option(help="Which teacher each answer token follows.")] = None,
    initialisation: Annotated[str | None, typer.Option(help="Where the adapter starts: old, new or scratch.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of data order and initial weights.")] = None,
    option: Annotated[list[str] | None, typer.Option("--set", help="OPTION=VALUE, for example steps=500.")] = None,
    limit: Annotated[int | None, typer.Option(help="Train on the first N samples only.")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the new model version.")] = None,
    evaluate_result: Annotated[bool, typer.Option("--evaluate/--no-evaluate", help="Evaluate it at the end.")] = True,
    background: Annotated[bool, typer.Option(help="Queue it for the worker and return.")] = False,
) -> None:
    """Train a compatibility adapter (MUSCLE) for an update, evaluate it and compare it."""
    from muscle_core.actions.presets import compat_preset

    workspace = workspace_here()
    chosen = preset or get_dataset(workspace, dataset).made_by.get("preset", "default")
    flags = {"strategy": strategy, "initialisation": initialisation, "seed": seed}
    named = {key: value for key, value in flags.items() if value is not None}
    config = compat_preset(chosen, {**options_of(option), **named})
    if background:
        from muscle_core.actions.background import submit_compat

        print_submission(
            submit_compat(
                workspace, old, new, dataset, config, train_split=split, test_split=test_split, name=name, limit=limit
            )
        )
        return
    from muscle_core.actions.evaluate import evaluate
    from muscle_core.actions.train import check_held_out, train_compat

    if evaluate_result:
        check_held_out(get_dataset(workspace, dataset), split, test_split)
    version = train_compat(
        workspace, old, new, dataset, config, split=split, name=name, limit=limit, report=step_printer()
    )
    print(f"trained {version.name}")
    if evaluate_result:
        run = evaluate(workspace, version.name, dataset, split=test_split, report=sample_counter(version.name))
        print(f"{version.name} on {dataset} ({test_split}): {summary_text(run.summary)}")
