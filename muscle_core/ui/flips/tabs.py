"""The page's tabs: only the open one is worked out, and the URL names it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from muscle_core.ui.flips import words
from muscle_core.ui.url import publish, restore

TAB = "flips_tab"


@contextmanager
def opened(first: str) -> Iterator[str]:
    """Draw the tabs and go into the open one; yields its id.

    Args:
        first: id of the tab that is open where neither the URL nor an earlier visit names one.
    """
    labels = words.TABS
    restore(TAB, labels[first], lambda value: value in labels.values(), lambda text: labels.get(text, ""))
    bodies = st.tabs(list(labels.values()), key=TAB, on_change="rerun")
    tab, body = next(
        ((tab, body) for tab, body in zip(labels, bodies, strict=True) if body.open), (next(iter(labels)), bodies[0])
    )
    publish(TAB, tab)
    with body:
        yield tab
