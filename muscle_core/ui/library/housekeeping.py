"""Part of the Library page: what takes room on the disk, and deletion with a preview of what depends on it."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from muscle_core.actions.upkeep.deletion import Deletion, delete, plan_deletion
from muscle_core.jobs import FINAL, list_jobs
from muscle_core.store import (
    Workspace,
    list_datasets,
    list_runs,
    list_training_runs,
    list_versions,
)
from muscle_core.store.disk import disk_use, size_text
from muscle_core.ui.frame import errors_shown, plain, wrapping_columns
from muscle_core.ui.library import words
from muscle_core.ui.url import rerun

_DELETED = "_deleted"  # what to say of a deletion after the page has run again
_SHOWN = 20


def show(workspace: Workspace) -> None:
    """Disk use where it is asked for, and the form that deletes an object."""
    if st.toggle(words.SHOW_DISK, key="disk_use", help=words.SHOW_DISK_HELP):
        _disk_use(workspace)
    st.markdown(words.DELETE_PURPOSE)
    if _DELETED in st.session_state:
        st.success(plain(st.session_state.pop(_DELETED)), icon=":material/check_circle:")
    left, right = wrapping_columns([1, 2], least=200, key="delete_columns")
    kind = left.selectbox(words.KIND, list(words.KINDS), format_func=lambda key: words.KINDS[key], key="delete_kind")
    labels = _objects(workspace, kind)
    name = right.selectbox(
        words.OBJECT,
        list(labels),
        index=None,
        format_func=lambda key: labels[key],
        placeholder=words.CHOOSE_OBJECT if labels else words.NO_OBJECT,
        key=f"delete_{kind}",
    )
    if name is not None:
        with errors_shown():
            _confirm(workspace, kind, name, plan_deletion(workspace, kind, name))


def _disk_use(workspace: Workspace) -> None:
    uses = disk_use(workspace)
    total = size_text(sum(use.size for use in uses))
    st.caption(plain(words.disk_total(total)))
    rows = [
        {"size": size_text(use.size), "kind": use.kind, "name": use.name or "–", "path": use.path, "files": use.files}
        for use in uses
    ]
    if rows:
        st.dataframe(pd.DataFrame(rows), hide_index=True, alt=words.DISK_ALT)


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
            run.id: words.run_label(
                versions[run.version_id],
                datasets[run.dataset_id],
                run.split,
                run.rows,
                f"{run.created_at:%Y-%m-%d %H:%M}",
            )
            for run in list_runs(workspace)
        }
    if kind == "training":
        return {run.id: f"{versions[run.result_version_id]} · {run.id[:8]}" for run in list_training_runs(workspace)}
    return {job.id: f"{job.title} · {job.state} · {job.id[:8]}" for job in list_jobs(workspace) if job.state in FINAL}


def _confirm(workspace: Workspace, kind: str, name: str, plan: Deletion) -> None:
    st.markdown(plain(words.would_go(plan.target, size_text(plan.size), len(plan.paths))))
    dependents(plan)
    if plan.users:
        st.warning(words.IN_USE, icon=":material/warning:")
        return
    sure = st.checkbox(words.sure(len(plan.dependents)), key=f"sure_{kind}_{name}")
    if st.button(words.DELETE, icon=":material/delete:", disabled=not sure, key="delete_now"):
        gone = delete(workspace, kind, name, with_dependents=bool(plan.dependents))
        st.session_state[_DELETED] = words.deleted(gone.target, size_text(gone.size))
        rerun()


def dependents(plan: Deletion) -> bool:
    """List what goes with an object, depends on it or uses it; False where nothing does."""
    found = False
    for title, lines in (
        (words.GOES_ALONG, plan.along),
        (words.DEPENDS, plan.dependents),
        (words.UNLINKED, [words.version_line(child) for child in plan.unlinked]),
        (words.REPLICAS, [words.version_line(child) for child in plan.replicas]),
        (words.USES, plan.users),
    ):
        if lines:
            rest = [words.more_problems(len(lines) - _SHOWN)] if len(lines) > _SHOWN else []
            st.markdown(f"{title}:\n" + "\n".join(f"- {plain(line)}" for line in [*lines[:_SHOWN], *rest]))
            found = True
    return found


def pick_for_deletion(kind: str, name: str) -> None:
    """In a callback: open the section that deletes, with an object chosen."""
    st.session_state.update({"tab": "disk", "delete_kind": kind, f"delete_{kind}": name})
