"""Commands that evaluate and compare versions, and load the demo."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from muscle_core.cli.shared import (
    ChatOption,
    DatasetOption,
    EncoderOption,
    MarginOption,
    NoiseFromOption,
    ScoringOption,
    SplitOption,
    TemplateOption,
    names_of,
    print_submission,
    print_table,
    sample_counter,
    say,
    unescaped,
    workspace_here,
)
from muscle_core.errors import ConfigError
from muscle_core.scoring.engine import Engine
from muscle_core.store import get_version, require_weights, summary_text

app = typer.Typer()


@app.command()
def demo(
    rebuild: Annotated[bool, typer.Option(help="Make the demo's weights again from nothing (takes long).")] = False,
    out: Annotated[Path | None, typer.Option(help="With --rebuild: folder for the weights.")] = None,
) -> None:
    """Load the embedded demo into the workspace (versions, adapters, datasets, evaluations), or rebuild its weights."""
    if rebuild:
        from muscle_core.demo.rebuild import rebuild_weights

        rebuild_weights(out, say=say)
        return
    from muscle_core.actions.library.demo import load_demo

    load_demo(workspace_here(), report=lambda stage, done, total: say(f"{stage}: {done:,} of {total:,}"))


@app.command("evaluate")
def evaluate_command(
    versions: Annotated[list[str], typer.Argument(help="One or more model versions.")],
    dataset: DatasetOption,
    split: SplitOption = "test",
    limit: Annotated[int | None, typer.Option(help="Only the first N samples.")] = None,
    template: TemplateOption = None,
    chat: ChatOption = False,
    scoring: ScoringOption = None,
    encoder: EncoderOption = None,
    engine: Annotated[str, typer.Option(help="Where answers are computed: local, or ray (a Ray cluster).")] = "local",
    actors: Annotated[int, typer.Option(help="Copies of the model of --engine ray.")] = 1,
    threads: Annotated[int | None, typer.Option(help="CPU threads of each copy.")] = None,
    address: Annotated[str | None, typer.Option(help="Ray cluster; without it, one is started here.")] = None,
    background: Annotated[bool, typer.Option(help="Queue it for the worker and return.")] = False,
) -> None:
    """Evaluate model versions on a dataset; answers once given are kept, and finished evaluations are not repeated."""
    from muscle_core.actions.evaluation.evaluate import EvaluationOptions, evaluate

    workspace = workspace_here()
    options = EvaluationOptions(unescaped(template), chat, scoring, encoder)
    if engine not in ("local", "ray"):
        raise ConfigError(f"unknown engine {engine!r}; known: local, ray")
    if engine == "local" and (actors, threads, address) != (1, None, None):
        raise ConfigError("--actors, --threads and --address belong to --engine ray.")
    if background:
        if engine == "ray":
            raise ConfigError("a background job does not use --engine ray; leave out one of the two.")
        from muscle_core.actions.background.submit import submit_evaluation

        print_submission(submit_evaluation(workspace, versions, dataset, split=split, limit=limit, options=options))
        return
    answering: Engine | None = None
    if engine == "ray":
        from muscle_core.scoring.ray_engine import RayEngine

        answering = RayEngine(actors=actors, threads=threads, address=address)
    for version in versions:  # a misspelt name is told before hours of work, not after
        require_weights(get_version(workspace, version))
    for version in versions:
        run = evaluate(
            workspace,
            version,
            dataset,
            split=split,
            limit=limit,
            options=options,
            engine=answering,
            report=sample_counter(version),
        )
        print(f"{version} on {dataset} ({split}): {summary_text(run.summary)}")


@app.command("ensemble")
def ensemble_command(
    old: str,
    new: str,
    dataset: DatasetOption,
    split: SplitOption = "test",
    limit: Annotated[int | None, typer.Option(help="Only the first N samples.")] = None,
    template: TemplateOption = None,
    chat: ChatOption = False,
    scoring: ScoringOption = None,
    encoder: EncoderOption = None,
) -> None:
    """Evaluate two versions together (the mean of their token probabilities): the costly upper reference."""
    from muscle_core.actions.evaluation.evaluate import EvaluationOptions
    from muscle_core.actions.strategies.ensemble import ENSEMBLE_LABEL, evaluate_ensemble

    run = evaluate_ensemble(
        workspace_here(),
        old,
        new,
        dataset,
        split=split,
        limit=limit,
        options=EvaluationOptions(unescaped(template), chat, scoring, encoder),
        report=sample_counter(f"{old} and {new}"),
    )
    print(f"{ENSEMBLE_LABEL} on {dataset} ({split}): {summary_text(run.summary)}")


@app.command("tokens")
def tokens_command(
    old: str,
    new: str,
    dataset: DatasetOption,
    sample: Annotated[list[str], typer.Option(help="Id of a sample of the split; repeatable.")],
    compat: Annotated[
        str | None, typer.Option(help="Version that stands for the student; by default the new one.")
    ] = None,
    split: SplitOption = "test",
) -> None:
    """Show a gold answer token by token: what the versions say, and which teacher it follows by each strategy."""
    from muscle_core.actions.strategies.token_view import view_tokens

    views = view_tokens(workspace_here(), old, new, dataset, sample, compat_name=compat, split=split)
    for identity, view in zip(sample, views, strict=True):
        print(f"sample {identity}")
        frame = view.frame()
        rows = ([_cell(value) for value in row] for row in frame.itertuples(index=False))
        print_table([str(name) for name in frame.columns], rows)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4f}"
    text = str(value)
    return text if text.isprintable() and text == text.strip() else repr(text)


@app.command("compare")
def compare_command(
    old: str,
    new: str,
    dataset: DatasetOption,
    split: SplitOption = "test",
    template: TemplateOption = None,
    chat: ChatOption = False,
    scoring: ScoringOption = None,
    encoder: EncoderOption = None,
    cluster: Annotated[
        str | None,
        typer.Option(help="Metadata field that names the group of each sample (several questions about one text)."),
    ] = None,
    noise_from: NoiseFromOption = None,
    margin: MarginOption = 0.01,
    as_json: Annotated[bool, typer.Option("--json", help="Print all figures as JSON.")] = False,
) -> None:
    """Compare two evaluated versions: what the update fixed and what it broke, and whether that is more than noise."""
    from muscle_core.actions.evaluation.evaluate import EvaluationOptions
    from muscle_core.actions.updates.noise import judge_update
    from muscle_core.comparison import verdict

    options = EvaluationOptions(unescaped(template), chat, scoring, encoder)
    comparison, noise, judgement = judge_update(
        workspace_here(),
        old,
        new,
        dataset,
        split=split,
        options=options,
        cluster=cluster,
        borrowed_from=names_of(noise_from),
        margin=margin,
    )
    if as_json:
        floor = None if noise is None else noise.as_dict()
        figures = {**comparison.to_dict(), "judgement": judgement.as_dict(), "noise_floor": floor}
        print(json.dumps(figures, indent=2, allow_nan=False))
    else:
        print(verdict(comparison))
        print(judgement.sentence)


@app.command("masking")
def masking_command(old: str, new: str, dataset: DatasetOption, split: SplitOption = "test") -> None:
    """Show the compatibility adapters trained for a pair, side by side with the plain new version (CSV)."""
    from muscle_core.actions.updates.compare import compare_trained

    print(compare_trained(workspace_here(), old, new, dataset, split=split).to_csv(index=False), end="")
