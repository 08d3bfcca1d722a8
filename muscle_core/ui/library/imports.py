"""Part of the Library page: import what models answered elsewhere, after a preview."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import streamlit as st

from muscle_core.actions.imports.outputs import ImportPreview, ImportResult, import_log, preview_import
from muscle_core.actions.library.models import check_parent, set_parent
from muscle_core.errors import MuscleError
from muscle_core.interchange.detect import AUTO
from muscle_core.interchange.guess import guess_columns
from muscle_core.interchange.log import (
    FORMATS,
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
from muscle_core.store import Workspace, get_dataset, list_datasets, list_runs, list_versions, summary_text
from muscle_core.tasks import TASK_KINDS
from muscle_core.ui.frame import errors_shown, go, plain, wrapping_columns
from muscle_core.ui.library import words
from muscle_core.ui.library.upload import LOGS, TABLES, OnDisk, clear, larger_files, on_disk, uploader
from muscle_core.ui.numbers import percent
from muscle_core.ui.url import rerun

_FORM = "import"
_DONE = "_imported"  # what the last import wrote, to be told after the page has run again
_NEW, _NONE = "\0new", "\0none"  # no names
_SHOWN_PROBLEMS = 20


class _Choices(NamedTuple):
    """What the form says: the arguments of `import_log`, and the parent to declare."""

    arguments: dict[str, Any]
    second: Any  # the second upload, or None
    second_is: str | None  # which argument it is
    parent: str | None


def show(workspace: Workspace) -> None:
    """Draw the form: a file, what it is, what is meant, what would be written, and the button that does it."""
    st.markdown(words.IMPORT_PURPOSE)
    last = st.container()
    file = uploader(words.IMPORT_FILE, _FORM, LOGS, help=words.IMPORT_FILE_HELP)
    if file is None:
        with last:
            if _DONE in st.session_state:
                _told(workspace, st.session_state[_DONE])
        st.caption(words.IMPORT_FORMATS)
        with st.expander(words.BY_COMMAND):
            larger_files(words.IMPORT_COMMAND)
        return
    st.session_state.pop(_DONE, None)
    read_as = st.selectbox(
        words.READ_AS,
        [AUTO, *FORMATS],
        format_func=lambda name: words.FORMAT_NAMES[name],
        key=f"import_as_{file.file_id}",
    )
    looked = _preview(workspace, file, None, None, {"format": read_as})
    if looked.facts is None:
        _problems(looked)
        return
    _facts(looked.facts)
    choices = _choices(workspace, file, looked.facts, read_as)
    preview = _preview(workspace, file, choices.second, choices.second_is, choices.arguments)
    _previewed(preview)
    _problems(preview)
    ready = not preview.problems and not _parent_problem(workspace, choices)
    if st.button(words.IMPORT, type="primary", icon=":material/download_done:", disabled=not ready, key="import_now"):
        with errors_shown():
            result = _carry_out(workspace, file, choices)
        st.session_state[_DONE] = _done(result, choices)
        clear(_FORM)
        rerun()


def _preview(
    workspace: Workspace, file: Any, second: Any, second_is: str | None, arguments: dict[str, Any]
) -> ImportPreview:
    # What an import would do depends on what is there: the newest run and the datasets stand for that.
    state = tuple(run.id for run in list_runs(workspace)[:1]) + tuple(d.id for d in list_datasets(workspace))
    key = (file.file_id, None if second is None else second.file_id, second_is, repr(sorted(arguments.items())))
    return _read(str(workspace.home), key, state, workspace, file, second, second_is, arguments)


@st.cache_resource(max_entries=16, show_spinner=words.READING)
def _read(
    home: str,
    key: tuple[Any, ...],
    state: tuple[str, ...],
    _workspace: Workspace,
    _file: Any,
    _second: Any,
    _second_is: str | None,
    _arguments: dict[str, Any],
) -> ImportPreview:
    with on_disk(_file, _second) as disk:
        path, given = _given(disk, _second_is, _arguments)
        found = preview_import(_workspace, path, **given)
        return ImportPreview(
            file=disk.told(found.file),
            facts=found.facts,
            task=found.task,
            makes_dataset=found.makes_dataset,
            runs=found.runs,
            first=found.first,
            notes=tuple(disk.told(note) for note in found.notes),
            problems=tuple(disk.told(problem) for problem in found.problems),
        )


def _given(disk: OnDisk, second_is: str | None, arguments: dict[str, Any]) -> tuple[Path, dict[str, Any]]:
    """The file and the arguments with the paths that the uploads have now."""
    path, second = disk.paths
    assert path is not None
    given = dict(arguments)
    if second is not None and second_is == "results":
        given["options"] = LogOptions(**{**vars(given.get("options") or LogOptions()), "results": second})
    elif second is not None and second_is is not None:
        given[second_is] = second
    return path, given


def _carry_out(workspace: Workspace, file: Any, choices: _Choices) -> ImportResult:
    with on_disk(file, choices.second) as disk:
        path, given = _given(disk, choices.second_is, choices.arguments)
        try:
            if choices.parent is not None:
                check_parent(workspace, choices.arguments["version"], choices.parent)
            result = import_log(workspace, path, **given, source=file.name)
        except MuscleError as error:
            raise type(error)(disk.told(str(error))) from error
    if choices.parent is not None:
        set_parent(workspace, result.runs[0].version, choices.parent)
    return result


def _facts(facts: LogFacts) -> None:
    models = ", ".join(plain(name) for name in facts.models[:10])
    st.markdown(words.what_it_is(words.FORMAT_NAMES[facts.format], facts.rows, plain(facts.task), models))
    if facts.columns:
        listed = ", ".join(plain(name) for name in facts.columns[:30])
        st.caption(words.columns_found(len(facts.columns), listed))


def _choices(workspace: Workspace, file: Any, facts: LogFacts, read_as: str) -> _Choices:
    """The fields of what is meant, by the format."""
    key = file.file_id
    options: dict[str, Any] = {}
    columns = ImportColumns()
    second = second_is = None
    if facts.format in (LM_EVAL, INSPECT):
        options = _log_options(facts, key)
    if facts.format == LM_EVAL:
        second, second_is = uploader(words.RESULTS_FILE, _FORM, ["json"], name="results"), "results"
    elif facts.format == LLM_COMPARATOR:
        left, right = wrapping_columns(2, least=220, key="import_comparator")
        columns = ImportColumns(
            correct=left.text_input(words.CORRECT_FIELD, key=f"correct_{key}") or None,
            score=right.text_input(words.SCORE_FIELD, key=f"score_{key}") or None,
        )
    elif facts.format == GENERIC:
        columns = _mapping(facts, key)
        second, second_is = uploader(words.TEXTS_FILE, _FORM, TABLES, name="texts"), "texts_file"
    elif facts.format == WIDE:
        ids = list(facts.columns) or ["id"]
        picked = st.selectbox(words.COLUMNS["id"], ids, index=ids.index("id") if "id" in ids else 0, key=f"id_{key}")
        columns = ImportColumns(id=picked)
        second, second_is = uploader(words.ANSWERS_FILE, _FORM, TABLES, name="answers"), "answers_file"
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
    return _Choices(arguments, second, second_is if second is not None else None, parent)


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
    last = st.session_state.get("_last_import", {}).get("dataset")
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
    last = st.session_state.get("_last_import", {}).get("version")
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


def _parent_problem(workspace: Workspace, choices: _Choices) -> bool:
    """Whether the parent cannot be declared; says why."""
    if choices.parent is None:
        return False
    try:
        check_parent(workspace, choices.arguments["version"], choices.parent)
    except MuscleError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return True
    return False


def _previewed(preview: ImportPreview) -> None:
    """What would be written: the runs, the first rows, and what should be known."""
    st.markdown(words.PREVIEW)
    if preview.runs:
        st.dataframe(
            pd.DataFrame(
                {
                    words.COLUMN_VERSION: run.version,
                    words.COLUMN_SAMPLES: f"{run.rows:,}",
                    words.COLUMN_RIGHT: "–"
                    if run.right is None
                    else words.right_of(run.right, run.judged, percent(run.accuracy)),
                    words.COLUMN_SCORE: "–" if run.mean_score is None else f"{run.mean_score:.4f}",
                    words.COLUMN_KNOWN: words.KNOWN if run.known else words.IS_NEW,
                }
                for run in preview.runs
            ),
            hide_index=True,
            height="content" if len(preview.runs) <= 10 else 400,
            key="import_runs",
            alt=words.RUNS_ALT,
        )
    if preview.runs and not any(run.judged or run.mean_score is not None for run in preview.runs):
        st.warning(words.NOT_JUDGED, icon=":material/warning:")
    if preview.first:
        st.caption(words.first_rows(len(preview.first)))
        st.dataframe(
            pd.DataFrame(preview.first),
            hide_index=True,
            height="content",
            key="import_first",
            alt=words.FIRST_ALT,
            column_config={"input": st.column_config.TextColumn("input", width=280)},
        )
    for note in preview.notes:
        st.info(plain(note[:1].upper() + note[1:]) + ".", icon=":material/info:")


def _problems(preview: ImportPreview) -> None:
    if not preview.problems:
        return
    lines = [plain(problem).replace("\n", "  \n") for problem in preview.problems[:_SHOWN_PROBLEMS]]
    rest = len(preview.problems) - len(lines)
    more = [words.more_problems(rest)] if rest else []
    text = lines[0] if len(preview.problems) == 1 else "\n".join(f"- {line}" for line in [*lines, *more])
    st.error(f"{words.CANNOT_IMPORT}\n\n{text}", icon=":material/error:")


def _done(result: ImportResult, choices: _Choices) -> dict[str, Any]:
    """What to tell of an import, and what the next one probably belongs to."""
    st.session_state["_last_import"] = {"dataset": result.dataset.name, "version": result.runs[0].version}
    return {
        "dataset": result.dataset.name,
        "made": result.made_dataset,
        "split": choices.arguments["split"],
        "parent": choices.parent,
        "runs": [(run.version, run.run.rows, summary_text(run.run.summary), run.is_new) for run in result.runs],
    }


def _told(workspace: Workspace, done: dict[str, Any]) -> None:
    """What the last import wrote, and the way on."""
    dataset, split = done["dataset"], done["split"]
    lines = [
        words.imported(plain(version), plain(dataset), plain(split), rows, plain(summary), is_new=is_new)
        for version, rows, summary, is_new in done["runs"][:10]
    ]
    if done["made"]:
        lines.append(words.made_dataset(plain(dataset)))
    st.success("  \n".join(lines), icon=":material/check_circle:")
    names = [version for version, *_ in done["runs"]]
    pair = _pair(workspace, dataset, split, names, done["parent"])
    if pair is None:
        st.info(words.second_needed(plain(dataset)), icon=":material/info:")
    elif st.button(words.compare_these(*pair), icon=":material/difference:", type="primary", key="compare_these"):
        go("update_report", {"dataset": dataset, "split": split, "old": pair[0], "new": pair[1]}, afresh=("tab",))


def _pair(
    workspace: Workspace, dataset: str, split: str, names: list[str], parent: str | None
) -> tuple[str, str] | None:
    """Old and new version to compare after an import; None where only one has answered the split."""
    by_id = {version.id: version.name for version in list_versions(workspace)}
    found = get_dataset(workspace, dataset)
    asked = [by_id[run.version_id] for run in reversed(list_runs(workspace, found.id)) if run.split == split]
    asked = list(dict.fromkeys(asked))
    if len(names) > 1:
        return names[0], names[1]
    if parent in asked:
        return str(parent), names[0]
    others = [name for name in asked if name != names[0]]
    return (others[-1], names[0]) if others else None
