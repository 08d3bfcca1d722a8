"""The guided tour of the demo in five steps: a banner on top of the pages, which lead from one to the next.

The step stands in the URL (`tour=1` to `tour=5`), so that every step can be linked: such a link opens the step's page,
and the step's picks and filters stand in for what the link does not name.
"""

from __future__ import annotations

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from muscle_core.actions.background.submit import submit_demo
from muscle_core.errors import MuscleError
from muscle_core.store import Workspace
from muscle_core.ui.frame import PAGES, errors_shown, go, plain
from muscle_core.ui.samples.link import VIEW, open_samples
from muscle_core.ui.tour import steps, words
from muscle_core.ui.tour.facts import Facts, Pair, demo_update, facts, with_adapter
from muscle_core.ui.tour.steps import STEPS
from muscle_core.ui.url import forget, offer, parameters, publish, rerun, restore

PARAMETER = "tour"
_ARRIVED = "_tour_arrived_at"  # the step whose picks are set
_WIDTH = 160  # of a button, in pixels: they stay where they are from step to step
_PICKS = ("dataset", "split", "old", "new", "compat")


def draw(page: str, workspace: Workspace) -> None:
    """Offer the tour in the sidebar where the demo is there, and draw the banner of its step; before the page."""
    update = demo_update(workspace)  # of every page; what only the tour needs is read below
    restore(PARAMETER, None, lambda number: number in range(1, len(STEPS) + 1), int)
    number: int | None = st.session_state[PARAMETER]
    if update is not None:
        with st.sidebar:
            if st.button(words.TOUR, icon=":material/tour:", help=words.TOUR_HELP, width="stretch"):
                _open(1, workspace, with_adapter(workspace, update))
    if number is None:
        return
    pair = None if update is None else with_adapter(workspace, update)
    publish(PARAMETER, number)
    try:
        known = None if pair is None else facts(workspace, pair)
    except MuscleError as error:  # the page may be about something else, which is whole
        st.error(plain(str(error)), icon=":material/error:")
        _end_button(st.container())
        return
    if pair is not None:
        _arrive(number, page, pair, known)
    with st.container(border=True, key="tour_banner"):
        if pair is None:
            _without_demo(workspace)
        elif known is None:
            st.markdown(words.NOTHING_BROKE)
            _end_button(st.container())
        elif page in STEPS[number - 1].pages:
            _step(number, page, workspace, pair, known)
        else:
            _waiting(number, workspace, pair)


def _open(number: int, workspace: Workspace, pair: Pair) -> None:
    """Go to a step with exactly its picks and filters."""
    known = facts(workspace, pair)
    st.session_state[PARAMETER] = st.session_state[_ARRIVED] = number
    wanted = {**steps.parameters(number, pair, known), PARAMETER: str(number)}
    go(STEPS[number - 1].page, wanted, afresh=(*VIEW, *_PICKS))


def _arrive(number: int, page: str, pair: Pair, known: Facts | None) -> None:
    """After a link: open the step's page, and set what the link does not name."""
    if st.session_state.get(_ARRIVED) == number:
        return
    st.session_state[_ARRIVED] = number
    wanted = steps.parameters(number, pair, known)
    missing = {key: value for key, value in wanted.items() if key not in parameters()}
    if page not in STEPS[number - 1].pages:
        go(STEPS[number - 1].page, missing)
    for key, value in missing.items():
        offer(key, value)


def _step(number: int, page: str, workspace: Workspace, pair: Pair, known: Facts) -> None:
    st.caption(words.place(number, len(STEPS)))
    st.markdown(f"**{steps.title(number, known)}**")
    for paragraph in steps.text(number, workspace, known):
        st.markdown(paragraph)
    if number == len(STEPS):
        st.code(steps.commands(known), language=None, wrap_lines=True)
    row = st.container(horizontal=True, key="tour_buttons")
    if number > 1 and row.button(words.BACK, icon=":material/arrow_back:", key="tour_back", width=_WIDTH):
        _open(number - 1, workspace, pair)
    if number < len(STEPS) and row.button(
        words.NEXT, icon=":material/arrow_forward:", key="tour_next", type="primary", width=_WIDTH
    ):
        _open(number + 1, workspace, pair)
    _end_button(row)
    if number == 4:
        _repair_buttons(page, workspace, pair)
    if number == len(STEPS) and page != "review":
        row = st.container(horizontal=True, key="tour_actions")
        if row.button(words.REVIEW_REST, icon=":material/rate_review:", key="tour_review", type="tertiary"):
            go("review")


def _repair_buttons(page: str, workspace: Workspace, pair: Pair) -> None:
    row = st.container(horizontal=True, key="tour_actions")
    if pair.compat is None:
        if row.button(words.LOAD_AGAIN, icon=":material/download:"):
            submit_demo(workspace)
            rerun()
        if row.button(words.TRAIN, icon=":material/model_training:"):
            go("training")
        return
    picks = {"compat": pair.compat.name, **steps.parameters(4, pair, None)}
    for side, label, icon in (
        ("right", words.READ_REPAIRED, ":material/check_circle:"),
        ("wrong", words.READ_BROKEN, ":material/cancel:"),
    ):
        if row.button(label, icon=icon, key=f"tour_{side}", type="tertiary"):
            open_samples({"quadrant": "Q4", side: pair.compat.name}, picks)
    if page == "samples" and row.button(words.SEE_MASKING, icon=":material/tune:", key="tour_masking", type="tertiary"):
        _open(4, workspace, pair)


def _waiting(number: int, workspace: Workspace, pair: Pair) -> None:
    st.markdown(words.waits(number, len(STEPS), PAGES[STEPS[number - 1].page].title))
    row = st.container(horizontal=True, key="tour_waiting")
    if row.button(words.return_to(number), icon=":material/tour:", key="tour_return", width=_WIDTH):
        _open(number, workspace, pair)
    _end_button(row)


def _without_demo(workspace: Workspace) -> None:
    st.markdown(words.INCOMPLETE)
    row = st.container(horizontal=True, key="tour_missing")
    if row.button(words.LOAD_AGAIN, icon=":material/download:"):
        with errors_shown():
            submit_demo(workspace)
        rerun()
    _end_button(row)


def _end_button(place: DeltaGenerator) -> None:
    if place.button(words.END, icon=":material/close:", key="tour_end", width=_WIDTH):
        forget(PARAMETER, _ARRIVED)
        rerun()
