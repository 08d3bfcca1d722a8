"""What is known of one model version: what it is made of, its lineage, runs and trainings, and what depends on it."""

from __future__ import annotations

from typing import Any

import streamlit as st

from muscle_core.actions.library.inventory import (
    Inventory,
    comparison_of,
    library_text,
    lineage,
    origin_of,
    samples_of_run,
    trainings_with,
)
from muscle_core.actions.upkeep.deletion import plan_deletion
from muscle_core.store import EvaluationRun, ModelVersion, TrainingRun, Workspace, summary_text
from muscle_core.store.tables import ENSEMBLE, INTERPOLATION
from muscle_core.ui.frame import errors_shown, go, plain, wrapping_columns
from muscle_core.ui.library import housekeeping
from muscle_core.ui.library import inspect_words as words
from muscle_core.ui.library.lists import TIME, TRAINING, VERSION, copyable, facts, pick

_MOST_RUNS, _MOST_TRAININGS, _MOST_NEXT = 8, 6, 12


def show(workspace: Workspace, held: Inventory, version: ModelVersion) -> None:
    """Draw all that is known of a version."""
    st.markdown(f"##### {plain(version.name)}")
    left, right = wrapping_columns([1, 1], least=280, key="version_facts")
    with left:
        facts(_facts(held, version), "one_version")
    with right:
        for label, text in (
            (words.BASE, version.base),
            (words.ADAPTER, version.adapter),
            (words.BASE_PRINT, version.base_fingerprint),
            (words.ADAPTER_PRINT, version.adapter_fingerprint),
            (words.TOKENIZER_PRINT, version.tokenizer_fingerprint),
        ):
            if text:
                copyable(label, text)
    _lineage(held, version)
    _runs(held, version)
    _trainings(held, version)
    made_with = library_text(version.made_by)
    if made_with:
        st.markdown(words.MADE_WITH)
        st.caption(plain(made_with))
    _dependents(workspace, version)


def _facts(held: Inventory, version: ModelVersion) -> list[tuple[str, str]]:
    training, made_by = held.made.get(version.id), version.made_by
    strategy = None if training is None else training.strategy
    share = None if training is None else training.options.get("share")
    rows = [
        (words.ROLE_FACT, version.role),
        (words.MADE_FACT, words.made_by(origin_of(held, version), strategy, share)),
        (words.ADDED_FACT, version.created_at.strftime(TIME)),
    ]
    if version.base is None:
        members = [str(member["name"]) for member in made_by.get("ensemble_of", ())]
        rows.append((words.BASE, words.ensemble_of(members) if version.role == ENSEMBLE else words.OUTPUTS_ONLY))
    else:
        rows += [
            (words.REVISION, version.revision or words.NO_REVISION),
            (words.PARAMETERS, f"{made_by['parameters']:,}" if made_by.get("parameters") else words.NOT_KNOWN),
            (words.ARCHITECTURE, str(made_by.get("architecture", words.NOT_KNOWN))),
            (words.VOCABULARY, f"{made_by['vocabulary']:,}" if made_by.get("vocabulary") else words.NOT_KNOWN),
        ]
    if version.base is not None and version.adapter is None:
        rows.append((words.ADAPTER, words.NO_ADAPTER))
    replica_of = held.name_of(version.replica_of)
    if replica_of is not None:
        rows.append((words.REPLICA_OF, replica_of))
    if made_by.get("model"):
        rows.append((words.MODEL, str(made_by["model"])))
    if training is not None and training.kind != INTERPOLATION:
        rows.append((words.SEED_FACT, str(training.seed)))
    if version.notes:
        rows.append((words.NOTES, version.notes))
    return rows


def _lineage(held: Inventory, version: ModelVersion) -> None:
    st.markdown(words.LINEAGE)
    found = lineage(held, version)
    if not found:
        st.caption(words.NO_LINEAGE)
        return
    for relation, label in words.NEXT_TO.items():
        names = [name for one, name in found if one == relation]
        if names:
            _next_to(f"{relation}_of_{version.id}", words.counted(label, len(names)), names)


def _next_to(key: str, label: str, names: list[str]) -> None:
    def look() -> None:
        if st.session_state[key] is not None:
            pick(VERSION, None, st.session_state[key])
            st.session_state[key] = None  # it leads to another version, and is not chosen after the way back

    st.pills(label, names[:_MOST_NEXT], key=key, on_change=look)
    if len(names) > _MOST_NEXT:
        st.caption(words.more(len(names) - _MOST_NEXT, words.THE_LIST))


def _runs(held: Inventory, version: ModelVersion) -> None:
    st.markdown(words.RUNS)
    runs = [run for run in held.runs.values() if run.version_id == version.id]
    if not runs:
        st.caption(words.NO_RUNS)
    for run in runs[:_MOST_RUNS]:
        dataset = held.datasets[run.dataset_id].name
        row = st.container(horizontal=True, vertical_alignment="center", key=f"run_row_{run.id}")
        line = words.run_line(dataset, run.split, summary_text(run.summary), run.created_at.strftime(TIME))
        row.markdown(plain(line))
        run_links(held, version, run, row)
    if len(runs) > _MOST_RUNS:
        st.caption(words.more(len(runs) - _MOST_RUNS, words.THE_RUNS))


def run_links(held: Inventory, version: ModelVersion, run: EvaluationRun, row: Any) -> None:
    """Buttons that open the pages on which a run can be seen."""
    picks, read = comparison_of(held, version, run), samples_of_run(held, version, run)
    if picks is None or read is None:
        row.caption(words.NOTHING_TO_COMPARE)
        return
    if row.button(words.UPDATE_REPORT, key=f"report_{run.id}", icon=":material/difference:", type="tertiary"):
        go("update_report", picks)
    if row.button(words.SAMPLES, key=f"samples_{run.id}", icon=":material/table_rows:", type="tertiary"):
        from muscle_core.ui.samples.link import open_samples

        open_samples({}, read)


def _trainings(held: Inventory, version: ModelVersion) -> None:
    trainings = trainings_with(held, version)
    if not trainings:
        return
    st.markdown(words.TRAININGS)
    for training in trainings[:_MOST_TRAININGS]:
        row = st.container(horizontal=True, vertical_alignment="center", key=f"training_row_{training.id}")
        row.markdown(plain(_training_line(held, version, training)))
        row.button(
            words.LOOK_AT_TRAINING,
            key=f"look_{training.id}",
            icon=":material/search:",
            type="tertiary",
            on_click=pick,
            args=(TRAINING, "trainings", training.id[:8]),
        )
    if len(trainings) > _MOST_TRAININGS:
        st.caption(words.more(len(trainings) - _MOST_TRAININGS, words.THE_TRAININGS))


def _training_line(held: Inventory, version: ModelVersion, training: TrainingRun) -> str:
    role = next(
        name
        for name, id_ in (
            ("made", training.result_version_id),
            ("old", training.old_version_id),
            ("new", training.new_version_id),
        )
        if id_ == version.id
    )
    return words.training_line(
        role,
        training.strategy or training.kind,
        held.datasets[training.dataset_id].name,
        training.split,
        training.seed if training.kind != INTERPOLATION else None,
        held.name_of(training.result_version_id),
    )


def _dependents(workspace: Workspace, version: ModelVersion) -> None:
    with st.expander(words.DEPENDS_LABEL, icon=":material/account_tree:", on_change="rerun", key="dependents") as box:
        if not box.open:
            return
        with errors_shown():
            plan = plan_deletion(workspace, "version", version.name)
        if not housekeeping.dependents(plan):
            st.caption(words.NOTHING_DEPENDS)
        st.button(
            words.DELETE,
            icon=":material/delete:",
            key="go_and_delete",
            on_click=housekeeping.pick_for_deletion,
            args=("version", version.name),
        )
