"""A chart on a page: the figure, one sentence that says what it shows, and files of its numbers and of itself."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from muscle_core.interchange.exports import csv_text
from muscle_core.ui import words
from muscle_core.ui.chart_images import image_buttons


def chart(
    figure: go.Figure,
    *,
    key: str,
    says: str,
    alt: str,
    numbers: Callable[[], pd.DataFrame],
    name: str,
    on_click: Callable[[list[str]], None] | None = None,
) -> None:
    """Draw a figure with its sentence below, and offer what is in it.

    Args:
        figure: the same at every run of the page, or a selection would be lost.
        key: unique on the page.
        says: what the chart shows, as Markdown; text from data through `plain`.
        alt: the same for people who do not see it, as plain text.
        numbers: the table behind the figure; called when it is downloaded.
        name: of the files, without an ending.
        on_click: called with the `customdata` of the mark that was clicked, before the page is drawn again; such a
            callback may change the state of other widgets.
    """
    # On a clear ground the image would be unreadable elsewhere; without one, the figure takes that of the page.
    figure = go.Figure(figure).update_layout(paper_bgcolor=None, plot_bgcolor=None)
    config = {
        "displaylogo": False,
        "displayNotifier": False,
        "toImageButtonOptions": {"format": "png", "filename": name, "scale": 2},
        "modeBarButtonsToRemove": ["lasso2d", "select2d", "autoScale2d"],
    }
    if on_click is None:
        st.plotly_chart(figure, key=key, alt=alt, config=config)
    else:

        def clicked() -> None:
            points = st.session_state[key].selection.points
            if points and points[0].get("customdata") is not None:
                on_click([str(value) for value in points[0]["customdata"]])

        st.plotly_chart(figure, key=key, alt=alt, config=config, on_select=clicked, selection_mode="points")
    with st.container(horizontal=True, wrap=False):
        st.caption(says, width="stretch")
        with st.popover(words.DOWNLOAD, icon=":material/download:", key=f"{key}_download"):
            st.download_button(
                words.NUMBERS_CSV,
                lambda: csv_text(numbers()),
                file_name=f"{name}.csv",
                mime="text/csv",
                key=f"{key}_csv",
                width="stretch",
                on_click="ignore",
            )
            image_buttons(key, name)
