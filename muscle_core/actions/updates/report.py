"""Make the report of an update: gather what the workspace knows of it, and write one HTML file."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path, PurePath
from uuid import uuid4

import pandas as pd

from muscle_core.actions.reviews.answers import PairAnswers
from muscle_core.actions.reviews.causes import list_causes
from muscle_core.actions.reviews.findings import LABELS, agreement_of, summary_of
from muscle_core.actions.reviews.queue import queue_samples
from muscle_core.actions.reviews.records import reviews_of
from muscle_core.actions.strategies.over_seeds import compare_over_seeds
from muscle_core.actions.updates.compare import (
    VersionPair,
    compare_trained,
    predictions_of,
    require_run,
    trained_variants,
)
from muscle_core.actions.updates.explain import (
    explain,
    margin_unit,
    property_name,
    sample_table,
    slice_columns,
    with_topics,
)
from muscle_core.actions.updates.noise import judge_update
from muscle_core.comparison import Comparison, compare, compare_strategies
from muscle_core.comparison.repair import repair_of
from muscle_core.comparison.slices import find_slices, slice_table
from muscle_core.errors import ConfigError
from muscle_core.paths import local_path, reason
from muscle_core.report import (
    THEMES,
    CompatEffect,
    DatasetFacts,
    Provenance,
    ReportData,
    ReviewerPair,
    Reviews,
    RunFacts,
    Slices,
    VersionFacts,
    render_report,
)
from muscle_core.report.page import check_flips
from muscle_core.store import (
    Dataset,
    EvaluationRun,
    ModelVersion,
    Workspace,
    check_split,
    get_dataset,
    get_version,
    list_training_runs,
    made_by,
)
from muscle_core.store.tables import INTERPOLATION, now

MINIMUM_SLICE = 30
_SOURCE = Path(__file__).resolve().parents[3]


def write_report(
    workspace: Workspace,
    old_name: str,
    new_name: str,
    dataset_name: str,
    out: str | Path | None = None,
    *,
    split: str = "test",
    compat: str | None = None,
    flips: int = 20,
    theme: str = "auto",
    force: bool = False,
    moment: datetime | None = None,
) -> Path:
    """Write the report of an update as one HTML file that opens without a network.

    Args:
        workspace: where all is.
        old_name: old version.
        new_name: new version.
        dataset_name: dataset that both were evaluated on.
        out: file to write; by default OLD-to-NEW-DATASET.html in the current folder.
        split: its split.
        compat: compatibility adapter to set beside the new version; by default all that were trained for the pair.
        flips: most negative flips to spell out.
        theme: "auto", "light" or "dark".
        force: overwrite the file if there is one.
        moment: date of the report; by default now.

    Returns:
        The file. It appears complete or not at all.

    Raises:
        ConfigError: the file is there already or cannot be written, or an option has a value that cannot work.
        StoreError: something is missing; the message says how to make it.
        DataError: the answers cannot be compared, or the dataset's file is gone.
    """
    file = local_path(out or report_name(old_name, new_name, dataset_name), ConfigError).absolute()
    _check_target(file, force)
    text = report_html(
        workspace,
        old_name,
        new_name,
        dataset_name,
        split=split,
        compat=compat,
        flips=flips,
        theme=theme,
        moment=moment,
    )
    partial = file.with_name(f".{file.name[:200]}.{uuid4().hex[:8]}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        if force:
            partial.replace(file)
        else:
            _move_unless_there(partial, file)
    except OSError as error:
        raise ConfigError(f"the report cannot be written to {file}: {reason(error)}.") from error
    finally:
        partial.unlink(missing_ok=True)
    return file


def report_name(old_name: str, new_name: str, dataset_name: str) -> str:
    """Return the usual name of a report's file."""
    return f"{old_name}-to-{new_name}-{dataset_name}.html"


def report_html(
    workspace: Workspace,
    old_name: str,
    new_name: str,
    dataset_name: str,
    *,
    split: str = "test",
    compat: str | None = None,
    flips: int = 20,
    theme: str = "auto",
    moment: datetime | None = None,
) -> str:
    """Return the report of an update as the text of one HTML page; arguments and errors as of `write_report`."""
    if theme not in THEMES:  # told before minutes of work, not after
        raise ConfigError(f"there is no theme {theme!r} for a report; choose one of {', '.join(THEMES)}.")
    data = gather_report(
        workspace, old_name, new_name, dataset_name, split=split, compat=compat, flips=flips, moment=moment
    )
    return render_report(data, theme=theme)


def gather_report(
    workspace: Workspace,
    old_name: str,
    new_name: str,
    dataset_name: str,
    *,
    split: str = "test",
    compat: str | None = None,
    flips: int = 20,
    moment: datetime | None = None,
) -> ReportData:
    """Return everything that a report shows; arguments and errors as of `write_report`."""
    check_flips(flips)
    if len({old_name, new_name, compat}) < 3:
        raise ConfigError(
            f"old, new and compat must be different versions; got {old_name!r}, {new_name!r} and {compat!r}."
        )
    versions = [get_version(workspace, name) for name in (old_name, new_name, compat) if name is not None]
    dataset = get_dataset(workspace, dataset_name)
    check_split(dataset, split)
    runs = [require_run(workspace, version, dataset, split) for version in versions]
    frames = [predictions_of(workspace, run) for run in runs]
    comparison, noise, judgement = judge_update(workspace, old_name, new_name, dataset_name, split=split)
    unit = margin_unit(runs[:2])
    samples = explain(comparison, frames[0], frames[1], sample_table(workspace, dataset, split), unit=unit)
    over_seeds = variants = effect = None
    if compat is None:
        over_seeds, variants = _trained(workspace, versions[0], versions[1], dataset, split)
    else:
        variants = _beside(workspace, versions, frames, dataset, split)
        repaired = compare(
            frames[0], frames[2], task_kind=dataset.task_kind, old_name=old_name, new_name=versions[2].name
        )
        effect = _effect(comparison, repaired, frames[2])
    arguments = [old_name, new_name, "--dataset", dataset_name, "--split", split, "--flips", str(flips)]
    arguments += [] if compat is None else ["--compat", compat]
    return ReportData(
        comparison=comparison,
        judgement=judgement,
        provenance=Provenance(
            versions=_version_facts(workspace, versions),
            dataset=DatasetFacts(dataset.name, split, dataset.splits[split], dataset.task_kind, dataset.fingerprint),
            runs=tuple(_run_facts(version, run) for version, run in zip(versions, runs, strict=True)),
            command=f"python -m muscle_core report {shlex.join(arguments)}",
            made=moment or now(),
            software=_software(made_by()),
            commit=_commit(),
        ),
        samples=samples,
        noise=noise,
        slices=_slices(samples, dataset.task_kind, comparison),
        margin_unit=unit,
        over_seeds=over_seeds,
        variants=variants,
        compat=effect,
        reviews=_reviews(workspace, VersionPair(versions[0], versions[1], dataset, split), comparison, runs),
        flips=flips,
    )


def _reviews(
    workspace: Workspace,
    pair: VersionPair,
    comparison: Comparison,
    runs: Sequence[EvaluationRun],
) -> Reviews | None:
    """What people said of the samples that the update broke; None where nobody said anything."""
    answers = PairAnswers(workspace, runs[:2], comparison)
    every = reviews_of(workspace, pair, answers)
    samples = queue_samples(answers)
    said = every[samples.positions(every["sample_id"]) >= 0]
    if said.empty:
        return None
    causes = [cause.name for cause in list_causes(workspace)]
    found = summary_of(samples, said, causes)
    fresh = said[~said["stale"]]
    order = pd.DataFrame({"position": samples.positions(fresh["sample_id"]), "by": fresh["reviewer"].to_numpy()})
    fresh = fresh.iloc[order.sort_values(["position", "by"], kind="stable").index]
    return Reviews(
        reviewed=found.reviewed,
        stale=found.stale,
        reviewers=int(fresh["reviewer"].nunique()),
        shares={label: getattr(found, f"by_{label}") for label in LABELS},
        pairs=[
            ReviewerPair(one.first, one.second, label, one.agreement)
            for label in LABELS
            for one in agreement_of(fresh, label)
        ],
        said=fresh[["sample_id", "reviewer", *LABELS, "note"]].reset_index(drop=True),
    )


def _trained(
    workspace: Workspace, old: ModelVersion, new: ModelVersion, dataset: Dataset, split: str
) -> tuple[pd.DataFrame | None, pd.DataFrame | None]:
    """What was trained for the pair, over seeds; and one by one what has no seed: mixes and the ensemble."""
    found = [v for v in trained_variants(workspace, old, new, dataset, split) if v.run is not None]
    trainings = [v for v in found if v.training.kind != INTERPOLATION]
    over_seeds = None
    if trainings:
        over_seeds = compare_over_seeds(workspace, old.name, new.name, dataset.name, trainings, split=split)
    table = compare_trained(workspace, old.name, new.name, dataset.name, split=split)
    names = {v.version.name for v in trainings}
    seedless = table[~table["version"].isin(names)].reset_index(drop=True)
    return over_seeds, seedless if len(seedless) > 1 else None


def _beside(
    workspace: Workspace, versions: Sequence[ModelVersion], frames: Sequence[pd.DataFrame], dataset: Dataset, split: str
) -> pd.DataFrame:
    """The plain new version and one adapter, in the columns of `compare_trained`."""
    old, new, compat = versions
    table = compare_strategies(
        frames[0],
        frames[1],
        {compat.name: frames[2]},
        task_kind=dataset.task_kind,
        old_name=old.name,
        new_name=new.name,
    ).rename(columns={"strategy": "version"})
    training = next(
        (v.training for v in trained_variants(workspace, old, new, dataset, split) if v.version.id == compat.id), None
    )
    summary = {} if training is None else training.summary
    table["label"] = table["version"]
    table["strategy"] = pd.Series([None, compat.name if training is None else training.strategy], dtype=object)
    table["initialisation"] = pd.Series([None, None if training is None else training.initialisation], dtype=object)
    table["old_share"] = pd.Series([None, summary.get("old_share")], dtype=object)
    return table


def _effect(plain: Comparison, with_compat: Comparison, answers: pd.DataFrame) -> CompatEffect:
    """Which flips of the plain new version the adapter repairs, and what it breaks instead."""
    counted = repair_of(plain, with_compat.samples.set_index("sample_id")["new_correct"])
    columns = [name for name in ("prediction", "output", "correct", "finish_reason", "margin") if name in answers]
    columns += [name for name in with_compat.continuous if name in answers]
    return CompatEffect(
        comparison=with_compat,
        repaired=counted.repaired,
        flips=counted.flips,
        added=counted.broken,
        answers=answers.drop_duplicates("sample_id", keep=False).set_index("sample_id")[columns],
    )


def _slices(samples: pd.DataFrame, task_kind: str, comparison: Comparison) -> Slices:
    score = comparison.score if comparison.counts is None else None
    frame = with_topics(samples)
    columns = slice_columns(frame, task_kind)
    readable = {column: property_name(column) for column in columns}
    if len(set(readable.values())) == len(columns) and not set(readable.values()) & (set(frame) - set(columns)):
        frame, columns = frame.rename(columns=readable), list(readable.values())
    return Slices(
        by_value=slice_table(frame, columns, minimum=MINIMUM_SLICE, score=score),
        found=find_slices(frame, columns, minimum=MINIMUM_SLICE, score=score),
        minimum=MINIMUM_SLICE,
    )


def _version_facts(workspace: Workspace, versions: Sequence[ModelVersion]) -> tuple[VersionFacts, ...]:
    trainings = {run.result_version_id: run for run in list_training_runs(workspace)}
    facts = []
    for role, version in zip(("old version", "new version", "compatibility adapter"), versions, strict=False):
        known = {
            "weights": version.base_fingerprint,
            "adapter": version.adapter_fingerprint,
            "tokenizer": version.tokenizer_fingerprint,
        }
        training = trainings.get(version.id)
        text = ""
        if training is not None:
            strategy = f" by {training.strategy}" if training.strategy else ""
            text = f"{training.kind} training{strategy}, seed {training.seed}, on split {training.split}"
        base = version.base
        if base is not None and PurePath(base).is_absolute():
            base = PurePath(base).name  # where it lies on a machine is nobody else's business
        revision = f" at {version.revision}" if version.revision else ""
        facts.append(
            VersionFacts(
                role,
                version.name,
                None if base is None else base + revision,
                {what: value for what, value in known.items() if value},
                text,
            )
        )
    return tuple(facts)


def _run_facts(version: ModelVersion, run: EvaluationRun) -> RunFacts:
    return RunFacts(
        version.name,
        run.id,
        run.origin,
        run.rows,
        run.created_at,
        run.template,
        {name: value for name, value in run.decoding.items() if value not in (None, [], "")},
        _software(run.made_by),
    )


def _software(record: Mapping[str, object]) -> dict[str, str]:
    """Versions of what made something, by name, from its record."""
    named = {name: str(record[name]) for name in ("muscle_core", "python", "machine") if name in record}
    libraries = record.get("libraries")
    if isinstance(libraries, Mapping):
        named |= {str(name): str(value) for name, value in sorted(libraries.items())}
    return named


def _commit() -> str | None:
    """State of the source code where it lies in its own git checkout; None elsewhere."""
    if not (_SOURCE / ".git").exists():
        return None
    command = ["git", "-C", str(_SOURCE), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None


def _check_target(file: Path, force: bool) -> None:
    if file.is_dir():
        raise ConfigError(f"{file} is a folder; name the file that the report goes to.")
    if not file.parent.is_dir():
        raise ConfigError(f"the folder {file.parent} does not exist; make it, or name another file.")
    if file.exists() and not force:
        raise _there_already(file)


def _there_already(file: Path) -> ConfigError:
    return ConfigError(
        f"{file} is there already and was left as it is; name another file, or overwrite it with --force."
    )


def _move_unless_there(partial: Path, file: Path) -> None:
    """Give a complete file its name; refuse where another process took it meanwhile."""
    try:
        os.link(partial, file)
    except FileExistsError as error:
        raise _there_already(file) from error
    except OSError:  # a disk without hard links
        if file.exists():
            raise _there_already(file) from None
        partial.rename(file)
