"""Values that live in the URL, so that every view can be linked: read before a widget, written after it.

Streamlit's own `bind="query-params"` leaves defaults out of the URL and stores formatted labels; a link must name
everything it shows, in ids that do not change. A value is therefore taken from the URL where the URL names another one
(a link, or the browser's back button), else from the widget, else from the last visit to the page.

What one run of a page writes is one step of the browser's history, or none: see `one_step` and `history.js`.

The browser sends its URL along with every click. Where two clicks come fast, the second one's is still that of before
the first, and looks like the back button's. What tells them apart: a click has changed a widget since the page was
last drawn, the back button has not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple, NoReturn, TypeVar

import streamlit as st

T = TypeVar("T")
_WRITTEN = "_written_to_url"
_DRAWN = "_drawn_from_url"
_CLICKED = "_clicked_beside_url"


class _Step(NamedTuple):
    """The run that goes on in this thread. Not in the session's state, which a run that is asked to stop cannot read.

    Attributes:
        page: name of the page.
        by_widget: whether one of its widgets has started the run.
        parameters: those of the URL at its end.
        written: the values that pages have written so far, by parameter.
        published: parameters that this run has said something of.
    """

    page: str
    by_widget: bool
    parameters: dict[str, str]
    written: dict[str, str]
    published: set[str]


class _Drawn(NamedTuple):
    """What the last whole run has left: its page, its widgets' values, and the texts of their parameters."""

    page: str
    values: dict[str, Any]
    texts: dict[str, str | None]


_STEP: ContextVar[_Step | None] = ContextVar("_STEP", default=None)


def _written() -> dict[str, str]:
    step = _STEP.get()
    return step.written if step is not None else st.session_state.setdefault(_WRITTEN, {})


@contextmanager
def one_step(page: str) -> Iterator[None]:
    """Write all that is published within at once: Streamlit makes every change a step of the browser's history.

    A run that is broken off, as by the back button, writes nothing; one that ends early ends by `stop` or `rerun`.

    Args:
        page: name of the page that is drawn within.
    """
    drawn: _Drawn | None = st.session_state.get(_DRAWN)
    clicked = st.session_state.pop(_CLICKED, False)
    by_widget = drawn is not None and drawn.page == page and (clicked or _changed(drawn.values))
    step = _Step(page, by_widget, st.query_params.to_dict(), dict(_written()), set())
    token = _STEP.set(step)
    if by_widget and drawn is not None:
        for key, text in drawn.texts.items():
            _set(key, text)  # the browser's URL may be older than the click before
    try:
        yield
        _write()
    finally:
        _STEP.reset(token)


def _changed(values: dict[str, Any]) -> bool:
    """Whether a widget has another value by now; one that is gone has none."""
    return any(key in st.session_state and st.session_state[key] != value for key, value in values.items())


def clicked() -> None:
    """Note, as the callback of a button without a value in the URL, that a click has started the run that begins."""
    st.session_state[_CLICKED] = True


def started_by_widget() -> bool:
    """Whether this run was started by a widget of its page, and not by a link or the back button."""
    step = _STEP.get()
    return step is not None and step.by_widget


def _write() -> None:
    step = _STEP.get()
    if step is None:
        return
    st.session_state[_WRITTEN] = dict(step.written)
    values = {key: st.session_state[key] for key in step.published if key in st.session_state}
    texts = {key: step.parameters.get(key) for key in step.published}
    st.session_state[_DRAWN] = _Drawn(step.page, values, texts)
    if step.parameters != st.query_params.to_dict():
        st.query_params.from_dict(step.parameters)


def stop() -> NoReturn:
    """End the page here, with what this run has published; in place of `st.stop`."""
    _write()
    st.stop()


def rerun() -> NoReturn:
    """Draw the page anew from its start, with what this run has published or forgotten; in place of `st.rerun`."""
    _write()
    st.rerun()


def parameters() -> dict[str, str]:
    """The URL's parameters with what this run has published."""
    step = _STEP.get()
    return st.query_params.to_dict() if step is None else dict(step.parameters)


def leave() -> dict[str, str]:
    """The parameters to take along to another page; this run writes none any more."""
    taken, step = parameters(), _STEP.get()
    if step is not None:
        st.session_state[_WRITTEN] = dict(step.written)
        _STEP.set(None)
    return taken


def drop(*keys: str) -> None:
    """Take parameters out of the URL; their widgets keep their values."""
    for key in keys:
        _set(key, None)


def offer(key: str, text: str) -> None:
    """Put a parameter into the URL as a link would; its widget takes it over when it is drawn."""
    _set(key, text)


def _set(key: str, text: str | None) -> None:
    step = _STEP.get()
    if step is None:  # a fragment or a callback, which writes at once
        if text is not None and st.query_params.get(key) != text:
            st.query_params[key] = text
        elif text is None and key in st.query_params:
            del st.query_params[key]
    elif text is None:
        step.parameters.pop(key, None)
    else:
        step.parameters[key] = text


def restore(key: str, default: Any, valid: Callable[[Any], bool], parse: Callable[[str], Any] = str) -> None:
    """Set a widget's value before it is drawn, where the URL or an earlier visit says so.

    Args:
        key: key of the widget and name of the URL parameter.
        default: value where neither says anything usable.
        valid: whether a value can be shown.
        parse: turns the URL's text into a value; ValueError means unusable.
    """
    in_url, last = parameters().get(key), _written().get(key)
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
    drawn: _Drawn | None = st.session_state.get(_DRAWN)
    if drawn is not None:
        drawn.values[key] = st.session_state[key]  # also where this run is broken off: no widget has changed it


def publish(key: str, value: Any) -> None:
    """Write a widget's value into the URL; None and "" leave it out."""
    text = None if value in (None, "") else str(value)
    step = _STEP.get()
    if step is not None:
        step.published.add(key)
    if text is None:
        _written().pop(key, None)
    else:
        _written()[key] = text
    _set(key, text)


def follow(keys: Sequence[str], marks: Sequence[str]) -> None:
    """Drop those values that the URL no longer holds, as after "back"; before the widgets are drawn.

    A URL that holds none of the marks (a page opened from the navigation) says nothing: the last visit counts.

    Args:
        keys: of the values that this page leaves out of the URL where they are the default.
        marks: URL parameters of which a link to this page holds at least one.
    """
    named = parameters()
    if any(mark in named for mark in marks):
        forget(*(key for key in keys if key in _written() and key not in named))


def forget(*keys: str) -> None:
    """Drop values, so that their widgets start from their defaults; before the widgets are drawn."""
    for key in keys:
        _written().pop(key, None)
        st.session_state.pop(key, None)
        _set(key, None)


def linked_select(label: str, options: list[str], key: str, *, default: str | None = None, **widget: Any) -> str:
    """A select box whose value lives in the URL."""
    restore(key, default or options[0], lambda value: value in options)
    chosen = st.selectbox(label, options, key=key, **widget)
    publish(key, chosen)
    return str(chosen)


def linked_control(
    label: str,
    options: Iterable[T],
    key: str,
    *,
    unnamed: T | None = None,
    parse: Callable[[str], Any] = str,
    **widget: Any,
) -> T:
    """A row of buttons of which one is chosen, at first the first, whose value lives in the URL.

    Args:
        label: of the row.
        options: to choose from.
        key: of the row and name of the URL parameter.
        unnamed: option that the URL leaves out.
        parse: turns the URL's text into an option.
        widget: more arguments of `st.segmented_control`.
    """
    offered = list(options)
    restore(key, offered[0], lambda value: value in offered, parse)
    chosen = st.segmented_control(label, offered, key=key, required=True, **widget)
    assert chosen is not None  # one is required
    publish(key, None if chosen == unnamed else chosen)
    return chosen
