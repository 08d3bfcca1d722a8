"""Part of the import: the fields that say what is meant, by the format of the file."""

from __future__ import annotations

from typing import Any, NamedTuple

import streamlit as st

from muscle_core.actions.library.models import check_parent
from muscle_core.errors import MuscleError
from muscle_core.interchange.guess import guess_columns
from muscle_core.interchange.log import (
    GENERIC,
    INSPECT,
    LLM_COMPARATOR,
    LM_EVAL,
    WIDE,
    LogFacts,
    LogOptions,
    version_name,
)
from muscle_core.interchange.outputs import ImportColumns
from muscle_core.store import Workspace, list_datasets, list_versions
from muscle_core.tasks import TASK_KINDS
from muscle_core.ui.frame import plain, wrapping_columns
from muscle_core.ui.library import words
from muscle_core.ui.library.upload import TABLES, uploader

FORM = "import"
LAST = "_last_import"  # dataset and version of it, which the next one probably belongs to
_NEW, _NONE = "\0new", "\0none"  # no names


class Choices(NamedTuple):
    """What the form says: the arguments of `import_log`, and the parent to declare."""

    arguments: dict[str, Any]
    second: Any  # the second upload, or None
    second_is: str | None  # which argument it is
    parent: str | None


def choices(workspace: Workspace, file: Any, facts: LogFacts, read_as: str) -> Choices:
    """The fields of what is meant, by the format."""
    key = file.file_id
    options: dict[str, Any] = {}
    columns = ImportColumns()
    second = second_is = None
    if facts.format in (LM_EVAL, INSPECT):
        options = _log_options(facts, key)
    if facts.format == LM_EVAL:
        second, second_is = uploader(words.RESULTS_FILE, FORM, ["json"], name="results"), "results"
    elif facts.format == LLM_COMPARATOR:
        left, right = wrapping_columns(2, least=220, key="import_comparator")
        columns = ImportColumns(
            correct=left.text_input(words.CORRECT_FIELD, key=f"correct_{key}") or None,
            score=right.text_input(words.SCORE_FIELD, key=f"score_{key}") or None,
        )
    elif facts.format == GENERIC:
        columns = _mapping(facts, key)
        second, second_is = (
            uploader(words.TEXTS_FILE, FORM, TABLES, name="texts"),
            "texts_file",
        )
    elif facts.format == WIDE:
        ids = list(facts.columns) or ["id"]
        picked = st.selectbox(words.COLUMNS["id"], ids, index=ids.index("id") if "id" in ids else 0, key=f"id_{key}")
        columns = ImportColumns(id=picked)
        second, second_is = (
            uploader(words.ANSWERS_FILE, FORM, TABLES, name="answers"),
            "answers_file",
        )
    dataset, split, task = _dataset(workspace, file, facts, key)
    version, parent = _version(workspace, file, facts, key)
    arguments = {
        "version": version,
        "dataset": dataset,
        "format": read_as,
        "split": split,
        "task": task,
        "options": LogOptions(**options),
        "columns": columns,
    }
    return Choices(arguments, second, second_is if second is not None else None, parent)


def _second(label: str, name: str) -> Any:
    return uploader(label, FORM, TABLES, most=words.MOST_IMPORT_MIB, name=name)


def _log_options(facts: LogFacts, key: str) -> dict[str, Any]:
    columns = iter(wrapping_columns(4, least=180, key="import_options"))
    options: dict[str, Any] = {}
    for name, known, label in (
        ("filter", facts.filters, words.FILTER),
        ("metric", facts.metrics, words.METRIC),
        ("scorer", facts.scorers, words.SCORER),
    ):
        if len(known) > 1:
            options[name] = next(columns).selectbox(
                label, known, index=None, key=f"{name}_{key}", placeholder=words.CHOOSE
            )
    if facts.epochs > 1:
        epochs = [str(number) for number in range(1, facts.epochs + 1)]
        picked = next(columns).selectbox(
            words.EPOCH,
            ["all", *epochs],
            format_func=lambda e: words.ALL_EPOCHS if e == "all" else e,
            key=f"epoch_{key}",
        )
        options["epoch"] = picked if picked == "all" else int(picked)
    options["threshold"] = next(columns).number_input(
        words.THRESHOLD, value=None, key=f"threshold_{key}", help=words.THRESHOLD_HELP, placeholder=words.NONE
    )
    options["allow_partial"] = st.checkbox(words.ALLOW_PARTIAL, key=f"partial_{key}", help=words.ALLOW_PARTIAL_HELP)
    return options


def _mapping(facts: LogFacts, key: str) -> ImportColumns:
    """Which column of a table holds what; by their names to begin with."""
    st.markdown(words.MAPPING)
    guess = vars(guess_columns(facts.columns))
    places = wrapping_columns(4, least=180, key="import_mapping") + wrapping_columns(
        4, least=180, key="import_mapping_more"
    )
    chosen: dict[str, str] = {}
    for place, (field, label) in zip(places, words.COLUMNS.items(), strict=True):
        known = [_NONE, *facts.columns]
        index = known.index(guess[field]) if guess[field] in facts.columns else 0
        picked = place.selectbox(
            label,
            known,
            index=index,
            format_func=lambda name: words.NONE if name == _NONE else name,
            key=f"column_{field}_{key}",
            help=words.COLUMN_HELP[field],
        )
        if picked != _NONE:
            chosen[field] = picked
    return ImportColumns(**chosen)


def _dataset(workspace: Workspace, file: Any, facts: LogFacts, key: str) -> tuple[str, str, str | None]:
    """Name, split and kind of the dataset."""
    known = {dataset.name: dataset for dataset in list_datasets(workspace)}
    first, second, third, fourth = wrapping_columns(4, least=170, key="import_dataset")
    last = st.session_state.get(LAST, {}).get("dataset")
    options = [_NEW, *known]
    picked = first.selectbox(
        words.DATASET,
        options,
        index=options.index(last) if last in known else 0,
        format_func=lambda name: words.NEW_DATASET if name == _NEW else name,
        key=f"dataset_{key}",
        help=words.DATASET_HELP,
    )
    if picked != _NEW:
        splits = list(known[picked].splits)
        split = second.selectbox(
            words.SPLIT, splits, index=splits.index("test") if "test" in splits else 0, key=f"split_{key}_{picked}"
        )
        return picked, split, None
    suggested = version_name(facts.task) or version_name(file.name.rsplit(".", 1)[0]) or "imported"
    name = second.text_input(words.DATASET_NAME, suggested, key=f"dataset_name_{key}")
    kind = third.selectbox(
        words.TASK_KIND,
        [_NONE, *TASK_KINDS],
        format_func=lambda one: words.kind_by_file(facts.kind) if one == _NONE else words.KIND_NAMES.get(one, one),
        key=f"kind_{key}",
    )
    split = fourth.text_input(words.SPLIT, "test", key=f"split_{key}")
    return name, split, None if kind == _NONE else kind


def _version(workspace: Workspace, file: Any, facts: LogFacts, key: str) -> tuple[str, str | None]:
    """Names of the versions, and the version that the imported one follows."""
    left, right = wrapping_columns([2, 1], least=240, key="import_version")
    several = len(facts.models) > 1
    stem = version_name(file.name.rsplit(".", 1)[0])
    suggested = "-" if several else version_name(next(iter(facts.models), "")) or stem
    label = words.VERSION_NAMES if several else words.VERSION_NAME
    name = left.text_input(label, suggested, key=f"version_{key}", help=words.VERSION_NAMES_HELP if several else None)
    if several:
        return name.strip(), None
    others = [version.name for version in list_versions(workspace) if version.name != name.strip()]
    last = st.session_state.get(LAST, {}).get("version")
    options = [_NONE, *others]
    parent = right.selectbox(
        words.FOLLOWS,
        options,
        index=options.index(last) if last in others else 0,
        format_func=lambda one: words.FOLLOWS_NONE if one == _NONE else one,
        key=f"parent_{key}",
        help=words.FOLLOWS_HELP,
    )
    return name.strip(), None if parent == _NONE else parent


def parent_problem(workspace: Workspace, choices: Choices) -> bool:
    """Whether the parent cannot be declared; says why."""
    if choices.parent is None:
        return False
    try:
        check_parent(workspace, choices.arguments["version"], choices.parent)
    except MuscleError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return True
    return False
