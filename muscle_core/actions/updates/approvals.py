"""Approve what a version answers: the baseline that later gates hold an update against."""

from __future__ import annotations

import getpass
from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from muscle_core.actions.evaluation.question import EvaluationOptions
from muscle_core.actions.library.datasets import load_samples
from muscle_core.actions.updates.compare import predictions_of, require_run
from muscle_core.comparison.baseline import ApprovedSample, Baseline
from muscle_core.comparison.columns import KNOWN_SCORES
from muscle_core.comparison.gate import Thresholds, gate
from muscle_core.comparison.gate_samples import check_samples, some
from muscle_core.datasets.samples import content_id
from muscle_core.errors import ConfigError, DataError
from muscle_core.interchange.files import check_targets, write_whole
from muscle_core.interchange.prediction_files import read_prediction_file
from muscle_core.paths import local_path, reason
from muscle_core.store import (
    EvaluationRun,
    ModelVersion,
    Workspace,
    check_split,
    get_dataset,
    get_version,
    made_by,
)
from muscle_core.tasks import ParsedRow, Sample


def approve(
    workspace: Workspace,
    name: str,
    dataset_name: str,
    out: str | Path,
    *,
    candidate: str | None = None,
    accept: Collection[str] = (),
    accept_all: bool = False,
    thresholds: Thresholds | None = None,
    split: str = "test",
    options: EvaluationOptions | None = None,
    by: str | None = None,
    force: bool = False,
) -> Baseline:
    """Approve what a version answers, and write it as the baseline of later gates.

    Args:
        workspace: where all is.
        name: version to approve.
        dataset_name: dataset.
        out: file to write.
        candidate: version some of whose negative flips are accepted.
        accept: ids of negative flips from `name` to `candidate` to accept.
        accept_all: accept all of them.
        thresholds: limits that apply where a gate names none.
        split: split that was evaluated.
        options: which runs are meant, where not those by the dataset's template and the usual scoring.
        by: who approves; by default the user of this process.
        force: replace an earlier baseline.

    Raises:
        ConfigError: the file is there already or cannot be written, or thresholds that cannot be meant.
        DataError: a sample is missing or not judged, or an accepted id is no negative flip.
        StoreError: something is missing in the workspace.
    """
    check_targets({"--out": Path(out)}, {}, replace=force)
    version, dataset = get_version(workspace, name), get_dataset(workspace, dataset_name)
    check_split(dataset, split)
    run = require_run(workspace, version, dataset, split, options)
    samples = load_samples(workspace, dataset, split)
    golds = {sample.id: sample.gold for sample in samples}
    predictions = predictions_of(workspace, run)
    other = None
    if candidate is not None:
        reviewed = get_version(workspace, candidate)
        other = (
            {"name": reviewed.name, "fingerprint": portable_fingerprint(reviewed)},
            predictions_of(workspace, require_run(workspace, reviewed, dataset, split, options)),
        )
    return _approve(
        out,
        predictions,
        version={"name": version.name, "fingerprint": portable_fingerprint(version)},
        task_kind=dataset.task_kind,
        golds=golds,
        contents={sample.id: sample_content(sample) for sample in samples},
        dataset={"name": dataset.name, "fingerprint": dataset.fingerprint, "split": split},
        evaluation=asked_as(run),
        candidate=other,
        accept=accept,
        accept_all=accept_all,
        thresholds=thresholds,
        by=by,
    )


def approve_files(
    file: str | Path,
    out: str | Path,
    *,
    name: str | None = None,
    candidate_file: str | Path | None = None,
    candidate_name: str | None = None,
    accept: Collection[str] = (),
    accept_all: bool = False,
    thresholds: Thresholds | None = None,
    by: str | None = None,
    force: bool = False,
) -> Baseline:
    """Like `approve`, from files of outputs.

    Args:
        file: outputs of the version to approve.
        out: file to write.
        name: name of the version; by default its file's.
        candidate_file: outputs of a version some of whose negative flips are accepted.
        candidate_name: its name; by default its file's.
        accept: ids of negative flips to accept.
        accept_all: accept all of them.
        thresholds: limits that apply where a gate names none.
        by: who approves; by default the user of this process.
        force: replace an earlier baseline.

    Raises:
        ConfigError, DataError: as `approve`.
    """
    kept = {"the outputs": Path(file), "the candidate": Path(candidate_file) if candidate_file else None}
    check_targets({"--out": Path(out)}, kept, replace=force)
    other = None
    if candidate_file is not None:
        label: dict[str, str | None] = {"name": candidate_name or Path(candidate_file).stem, "fingerprint": None}
        other = (label, read_prediction_file(candidate_file, KNOWN_SCORES))
    return _approve(
        out,
        read_prediction_file(file, KNOWN_SCORES),
        version={"name": name or Path(file).stem, "fingerprint": None},
        task_kind="unknown",
        golds=None,
        contents={},
        dataset=None,
        evaluation=None,
        candidate=other,
        accept=accept,
        accept_all=accept_all,
        thresholds=thresholds,
        by=by,
    )


def read_baseline(path: str | Path) -> Baseline:
    """Read an approved baseline.

    Raises:
        DataError: there is none, or it is damaged.
    """
    file = local_path(path, DataError)
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is no approved baseline: it is not UTF-8 text.") from error
    except OSError as error:
        raise DataError(f"the approved baseline {path} cannot be read: {reason(error)}.") from error
    return Baseline.from_text(text, str(path))


def sample_content(sample: Sample) -> str:
    """Hash of a sample's input, choices, right answer and target."""
    return content_id(ParsedRow(sample.input, sample.gold, sample.target, sample.choices))


def portable_fingerprint(version: ModelVersion) -> str | None:
    """Fingerprint of a version's weights; None without weights, since it is then an id of this workspace only."""
    return version.fingerprint if version.base_fingerprint is not None else None


def asked_as(run: EvaluationRun) -> dict[str, Any] | None:
    """How a run's version was asked and judged; None of an imported run, which does not tell."""
    return None if run.origin == "imported" else {"template": run.template, "decoding": run.decoding}


def _approve(
    out: str | Path,
    predictions: pd.DataFrame,
    *,
    version: dict[str, str | None],
    task_kind: str,
    golds: dict[str, str] | None,
    contents: dict[str, str],
    dataset: dict[str, str] | None,
    evaluation: dict[str, Any] | None,
    candidate: tuple[dict[str, str | None], pd.DataFrame] | None,
    accept: Collection[str],
    accept_all: bool,
    thresholds: Thresholds | None,
    by: str | None,
) -> Baseline:
    if thresholds is not None:
        thresholds.check()
    if candidate is None and (accept or accept_all):
        raise ConfigError("negative flips can be accepted of a second version only; name the version that has them.")
    name = str(version["name"])
    check_samples(predictions, predictions, name, name, golds, {})
    accepted: tuple[str, ...] = ()
    if candidate is not None:
        accepted = _accepted(predictions, candidate[1], name, str(candidate[0]["name"]), golds, accept, accept_all)
    scores = [column for column in KNOWN_SCORES if column in predictions and predictions[column].notna().any()]
    fields = [name for name in ("sample_id", "prediction", "correct", "gold", *scores) if name in predictions]
    table = predictions[fields].astype(object)
    rows = table.where(table.notna(), None).to_dict("records")
    samples = tuple(
        ApprovedSample(
            id=str(row["sample_id"]),
            content=contents.get(row["sample_id"]),
            gold=golds[row["sample_id"]] if golds is not None else row.get("gold"),
            correct=None if row["correct"] is None else bool(row["correct"]),
            prediction=row["prediction"],
            scores={column: row[column] for column in scores},
        )
        for row in rows
    )
    baseline = Baseline(
        version=version,
        task_kind=task_kind,
        dataset=dataset,
        evaluation=evaluation,
        samples=samples,
        accepted=accepted,
        candidate=None if candidate is None else candidate[0],
        thresholds=thresholds,
        approved_by=by or _user(),
        approved_at=datetime.now(UTC).isoformat(timespec="seconds"),
        made_by=made_by(),
    )
    baseline.check(name)
    write_whole({Path(out): baseline.to_text()})
    return baseline


def _accepted(
    old: pd.DataFrame,
    new: pd.DataFrame,
    old_name: str,
    new_name: str,
    golds: dict[str, str] | None,
    accept: Collection[str],
    accept_all: bool,
) -> tuple[str, ...]:
    """Ids of the negative flips to accept, sorted; an id that is none is refused."""
    if not accept and not accept_all:
        raise ConfigError(f"say which negative flips of {new_name!r} are accepted: name their ids, or accept all.")
    if not any(table["correct"].notna().any() for table in (old, new)):
        raise ConfigError("these samples have no right and wrong, so there is no negative flip to accept.")
    any_limit = Thresholds(max_flips=0)
    found = gate(old, new, any_limit, task_kind="", old_name=old_name, new_name=new_name, golds=golds, allow=accept)
    flips = {flip.sample_id for flip in (*found.flips, *found.allowed)}
    wrong = sorted(set(accept) - flips)
    if wrong:
        raise DataError(f"only negative flips can be accepted, and these are none of {new_name!r}: {some(wrong)}.")
    return tuple(sorted(flips if accept_all else accept))


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # a container may run under a number without a name
        return "unknown"
