"""A table of text whose cells may hold several lines, which `st.dataframe` would cut."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import pandas as pd
import streamlit as st

_MOST_ROWS, HEIGHT = 10, 420


def wrapped_table(
    frame: pd.DataFrame,
    key: str,
    *,
    wide: Sequence[int],
    alt: str,
    most_rows: int = _MOST_ROWS,
    least: int = 260,
    tight: bool = False,
) -> None:
    """Draw a table; the page scrolls it sideways where it is too wide.

    Args:
        frame: its rows; texts from data are `plain`; two spaces and a line feed begin a new line.
        key: unique on the page.
        wide: numbers of the columns that are broken into lines, from 1.
        alt: what it says.
        most_rows: with more, it scrolls within a fixed height.
        least: smallest width of the wide columns in pixels.
        tight: less room around the cells, for tables with many figures.
    """
    box = st.container(key=key)
    cell = f".st-key-{key} td"
    broken = "".join(
        f".st-key-{key} td:nth-child({number}) {{ min-width: {least}px; }}"
        f".st-key-{key} td:nth-child({number}) * {{ white-space: normal !important; }}"
        for number in wide
    )
    if tight:
        broken += f"{cell}, .st-key-{key} th {{ padding-inline: 5px !important; }}{cell} * {{ font-size: 0.82rem; }}"
    box.html(f"<style>{cell} * {{ white-space: nowrap !important; }} {broken}</style>")
    height: Literal["content"] | int = "content" if len(frame) <= most_rows else HEIGHT
    box.table(frame, hide_index=True, height=height, alt=alt)
