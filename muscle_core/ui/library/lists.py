"""What the Library's lists share: a table of which one row can be picked, its search, and facts about what was picked.

What is picked lives in the URL by its id or name; a select box below the table does what a click on a row does, for
those who use the keyboard.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import pandas as pd
import streamlit as st

from muscle_core.ui.frame import plain
from muscle_core.ui.library import inspect_words as words
from muscle_core.ui.row_choice import pick_row
from muscle_core.ui.url import parameters, publish, restore
from muscle_core.ui.wrapped_table import wrapped_table

MOST_ROWS = 10  # a longer table scrolls inside itself
_ROW_PIXELS = 35  # of a table; named, so that its place is kept until it is drawn
TIME = "%Y-%m-%d %H:%M UTC"


class Kind(NamedTuple):
    """A kind of object that can be picked.

    Attributes:
        key: URL parameter that holds what is picked.
        noun: what it is, for messages.
        label: of the select box.
    """

    key: str
    noun: str
    label: str


def search_box(key: str, hint: str, place: Any) -> str:
    """A search whose words live in the URL."""
    restore(key, "", lambda text: isinstance(text, str))
    with place:
        text = st.text_input(words.SEARCH, key=key, placeholder=hint)
    publish(key, text)
    return text or ""


def restore_pick(kind: Kind, options: Sequence[str]) -> None:
    """Take what is picked from the URL, before table and select box are drawn; says so where it is not there."""
    named = parameters().get(kind.key)
    if named and named not in options:
        st.warning(words.gone(kind.noun, plain(named[:60])), icon=":material/warning:")
    restore(kind.key, None, lambda value: value is None or value in options)


def pick_table(
    kind: Kind, ids: Sequence[str], rows: Sequence[dict[str, Any]], state: str, *, alt: str, config: dict[str, Any]
) -> None:
    """Draw a table; a click on a row picks it.

    Args:
        kind: what the rows are.
        ids: of the rows.
        rows: cells by column.
        state: what the rows depend on, such as filters.
        alt: what the table says.
        config: of its columns.
    """
    if not rows:
        st.info(words.NOTHING_FOUND, icon=":material/info:")
        return
    pick_row(
        pd.DataFrame(rows),
        ids,
        kind.key,
        f"{kind.key}_table_{hash((state, tuple(ids)))}",
        none=None,
        height=_ROW_PIXELS * (min(len(rows), MOST_ROWS) + 1) + 3,
        alt=alt,
        placeholder=words.NO_VALUE,
        column_config=config,
    )


def pick_box(kind: Kind, options: Sequence[str], told: Callable[[str], str] = str) -> str | None:
    """The select box that does what a click on a row does; returns what is picked.

    Args:
        kind: what is picked.
        options: all that can be, also what no filter shows.
        told: an option in words.
    """
    picked = st.selectbox(
        kind.label, options, index=None, key=kind.key, format_func=told, placeholder=words.CHOOSE, width=520
    )
    publish(kind.key, picked)
    if picked is None:
        st.caption(words.PICK_A_ROW)
    return picked


def text_column(label: str, width: int | None = None, help: str | None = None) -> Any:
    """A column of text."""
    return st.column_config.TextColumn(label, width=width, help=help)


def facts(rows: Sequence[tuple[str, str]], key: str) -> None:
    """Facts below one another; texts from data are made safe here."""
    frame = pd.DataFrame([(label, plain(value)) for label, value in rows], columns=[words.FACT, words.VALUE])
    wrapped_table(frame, key, wide=[2], alt=words.FACTS_ALT, most_rows=40, least=160)


def copyable(label: str, text: str) -> None:
    """A text with a button that copies it."""
    with st.container(gap=None):
        st.caption(label)
        st.code(text, language=None, wrap_lines=True)


def pick(kind: Kind, section: str | None, value: str, tab_key: str = "tab") -> None:
    """In a callback: look at another object, in its section."""
    st.session_state[kind.key] = value
    if section is not None:
        st.session_state[tab_key] = section


VERSION = Kind("version", words.A_VERSION, words.INSPECT_VERSION)
DATASET = Kind("library_dataset", words.A_DATASET, words.INSPECT_DATASET)
RUN = Kind("run", words.A_RUN, words.INSPECT_RUN)
TRAINING = Kind("training", words.A_TRAINING, words.INSPECT_TRAINING)
