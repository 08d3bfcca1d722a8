"""Part of the Library page: what takes room on the disk, and deletion with a preview of what depends on it."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from muscle_core.actions.deletion import Deletion, delete, plan_deletion
from muscle_core.jobs import FINAL, list_jobs
from muscle_core.store import (
    Workspace,
    list_datasets,
    list_runs,
    list_training_runs,
    list_versions,
)
from muscle_core.store.disk import disk_use, size_text
from muscle_core.ui.frame import errors_shown, plain

_KINDS = {
    "version": "Model version",
    "dataset": "Dataset",
    "run": "Evaluation run",
    "training": "Training",
    "job": "Job that is over",
}
_DELETED = "_deleted"  # what to say of a deletion after the page has run again
_SHOWN = 20


def show(workspace: Workspace) -> None:
    """Disk use where it is asked for, and the form that deletes an object."""
    if st.toggle("Show what takes room", key="disk_use", help="Looks at every file of the workspace."):
        _disk_use(workspace)
    st.markdown("**Delete an object.** What depends on it is shown first.")
    if _DELETED in st.session_state:
        st.success(plain(st.session_state.pop(_DELETED)), icon=":material/check_circle:")
    left, right = st.columns([1, 3])
    kind = left.selectbox("Kind", list(_KINDS), format_func=lambda key: _KINDS[key], key="delete_kind")
    labels = _objects(workspace, kind)
    name = right.selectbox(
        "Object",
        list(labels),
        index=None,
        format_func=lambda key: labels[key],
        placeholder="choose what to delete" if labels else "none yet",
        key=f"delete_{kind}",
    )
    if name is not None:
        with errors_shown():
            _confirm(workspace, kind, name, plan_deletion(workspace, kind, name))


def _disk_use(workspace: Workspace) -> None:
    uses = disk_use(workspace)
    total = size_text(sum(use.size for use in uses))
    st.caption(plain(f"{total} in all. What nothing needs any more: python -m muscle_core workspace gc"))
    rows = [
        {"size": size_text(use.size), "kind": use.kind, "name": use.name or "–", "path": use.path, "files": use.files}
        for use in uses
    ]
    if rows:
        st.dataframe(pd.DataFrame(rows), hide_index=True, alt="What takes room in the workspace, the largest first")


def _objects(workspace: Workspace, kind: str) -> dict[str, str]:
    """What can be deleted of a kind: how the library names it, and how the page does."""
    versions = {version.id: version.name for version in list_versions(workspace)}
    if kind == "version":
        return {name: name for name in versions.values()}
    datasets = {dataset.id: dataset.name for dataset in list_datasets(workspace)}
    if kind == "dataset":
        return {name: name for name in datasets.values()}
    if kind == "run":
        return {
            run.id: f"{versions[run.version_id]} on {datasets[run.dataset_id]} ({run.split}, {run.rows:,} samples) "
            f"· {run.created_at:%Y-%m-%d %H:%M} UTC"
            for run in list_runs(workspace)
        }
    if kind == "training":
        return {run.id: f"{versions[run.result_version_id]} · {run.id[:8]}" for run in list_training_runs(workspace)}
    return {job.id: f"{job.title} · {job.state} · {job.id[:8]}" for job in list_jobs(workspace) if job.state in FINAL}


def _confirm(workspace: Workspace, kind: str, name: str, plan: Deletion) -> None:
    st.markdown(plain(f"{plan.target}: {size_text(plan.size)} in {len(plan.paths):,} files and folders would go."))
    for title, lines in (
        ("Goes with it", plan.along),
        ("Depends on it", plan.dependents),
        ("Stays, without its parent", [f"version {child!r}" for child in plan.unlinked]),
        ("Stays, as a replica of it no longer", [f"version {child!r}" for child in plan.replicas]),
        ("Uses it", plan.users),
    ):
        if lines:
            rest = [f"and {len(lines) - _SHOWN:,} more"] if len(lines) > _SHOWN else []
            st.markdown(f"{title}:\n" + "\n".join(f"- {plain(line)}" for line in [*lines[:_SHOWN], *rest]))
    if plan.users:
        st.warning("A job uses it; wait for its end or cancel it first.", icon=":material/warning:")
        return
    dependents = f" and the {len(plan.dependents):,} that depend on it" if plan.dependents else ""
    sure = st.checkbox(f"Yes, delete it{dependents}. This cannot be undone.", key=f"sure_{kind}_{name}")
    if st.button("Delete", icon=":material/delete:", disabled=not sure, key="delete_now"):
        gone = delete(workspace, kind, name, with_dependents=bool(plan.dependents))
        st.session_state[_DELETED] = f"Deleted {gone.target}: {size_text(gone.size)}."
        st.rerun()
