"""Part of the import: what the last one wrote, and the way on."""

from __future__ import annotations

from typing import Any

import streamlit as st

from muscle_core.actions.imports.outputs import ImportResult
from muscle_core.store import Workspace, list_datasets, list_runs, list_versions, summary_text
from muscle_core.ui.frame import go, plain
from muscle_core.ui.library import words
from muscle_core.ui.library.import_form import LAST, Choices


def done_by(result: ImportResult, choices: Choices) -> dict[str, Any]:
    """What to tell of an import, and what the next one probably belongs to."""
    st.session_state[LAST] = {"dataset": result.dataset.name, "version": result.runs[0].version}
    return {
        "dataset": result.dataset.name,
        "made": result.made_dataset,
        "split": choices.arguments["split"],
        "parent": choices.parent,
        "runs": [(run.version, run.run.rows, summary_text(run.run.summary), run.is_new) for run in result.runs],
    }


def told(workspace: Workspace, done: dict[str, Any], key: str = "compare_these") -> None:
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
    elif st.button(words.compare_these(*pair), icon=":material/difference:", type="primary", key=key):
        go("update_report", {"dataset": dataset, "split": split, "old": pair[0], "new": pair[1]}, afresh=("tab",))


def done_by_job(result: dict[str, Any]) -> dict[str, Any]:
    """As `done_by`, of an import in the background."""
    return {
        "dataset": result["dataset"],
        "made": result["made_dataset"],
        "split": result["split"],
        "parent": result["parent"],
        "runs": [(run["version"], run["rows"], run["summary"], run["is_new"]) for run in result["imported"]],
    }


def _pair(
    workspace: Workspace, dataset: str, split: str, names: list[str], parent: str | None
) -> tuple[str, str] | None:
    """Old and new version to compare after an import; None where only one has answered the split."""
    by_id = {version.id: version.name for version in list_versions(workspace)}
    found = next((one for one in list_datasets(workspace) if one.name == dataset), None)
    if found is None or not {*names} <= {*by_id.values()}:  # deleted since
        return None
    asked = [by_id[run.version_id] for run in reversed(list_runs(workspace, found.id)) if run.split == split]
    asked = list(dict.fromkeys(asked))
    if len(names) > 1:
        return names[0], names[1]
    if parent in asked:
        return str(parent), names[0]
    others = [name for name in asked if name != names[0]]
    return (others[-1], names[0]) if others else None
