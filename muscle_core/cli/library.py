"""Commands for what is in the workspace: model versions, datasets, evaluation runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from muscle_core.cli.shared import (
    TemplateOption,
    print_table,
    unescaped,
    workspace_here,
)
from muscle_core.errors import ConfigError
from muscle_core.store import list_datasets, list_runs, list_versions, summary_text
from muscle_core.store.tables import ENSEMBLE

models_app = typer.Typer(no_args_is_help=True, help="Model versions: base checkpoint + optional adapter.")
datasets_app = typer.Typer(no_args_is_help=True, help="Datasets of a task kind, with splits.")
runs_app = typer.Typer(no_args_is_help=True, help="Evaluation runs: list, or import outputs made elsewhere.")


@models_app.command("add")
def models_add(
    name: str,
    base: Annotated[str, typer.Argument(help="Folder in Hugging Face format, .gguf file, or hub id.")],
    adapter: Annotated[str | None, typer.Option(help="Folder of a PEFT LoRA adapter trained on that base.")] = None,
    revision: Annotated[str | None, typer.Option(help="Revision of a hub id.")] = None,
    role: Annotated[str, typer.Option(help="Place in the lineage: old, new or compat.")] = "new",
    parent: Annotated[str | None, typer.Option(help="Name of the version it was made from.")] = None,
) -> None:
    """Add a model version; nothing is copied, fingerprints are taken."""
    from muscle_core.actions.library.models import add_model_version

    version = add_model_version(
        workspace_here(), name, base, adapter=adapter, revision=revision, role=role, parent=parent
    )
    print(
        f"added {version.name} ({version.made_by['parameters']:,} parameters, fingerprint {version.fingerprint[:12]}…)"
    )


@models_app.command("list")
def models_list() -> None:
    """List the model versions."""
    versions = list_versions(workspace_here())
    names = {version.id: version.name for version in versions}
    print_table(
        ("name", "role", "base", "adapter", "replica of"),
        (
            (
                *(v.name, v.role, v.base or ("(two versions)" if v.role == ENSEMBLE else "(outputs only)")),
                *(v.adapter or "-", names.get(v.replica_of or "", "-")),
            )
            for v in versions
        ),
    )


@models_app.command("replica")
def models_replica(
    name: str,
    of: Annotated[str | None, typer.Argument(help="Version that it is the same model as.")] = None,
    undo: Annotated[bool, typer.Option("--undo", help="Take the declaration back; name no second version.")] = False,
) -> None:
    """Declare that a version is the same model as another one, run again: what differs between them is noise."""
    from muscle_core.actions.updates.replicas import declare_replica, undo_replica

    if undo == (of is not None):
        raise ConfigError("name two versions to declare a replica, or one and --undo to take it back.")
    if of is None:
        print(f"{name} is no longer a replica of {', '.join(undo_replica(workspace_here(), name))}")
    else:
        print(f"runs of one model: {', '.join(declare_replica(workspace_here(), name, of))}")


@models_app.command("round")
def models_round(
    base: Annotated[str, typer.Argument(help="Folder, .gguf file or hub id to round.")],
    out: Annotated[Path, typer.Argument(help="Folder to write.")],
    bits: Annotated[int, typer.Option(help="Bits a weight, 2 to 8.")] = 3,
    group_size: Annotated[int, typer.Option(help="Weights that share one scale.")] = 32,
) -> None:
    """Write a cheaper build of a model: its linear weights rounded to a few bits a group."""
    from muscle_core.models.round_weights import write_rounded
    from muscle_core.models.spec import ModelSpec

    print(f"wrote {write_rounded(ModelSpec(base), out, bits=bits, group_size=group_size)}")


@datasets_app.command("add")
def datasets_add(
    name: str,
    files: Annotated[list[str], typer.Argument(help="SPLIT=FILE, for example test=piqa/test.jsonl train=…")],
    task: Annotated[str, typer.Option(help="multiple_choice, math, summarization, classification or instruction.")],
    template: TemplateOption = None,
    max_new_tokens: Annotated[int | None, typer.Option(help="Most tokens of a generated answer.")] = None,
    stop: Annotated[list[str] | None, typer.Option(help="Stop string of generation; repeatable.")] = None,
    labels: Annotated[
        str | None, typer.Option(help="Names of a classification's labels, in order: negative,positive.")
    ] = None,
) -> None:
    """Add a dataset from JSONL, JSON, CSV or Parquet files in their original field names."""
    from muscle_core.actions.library.datasets import add_dataset

    pairs = [file.partition("=") for file in files]
    wrong = [split for split, mark, path in pairs if not (split and mark and path)]
    if wrong:
        raise ConfigError(f"name each file as SPLIT=FILE, for example test={wrong[0]}.")
    if len({split for split, _, _ in pairs}) < len(pairs):
        raise ConfigError("a split is named twice; put its rows into one file.")
    dataset = add_dataset(
        workspace_here(),
        name,
        task,
        {split: path for split, _, path in pairs},
        template=unescaped(template),
        max_new_tokens=max_new_tokens,
        stop=[mark.replace("\\n", "\n") for mark in stop] if stop else None,
        labels=[label.strip() for label in labels.split(",")] if labels is not None else None,
    )
    print(f"added {dataset.name}: " + ", ".join(f"{split} {rows:,} rows" for split, rows in dataset.splits.items()))


@datasets_app.command("list")
def datasets_list() -> None:
    """List the datasets."""
    print_table(
        ("name", "task", "splits", "fingerprint"),
        (
            (d.name, d.task_kind, ", ".join(f"{k}: {v:,}" for k, v in d.splits.items()), d.fingerprint[:12])
            for d in list_datasets(workspace_here())
        ),
    )


@runs_app.command("list")
def runs_list() -> None:
    """List the evaluation runs."""
    workspace = workspace_here()
    versions = {v.id: v.name for v in list_versions(workspace)}
    datasets = {d.id: d.name for d in list_datasets(workspace)}
    print_table(
        ("id", "version", "dataset", "split", "rows", "origin", "result"),
        (
            (
                *(r.id[:8], versions[r.version_id], datasets[r.dataset_id], r.split),
                *(f"{r.rows:,}", r.origin, summary_text(r.summary)),
            )
            for r in list_runs(workspace)
        ),
    )
