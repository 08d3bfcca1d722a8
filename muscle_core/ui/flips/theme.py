"""Which theme the page is shown in, for figures whose colours depend on it."""

from __future__ import annotations

import streamlit as st


def dark_theme() -> bool:
    """Whether the page is dark."""
    return st.context.theme.type == "dark"
