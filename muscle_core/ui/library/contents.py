"""Panels of the Library page."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from muscle_core.actions.background import submit_evaluation
from muscle_core.store import (
    Dataset,
    ModelVersion,
    Workspace,
    list_datasets,
    list_runs,
    list_training_runs,
    list_versions,
    summary_text,
)
from muscle_core.store.tables import ENSEMBLE, INTERPOLATION
from muscle_core.ui.frame import errors_shown, go
from muscle_core.ui.library import housekeeping
from muscle_core.ui.numbers import duration
from muscle_core.ui.training.form import JOB_KEY

_TIME = "%Y-%m-%d %H:%M UTC"


def is_empty(workspace: Workspace) -> bool:
    """Whether there is nothing to list."""
    return not list_versions(workspace) and not list_datasets(workspace)


def show(workspace: Workspace) -> None:
    """Tables of everything in the workspace, the form that evaluates versions, and what deletes them."""
    versions, datasets = list_versions(workspace), list_datasets(workspace)
    names = {version.id: version.name for version in versions}
    dataset_names = {dataset.id: dataset.name for dataset in datasets}
    runs, trainings = list_runs(workspace), list_training_runs(workspace)
    tabs = st.tabs(
        [
            f"Model versions ({len(versions):,})",
            f"Datasets ({len(datasets):,})",
            f"Evaluation runs ({len(runs):,})",
            f"Training runs ({len(trainings):,})",
            "Disk and deletion",
        ]
    )
    with tabs[0]:
        _frame([_version_row(version, names) for version in versions], "Model versions with base, adapter and lineage")
        st.code(
            "python -m muscle_core models add NAME FOLDER_OR_GGUF_OR_HUB_ID --adapter ADAPTER_FOLDER", language=None
        )
    with tabs[1]:
        _frame([_dataset_row(dataset) for dataset in datasets], "Datasets with task kind and splits")
        st.code(
            "python -m muscle_core datasets add NAME --task multiple_choice test=FILE.jsonl train=FILE.jsonl",
            language=None,
        )
    with tabs[2]:
        _frame(
            [
                {
                    "version": names[run.version_id],
                    "dataset": dataset_names[run.dataset_id],
                    "split": run.split,
                    "samples": run.rows,
                    "result": summary_text(run.summary),
                    "origin": run.origin,
                    "made": run.created_at.strftime(_TIME),
                }
                for run in runs
            ],
            "Evaluation runs, newest first",
        )
        _evaluate_form(workspace, versions, datasets)
    with tabs[3]:
        _frame(
            [
                {
                    "version": names[run.result_version_id],
                    "kind": run.kind,
                    "strategy": run.strategy or "–",
                    "starts from": run.initialisation or "–",
                    "dataset": f"{dataset_names[run.dataset_id]} ({run.split or '–'})",
                    "steps": run.summary.get("steps"),
                    "last loss": f"{run.summary['loss']:.4f}" if "loss" in run.summary else "–",
                    "seed": run.seed if run.kind != INTERPOLATION else None,
                    "training time": duration(run.summary["seconds"]),
                    "made": run.created_at.strftime(_TIME),
                }
                for run in trainings
            ],
            "Training runs, newest first",
        )
    with tabs[4]:
        housekeeping.show(workspace)


def _frame(rows: list[dict[str, Any]], alt: str) -> None:
    if rows:
        st.dataframe(pd.DataFrame(rows), hide_index=True, height="content", alt=alt)
    else:
        st.info("None yet.", icon=":material/info:")


def _version_row(version: ModelVersion, names: dict[str, str]) -> dict[str, Any]:
    parameters = version.made_by.get("parameters")
    return {
        "name": version.name,
        "role": version.role,
        "parent": names.get(version.parent_id or "", "–"),
        "replica of": names.get(version.replica_of or "", "–"),
        "parameters": f"{parameters:,}" if parameters else "–",
        "fingerprint": version.fingerprint[:12] if version.base else "–",
        "base": version.base or ("– (two versions)" if version.role == ENSEMBLE else "– (imported outputs only)"),
        "adapter": version.adapter or "–",
        "added": version.created_at.strftime(_TIME),
    }


def _dataset_row(dataset: Dataset) -> dict[str, Any]:
    return {
        "name": dataset.name,
        "task kind": dataset.task_kind,
        "splits": ", ".join(f"{split} {rows:,}" for split, rows in dataset.splits.items()),
        "template": dataset.template,
        "fingerprint": dataset.fingerprint[:12],
        "added": dataset.created_at.strftime(_TIME),
    }


def _evaluate_form(workspace: Workspace, versions: list[ModelVersion], datasets: list[Dataset]) -> None:
    with st.form("evaluate", border=True):
        st.markdown("**Evaluate a version** in the background; finished evaluations are not repeated.")
        first, second, third = st.columns(3)
        runnable = [version.name for version in versions if version.base is not None]
        version = first.selectbox("Model version", runnable, index=None, placeholder="choose a version")
        targets = [f"{dataset.name} · {split}" for dataset in datasets for split in dataset.splits]
        target = second.selectbox("Dataset and split", targets, index=None, placeholder="choose a dataset")
        limit = third.number_input("Only the first samples", 0, 10_000_000, 0, help="0 for all.")
        if not st.form_submit_button("Evaluate", icon=":material/play_arrow:"):
            return
    if version is None or target is None:
        st.warning("Choose a version and a dataset first.", icon=":material/warning:")
        return
    dataset, _, split = target.partition(" · ")
    with errors_shown():
        submission = submit_evaluation(workspace, [version], dataset, split=split, limit=limit or None)
    go("training", {JOB_KEY: submission.job_id[:8]})
