"""Section "Training runs": the list, and what is known of the picked training."""

from __future__ import annotations

from typing import Any

import streamlit as st

from muscle_core.actions.library.inventory import Inventory, holds_words, library_text
from muscle_core.store import Job, TrainingRun, Workspace
from muscle_core.store.tables import INTERPOLATION
from muscle_core.ui.frame import go, plain, wrapping_columns
from muscle_core.ui.library import inspect_words as words
from muscle_core.ui.library import words as page_words
from muscle_core.ui.library.lists import (
    DATASET,
    TIME,
    TRAINING,
    VERSION,
    copyable,
    facts,
    pick,
    pick_box,
    pick_table,
    restore_pick,
    search_box,
    text_column,
)
from muscle_core.ui.numbers import duration, percent
from muscle_core.ui.training.form import JOB_KEY

SEARCH = "training_search"


def show(workspace: Workspace, held: Inventory) -> None:
    """Draw the section."""
    if not held.trainings:
        st.info(page_words.NONE_YET, icon=":material/info:")
        return
    by_key = {training.id[:8]: training for training in held.trainings.values()}
    restore_pick(TRAINING, list(by_key))
    place, _ = wrapping_columns([1, 1], least=240, key="training_filters")
    search = search_box(SEARCH, words.SEARCH_TRAININGS, place)
    keys = [key for key, training in by_key.items() if holds_words(search, _texts(held, training))]
    st.caption(words.found(len(keys), len(by_key), page_words.TRAININGS_COUNTED))
    rows = [_row(held, by_key[key]) for key in keys]
    pick_table(TRAINING, keys, rows, search, alt=words.TRAININGS_ALT, config=_CONFIG)
    picked = pick_box(TRAINING, list(by_key), lambda key: f"{_texts(held, by_key[key])[0]} · {key}")
    if picked is not None:
        with st.container(border=True):
            _one(workspace, held, by_key[picked])


def _texts(held: Inventory, training: TrainingRun) -> list[str]:
    names = (training.result_version_id, training.old_version_id, training.new_version_id)
    return [
        *(held.name_of(one) or "" for one in names),
        training.kind,
        training.strategy or "",
        held.datasets[training.dataset_id].name,
        f"seed {training.seed}",
        training.id[:8],
    ]


def _row(held: Inventory, training: TrainingRun) -> dict[str, Any]:
    summary = training.summary
    return {
        words.VERSION: held.name_of(training.result_version_id),
        words.TRAINED: training.strategy or training.kind,
        words.SEED: training.seed if training.kind != INTERPOLATION else None,
        words.LOSS: f"{summary['loss']:.4f}" if "loss" in summary else "–",
        words.STEPS: summary.get("steps"),
        words.TIME: duration(summary["seconds"]) if training.kind != INTERPOLATION else "–",
        words.DATASET_COLUMN: held.datasets[training.dataset_id].name,
        words.WHEN: training.created_at.strftime(TIME),
    }


def _one(workspace: Workspace, held: Inventory, training: TrainingRun) -> None:
    version = held.versions[training.result_version_id]
    dataset = held.datasets[training.dataset_id]
    old, new = held.name_of(training.old_version_id), held.name_of(training.new_version_id)
    st.markdown(f"##### {plain(version.name)}")
    row = st.container(horizontal=True, key="training_links")
    for label, kind, section, name in (
        (words.LOOK_AT_VERSION, VERSION, "versions", version.name),
        (words.LOOK_AT_DATASET, DATASET, "datasets", dataset.name),
    ):
        row.button(
            label,
            key=f"{kind.key}_of_training",
            icon=":material/search:",
            type="tertiary",
            on_click=pick,
            args=(kind, section, name),
        )
    of_update = old is not None and new is not None
    if of_update and row.button(words.MASKING, key="masking_of_training", icon=":material/tune:", type="tertiary"):
        go("masking", {"old": str(old), "new": str(new), "dataset": dataset.name})
    if _has_job(workspace, training) and row.button(
        words.TRAINING, key="page_of_training", icon=":material/model_training:", type="tertiary"
    ):
        go("training", {JOB_KEY: training.id[:8]})
    left, right = wrapping_columns([1, 1], least=280, key="training_facts")
    with left:
        facts(_facts(training, dataset.name, old, new), "one_training")
    with right:
        copyable(page_words.TRAINING_ID, training.id)
        options = {name: value for name, value in training.options.items() if value is not None}
        copyable(words.OPTIONS, "\n".join(f"{name} = {value}" for name, value in sorted(options.items())))
        st.caption(plain(library_text(training.made_by)))


def _facts(training: TrainingRun, dataset: str, old: str | None, new: str | None) -> list[tuple[str, str]]:
    summary = training.summary
    rows: list[tuple[str, str | None]] = [
        (words.KIND_FACT, training.kind),
        (words.STRATEGY_FACT, training.strategy),
        (words.OLD_FACT, old),
        (words.NEW_FACT, new),
        (words.DATASET_FACT, f"{dataset} ({training.split})" if training.split else dataset),
        (words.START_FACT, training.initialisation),
        (words.SEED_FACT, str(training.seed) if training.kind != INTERPOLATION else None),
        (words.STEPS_FACT, f"{summary['steps']:,}" if "steps" in summary else None),
        (words.LOSS_FACT, f"{summary['loss']:.4f}" if "loss" in summary else None),
        (words.SHARE_FACT, percent(summary["old_share"]) if summary.get("old_share") is not None else None),
        (words.TIME_FACT, duration(summary["seconds"])),
        (words.WHEN.capitalize(), training.created_at.strftime(TIME)),
    ]
    return [(label, text) for label, text in rows if text is not None]


def _has_job(workspace: Workspace, training: TrainingRun) -> bool:
    with workspace.reading() as session:
        return session.get(Job, training.id) is not None


_CONFIG = {
    words.VERSION: text_column(words.VERSION, 260),
    words.TRAINED: text_column(words.TRAINED, 130),
    words.SEED: st.column_config.NumberColumn(words.SEED, width=50),
    words.LOSS: text_column(words.LOSS, 75),
    words.STEPS: st.column_config.NumberColumn(words.STEPS, width=60),
    words.TIME: text_column(words.TIME, 90),
    words.DATASET_COLUMN: text_column(words.DATASET_COLUMN, 130),
}
