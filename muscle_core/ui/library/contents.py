"""The sections of the Library page: tables of what is there, and the forms that add, import and evaluate."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from muscle_core.actions.background.submit import submit_evaluation
from muscle_core.actions.library.first_steps import next_step
from muscle_core.store import (
    Dataset,
    EvaluationRun,
    ModelVersion,
    TrainingRun,
    Workspace,
    list_datasets,
    list_runs,
    list_training_runs,
    list_versions,
    summary_text,
)
from muscle_core.store.tables import ENSEMBLE, INTERPOLATION
from muscle_core.ui.empty import demo_progress_in_sidebar, guide
from muscle_core.ui.frame import errors_shown, go, plain, wrapping_columns
from muscle_core.ui.library import additions, housekeeping, imports, words
from muscle_core.ui.numbers import duration
from muscle_core.ui.training.form import JOB_KEY
from muscle_core.ui.url import publish, restore
from muscle_core.ui.words import PURPOSES

TAB = "tab"
_TIME = "%Y-%m-%d %H:%M UTC"
_MOST_ROWS = 12  # a longer table scrolls inside itself
_ROW_PIXELS = 35  # of a table; named, so that its place is kept until it is drawn


def show(workspace: Workspace) -> None:
    """The section that the URL names; what to do next where nothing can be compared yet."""
    versions, datasets = list_versions(workspace), list_datasets(workspace)
    runs, trainings = list_runs(workspace), list_training_runs(workspace)
    step = next_step(workspace)
    if step is not None:
        st.markdown(PURPOSES["library"])
        guide(workspace, step, in_library=True)
    else:
        demo_progress_in_sidebar(workspace)
    st.caption(words.workspace_at(plain(str(workspace.home))))
    sections = words.sections(len(versions), len(datasets), len(runs), len(trainings))
    restore(TAB, "versions" if versions or datasets else "import", lambda key: key in sections)
    section = st.segmented_control(
        words.SECTION,
        list(sections),
        format_func=lambda key: sections[key],
        key=TAB,
        required=True,
        wrap=True,
        label_visibility="collapsed",
    )
    publish(TAB, section)
    names = {version.id: version.name for version in versions}
    dataset_names = {dataset.id: dataset.name for dataset in datasets}
    additions.told()
    if section == "versions":
        _versions(workspace, versions, names)
    elif section == "datasets":
        _frame([_dataset_row(dataset) for dataset in datasets], words.DATASETS_ALT)
        with st.container(border=True):
            additions.add_dataset_form(workspace)
    elif section == "runs":
        _frame([_run_row(run, names, dataset_names) for run in runs], words.EVALUATIONS_ALT)
        _evaluate_form(workspace, versions, datasets)
    elif section == "trainings":
        _frame([_training_row(training, names, dataset_names) for training in trainings], words.TRAININGS_ALT)
    elif section == "import":
        imports.show(workspace)
    else:
        housekeeping.show(workspace)


def _versions(workspace: Workspace, versions: list[ModelVersion], names: dict[str, str]) -> None:
    _frame([_version_row(version, names) for version in versions], words.VERSIONS_ALT)
    additions.add_version_form(workspace)
    with st.expander(words.BY_COMMAND):
        st.code(words.VERSION_COMMAND, language=None, wrap_lines=True)


def _frame(rows: list[dict[str, Any]], alt: str) -> None:
    """A table whose first column stays in view where the others do not fit."""
    if not rows:
        st.info(words.NONE_YET, icon=":material/info:")
        return
    first = next(iter(rows[0]))
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        height=_ROW_PIXELS * (min(len(rows), _MOST_ROWS) + 1) + 3,
        alt=alt,
        column_config={
            first: st.column_config.TextColumn(first, pinned=True),
            words.BASE_COLUMN: st.column_config.TextColumn(words.BASE_COLUMN, width=180),
            words.ADAPTER_COLUMN: st.column_config.TextColumn(words.ADAPTER_COLUMN, width=180),
        },
    )


def _version_row(version: ModelVersion, names: dict[str, str]) -> dict[str, Any]:
    parameters = version.made_by.get("parameters")
    return {
        words.NAME: version.name,
        words.ROLE_COLUMN: version.role,
        words.PARENT: names.get(version.parent_id or "", "–"),
        words.PARAMETERS: f"{parameters:,}" if parameters else "–",
        words.BASE_COLUMN: version.base or (words.TWO_VERSIONS if version.role == ENSEMBLE else words.OUTPUTS_ONLY),
        words.ADAPTER_COLUMN: version.adapter or "–",
        words.REPLICA_OF: names.get(version.replica_of or "", "–"),
        words.FINGERPRINT: version.fingerprint[:12] if version.base else "–",
        words.ADDED: version.created_at.strftime(_TIME),
    }


def _dataset_row(dataset: Dataset) -> dict[str, Any]:
    return {
        words.NAME: dataset.name,
        words.TASK_KIND_COLUMN: dataset.task_kind,
        words.SPLITS: ", ".join(f"{split} {rows:,}" for split, rows in dataset.splits.items()),
        words.TEMPLATE_COLUMN: dataset.template,
        words.FINGERPRINT: dataset.fingerprint[:12],
        words.ADDED: dataset.created_at.strftime(_TIME),
    }


def _run_row(run: EvaluationRun, names: dict[str, str], dataset_names: dict[str, str]) -> dict[str, Any]:
    return {
        words.VERSION: names[run.version_id],
        words.RESULT: summary_text(run.summary),
        words.DATASET_COLUMN: dataset_names[run.dataset_id],
        words.SPLIT_COLUMN: run.split,
        words.SAMPLES: run.rows,
        words.ORIGIN: run.origin,
        words.MADE: run.created_at.strftime(_TIME),
    }


def _training_row(training: TrainingRun, names: dict[str, str], dataset_names: dict[str, str]) -> dict[str, Any]:
    return {
        words.VERSION: names[training.result_version_id],
        words.KIND_COLUMN: training.kind,
        words.STRATEGY: training.strategy or "–",
        words.DATASET_COLUMN: f"{dataset_names[training.dataset_id]} ({training.split or '–'})",
        words.SEED: training.seed if training.kind != INTERPOLATION else None,
        words.STEPS: training.summary.get("steps"),
        words.LAST_LOSS: f"{training.summary['loss']:.4f}" if "loss" in training.summary else "–",
        words.TRAINING_TIME: duration(training.summary["seconds"]),
        words.STARTS_FROM: training.initialisation or "–",
        words.MADE: training.created_at.strftime(_TIME),
    }


def _evaluate_form(workspace: Workspace, versions: list[ModelVersion], datasets: list[Dataset]) -> None:
    with st.form("evaluate", border=True):
        st.markdown(words.EVALUATE_PURPOSE)
        first, second, third = wrapping_columns(3, least=180, key="evaluate_columns")
        runnable = [version.name for version in versions if version.base is not None]
        version = first.selectbox(words.MODEL_VERSION, runnable, index=None, placeholder=words.CHOOSE_VERSION)
        targets = [f"{dataset.name} · {split}" for dataset in datasets for split in dataset.splits]
        target = second.selectbox(words.TARGET, targets, index=None, placeholder=words.CHOOSE_DATASET)
        limit = third.number_input(words.LIMIT, 0, 10_000_000, 0, help=words.LIMIT_HELP)
        if not st.form_submit_button(words.EVALUATE, icon=":material/play_arrow:"):
            return
    if version is None or target is None:
        st.warning(words.CHOOSE_BOTH, icon=":material/warning:")
        return
    dataset, _, split = target.partition(" · ")
    with errors_shown():
        submission = submit_evaluation(workspace, [version], dataset, split=split, limit=limit or None)
    go("training", {JOB_KEY: submission.job_id[:8]})
