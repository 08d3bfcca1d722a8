"""The noise floor of an update, from what the workspace holds: declared replicas, and versions with several runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import pyarrow as pa

from muscle_core.actions.evaluation.question import EvaluationOptions
from muscle_core.actions.updates.compare import compare_versions, latest_run
from muscle_core.actions.updates.replicas import replicas_of
from muscle_core.comparison import Comparison, Judgement, NoiseFloor, judge, noise_floor
from muscle_core.comparison.columns import KNOWN_SCORES
from muscle_core.comparison.verdict import MARGIN
from muscle_core.errors import ConfigError
from muscle_core.store import (
    Dataset,
    EvaluationRun,
    ModelVersion,
    Workspace,
    check_split,
    get_dataset,
    get_version,
    read_prediction_table,
    runs_of,
)

# A run of fewer rows, as a share of the longest, is left out: only samples that all runs hold count for the floor.
_LEAST_ROWS = 0.9
_COLUMNS = ["sample_id", "prediction", "correct", "gold", *KNOWN_SCORES]


class FloorRuns(NamedTuple):
    """The runs that a noise floor is taken from.

    Attributes:
        groups: runs by a name for people; those of a group are runs of one version.
        borrowed: whether they were asked for, being of neither of the compared versions.
        same_version: whether the compared versions are declared replicas of one another.
    """

    groups: list[dict[str, EvaluationRun]]
    borrowed: bool
    same_version: bool

    @property
    def ids(self) -> tuple[tuple[str, ...], ...]:
        """Ids of the runs, which decide the floor."""
        return tuple(tuple(run.id for run in group.values()) for group in self.groups)


class JudgedUpdate(NamedTuple):
    """A comparison, the noise floor where there is one, and what the update is called."""

    comparison: Comparison
    noise: NoiseFloor | None
    judgement: Judgement


def noise_floor_of(
    workspace: Workspace,
    old_name: str,
    new_name: str,
    dataset_name: str,
    *,
    split: str = "test",
    options: EvaluationOptions | None = None,
    borrowed_from: Sequence[str] = (),
) -> NoiseFloor | None:
    """Noise floor of a comparison, from runs of the old version, of the new version, or of both.

    Runs of a version are its own and those of its declared replicas, of one template, decoding and row limit; a run
    with less than nine tenths of the rows of the longest is left out. Where both versions were run more than once,
    both are pooled.

    Args:
        workspace: where all is.
        old_name: old version.
        new_name: new version.
        dataset_name: dataset.
        split: split they were evaluated on.
        options: which runs are meant, where not those by the dataset's template and the usual scoring.
        borrowed_from: take the runs of these versions instead; each must have been run more than once, itself or as a
            declared replica.

    Returns:
        The floor, or None where neither version was run twice.

    Raises:
        StoreError: no such version, dataset or split.
        ConfigError: a version to borrow from was run only once.
        DataError: the runs share no sample.
    """
    dataset = get_dataset(workspace, dataset_name)
    check_split(dataset, split)
    pair = get_version(workspace, old_name), get_version(workspace, new_name)
    runs = floor_runs(workspace, *pair, dataset, split, options=options, borrowed_from=borrowed_from)
    return floor_of_runs(workspace, runs)


def floor_runs(
    workspace: Workspace,
    old: ModelVersion,
    new: ModelVersion,
    dataset: Dataset,
    split: str,
    *,
    options: EvaluationOptions | None = None,
    borrowed_from: Sequence[str] = (),
) -> FloorRuns:
    """The runs that the noise floor of a comparison is taken from; see `noise_floor_of`.

    Raises:
        StoreError: no such version to borrow from.
        ConfigError: a version to borrow from was run only once.
    """
    sources = [get_version(workspace, name) for name in borrowed_from] or [old, new]
    families: dict[str, ModelVersion] = {}
    for version in sources:
        families.setdefault(version.replica_of or version.id, version)
    groups = [_runs_of_family(workspace, version, dataset, split, options) for version in families.values()]
    if borrowed_from:
        single = [version.name for version, group in zip(families.values(), groups, strict=True) if len(group) < 2]
        if single:
            raise ConfigError(
                f"no noise floor can be borrowed from {', '.join(single)}: one run on {dataset.name!r} ({split}) or "
                "none. Import another run, or declare versions that are the same model: python -m muscle_core models "
                "replica NAME OF"
            )
    same = (old.replica_of or old.id) == (new.replica_of or new.id)
    return FloorRuns([group for group in groups if len(group) > 1], bool(borrowed_from), same)


def floor_of_runs(workspace: Workspace, runs: FloorRuns) -> NoiseFloor | None:
    """Read the runs and measure the noise floor; None where there are none.

    Raises:
        DataError: the runs share no sample.
    """
    groups = [{name: _read(workspace, run) for name, run in group.items()} for group in runs.groups]
    return noise_floor(groups, borrowed=runs.borrowed, same_version=runs.same_version)


def judge_update(
    workspace: Workspace,
    old_name: str,
    new_name: str,
    dataset_name: str,
    *,
    split: str = "test",
    options: EvaluationOptions | None = None,
    cluster: str | None = None,
    borrowed_from: Sequence[str] = (),
    margin: float = MARGIN,
) -> JudgedUpdate:
    """Compare two versions, measure the noise floor where there is one, and judge the update by both.

    Args:
        workspace: where all is.
        old_name: old version.
        new_name: new version.
        dataset_name: dataset.
        split: split both were evaluated on.
        options: as of `noise_floor_of`.
        cluster: as of `compare_versions`; the interval of the floor itself counts samples all the same.
        borrowed_from: as of `noise_floor_of`.
        margin: as of `muscle_core.comparison.judge`.

    Raises:
        StoreError, ConfigError, DataError: as of `compare_versions` and `noise_floor_of`.
    """
    comparison = compare_versions(
        workspace, old_name, new_name, dataset_name, split=split, options=options, cluster=cluster
    )
    noise = noise_floor_of(
        workspace, old_name, new_name, dataset_name, split=split, options=options, borrowed_from=borrowed_from
    )
    return JudgedUpdate(comparison, noise, judge(comparison, noise, margin=margin))


def _runs_of_family(
    workspace: Workspace, version: ModelVersion, dataset: Dataset, split: str, options: EvaluationOptions | None
) -> dict[str, EvaluationRun]:
    found: dict[str, EvaluationRun] = {}
    judged: bool | None = None  # right or wrong, or a score: what the first version's run has
    members = replicas_of(workspace, version)
    for member in sorted(members, key=lambda one: one.id != version.id):
        first = latest_run(workspace, member, dataset, split, options)
        if first is None or judged not in (None, "accuracy" in first.summary):
            continue
        judged = "accuracy" in first.summary
        alike = [run for run in runs_of(workspace, member, dataset, split) if _asked(run) == _asked(first)]
        found |= {f"{member.name} (run {run.id[:8]})" if len(alike) > 1 else member.name: run for run in alike}
    longest = max((run.rows for run in found.values()), default=0)
    return {name: run for name, run in found.items() if run.rows >= _LEAST_ROWS * longest}


def _asked(run: EvaluationRun) -> tuple[object, ...]:
    """What must agree for two runs of a version to differ by noise only."""
    return run.template, run.decoding, run.origin, run.row_limit, "accuracy" in run.summary


def _read(workspace: Workspace, run: EvaluationRun) -> pa.Table:
    return read_prediction_table(workspace.local(run.path), _COLUMNS)
