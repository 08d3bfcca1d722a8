"""Values that live in the URL, so that every view can be linked: read before a widget, written after it.

Streamlit's own `bind="query-params"` leaves defaults out of the URL and stores formatted labels; a link must name
everything it shows, in ids that do not change. A value is therefore taken from the URL where the URL names another one
(a link, or the browser's back button), else from the widget, else from the last visit to the page.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import streamlit as st

_WRITTEN = "_written_to_url"


def _written() -> dict[str, str]:
    return st.session_state.setdefault(_WRITTEN, {})


def restore(key: str, default: Any, valid: Callable[[Any], bool], parse: Callable[[str], Any] = str) -> None:
    """Set a widget's value before it is drawn, where the URL or an earlier visit says so.

    Args:
        key: key of the widget and name of the URL parameter.
        default: value where neither says anything usable.
        valid: whether a value can be shown.
        parse: turns the URL's text into a value; ValueError means unusable.
    """
    in_url, last = st.query_params.get(key), _written().get(key)
    if in_url is not None and in_url != last:
        text: str | None = in_url
    elif key in st.session_state and valid(st.session_state[key]):
        # Written again: after a click in the navigation the value is still that of the page before, whose widgets are
        # others, and this page's would start from their defaults.
        st.session_state[key] = st.session_state[key]
        return
    else:
        text = last
    try:
        value = default if text is None else parse(text)
    except ValueError:
        value = default
    st.session_state[key] = value if valid(value) else default


def publish(key: str, value: Any) -> None:
    """Write a widget's value into the URL; None and "" leave it out."""
    text = None if value in (None, "") else str(value)
    if text is None:
        _written().pop(key, None)
        if key in st.query_params:
            del st.query_params[key]
    else:
        _written()[key] = text
        if st.query_params.get(key) != text:
            st.query_params[key] = text


def publish_all(values: Mapping[str, Any]) -> None:
    """Write several values into the URL as one step of the browser's history; None and "" leave one out."""
    now = st.query_params.to_dict()
    after = dict(now)
    for key, value in values.items():
        if value in (None, ""):
            _written().pop(key, None)
            after.pop(key, None)
        else:
            _written()[key] = after[key] = str(value)
    if after != now:
        st.query_params.from_dict(after)


def follow(keys: Sequence[str], marks: Sequence[str]) -> None:
    """Drop those values that the URL no longer holds, as after "back"; before the widgets are drawn.

    A URL that holds none of the marks (a page opened from the navigation) says nothing: the last visit counts.

    Args:
        keys: of the values that this page leaves out of the URL where they are the default.
        marks: URL parameters of which a link to this page holds at least one.
    """
    if any(mark in st.query_params for mark in marks):
        forget(*(key for key in keys if key in _written() and key not in st.query_params))


def forget(*keys: str) -> None:
    """Drop values, so that their widgets start from their defaults; before the widgets are drawn."""
    for key in keys:
        _written().pop(key, None)
        st.session_state.pop(key, None)
        if key in st.query_params:
            del st.query_params[key]


def linked_select(label: str, options: list[str], key: str, *, default: str | None = None, **widget: Any) -> str:
    """A select box whose value lives in the URL."""
    restore(key, default or options[0], lambda value: value in options)
    chosen = st.selectbox(label, options, key=key, **widget)
    publish(key, chosen)
    return str(chosen)
