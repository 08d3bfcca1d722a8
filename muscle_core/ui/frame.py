"""The frame around every page: the list of pages, the guard for cold deep links, the workspace, and errors.

Streamlit runs `pages/x.py` on its own when a deep link is the first request after a server start; app.py, and with
it navigation and access checks, would be skipped. Every page therefore begins with `enter`, which sends such a
request through app.py and back, with its URL parameters.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, NamedTuple

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from muscle_core.errors import MuscleError
from muscle_core.paths import system_text
from muscle_core.store import Workspace
from muscle_core.ui import words
from muscle_core.ui.url import forget, leave, one_step, stop

# Chosen pills and tabs, and the value of a slider, are written in the primary colour, which must be dark enough under
# white text to be read on a button; on a dark page that is too dark for text. Lines are no longer than can be read,
# whatever the screen; digits are equally wide, so that figures stand below one another; what the keyboard is at has a
# frame.
_STYLE = """<style>
[data-testid="stMainBlockContainer"] {
  max-width: 1640px; padding: 3.25rem clamp(1rem, 4vw, 5rem) 4rem;
}
[data-testid="stMarkdownContainer"], [data-testid="stMetricValue"], [data-testid="stMetricDelta"], table {
  font-variant-numeric: tabular-nums;
}
:is(a, button, input, textarea, summary, [role], [tabindex]):focus-visible {
  outline: 2px solid light-dark(#0067A3, #7CC7F2) !important; outline-offset: 2px;
}
.st-key-tour_banner { background: light-dark(#EDF5FB, #15222D); border-color: light-dark(#B5D3E8, #2E4A5F); }
[data-testid="stSliderThumbValue"] p,
button[data-selected="true"] [data-testid="stMarkdownContainer"] p,
[data-testid="stTab"][aria-selected="true"] [data-testid="stMarkdownContainer"] p {
  color: light-dark(#00558A, #9AD4F6);
}
</style>"""
_HISTORY = Path(__file__).with_name("history.js").read_text(encoding="utf-8")
_ROUTED = "_routed_by_app"
_PENDING = "_pending_deep_link"
_CURRENT = "_current_page"


class PageInfo(NamedTuple):
    """A page's file, title and icon."""

    file: str
    title: str
    icon: str


PAGES = {
    "update_report": PageInfo("pages/update_report.py", words.UPDATE_REPORT, ":material/difference:"),
    "samples": PageInfo("pages/samples.py", "Samples", ":material/table_rows:"),
    "flips": PageInfo("pages/flips.py", "Flips", ":material/flip:"),
    "review": PageInfo("pages/review.py", "Review", ":material/rate_review:"),
    "masking": PageInfo("pages/masking.py", "Masking", ":material/tune:"),
    "training": PageInfo("pages/training.py", "Training", ":material/model_training:"),
    "library": PageInfo("pages/library.py", "Library", ":material/inventory_2:"),
}


_FIRST = "update_report"
_URL_PATHS = {_FIRST: "first"}  # it lives at "/", and leaves its name to the page that leads there who types it


def _open_first() -> None:
    st.switch_page(PAGES[_FIRST].file, query_params=leave())


def route() -> None:
    """Run the page that the URL names; called by app.py only."""
    pages = [
        st.Page(info.file, title=info.title, icon=info.icon, url_path=_URL_PATHS.get(key, key), default=key == _FIRST)
        for key, info in PAGES.items()
    ]
    pages.append(st.Page(_open_first, title=PAGES[_FIRST].title, url_path=_FIRST, visibility="hidden"))
    current = st.navigation(pages)
    st.set_page_config(page_title=f"{current.title} · {words.APP}")
    st.session_state[_ROUTED] = True
    pending = st.session_state.pop(_PENDING, None)
    if pending is not None:
        page, parameters = pending
        st.switch_page(PAGES[page].file, query_params=parameters)
    with one_step(current.title):
        current.run()


def enter(page: str) -> None:
    """First line of every page: make sure that app.py ran, and show the title."""
    if not st.session_state.get(_ROUTED):
        st.session_state[_PENDING] = (page, leave())
        st.switch_page("app.py")
    st.session_state[_CURRENT] = page
    st.html(f"{_STYLE}<script>{_HISTORY}</script>", unsafe_allow_javascript=True)
    st.title(PAGES[page].title, anchor=False)
    from muscle_core.ui import tour  # late, for it opens pages

    with errors_shown():
        tour.draw(page, workspace())


def current_page() -> str:
    """Key of the page that is drawn."""
    return str(st.session_state[_CURRENT])


@st.cache_resource(show_spinner=False)
def _open(home: str | None) -> Workspace:
    return Workspace.open(home)


def workspace() -> Workspace:
    """The workspace, opened once per server; one that can only be read, once per run of a page."""
    import os

    from muscle_core.store.workspace import HOME_VARIABLE

    opened = _open(os.environ.get(HOME_VARIABLE))
    if opened.read_only is not None:
        _open.clear()  # looked at again with the next run of a page: there may be room then
    return opened


@contextmanager
def errors_shown() -> Iterator[None]:
    """Show a refusal of the library or the system as a message and stop the page; anything else is a bug."""
    try:
        yield
    except (MuscleError, OSError) as error:
        text = system_text(error) if isinstance(error, OSError) else str(error)
        st.error(plain(text), icon=":material/error:")
        stop()


def go(page: str, parameters: Mapping[str, str] | None = None, *, afresh: tuple[str, ...] = ()) -> None:
    """Open another page, keeping the picks and setting some URL parameters.

    Args:
        page: key of the page.
        parameters: URL parameters to set.
        afresh: URL parameters that must not be carried over from an earlier visit.
    """
    forget(*afresh)
    st.switch_page(PAGES[page].file, query_params={**leave(), **(parameters or {})})


def wrapping_columns(
    widths: int | Sequence[float], *, least: int, key: str, align: Literal["top", "center", "bottom"] = "top"
) -> list[DeltaGenerator]:
    """Columns that go below one another where they would be narrower than `least` pixels.

    Args:
        widths: as of `st.columns`.
        least: smallest width of a column.
        key: unique on the page.
        align: where what is lower than its neighbours stands.
    """
    box = st.container(key=key)
    own = "> [data-testid='stLayoutWrapper'] > [data-testid='stHorizontalBlock'] > [data-testid='stColumn']"
    box.html(f"<style>.st-key-{key} {own} {{ min-width: {least}px; }}</style>")  # not of columns inside these
    return box.columns(widths, vertical_alignment=align)


def plain(text: str) -> str:
    """Text from data made safe for Markdown: it is shown as it is, never interpreted."""
    text = text.replace("&", "&amp;")  # else "&lt;" in the data would be shown as "<"
    for sign in "\\`*_{}[]()<>#+-=!|~$:.@":
        text = text.replace(sign, "\\" + sign)
    return text


def plain_lines(text: str) -> str:
    """Text from data as `plain`, line by line."""
    return "  \n".join(plain(line) for line in text.splitlines())
