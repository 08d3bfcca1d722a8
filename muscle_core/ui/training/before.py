"""Before a training starts: what speaks against it, what it takes, the button, and the same as command and recipe."""

from __future__ import annotations

import streamlit as st

from muscle_core.actions.background.submit import submit_compat
from muscle_core.actions.training.commands import CompatRequest, compat_command, compat_recipe
from muscle_core.actions.training.estimate import Estimate
from muscle_core.actions.training.preflight import NOTE, OK, Check
from muscle_core.errors import ConfigError, MuscleError
from muscle_core.store import Workspace
from muscle_core.ui.frame import errors_shown, plain, wrapping_columns
from muscle_core.ui.training import before_words as words
from muscle_core.ui.training.expected import looked_at
from muscle_core.ui.training.form import JOB_KEY
from muscle_core.ui.url import clicked

_MARKS = {OK: "✓", NOTE: "○"}
_LEAST_HEIGHT = 280  # of the panel, so that what is below keeps its place


def show(workspace: Workspace, request: CompatRequest) -> None:
    """Draw what is known of the training that the form asks for; however often it is clicked, one job is queued."""
    with st.container(border=True, key="preflight"):
        st.html(f"<style>.st-key-preflight {{ min-height: {_LEAST_HEIGHT}px; }}</style>")
        st.markdown(f"**{words.PREFLIGHT}**")
        above = st.container()
        if st.button(words.START, type="primary", icon=":material/play_arrow:", width="stretch", on_click=clicked):
            _submit(workspace, request)
        with errors_shown():  # after the press, which is under way from then on
            found = looked_at(workspace, request)
        with above:
            if found.problems:
                texts = [plain(check.detail) if check.detail else words.check_line(check) for check in found.problems]
                listed = "".join(f"\n- {text}" for text in dict.fromkeys(texts))
                st.error(f"{words.CANNOT_START}\n{listed}", icon=":material/error:")
            if found.estimate is not None:
                _figures(found.estimate)
        if found.estimate is not None and found.estimate.seconds.value is not None:
            st.caption(words.TIME_NOTE)
        lines = [f"{_MARKS[check.state]} {_line(check)}" for check in found.checks if check.state in _MARKS]
        st.caption("  \n".join(lines))
        if found.estimate is not None:
            _sources(found.estimate)


def _figures(expected: Estimate) -> None:
    columns = wrapping_columns(3, least=90, key="preflight_figures")
    for column, name, value in zip(
        columns,
        (words.TIME, words.MEMORY, words.DISK),
        (
            words.time_value(expected.seconds),
            words.size_value(expected.memory),
            words.disk_value(expected.disk),
        ),
        strict=True,
    ):
        column.markdown(f":small[{name}]  \n**{value}**")


def _sources(expected: Estimate) -> None:
    with st.expander(words.SOURCES):
        for name, text in (
            (words.TIME, words.time_source(expected.steps, expected.teachers, expected.evaluation)),
            (words.MEMORY, words.memory_source(expected.memory)),
            (words.DISK, words.disk_source(expected.adapter, expected.checkpoints, expected.store)),
        ):
            st.caption(f"**{name}.** {text}")


def _submit(workspace: Workspace, request: CompatRequest) -> None:
    try:
        submission = submit_compat(
            workspace,
            request.old,
            request.new,
            request.dataset.name,
            request.config,
            train_split=request.train_split,
            test_split=request.test_split,
        )
    except MuscleError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    st.session_state[JOB_KEY] = submission.job_id[:8]
    st.toast(words.QUEUED if submission.is_new else words.UNDER_WAY)


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
                lambda: text,  # made on the click: a file that the next run takes away is an error in the browser
                file_name="recipe.yaml",
                mime="application/yaml",
                icon=":material/download:",
                on_click="ignore",
            )
