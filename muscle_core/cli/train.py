"""Commands that train task adapters and compatibility adapters."""

from __future__ import annotations

from typing import Annotated

import typer

from muscle_core.cli.shared import (
    DatasetOption,
    SplitOption,
    options_of,
    print_submission,
    print_table,
    sample_counter,
    say,
    say_now_and_then,
    step_printer,
    workspace_here,
)
from muscle_core.errors import ConfigError
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
    from muscle_core.actions.training.train import train_task
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
        str | None,
        typer.Option(help="quick, paper (default), thorough, scratch or demo (for the demo's data)."),
    ] = None,
    strategy: Annotated[str | None, typer.Option(help="Which teacher each answer token follows.")] = None,
    initialisation: Annotated[str | None, typer.Option(help="Where the adapter starts: old, new or scratch.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of data order and initial weights.")] = None,
    option: Annotated[list[str] | None, typer.Option("--set", help="OPTION=VALUE, for example steps=500.")] = None,
    limit: Annotated[int | None, typer.Option(help="Train on the first N samples only.")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the new model version.")] = None,
    evaluate_result: Annotated[bool, typer.Option("--evaluate/--no-evaluate", help="Evaluate it at the end.")] = True,
    background: Annotated[bool, typer.Option(help="Queue it for the worker and return.")] = False,
    engine: Annotated[str, typer.Option(help="Where it is trained: local, or ray (Ray Train).")] = "local",
    workers: Annotated[int | None, typer.Option(help="Processes of --engine ray (default 1).")] = None,
    threads: Annotated[int | None, typer.Option(help="CPU threads of each; not with --background.")] = None,
    address: Annotated[str | None, typer.Option(help="Ray cluster; without it, one is started here.")] = None,
) -> None:
    """Train a compatibility adapter (MUSCLE) for an update, evaluate it and compare it."""
    from muscle_core.actions.training.presets import compat_preset, preset_of

    if engine not in ("local", "ray"):
        raise ConfigError(f"unknown engine {engine!r}; known: local, ray")
    if engine == "local" and (workers, threads, address) != (None, None, None):
        raise ConfigError("--workers, --threads and --address belong to --engine ray.")
    if background and (threads, address) != (None, None):
        raise ConfigError("a background job trains on the cluster that it runs on; leave out --threads and --address.")
    ray_workers = (1 if workers is None else workers) if engine == "ray" else None
    workspace = workspace_here()
    chosen = preset or preset_of(get_dataset(workspace, dataset))
    flags = {"strategy": strategy, "initialisation": initialisation, "seed": seed}
    named = {key: value for key, value in flags.items() if value is not None}
    config = compat_preset(chosen, {**options_of(option), **named})
    if background:
        from muscle_core.actions.background.submit import submit_compat

        print_submission(
            submit_compat(
                workspace,
                old,
                new,
                dataset,
                config,
                train_split=split,
                test_split=test_split,
                name=name,
                limit=limit,
                ray_workers=ray_workers,
            )
        )
        return
    from muscle_core.actions.evaluation.evaluate import evaluate
    from muscle_core.actions.training.train import check_held_out, train_compat

    if evaluate_result:
        check_held_out(get_dataset(workspace, dataset), split, test_split)
    fit = None
    if ray_workers is not None:
        from muscle_core.compat.ray_train import RayTraining

        fit = RayTraining(ray_workers, threads=threads, address=address)
    version = train_compat(
        workspace, old, new, dataset, config, split=split, name=name, limit=limit, report=step_printer(), fit=fit
    )
    print(f"trained {version.name}")
    if evaluate_result:
        run = evaluate(workspace, version.name, dataset, split=test_split, report=sample_counter(version.name))
        print(f"{version.name} on {dataset} ({test_split}): {summary_text(run.summary)}")


@train_app.command("interpolate")
def train_interpolate_command(
    first: Annotated[str, typer.Argument(help="Version whose adapter has the weight 1 - share.")],
    second: Annotated[str, typer.Argument(help="Version whose adapter has the weight of the share.")],
    old: Annotated[str, typer.Option(help="Old version of the update that the mixes are compared for.")],
    new: Annotated[str, typer.Option(help="Its new version; the mixes are on its base.")],
    dataset: DatasetOption,
    share: Annotated[
        list[float] | None, typer.Option(help="From 0 to 1; repeatable. By default 0.25 0.5 0.75.")
    ] = None,
    split: SplitOption = "test",
    other_base: Annotated[
        bool, typer.Option("--other-base", help="One adapter may be for another base, if its shapes fit.")
    ] = False,
) -> None:
    """Mix the adapters of two versions without training, evaluate the mixes and compare them (see masking)."""
    from muscle_core.actions.strategies.interpolate import SHARES, sweep

    found = sweep(
        workspace_here(),
        old,
        new,
        dataset,
        first,
        second,
        shares=share or SHARES,
        split=split,
        other_base=other_base,
        report=lambda name, done, total: say(f"{name}: {done:,} of {total:,}"),
    )
    for version, run in found:
        print(f"{version.name} on {dataset} ({split}): {summary_text(run.summary)}")


@train_app.command("ablation")
def train_ablation_command(
    old: str,
    new: str,
    dataset: DatasetOption,
    strategies: Annotated[str, typer.Option(help="Strategies with commas between them, or all.")] = "all",
    seeds: Annotated[
        str, typer.Option(help="Seeds with commas between them; each strategy is trained with each.")
    ] = "0",
    preset: Annotated[
        str | None,
        typer.Option(help="quick, paper (default), thorough, scratch or demo (for the demo's data)."),
    ] = None,
    option: Annotated[list[str] | None, typer.Option("--set", help="OPTION=VALUE, for example steps=500.")] = None,
    limit: Annotated[int | None, typer.Option(help="Train on the first N samples only.")] = None,
    split: SplitOption = "train",
    test_split: Annotated[str, typer.Option(help="Split to evaluate the results on.")] = "test",
    background: Annotated[bool, typer.Option(help="Queue what is missing for the worker and return.")] = False,
) -> None:
    """Train and evaluate several strategies with equal options, each with every seed; what is there is not repeated."""
    from muscle_core.actions.strategies.ablation import run_ablation, submit_ablation
    from muscle_core.actions.strategies.ablation_plan import AblationRequest
    from muscle_core.actions.training.presets import compat_preset, preset_of
    from muscle_core.compat.config import STRATEGIES

    workspace = workspace_here()
    config = compat_preset(preset or preset_of(get_dataset(workspace, dataset)), options_of(option))
    wanted = list(STRATEGIES) if strategies == "all" else [part.strip() for part in strategies.split(",")]
    parts = [part.strip() for part in seeds.split(",")]
    if not all(part.isdecimal() for part in parts):
        raise ConfigError(f"write seeds as whole numbers with commas between them, such as 0,1,2; got {seeds!r}.")
    numbers = [int(part) for part in parts]
    request = AblationRequest(old, new, dataset, config, wanted, numbers, split, test_split, limit)
    if background:
        submitted = submit_ablation(workspace, request)
        for cell in submitted.there:
            print(f"already there: {cell.label}")
        for submission in submitted.submissions:
            print_submission(submission)
        return
    from muscle_core.actions.strategies.over_seeds import compare_over_seeds
    from muscle_core.comparison.table_text import readable_over_seeds

    tell = say_now_and_then()
    plan = run_ablation(
        workspace, request, report=lambda label, stage, done, total: tell(f"{label}: {stage}", done, total)
    )
    table = compare_over_seeds(workspace, old, new, dataset, plan.variants, split=test_split)
    text = readable_over_seeds(table).drop(columns=["starts from", "steps"])
    print_table(list(text.columns), text.itertuples(index=False))
