"""The sections of the Library page, of which the URL names one."""

from __future__ import annotations

import streamlit as st

from muscle_core.actions.library.first_steps import next_step
from muscle_core.actions.library.inventory import inventory
from muscle_core.store import Workspace
from muscle_core.ui.empty import demo_progress_in_sidebar, guide
from muscle_core.ui.frame import plain
from muscle_core.ui.library import additions, datasets, housekeeping, imports, runs, trainings, versions, words
from muscle_core.ui.library.lists import DATASET, RUN, TRAINING, VERSION
from muscle_core.ui.url import follow, publish, restore
from muscle_core.ui.words import PURPOSES

TAB = "tab"
_LEFT_OUT = (  # of the URL where they say nothing
    *(kind.key for kind in (VERSION, DATASET, RUN, TRAINING)),
    *(versions.SEARCH, versions.ROLE, runs.SEARCH, trainings.SEARCH),
)


def show(workspace: Workspace) -> None:
    """The section that the URL names; what to do next where nothing can be compared yet."""
    held = inventory(workspace)
    step = next_step(workspace)
    if step is not None:
        st.markdown(PURPOSES["library"])
        guide(workspace, step, in_library=True)
    else:
        demo_progress_in_sidebar(workspace)
    st.caption(words.workspace_at(plain(str(workspace.home))))
    sections = words.sections(len(held.versions), len(held.datasets), len(held.runs), len(held.trainings))
    follow(_LEFT_OUT, (TAB,))
    restore(TAB, "versions" if held.versions or held.datasets else "import", lambda key: key in sections)
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
    additions.told()
    if section == "versions":
        versions.show(workspace, held)
    elif section == "datasets":
        datasets.show(workspace, held)
    elif section == "runs":
        runs.show(workspace, held)
    elif section == "trainings":
        trainings.show(workspace, held)
    elif section == "import":
        imports.show(workspace)
    else:
        housekeeping.show(workspace)
