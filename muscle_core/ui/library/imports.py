"""Part of the Library page: import what models answered elsewhere, after a preview.

A small file is imported at once. Of a large one only the first rows are looked at here; a job reads and checks it all.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import streamlit as st

from muscle_core.actions.background.submit import submit_import
from muscle_core.actions.imports.outputs import ImportResult, import_log
from muscle_core.actions.imports.preview import ImportPreview, preview_import
from muscle_core.actions.imports.request import ImportRequest
from muscle_core.actions.library.models import check_parent, set_parent
from muscle_core.errors import MuscleError
from muscle_core.interchange.detect import AUTO
from muscle_core.interchange.head import head_of
from muscle_core.interchange.log import FORMATS, LogOptions
from muscle_core.store import Workspace, list_datasets, list_runs
from muscle_core.ui.frame import errors_shown
from muscle_core.ui.library import import_done, import_jobs, words
from muscle_core.ui.library.import_form import FORM, LAST, Choices, choices, parent_problem
from muscle_core.ui.library.import_preview import facts, previewed, problems
from muscle_core.ui.library.upload import LOGS, OnDisk, clear, larger_files, on_disk, uploader
from muscle_core.ui.url import rerun

_DONE = "_imported"  # what the last import wrote, to be told after the page has run again
AT_ONCE_BYTES = 8 * 2**20  # a larger file takes seconds to read, and is imported in the background


class _Head(NamedTuple):
    """The beginning of an upload, in place of it."""

    file_id: str
    name: str
    content: bytes

    def getbuffer(self) -> bytes:
        """As of an upload."""
        return self.content


def show(workspace: Workspace) -> None:
    """Draw the form: a file, what it is, what is meant, what would be written, and the button that does it."""
    st.markdown(words.IMPORT_PURPOSE)
    last = st.container()
    file = uploader(words.IMPORT_FILE, FORM, LOGS, most=words.MOST_IMPORT_MIB, help=words.IMPORT_FILE_HELP)
    if file is None:
        with last:
            if _DONE in st.session_state:
                import_done.told(workspace, st.session_state[_DONE])
        st.caption(words.IMPORT_FORMATS)
        import_jobs.show(workspace)
        with st.expander(words.BY_COMMAND):
            larger_files(words.IMPORT_COMMAND, words.MOST_IMPORT_MIB)
        return
    st.session_state.pop(_DONE, None)
    read_as = st.selectbox(
        words.READ_AS,
        [AUTO, *FORMATS],
        format_func=lambda name: words.FORMAT_NAMES[name],
        key=f"import_as_{file.file_id}",
    )
    large = file.size > AT_ONCE_BYTES
    head = head_of(file.getbuffer()) if large else None
    looked_at = file if head is None else _Head(f"head_{file.file_id}", file.name, head)
    looked = _preview(workspace, looked_at, None, None, {"format": read_as})
    if looked.facts is None:
        problems(looked)
        return
    facts(looked.facts, rows_known=head is None)
    chosen = choices(workspace, file, looked.facts, read_as)
    # The means of a results file are those of the whole file, not of its first rows.
    second = None if head is not None and chosen.second_is == "results" else chosen.second
    preview = _preview(workspace, looked_at, second, chosen.second_is, chosen.arguments)
    if large:
        st.info(words.large_file(file.size / 2**20, whole=head is None), icon=":material/hourglass_top:")
    previewed(preview, rows_known=head is None)
    problems(preview)
    ready = not preview.problems and not parent_problem(workspace, chosen)
    label, icon = (words.IMPORT_LATER, ":material/schedule:") if large else (words.IMPORT, ":material/download_done:")
    if st.button(label, type="primary", icon=icon, disabled=not ready, key="import_now"):
        with errors_shown():
            if large:
                _submit(workspace, file, chosen)
            else:
                st.session_state[_DONE] = import_done.done_by(_carry_out(workspace, file, chosen), chosen)
        clear(FORM)
        rerun()


def _preview(
    workspace: Workspace, file: Any, second: Any, second_is: str | None, arguments: dict[str, Any]
) -> ImportPreview:
    # What an import would do depends on what is there: the newest run and the datasets stand for that.
    state = tuple(run.id for run in list_runs(workspace)[:1]) + tuple(d.id for d in list_datasets(workspace))
    key = (file.file_id, None if second is None else second.file_id, second_is, repr(sorted(arguments.items())))
    return _read(str(workspace.home), key, state, workspace, file, second, second_is, arguments)


@st.cache_resource(max_entries=16, show_spinner=words.READING)
def _read(
    home: str,
    key: tuple[Any, ...],
    state: tuple[str, ...],
    _workspace: Workspace,
    _file: Any,
    _second: Any,
    _second_is: str | None,
    _arguments: dict[str, Any],
) -> ImportPreview:
    with on_disk(_file, _second) as disk:
        path, given = _given(disk, _second_is, _arguments)
        found = preview_import(_workspace, path, **given, first_rows_only=isinstance(_file, _Head))
        return ImportPreview(
            file=disk.told(found.file),
            facts=found.facts,
            task=found.task,
            makes_dataset=found.makes_dataset,
            runs=found.runs,
            first=found.first,
            notes=tuple(disk.told(note) for note in found.notes),
            problems=tuple(disk.told(problem) for problem in found.problems),
        )


def _given(disk: OnDisk, second_is: str | None, arguments: dict[str, Any]) -> tuple[Path, dict[str, Any]]:
    """The file and the arguments with the paths that the uploads have now."""
    path, second = disk.paths
    assert path is not None
    given = dict(arguments)
    if second is not None and second_is == "results":
        given["options"] = LogOptions(**{**vars(given.get("options") or LogOptions()), "results": second})
    elif second is not None and second_is is not None:
        given[second_is] = second
    return path, given


def _carry_out(workspace: Workspace, file: Any, choices: Choices) -> ImportResult:
    with on_disk(file, choices.second) as disk:
        path, given = _given(disk, choices.second_is, choices.arguments)
        try:
            if choices.parent is not None:
                check_parent(workspace, choices.arguments["version"], choices.parent)
            result = import_log(workspace, path, **given, source=file.name)
        except MuscleError as error:
            raise type(error)(disk.told(str(error))) from error
    if choices.parent is not None:
        set_parent(workspace, result.runs[0].version, choices.parent)
    return result


def _submit(workspace: Workspace, file: Any, choices: Choices) -> None:
    with on_disk(file, choices.second) as disk:
        path, given = _given(disk, choices.second_is, choices.arguments)
        try:
            request = ImportRequest(path, **given, source=file.name)
            submit_import(workspace, request, parent=choices.parent, uploaded=True)
        except MuscleError as error:
            raise type(error)(disk.told(str(error))) from error
    st.session_state[LAST] = {"dataset": choices.arguments["dataset"], "version": choices.arguments["version"]}
