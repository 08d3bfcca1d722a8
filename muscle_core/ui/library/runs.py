"""Section "Evaluation runs": the list, what is known of the picked run, and the form that evaluates a version."""

from __future__ import annotations

from typing import Any

import streamlit as st

from muscle_core.actions.background.submit import submit_evaluation
from muscle_core.actions.library.inventory import Inventory, holds_words, library_text
from muscle_core.store import EvaluationRun, Workspace, summary_text
from muscle_core.ui.frame import errors_shown, go, plain, wrapping_columns
from muscle_core.ui.library import inspect_words as words
from muscle_core.ui.library import words as page_words
from muscle_core.ui.library.lists import (
    DATASET,
    RUN,
    TIME,
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
from muscle_core.ui.library.one_version import run_links
from muscle_core.ui.training.form import JOB_KEY

SEARCH = "run_search"


def show(workspace: Workspace, held: Inventory) -> None:
    """Draw the section."""
    if held.runs:
        by_key = {run.id[:8]: run for run in held.runs.values()}
        restore_pick(RUN, list(by_key))
        place, _ = wrapping_columns([1, 1], least=240, key="run_filters")
        search = search_box(SEARCH, words.SEARCH_RUNS, place)
        keys = [key for key, run in by_key.items() if holds_words(search, _texts(held, run))]
        st.caption(words.found(len(keys), len(by_key), page_words.RUNS_COUNTED))
        rows = [_row(held, by_key[key]) for key in keys]
        pick_table(RUN, keys, rows, search, alt=words.RUNS_ALT, config=_CONFIG)
        picked = pick_box(RUN, list(by_key), lambda key: " · ".join((*_texts(held, by_key[key])[:3], key)))
        if picked is not None:
            with st.container(border=True):
                _one(held, by_key[picked])
    else:
        st.info(page_words.NONE_YET, icon=":material/info:")
    _evaluate_form(workspace, held)


def _texts(held: Inventory, run: EvaluationRun) -> tuple[str, ...]:
    return held.versions[run.version_id].name, held.datasets[run.dataset_id].name, run.split, run.origin, run.id[:8]


def _row(held: Inventory, run: EvaluationRun) -> dict[str, Any]:
    version, dataset, split, origin, _ = _texts(held, run)
    return {
        words.VERSION: version,
        words.RESULT: summary_text(run.summary),
        words.DATASET_COLUMN: dataset,
        words.SPLIT: split,
        words.ORIGIN: origin,
        words.WHEN: run.created_at.strftime(TIME),
    }


def _one(held: Inventory, run: EvaluationRun) -> None:
    version, dataset = held.versions[run.version_id], held.datasets[run.dataset_id]
    st.markdown(f"##### {plain(version.name)} · {plain(dataset.name)} ({plain(run.split)})")
    row = st.container(horizontal=True, key="run_links")
    run_links(held, version, run, row)
    for label, kind, section, name in (
        (words.LOOK_AT_VERSION, VERSION, "versions", version.name),
        (words.LOOK_AT_DATASET, DATASET, "datasets", dataset.name),
    ):
        row.button(
            label,
            key=f"{kind.key}_of_run",
            icon=":material/search:",
            type="tertiary",
            on_click=pick,
            args=(kind, section, name),
        )
    left, right = wrapping_columns([1, 1], least=280, key="run_facts")
    rows = [
        (words.RESULT_FACT, summary_text(run.summary)),
        (words.ROWS, f"{run.rows:,}"),
        (words.ORIGIN.capitalize(), run.origin),
        (words.DECODING, ", ".join(f"{name} {value}" for name, value in run.decoding.items() if value not in ([], ""))),
        (words.LATENCY, ", ".join(f"{name} {count:,}" for name, count in run.summary["finish_reasons"].items())),
        (words.WHEN.capitalize(), run.created_at.strftime(TIME)),
    ]
    if run.row_limit is not None:
        rows.append((words.LIMIT, f"{run.row_limit:,}"))
    if run.made_by.get("file"):
        rows.append((words.FILE, str(run.made_by["file"])))
    with left:
        facts(rows, "one_run")
    with right:
        copyable(page_words.RUN_ID, run.id)
        copyable(words.TEMPLATE, run.template)
        st.caption(plain(library_text(run.made_by)))


def _evaluate_form(workspace: Workspace, held: Inventory) -> None:
    with st.form("evaluate", border=True):
        st.markdown(page_words.EVALUATE_PURPOSE)
        first, second, third = wrapping_columns(3, least=180, key="evaluate_columns")
        runnable = [version.name for version in held.versions.values() if version.base is not None]
        version = first.selectbox(page_words.MODEL_VERSION, runnable, index=None, placeholder=page_words.CHOOSE_VERSION)
        targets = [f"{dataset.name} · {split}" for dataset in held.datasets.values() for split in dataset.splits]
        target = second.selectbox(page_words.TARGET, targets, index=None, placeholder=page_words.CHOOSE_DATASET)
        limit = third.number_input(page_words.LIMIT, 0, 10_000_000, 0, help=page_words.LIMIT_HELP)
        if not st.form_submit_button(page_words.EVALUATE, icon=":material/play_arrow:"):
            return
    if version is None or target is None:
        st.warning(page_words.CHOOSE_BOTH, icon=":material/warning:")
        return
    dataset, _, split = target.partition(" · ")
    with errors_shown():
        submission = submit_evaluation(workspace, [version], dataset, split=split, limit=limit or None)
    go("training", {JOB_KEY: submission.job_id[:8]})


_CONFIG = {
    words.VERSION: text_column(words.VERSION, 230),
    words.RESULT: text_column(words.RESULT, 200),
    words.DATASET_COLUMN: text_column(words.DATASET_COLUMN, 130),
    words.SPLIT: text_column(words.SPLIT, 60),
}
