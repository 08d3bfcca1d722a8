"""The commands of `python -m muscle_core`. Each calls one function of the library; messages go to standard error.

Exit codes: 0 done; 2 refused or failed, with a message that says why; 130 interrupted; 1 a bug, with its traceback.
What became of background work is told by `jobs show`, not by the exit code of `worker` or of `--background`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from muscle_core.errors import ConfigError, MuscleError
from muscle_core.store import Workspace

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__, pretty_exceptions_enable=False)
models_app = typer.Typer(no_args_is_help=True, help="Model versions: base checkpoint + optional adapter.")
datasets_app = typer.Typer(no_args_is_help=True, help="Datasets of a task kind, with splits.")
runs_app = typer.Typer(no_args_is_help=True, help="Evaluation runs: list, or import outputs made elsewhere.")
train_app = typer.Typer(no_args_is_help=True, help="Train task adapters and compatibility adapters.")
jobs_app = typer.Typer(no_args_is_help=True, help="Background work: list, show, cancel.")
for name, group in (
    ("models", models_app),
    ("datasets", datasets_app),
    ("runs", runs_app),
    ("train", train_app),
    ("jobs", jobs_app),
):
    app.add_typer(group, name=name)

DatasetOption = Annotated[str, typer.Option("--dataset", "-d", help="Name of a dataset in the workspace.")]
TemplateOption = Annotated[str | None, typer.Option(help="Prompt template with {input}; \\n is a line break.")]
ChatOption = Annotated[bool, typer.Option("--chat", help="Put the prompt into the tokenizer's chat template.")]
_SCORINGS = "Choices: sum or per_byte; math: flexible or strict; summarization: rouge or bertscore."
ScoringOption = Annotated[str | None, typer.Option(help=f"How answers are judged. {_SCORINGS}")]
EncoderOption = Annotated[str | None, typer.Option(help="Folder or hub id of the encoder of --scoring bertscore.")]
SplitOption = Annotated[str, typer.Option(help="Split of the dataset.")]


def main() -> None:
    """Entry point: errors of the library and of the system become one clear message and exit code 2.

    Typer itself ends with 2 for wrong usage and with 130 for an interruption.
    """
    try:
        app()
    except (MuscleError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


def _workspace() -> Workspace:
    return Workspace.open()


def _table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    cells = [[str(value) for value in row] for row in rows]
    if not cells:
        print("none yet")
        return
    widths = [max(len(row[i]) for row in [list(header), *cells]) for i in range(len(header))]
    for row in [list(header), *cells]:
        print("  ".join(value.ljust(width) for value, width in zip(row, widths, strict=True)).rstrip())


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _counter(what: str) -> Callable[[int, int], None]:
    def report(done: int, total: int) -> None:
        _say(f"{what}: {done:,} of {total:,}")

    return report


def _step_printer(every: int = 20) -> Callable[[dict[str, float]], None]:
    def report(step: dict[str, float]) -> None:
        if step["step"] % every == 0 or step["step"] == step["steps"]:
            aligned = (
                "" if step["old_share"] != step["old_share"] else f", {step['old_share']:.1%} of tokens follow old"
            )
            _say(f"step {step['step']:,.0f} of {step['steps']:,.0f}: loss {step['loss']:.4f}{aligned}")

    return report


@app.command()
def demo(
    rebuild: Annotated[bool, typer.Option(help="Make the demo's weights again from nothing (takes long).")] = False,
    out: Annotated[Path | None, typer.Option(help="With --rebuild: folder for the weights.")] = None,
) -> None:
    """Load the embedded demo into the workspace (versions, datasets, evaluations), or rebuild its weights."""
    if rebuild:
        from muscle_core.demo.rebuild import rebuild_weights

        rebuild_weights(out, say=_say)
        return
    from muscle_core.actions.demo import load_demo

    load_demo(_workspace(), report=lambda stage, done, total: _say(f"{stage}: {done:,} of {total:,}"))


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
    from muscle_core.actions.models import add_model_version

    version = add_model_version(_workspace(), name, base, adapter=adapter, revision=revision, role=role, parent=parent)
    print(
        f"added {version.name} ({version.made_by['parameters']:,} parameters, fingerprint {version.fingerprint[:12]}…)"
    )


@models_app.command("list")
def models_list() -> None:
    """List the model versions."""
    from muscle_core.store import list_versions

    _table(
        ("name", "role", "base", "adapter"),
        ((v.name, v.role, v.base or "(outputs only)", v.adapter or "-") for v in list_versions(_workspace())),
    )


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
    from muscle_core.actions.datasets import add_dataset

    pairs = [file.partition("=") for file in files]
    wrong = [split for split, mark, path in pairs if not (split and mark and path)]
    if wrong:
        raise ConfigError(f"name each file as SPLIT=FILE, for example test={wrong[0]}.")
    if len({split for split, _, _ in pairs}) < len(pairs):
        raise ConfigError("a split is named twice; put its rows into one file.")
    dataset = add_dataset(
        _workspace(),
        name,
        task,
        {split: path for split, _, path in pairs},
        template=_unescaped(template),
        max_new_tokens=max_new_tokens,
        stop=[mark.replace("\\n", "\n") for mark in stop] if stop else None,
        labels=[label.strip() for label in labels.split(",")] if labels is not None else None,
    )
    print(f"added {dataset.name}: " + ", ".join(f"{split} {rows:,} rows" for split, rows in dataset.splits.items()))


@datasets_app.command("list")
def datasets_list() -> None:
    """List the datasets."""
    from muscle_core.store import list_datasets

    _table(
        ("name", "task", "splits", "fingerprint"),
        (
            (d.name, d.task_kind, ", ".join(f"{k}: {v:,}" for k, v in d.splits.items()), d.fingerprint[:12])
            for d in list_datasets(_workspace())
        ),
    )


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
    from muscle_core.actions.evaluate import EvaluationOptions, evaluate, require_weights
    from muscle_core.scoring.engine import Engine, local_engine
    from muscle_core.store import get_version

    workspace = _workspace()
    options = EvaluationOptions(_unescaped(template), chat, scoring, encoder)
    if engine not in ("local", "ray"):
        raise ConfigError(f"unknown engine {engine!r}; known: local, ray")
    if engine == "local" and (actors, threads, address) != (1, None, None):
        raise ConfigError("--actors, --threads and --address belong to --engine ray.")
    if background:
        if engine == "ray":
            raise ConfigError("a background job does not use --engine ray; leave out one of the two.")
        from muscle_core.actions.background import submit_evaluation

        _submitted(submit_evaluation(workspace, versions, dataset, split=split, limit=limit, options=options))
        return
    answering: Engine = local_engine
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
            report=_counter(version),
        )
        print(f"{version} on {dataset} ({split}): {_summary_text(run.summary)}")


@runs_app.command("list")
def runs_list() -> None:
    """List the evaluation runs."""
    from muscle_core.store import list_datasets, list_runs, list_versions

    workspace = _workspace()
    versions = {v.id: v.name for v in list_versions(workspace)}
    datasets = {d.id: d.name for d in list_datasets(workspace)}
    _table(
        ("version", "dataset", "split", "rows", "origin", "result"),
        (
            (versions[r.version_id], datasets[r.dataset_id], r.split, f"{r.rows:,}", r.origin, _summary_text(r.summary))
            for r in list_runs(workspace)
        ),
    )


@runs_app.command("import")
def runs_import(
    version: Annotated[str, typer.Argument(help="Version the outputs are of; made where it is new.")],
    file: Annotated[Path, typer.Argument(help="File with one row a sample.")],
    dataset: DatasetOption,
    split: SplitOption = "test",
    id_column: Annotated[str, typer.Option("--id", help="Column of the sample id.")] = "id",
    prediction: Annotated[str | None, typer.Option(help="Column of the extracted answer.")] = None,
    correct: Annotated[str | None, typer.Option(help="Column that says right (1) or wrong (0).")] = None,
    output: Annotated[str | None, typer.Option(help="Column of the generated text.")] = None,
    score: Annotated[str | None, typer.Option(help="Column of a score, higher is better; for free texts.")] = None,
    texts: Annotated[Path | None, typer.Option(help="Second file that holds the text column, joined by id.")] = None,
) -> None:
    """Import per-sample outputs that were made elsewhere."""
    from muscle_core.actions.imports import import_predictions
    from muscle_core.interchange import ImportColumns

    columns = ImportColumns(id=id_column, prediction=prediction, correct=correct, output=output, score=score)
    run = import_predictions(_workspace(), version, dataset, file, columns, split=split, texts_file=texts)
    print(f"{version} on {dataset} ({split}): {_summary_text(run.summary)}")


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
    as_json: Annotated[bool, typer.Option("--json", help="Print all figures as JSON.")] = False,
) -> None:
    """Compare two evaluated versions: what the update fixed and what it broke."""
    from muscle_core.actions.compare import compare_versions
    from muscle_core.actions.evaluate import EvaluationOptions
    from muscle_core.comparison import verdict

    options = EvaluationOptions(_unescaped(template), chat, scoring, encoder)
    comparison = compare_versions(_workspace(), old, new, dataset, split=split, options=options)
    if as_json:
        print(json.dumps(comparison.to_dict(), indent=2, allow_nan=False))
    else:
        print(verdict(comparison))


@app.command("masking")
def masking_command(old: str, new: str, dataset: DatasetOption, split: SplitOption = "test") -> None:
    """Show the compatibility adapters trained for a pair, side by side with the plain new version (CSV)."""
    from muscle_core.actions.compare import compare_trained

    print(compare_trained(_workspace(), old, new, dataset, split=split).to_csv(index=False), end="")


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

    config = TaskConfig.from_dict(_options(option))
    version = train_task(
        _workspace(), name, base, dataset, config, split=split, role=role, parent=parent, report=_step_printer()
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
    from muscle_core.store import get_dataset

    workspace = _workspace()
    chosen = preset or get_dataset(workspace, dataset).made_by.get("preset", "default")
    flags = {"strategy": strategy, "initialisation": initialisation, "seed": seed}
    named = {key: value for key, value in flags.items() if value is not None}
    config = compat_preset(chosen, {**_options(option), **named})
    if background:
        from muscle_core.actions.background import submit_compat

        _submitted(
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
        workspace, old, new, dataset, config, split=split, name=name, limit=limit, report=_step_printer()
    )
    print(f"trained {version.name}")
    if evaluate_result:
        run = evaluate(workspace, version.name, dataset, split=test_split, report=_counter(version.name))
        print(f"{version.name} on {dataset} ({test_split}): {_summary_text(run.summary)}")


@jobs_app.command("list")
def jobs_list() -> None:
    """List background jobs, newest first."""
    from muscle_core.jobs import list_jobs

    _table(
        ("id", "state", "progress", "age", "title"),
        ((j.id[:8], j.state, _progress_text(j.progress), _age(j.created_at), j.title) for j in list_jobs(_workspace())),
    )


@jobs_app.command("show")
def jobs_show(job_id: str) -> None:
    """Show a job: state, error, and the end of its log."""
    from muscle_core.jobs import get_job

    workspace = _workspace()
    job = get_job(workspace, job_id)
    print(f"{job.id}  {job.state}  {_progress_text(job.progress)}\n{job.title}")
    if job.error:
        print(f"error: {job.error}")
    log = workspace.path(f"jobs/{job.id}/log.txt")
    if log.is_file():
        print("".join(line + "\n" for line in log.read_text(errors="replace").splitlines()[-200:]), end="")


@jobs_app.command("cancel")
def jobs_cancel(job_id: str) -> None:
    """Cancel a job: a queued one at once, a running one at its next step."""
    from muscle_core.jobs import get_job, request_cancel

    workspace = _workspace()
    request_cancel(workspace, job_id)
    print(get_job(workspace, job_id).state)


@app.command("worker")
def worker_command(
    idle_exit: Annotated[float | None, typer.Option(help="End after so many idle seconds.")] = None,
    once: Annotated[bool, typer.Option(help="Run what is queued, then end.")] = False,
) -> None:
    """Run background jobs, each in a process of its own, until stopped."""
    from muscle_core.jobs import run_worker

    run_worker(_workspace(), idle_exit=idle_exit, once=once)


def _unescaped(template: str | None) -> str | None:
    return None if template is None else template.replace("\\n", "\n")


def _options(pairs: list[str] | None) -> dict[str, Any]:
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


def _submitted(submission: Any) -> None:
    print(f"{'queued' if submission.is_new else 'already under way:'} job {submission.job_id[:8]}")


def _summary_text(summary: dict[str, Any]) -> str:
    if "accuracy" in summary:
        return f"{summary['accuracy']:.1%} right ({summary['right']:,} of {summary['judged']:,})"
    if "rouge1" in summary:
        return f"ROUGE-1 {summary['rouge1']:.3f}, ROUGE-L {summary['rougeL']:.3f} (mean of {summary['n']:,})"
    if "score" in summary:
        return f"score {summary['score']:.4f} (mean of {summary['n']:,})"
    return f"{summary['n']:,} rows"


def _progress_text(progress: dict[str, Any]) -> str:
    return f"{progress['stage']} {progress['done']:,}/{progress['total']:,}" if progress else "-"


def _age(moment: datetime) -> str:
    seconds = int((datetime.now(UTC) - moment).total_seconds())
    return (
        f"{seconds // 3600} h {seconds % 3600 // 60} min"
        if seconds >= 3600
        else f"{seconds // 60} min {seconds % 60} s"
    )
