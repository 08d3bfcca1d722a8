"""Before a training starts: what speaks against it, what it takes, and the same as a command or a recipe."""

from __future__ import annotations

import streamlit as st

from muscle_core.actions.training.commands import CompatRequest, compat_command, compat_recipe
from muscle_core.actions.training.preflight import NOTE, OK, Check
from muscle_core.errors import ConfigError
from muscle_core.store import Workspace
from muscle_core.ui.frame import errors_shown, plain, wrapping_columns
from muscle_core.ui.training import words
from muscle_core.ui.training.expected import looked_at

_MARKS = {OK: "✓", NOTE: "○"}
_LEAST_HEIGHT = 280  # of the panel, so that what is below keeps its place


def show(workspace: Workspace, request: CompatRequest) -> None:
    """Draw the panel for what the form says."""
    with st.container(border=True, key="preflight"):
        st.html(f"<style>.st-key-preflight {{ min-height: {_LEAST_HEIGHT}px; }}</style>")
        st.markdown(f"**{words.PREFLIGHT}**")
        with errors_shown():
            found = looked_at(workspace, request)
        if found.problems:
            texts = [plain(check.detail) if check.detail else words.check_line(check) for check in found.problems]
            listed = "".join(f"\n- {text}" for text in dict.fromkeys(texts))
            st.error(f"{words.CANNOT_START}\n{listed}", icon=":material/error:")
        expected = found.estimate
        if expected is not None:
            columns = wrapping_columns(3, least=180, key="preflight_figures")
            columns[0].markdown(f"{words.TIME}: **{words.time_value(expected.seconds)}**")
            columns[0].caption(words.time_source(expected.steps, expected.teachers, expected.evaluation))
            columns[1].markdown(f"{words.MEMORY}: **{words.size_value(expected.memory)}**")
            columns[1].caption(words.memory_source(expected.memory))
            columns[2].markdown(f"{words.DISK}: **{words.disk_value(expected.disk)}**")
            columns[2].caption(words.disk_source(expected.adapter, expected.checkpoints, expected.store))
        lines = [f"{_MARKS[check.state]} {_line(check)}" for check in found.checks if check.state in _MARKS]
        st.markdown("  \n".join(lines))


def _line(check: Check) -> str:
    if check.name == "repeated":
        version, job = (check.numbers.get(name) for name in ("version", "job"))
        return words.repeated(None if version is None else plain(str(version)), None if job is None else str(job))
    return words.check_line(check)


def show_elsewhere(request: CompatRequest) -> None:
    """Draw the command and the recipe of what the form says, to be copied."""
    with st.expander(words.ELSEWHERE):
        command, recipe = st.tabs([words.COMMAND_TAB, words.RECIPE_TAB])
        with command:
            st.caption(words.COMMAND_NOTE)
            st.code(compat_command(request), language=None, wrap_lines=True)
        with recipe:
            try:
                text = compat_recipe(request)
            except ConfigError as error:
                st.info(plain(str(error)), icon=":material/info:")
                return
            st.caption(words.RECIPE_NOTE)
            st.code(text, language=None, wrap_lines=True)
            st.download_button(
                words.RECIPE_DOWNLOAD,
                text,
                file_name="recipe.yaml",
                mime="application/yaml",
                icon=":material/download:",
                on_click="ignore",
            )
