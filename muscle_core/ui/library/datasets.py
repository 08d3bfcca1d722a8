"""Section "Datasets": the list, what is known of the picked one with its first samples, and the form that adds one."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from muscle_core.actions.library.inventory import Inventory, first_samples, library_text
from muscle_core.store import Dataset, Workspace
from muscle_core.tasks import Sample
from muscle_core.ui.frame import errors_shown, plain, wrapping_columns
from muscle_core.ui.library import additions, housekeeping
from muscle_core.ui.library import inspect_words as words
from muscle_core.ui.library import words as page_words
from muscle_core.ui.library.lists import (
    DATASET,
    TIME,
    copyable,
    facts,
    pick_box,
    pick_table,
    restore_pick,
    text_column,
)

_MOST_CHARACTERS = 300


def show(workspace: Workspace, held: Inventory) -> None:
    """Draw the section."""
    if held.datasets:
        by_name = {dataset.name: dataset for dataset in held.datasets.values()}
        restore_pick(DATASET, list(by_name))
        rows = [_row(held, dataset) for dataset in by_name.values()]
        pick_table(DATASET, list(by_name), rows, "", alt=words.DATASETS_ALT, config=_CONFIG)
        picked = pick_box(DATASET, list(by_name))
        if picked is not None:
            with st.container(border=True):
                _one(workspace, held, by_name[picked])
    else:
        st.info(page_words.NONE_YET, icon=":material/info:")
    with st.container(border=True):
        additions.add_dataset_form(workspace)


def _row(held: Inventory, dataset: Dataset) -> dict[str, Any]:
    versions = {run.version_id for run in held.runs.values() if run.dataset_id == dataset.id}
    return {
        words.NAME: dataset.name,
        words.TASK_KIND: page_words.KIND_NAMES.get(dataset.task_kind, dataset.task_kind),
        words.SPLITS: _splits(dataset),
        words.VERSIONS: len(versions),
        words.ADDED: dataset.created_at.strftime(TIME),
    }


def _splits(dataset: Dataset) -> str:
    return ", ".join(f"{split} {rows:,}" for split, rows in dataset.splits.items())


def _one(workspace: Workspace, held: Inventory, dataset: Dataset) -> None:
    st.markdown(f"##### {plain(dataset.name)}")
    left, right = wrapping_columns([1, 1], least=280, key="dataset_facts")
    rows = [
        (words.KIND_FACT, page_words.KIND_NAMES.get(dataset.task_kind, dataset.task_kind)),
        (words.SPLITS.capitalize(), _splits(dataset)),
        (words.DECODING, ", ".join(f"{name} {value}" for name, value in dataset.decoding.items())),
        (words.ADDED_FACT, dataset.created_at.strftime(TIME)),
    ]
    files = dataset.made_by.get("files") or {"": dataset.made_by.get("file")}
    rows += [(words.FILE, f"{split} {file}".strip()) for split, file in files.items() if file]
    if dataset.made_by.get("generator"):
        rows.append((words.GENERATOR, str(dataset.made_by["generator"])))
    with left:
        facts(rows, "one_dataset")
    with right:
        copyable(words.DATASET_PRINT, dataset.fingerprint)
        copyable(words.TEMPLATE, dataset.template)
        st.caption(plain(library_text(dataset.made_by)))
    st.markdown(words.FIRST_SAMPLES)
    splits = list(dataset.splits)
    split = st.segmented_control(
        words.SPLIT_TO_SHOW,
        splits,
        default="test" if "test" in splits else splits[0],
        required=True,
        key=f"split_of_{dataset.id}",
        label_visibility="collapsed",
    )
    with errors_shown():
        samples = _first(str(workspace.home), dataset.id, str(split), workspace, dataset)
    st.dataframe(
        pd.DataFrame(
            {
                words.INPUT: sample.input[:_MOST_CHARACTERS],
                **({words.CHOICES: " | ".join(sample.choices)} if sample.choices else {}),
                words.GOLD: (sample.target or sample.gold)[:_MOST_CHARACTERS],
                words.ID: sample.id,
            }
            for sample in samples
        ),
        hide_index=True,
        height="content",
        alt=words.SAMPLES_ALT,
        column_config={
            words.INPUT: text_column(words.INPUT, 420),
            words.CHOICES: text_column(words.CHOICES, 220),
            words.GOLD: text_column(words.GOLD, 160),
        },
    )
    st.button(
        words.DELETE,
        icon=":material/delete:",
        key="go_and_delete",
        on_click=housekeeping.pick_for_deletion,
        args=("dataset", dataset.name),
    )


@st.cache_data(max_entries=32, show_spinner=False)
def _first(home: str, dataset_id: str, split: str, _workspace: Workspace, _dataset: Dataset) -> list[Sample]:
    return first_samples(_workspace, _dataset, split)


_CONFIG = {
    words.NAME: text_column(words.NAME, 190),
    words.TASK_KIND: text_column(words.TASK_KIND, 120),
    words.SPLITS: text_column(words.SPLITS, 260),
}
