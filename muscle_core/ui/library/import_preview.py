"""Part of the import: what a file is, what would be written, and why it cannot be."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from muscle_core.actions.imports.preview import ImportPreview
from muscle_core.interchange.log import LogFacts
from muscle_core.ui.frame import plain
from muscle_core.ui.library import words
from muscle_core.ui.numbers import percent

_SHOWN_PROBLEMS = 20


def facts(found: LogFacts, *, rows_known: bool = True) -> None:
    """Say what a file is."""
    models = ", ".join(plain(name) for name in found.models[:10])
    rows = found.rows if rows_known else None
    st.markdown(words.what_it_is(words.FORMAT_NAMES[found.format], rows, plain(found.task), models))
    if found.columns:
        listed = ", ".join(plain(name) for name in found.columns[:30])
        st.caption(words.columns_found(len(found.columns), listed))


def previewed(preview: ImportPreview, *, rows_known: bool = True) -> None:
    """What would be written: the runs, the first rows, and what should be known."""
    st.markdown(words.PREVIEW)
    if preview.runs and rows_known:
        st.dataframe(
            pd.DataFrame(
                {
                    words.COLUMN_VERSION: run.version,
                    words.COLUMN_SAMPLES: f"{run.rows:,}",
                    words.COLUMN_RIGHT: "–"
                    if run.right is None
                    else words.right_of(run.right, run.judged, percent(run.accuracy)),
                    words.COLUMN_SCORE: "–" if run.mean_score is None else f"{run.mean_score:.4f}",
                    words.COLUMN_KNOWN: words.KNOWN if run.known else words.IS_NEW,
                }
                for run in preview.runs
            ),
            hide_index=True,
            height="content" if len(preview.runs) <= 10 else 400,
            key="import_runs",
            alt=words.RUNS_ALT,
        )
    if preview.runs and not any(run.judged or run.mean_score is not None for run in preview.runs):
        st.warning(words.NOT_JUDGED, icon=":material/warning:")
    if preview.first:
        st.caption(words.first_rows(len(preview.first)))
        st.dataframe(
            pd.DataFrame(preview.first),
            hide_index=True,
            height="content",
            key="import_first",
            alt=words.FIRST_ALT,
            column_config={"input": st.column_config.TextColumn("input", width=280)},
        )
    for note in preview.notes:
        st.info(plain(note[:1].upper() + note[1:]) + ".", icon=":material/info:")


def problems(preview: ImportPreview) -> None:
    """Say why a file cannot be imported."""
    if not preview.problems:
        return
    lines = [plain(problem).replace("\n", "  \n") for problem in preview.problems[:_SHOWN_PROBLEMS]]
    rest = len(preview.problems) - len(lines)
    more = [words.more_problems(rest)] if rest else []
    text = lines[0] if len(preview.problems) == 1 else "\n".join(f"- {line}" for line in [*lines, *more])
    st.error(f"{words.CANNOT_IMPORT}\n\n{text}", icon=":material/error:")
