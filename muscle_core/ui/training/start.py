"""Starting a compatibility training: the form, what is known before it starts, and the same as a command or recipe."""

from __future__ import annotations

import streamlit as st

from muscle_core.store import Workspace
from muscle_core.ui.frame import plain, wrapping_columns
from muscle_core.ui.picks import Picks
from muscle_core.ui.training import before, form
from muscle_core.ui.training import form_words as words


def show(workspace: Workspace, chosen: Picks) -> None:
    """Draw the panel."""
    st.markdown(words.intro(plain(chosen.old.name), plain(chosen.new.name), plain(chosen.dataset.name)))
    problem = cannot_train(chosen)
    if problem:
        st.info(problem, icon=":material/info:")
        return
    told = st.container()
    left, right = wrapping_columns([3, 2], least=320, key="training_start")
    with left:
        request = form.show(chosen, told)
    if request is None:
        return
    with right:
        before.show(workspace, request)
    before.show_elsewhere(request)


def cannot_train(chosen: Picks) -> str | None:
    """Why nothing can be trained for a pair, or None."""
    for version in (chosen.old, chosen.new):
        if version.base is None:
            return words.no_weights(plain(version.name))
    return None
