"""The history of a dataset over many versions, from the runs that the workspace holds."""

from __future__ import annotations

from collections.abc import Sequence

from muscle_core.actions.evaluation.question import EvaluationOptions
from muscle_core.actions.updates.compare import latest_run, require_run
from muscle_core.comparison import History, history
from muscle_core.errors import ConfigError
from muscle_core.store import Workspace, check_split, get_dataset, get_version, list_versions, read_prediction_table


def history_of(
    workspace: Workspace,
    names: Sequence[str],
    dataset_name: str,
    *,
    split: str = "test",
    options: EvaluationOptions | None = None,
) -> History:
    """Put the newest runs of versions side by side.

    Args:
        workspace: where all is.
        names: versions in the order of their releases; empty for all that were evaluated there, in the order in which
            they were added.
        dataset_name: dataset.
        split: split they were evaluated on.
        options: which runs are meant, where not those by the dataset's template and the usual scoring.

    Raises:
        StoreError: no such version or dataset, or a version was not evaluated there; the message says how to.
        ConfigError: fewer than two versions, or one twice.
        DataError: a version has no right or wrong.
    """
    dataset = get_dataset(workspace, dataset_name)
    check_split(dataset, split)
    twice = sorted({name for name in names if list(names).count(name) > 1})
    if twice:
        raise ConfigError(f"{', '.join(twice)} is named more than once; a history has every version once.")
    if names:
        versions = [get_version(workspace, name) for name in names]
        runs = {one.name: require_run(workspace, one, dataset, split, options) for one in versions}
    else:
        found = {one.name: latest_run(workspace, one, dataset, split, options) for one in list_versions(workspace)}
        runs = {name: run for name, run in found.items() if run is not None}
    columns = ["sample_id", "correct", "gold"]
    return history({name: read_prediction_table(workspace.local(run.path), columns) for name, run in runs.items()})
