"""Hold an update against its limits: in the workspace, from files of outputs, or against an approved baseline."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from muscle_core.actions.evaluation.question import EvaluationOptions
from muscle_core.actions.library.datasets import load_samples
from muscle_core.actions.updates.approvals import asked_as, portable_fingerprint, read_baseline, sample_content
from muscle_core.actions.updates.compare import predictions_of, require_run
from muscle_core.comparison.baseline import Baseline
from muscle_core.comparison.columns import KNOWN_SCORES
from muscle_core.comparison.gate import GateResult, Thresholds, gate
from muscle_core.errors import ConfigError, DataError, StoreError, raise_all
from muscle_core.interchange.junit import Case, junit_xml
from muscle_core.interchange.prediction_files import read_prediction_file
from muscle_core.paths import local_path
from muscle_core.store import (
    Dataset,
    EvaluationRun,
    Workspace,
    check_split,
    get_dataset,
    get_version,
    made_by,
)
from muscle_core.tasks import Sample


class GateReport(NamedTuple):
    """What a gate found, and on what.

    Attributes:
        result: limits, figures and flips.
        old: name of the old version.
        new: name of the new version.
        about: dataset, fingerprints, runs and baseline; for the record.
    """

    result: GateResult
    old: str
    new: str
    about: dict[str, Any]

    @property
    def passed(self) -> bool:
        """Whether every limit is kept."""
        return self.result.passed

    def to_json(self) -> str:
        """All of it as strict JSON."""
        content = {"status": "passed" if self.passed else "regression", **self.result.to_dict(), "about": self.about}
        return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    def to_junit(self) -> str:
        """JUnit XML: one test case a limit, and one a negative flip that is not allowed."""
        result = self.result
        cases = [
            Case("gate.limits", check.name, "passed" if check.passed else "failed", check.reason)
            for check in result.checks
        ]
        # Within the limits a flip is worth a look, but no failure: a red case in a green gate would be ignored soon.
        outcome = "failed" if result.flips_fail else "skipped"
        for flip in result.flips:
            told = f"right before ({flip.old_prediction!r}), wrong now ({flip.new_prediction!r}); gold {flip.gold!r}"
            cases.append(Case("gate.negative_flips", flip.sample_id, outcome, told))
        counts = {"allowed_flips": str(len(result.allowed)), "accepted_flips": str(len(result.accepted))}
        return junit_xml(f"gate: {self.old} -> {self.new}", cases, {**_flat(self.about), **counts})


def refused_json(message: str) -> str:
    """What stands in the JSON file where the gate could not judge."""
    return json.dumps({"status": "refused", "passed": False, "error": message}, indent=2, ensure_ascii=False) + "\n"


def refused_junit(message: str) -> str:
    """What stands in the JUnit file where the gate could not judge."""
    return junit_xml("gate", [Case("gate.input", "samples and settings", "error", message)], {})


def run_gate(
    workspace: Workspace,
    old_name: str | None,
    new_name: str,
    dataset_name: str,
    thresholds: Thresholds | None,
    *,
    split: str = "test",
    baseline: str | Path | None = None,
    allow: Collection[str] = (),
    options: EvaluationOptions | None = None,
    score: str | None = None,
) -> GateReport:
    """Hold an update of two evaluated versions against its limits.

    Args:
        workspace: where all is.
        old_name: old version; None for the one approved in the baseline.
        new_name: new (or compat) version.
        dataset_name: dataset.
        thresholds: the limits; None for those of the baseline.
        split: split both were evaluated on.
        baseline: file of an approved baseline, whose outputs stand for the old version; it is only read.
        allow: ids whose negative flips do not count.
        options: which runs are meant, where not those by the dataset's template and the usual scoring.
        score: the continuous score of `max_regression`; by default the leading one.

    Raises:
        ConfigError, DataError, StoreError: something is missing or does not fit; see `muscle_core.comparison.gate`.
    """
    if old_name == new_name:
        raise ConfigError(f"old and new are the same version, {new_name!r}; choose two.")
    if old_name is None and baseline is None:
        raise ConfigError("name the old version, or an approved baseline that stands for it.")
    dataset = get_dataset(workspace, dataset_name)
    check_split(dataset, split)
    new = get_version(workspace, new_name)
    new_run = require_run(workspace, new, dataset, split, options)
    samples = load_samples(workspace, dataset, split)
    about: dict[str, Any] = {"new_fingerprint": new.fingerprint, "new_run": new_run.id, **_about(dataset, split)}
    approved = None
    if baseline is not None:
        approved = read_baseline(baseline)
        _check_approved(workspace, approved, str(baseline), dataset, split, samples, old_name, new_run)
        old_predictions, old_label = approved.predictions(), approved.name
        about |= _about_baseline(approved, baseline)
    else:
        old = get_version(workspace, old_name or "")
        old_run = require_run(workspace, old, dataset, split, options)
        old_predictions, old_label = predictions_of(workspace, old_run), old.name
        about |= {"old_fingerprint": old.fingerprint, "old_run": old_run.id}
    new_predictions = predictions_of(workspace, new_run)
    if approved is not None and old_label == new.name:
        old_label += " (approved)"
    result = gate(
        old_predictions,
        new_predictions,
        _limits(thresholds, approved),
        task_kind=dataset.task_kind,
        old_name=old_label,
        new_name=new.name,
        golds={sample.id: sample.gold for sample in samples},
        allow=allow,
        accepted=approved.accepted if approved else (),
        score=score,
    )
    return GateReport(result, old_label, new.name, {**about, "made_by": made_by()})


def gate_files(
    old_file: str | Path | None,
    new_file: str | Path,
    thresholds: Thresholds | None,
    *,
    old_name: str | None = None,
    new_name: str | None = None,
    baseline: str | Path | None = None,
    allow: Collection[str] = (),
    score: str | None = None,
) -> GateReport:
    """Hold an update against its limits by two files of outputs, without workspace or models.

    Args:
        old_file: outputs of the old version (see `read_prediction_file`); None where a baseline stands for it.
        new_file: outputs of the new version.
        thresholds: the limits; None for those of the baseline.
        old_name: name of the old version; by default its file's.
        new_name: name of the new version; by default its file's.
        baseline: file of an approved baseline, which is only read.
        allow: ids whose negative flips do not count.
        score: the continuous score of `max_regression`; by default the leading one.

    Raises:
        ConfigError, DataError: something is missing or does not fit; see `muscle_core.comparison.gate`.
    """
    if (old_file is None) == (baseline is None):
        raise ConfigError("name the file of the old version or an approved baseline that stands for it, not both.")
    new_predictions = read_prediction_file(new_file, KNOWN_SCORES)
    about: dict[str, Any] = {"new_file": str(new_file)}
    approved = None
    if baseline is not None:
        approved = read_baseline(baseline)
        if old_name is not None and old_name != approved.name:
            raise ConfigError(f"{baseline} approves {approved.name!r}, not {old_name!r}.")
        old_predictions, old_label = approved.predictions(), approved.name
        about |= _about_baseline(approved, baseline)
        _check_golds(approved, new_predictions, str(baseline), str(new_file))
    else:
        assert old_file is not None
        _check_two_files(old_file, new_file)
        old_predictions, old_label = read_prediction_file(old_file, KNOWN_SCORES), old_name or Path(old_file).stem
        about["old_file"] = str(old_file)
    new_label = new_name or Path(new_file).stem
    if old_label == new_label:
        old_label, new_label = f"{old_label} (old)", f"{new_label} (new)"
    result = gate(
        old_predictions,
        new_predictions,
        _limits(thresholds, approved),
        task_kind=approved.task_kind if approved else "unknown",
        old_name=old_label,
        new_name=new_label,
        allow=allow,
        accepted=approved.accepted if approved else (),
        score=score,
    )
    return GateReport(result, old_label, new_label, {**about, "made_by": made_by()})


def _check_approved(
    workspace: Workspace,
    approved: Baseline,
    place: str,
    dataset: Dataset,
    split: str,
    samples: list[Sample],
    old_name: str | None,
    new_run: EvaluationRun,
) -> None:
    """Refuse a baseline of another version, dataset or way of asking."""
    if approved.dataset is None:
        raise DataError(f"{place} was made from files and does not tell its dataset; approve one from this workspace.")
    problems = []
    if old_name is not None and old_name != approved.name:
        problems.append(f"it approves {approved.name!r}, not {old_name!r}")
    elif old_name is not None and (changed := _other_weights(workspace, approved)):
        problems.append(changed)
    if approved.task_kind != dataset.task_kind:
        problems.append(f"it is about {approved.task_kind}, and dataset {dataset.name!r} is {dataset.task_kind}")
    if approved.dataset["split"] != split:
        problems.append(f"it is about the split {approved.dataset['split']!r}, not {split!r}")
    evaluation = asked_as(new_run)
    if approved.evaluation is not None and evaluation is not None and approved.evaluation != evaluation:
        problems.append("its version was asked or judged in another way (template, decoding, scoring)")
    raise_all(problems, DataError, f"{place} does not fit this gate")
    approved.check_contents({sample.id: sample_content(sample) for sample in samples}, place)
    if approved.dataset["fingerprint"] != dataset.fingerprint:
        raise DataError(
            f"dataset {dataset.name!r} is not the one approved in {place}: the samples of {split!r} are the same, but "
            "not those of other splits. Approve a baseline for it."
        )


def _check_golds(approved: Baseline, predictions: pd.DataFrame, place: str, file: str) -> None:
    """Without a dataset the right answers are all that can tell a changed sample."""
    known = any(sample.gold is not None for sample in approved.samples)
    if known and ("gold" not in predictions or predictions["gold"].isna().any()):
        raise DataError(
            f"{file} needs the right answer of each sample (column gold): without it nothing tells whether the samples "
            f"are still those approved in {place}."
        )


def _check_two_files(old_file: str | Path, new_file: str | Path) -> None:
    old, new = local_path(old_file, DataError), local_path(new_file, DataError)
    if old.exists() and new.exists() and old.samefile(new):
        raise ConfigError(f"old and new are the same file, {old_file}; choose two.")


def _other_weights(workspace: Workspace, approved: Baseline) -> str | None:
    try:
        version = get_version(workspace, approved.name)
    except StoreError:
        return None  # its outputs are in the baseline: it need not be here
    known, here = approved.version["fingerprint"], portable_fingerprint(version)
    if known is None or here is None or known == here:
        return None
    return f"the version {approved.name!r} of this workspace has other weights than the one approved"


def _limits(thresholds: Thresholds | None, approved: Baseline | None) -> Thresholds:
    if thresholds is not None:
        return thresholds
    return approved.thresholds if approved and approved.thresholds else Thresholds()


def _about(dataset: Dataset, split: str) -> dict[str, Any]:
    return {"dataset": dataset.name, "dataset_fingerprint": dataset.fingerprint, "split": split}


def _about_baseline(approved: Baseline, place: str | Path) -> dict[str, Any]:
    facts = {"baseline": str(place), "approved_by": approved.approved_by, "approved_at": approved.approved_at}
    return {**facts, "old_fingerprint": approved.version["fingerprint"]}


def _flat(about: dict[str, Any]) -> dict[str, str]:
    return {key: str(value) for key, value in about.items() if isinstance(value, str)}
