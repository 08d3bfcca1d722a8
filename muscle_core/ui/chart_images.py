"""Buttons that save a chart as PNG or SVG, made in the browser: no second browser on the server, and no network."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from muscle_core.ui import words

_CSS = """
div { display: flex; flex-direction: column; gap: 1rem; }
button {
  font: inherit; font-size: 0.875rem; cursor: pointer;
  color: var(--st-text-color); background: var(--st-background-color);
  min-height: 2.5rem; border: 1px solid var(--st-border-color); border-radius: var(--st-button-radius);
}
button:hover, button:focus-visible { border-color: var(--st-primary-color); }
button:focus-visible { outline: 2px solid var(--st-primary-color); outline-offset: 2px; }
"""
_HTML = '<div><button type="button" data-format="png"></button><button type="button" data-format="svg"></button></div>'

_buttons = st.components.v2.component(
    "muscle_chart_images",
    html=_HTML,
    css=_CSS,
    js=Path(__file__).with_suffix(".js").read_text(encoding="utf-8"),
)


def image_buttons(chart: str, name: str) -> None:
    """Draw the two buttons.

    Args:
        chart: key of the chart on the page.
        name: of the file, without an ending.
    """
    labels = {"png": words.IMAGE_PNG, "svg": words.IMAGE_SVG}
    _buttons(data={"chart": chart, "name": name, "labels": labels}, key=f"{chart}_images")
