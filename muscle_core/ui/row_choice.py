"""Tables of which a row is chosen by ticking it or by clicking any of its cells, with texts that fit their rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal

import pandas as pd
import streamlit as st

MODE: Final[list[Literal["single-row", "single-cell"]]] = ["single-row", "single-cell"]
LINES_HEIGHT = 66  # pixels of a row; above 64 the browser breaks texts into lines, and three fit
_LINES = 3
_PADDING, _CHARACTER = 16, 7.5  # pixels at both sides of a cell, and of a character of usual text on average


def pick_row(
    shown: pd.DataFrame, ids: Sequence[str], state: str, stem: str, *, none: str | None = "", **options: Any
) -> None:
    """Draw a table of which one row is open; the session keeps its id.

    What was opened elsewhere (a button, the URL) is ticked here too.

    Args:
        shown: the rows as they are shown.
        ids: of the rows, in their order.
        state: key of the session under which the id of the open row is kept.
        stem: of the table's key. A selection is a position: whatever changes the rows must change the stem.
        none: what is kept where no row is open.
        options: passed on to `st.dataframe`.
    """
    places: dict[str | None, int] = {one: place for place, one in enumerate(ids)}
    open_row = places.get(st.session_state.get(state))
    count = f"_times_{state}"
    times = st.session_state.setdefault(count, 0)
    drawn = st.session_state.get(f"{stem}_{times}")
    if drawn is not None and chosen_row(drawn.selection, len(ids), open_row) != open_row:
        # A selection cannot be changed from here: the table is made anew, with the row ticked.
        times += 1
        st.session_state[count] = times
    key = f"{stem}_{times}"

    def remember() -> None:
        row = chosen_row(st.session_state[key].selection, len(ids), open_row)
        st.session_state[state] = none if row is None else ids[row]

    st.dataframe(
        shown,
        key=key,
        on_select=remember,
        selection_mode=MODE,
        selection_default=None if open_row is None else {"selection": {"rows": [open_row]}},
        hide_index=True,
        **options,
    )


def chosen_row(selection: Any, rows: int, before: int | None = None) -> int | None:
    """Return the position of the row that was chosen last.

    A click on a cell leaves the tick of another row where it is: of the two, the one that was not open yet is meant.

    Args:
        selection: the selection of a `st.dataframe` that was drawn with `selection_mode=MODE`.
        rows: how many rows the table has now; a selection of an earlier, longer table counts as none.
        before: position of the row that was chosen until now.
    """
    positions = [*selection.rows, *(row for row, _ in selection.cells)]
    there = [position for position in positions if position < rows]
    return next((position for position in there if position != before), there[0] if there else None)


def fitting(texts: pd.Series, width: int) -> pd.Series:
    """Cut texts to what a cell of `width` pixels shows in a row of LINES_HEIGHT, at a space where there is one near.

    White space of any kind becomes one space; missing values stay.
    """
    room = int(_LINES * (width - _PADDING) / _CHARACTER)

    def cut(text: Any) -> Any:
        if not isinstance(text, str):
            return text
        text = " ".join(text.split())
        if len(text) <= room:
            return text
        head = text[: room - 1]
        space = head.rfind(" ")
        return f"{head[:space] if space > room // 2 else head}…"

    return texts.map(cut)
