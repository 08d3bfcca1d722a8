"""Parts of the Library page: add a dataset from uploaded files, and a model version by its path or hub id."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from muscle_core.actions.library.datasets import DatasetPreview, add_dataset_rows, guess_task_kind, preview_dataset
from muscle_core.actions.library.models import add_model_version
from muscle_core.datasets import read_rows
from muscle_core.datasets.read import Row
from muscle_core.errors import MuscleError
from muscle_core.interchange.log import version_name
from muscle_core.store import Workspace, list_versions
from muscle_core.tasks import TASK_KINDS, task_of
from muscle_core.ui.frame import errors_shown, plain, wrapping_columns
from muscle_core.ui.library import words
from muscle_core.ui.library.upload import TABLES, clear, larger_files, on_disk, uploader
from muscle_core.ui.url import rerun

_FORM = "dataset"
_ADDED = "_added"  # what to say after the page has run again
_SHOWN_PROBLEMS = 20
_SPLITS = ("test", "train", "validation")
_ROLES = ("new", "old", "compat")


def told() -> None:
    """What was added last."""
    if _ADDED in st.session_state:
        st.success(plain(st.session_state.pop(_ADDED)), icon=":material/check_circle:")


def add_dataset_form(workspace: Workspace) -> None:
    """Files of a dataset, how they are read, and the button that adds it."""
    st.markdown(words.DATASET_PURPOSE)
    files = uploader(words.DATASET_FILES, _FORM, TABLES, accept_multiple_files=True, help=words.DATASET_FILES_HELP)
    if not files:
        with st.expander(words.BY_COMMAND):
            larger_files(words.DATASET_COMMAND)
        return
    try:
        read = [_rows(file.file_id, file) for file in files]
    except MuscleError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    splits = _splits(files)
    key = files[0].file_id
    first, second = wrapping_columns(2, least=220, key="dataset_fields")
    suggested = version_name(files[0].name.rsplit(".", 1)[0]) or "dataset"
    name = first.text_input(words.DATASET_NAME, suggested, key=f"new_dataset_name_{key}")
    guessed = guess_task_kind(read[0])
    kind = second.selectbox(
        words.TASK_KIND,
        TASK_KINDS,
        index=TASK_KINDS.index(guessed),
        format_func=lambda one: words.KIND_NAMES.get(one, one),
        key=f"new_dataset_kind_{key}",
        help=words.KIND_HELP,
    )
    template = st.text_input(
        words.TEMPLATE,
        task_of(kind).default_template,
        key=f"new_dataset_template_{key}_{kind}",
        help=words.TEMPLATE_HELP,
    )
    doubled = len(set(splits)) < len(splits)
    if doubled:
        st.error(words.SPLIT_TWICE, icon=":material/error:")
        return
    rows = dict(zip(splits, read, strict=True))
    preview = preview_dataset(kind, rows)
    _previewed(preview)
    if st.button(
        words.ADD_DATASET, type="primary", icon=":material/add:", disabled=bool(preview.problems), key="add_dataset_now"
    ):
        with errors_shown():
            dataset = add_dataset_rows(
                workspace,
                name.strip(),
                kind,
                rows,
                template=template,
                source={"files": {split: file.name for split, file in zip(splits, files, strict=True)}},
            )
        st.session_state[_ADDED] = words.dataset_added(dataset.name, sum(dataset.splits.values()))
        clear(_FORM)
        rerun()


@st.cache_resource(max_entries=8, show_spinner=words.READING)
def _rows(file_id: str, _file: Any) -> list[Row]:
    with on_disk(_file) as disk:
        try:
            rows = read_rows(disk.paths[0])  # type: ignore[arg-type]
        except MuscleError as error:
            raise type(error)(disk.told(str(error))) from error
        return [(disk.told(place), row) for place, row in rows]


def _splits(files: list[Any]) -> list[str]:
    """A field for the split of each file, by its name to begin with."""
    chosen = []
    for column, file in zip(wrapping_columns(len(files), least=180, key="dataset_splits"), files, strict=True):
        named = next((split for split in _SPLITS if split in file.name.lower()), _SPLITS[0])
        label = words.split_of(plain(file.name))
        chosen.append(column.text_input(label, named, key=f"split_of_{file.file_id}").strip())
    return chosen


def _previewed(preview: DatasetPreview) -> None:
    if preview.problems:
        lines = [f"- {plain(problem)}" for problem in preview.problems[:_SHOWN_PROBLEMS]]
        rest = len(preview.problems) - len(lines)
        lines += [f"- {words.more_problems(rest)}"] if rest else []
        st.error(f"{words.CANNOT_ADD}\n\n" + "\n".join(lines), icon=":material/error:")
        return
    sizes = ", ".join(f"{plain(split)} {rows:,}" for split, rows in preview.splits.items())
    st.markdown(words.dataset_preview(sizes))
    st.dataframe(
        pd.DataFrame(
            {
                words.ID_COLUMN: sample.id,
                words.INPUT_COLUMN: sample.input,
                words.CHOICES_COLUMN: " | ".join(sample.choices),
                words.GOLD_COLUMN: sample.target,
            }
            for sample in preview.first
        ),
        hide_index=True,
        height="content",
        key="dataset_first",
        alt=words.DATASET_FIRST_ALT,
        column_config={"input": st.column_config.TextColumn("input", width=280)},
    )


def add_version_form(workspace: Workspace) -> None:
    """Base and adapter of a model version, and the button that adds it."""
    versions = [version.name for version in list_versions(workspace)]
    with st.form("add_version", border=True):
        st.markdown(words.VERSION_PURPOSE)
        first, second = wrapping_columns(2, least=240, key="version_first")
        name = first.text_input(words.VERSION_NAME)
        base = second.text_input(words.BASE, help=words.BASE_HELP)
        adapter = first.text_input(words.ADAPTER, help=words.ADAPTER_HELP)
        revision = second.text_input(words.REVISION, help=words.REVISION_HELP)
        role = first.selectbox(words.ROLE, _ROLES, help=words.ROLE_HELP)
        parent = second.selectbox(
            words.FOLLOWS, versions, index=None, placeholder=words.FOLLOWS_NONE, help=words.FOLLOWS_HELP
        )
        if not st.form_submit_button(words.ADD_VERSION, icon=":material/add:"):
            return
    if not name.strip() or not base.strip():
        st.warning(words.NAME_AND_BASE, icon=":material/warning:")
        return
    with errors_shown(), st.spinner(words.CHECKING):
        version = add_model_version(
            workspace,
            name.strip(),
            base.strip(),
            adapter=adapter.strip() or None,
            revision=revision.strip() or None,
            role=role,
            parent=parent,
        )
    st.session_state[_ADDED] = words.version_added(version.name, int(version.made_by["parameters"]))
    rerun()
