"""What a workspace lacks before two versions can be compared, and the one thing to do next."""

from __future__ import annotations

from dataclasses import dataclass

from muscle_core.store import Dataset, ModelVersion, Workspace, list_datasets, list_runs, list_versions

EMPTY = "empty"  # nothing is there
ADD_VERSIONS = "add versions"  # datasets, but nothing that was asked or could be
ADD_DATASET = "add dataset"  # versions, but nothing to ask them
EVALUATE = "evaluate"  # `versions` can be asked on `dataset`; two are comparable then
SECOND_VERSION = "second version"  # one version alone
IMPORT_OUTPUTS = "import outputs"  # `versions` have no weights and were not asked on `dataset`
_COMMAND = "python -m muscle_core"


@dataclass(frozen=True)
class NextStep:
    """The next thing to do.

    Attributes:
        kind: one of the kinds of this module.
        dataset: name of the dataset that it is about; None where there is none.
        split: its split.
        evaluated: names of the versions whose answers on it are there.
        versions: names of the versions whose answers are missing.
        command: what does it from a shell, with capitals where the user must name something.
    """

    kind: str
    dataset: str | None = None
    split: str | None = None
    evaluated: tuple[str, ...] = ()
    versions: tuple[str, ...] = ()

    @property
    def command(self) -> str:
        """See the class."""
        dataset, split = self.dataset or "NAME", self.split or "test"
        add_version = f"{_COMMAND} models add NAME FOLDER_OR_GGUF_OR_HUB_ID --adapter ADAPTER_FOLDER"
        add_dataset = f"{_COMMAND} datasets add {dataset} --task multiple_choice test=FILE.jsonl train=FILE.jsonl"
        if self.kind == EVALUATE:
            return f"{_COMMAND} evaluate {' '.join(self.versions)} --dataset {dataset} --split {split}"
        if self.kind == IMPORT_OUTPUTS:
            names = self.versions or ("NAME",)
            return "\n".join(
                f"{_COMMAND} runs import {name} FILE --dataset {dataset} --split {split}" for name in names
            )
        if self.kind == ADD_DATASET:
            return add_dataset
        if self.kind == SECOND_VERSION:
            known = (*self.evaluated, *self.versions)[0]
            return f"{add_version} --parent {known}\n{_COMMAND} evaluate {known} NAME --dataset {dataset}"
        evaluate = f"{_COMMAND} evaluate OLD NEW --dataset {dataset}"
        return "\n".join([add_version, evaluate] if self.kind == ADD_VERSIONS else [add_version, add_dataset, evaluate])


def next_step(workspace: Workspace) -> NextStep | None:
    """What to do before anything can be compared; None where two versions were asked on one split of a dataset."""
    versions, datasets = list_versions(workspace), list_datasets(workspace)
    by_id = {version.id: version for version in versions}
    names = {dataset.id: dataset for dataset in datasets}
    asked: dict[tuple[str, str], list[str]] = {}  # newest first
    for run in list_runs(workspace):
        group = asked.setdefault((run.dataset_id, run.split), [])
        if run.version_id not in group:
            group.append(run.version_id)
    if any(len(group) >= 2 for group in asked.values()):
        return None
    if not versions and not datasets:
        return NextStep(EMPTY)
    if not datasets:
        return NextStep(ADD_DATASET, versions=tuple(version.name for version in versions))
    if not versions:
        return NextStep(ADD_VERSIONS, datasets[0].name, _first_split(datasets[0]))
    runnable = [version for version in versions if version.base is not None]
    for (dataset_id, split), [alone] in asked.items():
        others = [version for version in runnable if version.id != alone]
        if others:
            other = min(others, key=lambda one: not _related(one, by_id[alone]))
            return NextStep(EVALUATE, names[dataset_id].name, split, (by_id[alone].name,), (other.name,))
    if asked:
        (dataset_id, split), [alone] = next(iter(asked.items()))
        elsewhere = tuple(dict.fromkeys(by_id[one].name for group in asked.values() for one in group if one != alone))
        kind = IMPORT_OUTPUTS if elsewhere else SECOND_VERSION
        return NextStep(kind, names[dataset_id].name, split, (by_id[alone].name,), elsewhere)
    dataset = datasets[0]
    split = _first_split(dataset)
    if len(runnable) >= 2:
        return NextStep(EVALUATE, dataset.name, split, (), tuple(one.name for one in _pair(runnable)))
    if runnable:
        return NextStep(SECOND_VERSION, dataset.name, split, (), (runnable[0].name,))
    return NextStep(IMPORT_OUTPUTS, dataset.name, split, (), tuple(version.name for version in versions[:2]))


def _first_split(dataset: Dataset) -> str:
    """The split that is compared by default."""
    return min(dataset.splits, key=lambda split: (split != "test", split))


def _related(one: ModelVersion, other: ModelVersion) -> bool:
    return one.parent_id == other.id or other.parent_id == one.id


def _pair(versions: list[ModelVersion]) -> tuple[ModelVersion, ModelVersion]:
    """The two of several that are most likely old and new."""
    for new in versions:
        for old in versions:
            if new.parent_id == old.id:
                return old, new
    ordered = sorted(versions, key=lambda version: {"old": 0, "new": 1}.get(version.role, 2))
    return ordered[0], ordered[1]
