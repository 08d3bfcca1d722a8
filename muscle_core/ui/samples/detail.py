"""One sample side by side: what happened to it, input, gold answer, each version's answer, and what else is known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

import streamlit as st

from muscle_core.comparison import Comparison
from muscle_core.comparison.view import ViewOfSamples, neighbours
from muscle_core.store import Workspace
from muscle_core.tasks import Sample
from muscle_core.ui import data, token_strip
from muscle_core.ui.frame import go, plain, wrapping_columns
from muscle_core.ui.moves import Move, move_buttons
from muscle_core.ui.numbers import SCORE_NAMES
from muscle_core.ui.picks import Picks
from muscle_core.ui.samples import detail_answers, detail_choices, detail_facts, detail_text
from muscle_core.ui.samples import detail_words as words
from muscle_core.ui.samples.detail_answers import Answer
from muscle_core.ui.samples.table import SAMPLE_KEY
from muscle_core.ui.url import follow, parameters, publish, restore

_COLORS = {"Q1": "gray", "Q2": "blue", "Q3": "gray", "Q4": "orange"}
_AROUND = (8, 17)  # samples before and after one in the view whose tokens are looked at with its own
_REVIEW_FILTERS = ("review_sample", "review_of", "review_for", "review_state", "review_cause")


def show(workspace: Workspace, chosen: Picks, comparison: Comparison, view: ViewOfSamples) -> None:
    """Draw the sample whose id is in the URL, with what leads to the next one, or say how to choose one.

    Args:
        workspace: where all is.
        chosen: the sidebar's picks.
        comparison: of the old and the new version.
        view: the samples that the filters leave, in their order.
    """
    st.subheader(words.SAMPLE, anchor=False)
    restore(SAMPLE_KEY, "", lambda text: isinstance(text, str))
    follow((*detail_answers.IN_URL, *token_strip.IN_URL), (SAMPLE_KEY,))
    left, right = wrapping_columns([2, 3], least=280, key="sample_navigation", align="bottom")
    identity = left.text_input(words.SAMPLE_ID, key=SAMPLE_KEY, placeholder=words.SAMPLE_ID_HINT)
    publish(SAMPLE_KEY, identity)
    with right:
        _navigation(view, identity)
    if not identity:
        st.info(words.CHOOSE, icon=":material/touch_app:")
        return
    if not draw(workspace, chosen, comparison, identity, tokens_around=_around(view, identity)):
        st.warning(words.not_answered(plain(repr(identity))), icon=":material/warning:")
        return
    detail_facts.reviews(workspace, chosen, identity)
    row = st.container(horizontal=True, vertical_alignment="center")
    if row.button(words.REVIEW_IT, icon=":material/rate_review:", key="sample_review"):
        outcome = data.outcome(comparison, identity) or {}
        quadrant = outcome.get("quadrant")
        queue = quadrant if isinstance(quadrant, str) else "all"
        go("review", {"review_sample": identity, "review_of": queue}, afresh=_REVIEW_FILTERS)
    with row.popover(words.COPY_LINK, icon=":material/link:", help=words.COPY_LINK_HELP, width="content"):
        st.code(_link(chosen, identity), language=None, wrap_lines=True)


def draw(
    workspace: Workspace,
    chosen: Picks,
    comparison: Comparison,
    identity: str,
    *,
    with_cause: bool = True,
    tokens_around: Sequence[str] | None = None,
) -> bool:
    """Draw one sample; False where it was not answered by both versions.

    Args:
        workspace: where all is.
        chosen: the sidebar's picks.
        comparison: of the old and the new version.
        identity: id of the sample.
        with_cause: say which cause the rules name; a reviewer who reads it first would be swayed by it.
        tokens_around: further samples whose tokens are looked at with its own; None for no token strip.
    """
    outcome = data.outcome(comparison, identity)
    sample = data.sample(workspace, chosen.dataset, chosen.split, identity)
    if sample is None or outcome is None:
        return False
    st.html(detail_text.STYLE)
    answers = detail_answers.answers_of(workspace, chosen, sample)
    _head(comparison, outcome, answers)
    if with_cause:
        _cause(workspace, chosen, identity)
    _input(sample)
    detail_answers.show(chosen, sample, answers)
    detail_choices.show(sample, answers)
    if tokens_around is not None:
        token_strip.show(workspace, chosen, identity, around=tokens_around)
    detail_facts.show(chosen, sample, answers)
    return True


def _navigation(view: ViewOfSamples, identity: str) -> None:
    around = neighbours(view, identity)
    row = st.container(horizontal=True, vertical_alignment="center")
    moves = (
        Move(words.PREVIOUS, "sample_previous", ":material/arrow_back:", "K", around.before),
        Move(words.NEXT, "sample_next", ":material/arrow_forward:", "J", around.after),
    )
    move_buttons(row, moves, SAMPLE_KEY)
    row.caption(words.place(identity, around.position, around.total))


def _around(view: ViewOfSamples, identity: str) -> list[str]:
    position = neighbours(view, identity).position
    if position is None:
        return []
    before, after = _AROUND
    return view.ids_at(max(0, position - 1 - before), position - 1 + after)


def _link(chosen: Picks, identity: str) -> str:
    """Address of this sample under this comparison."""
    names = {"dataset": chosen.dataset.name, "split": chosen.split, "old": chosen.old.name, "new": chosen.new.name}
    if chosen.compat is not None:
        names["compat"] = chosen.compat.name
    named = parameters()
    kept = {key: named[key] for key in (*detail_answers.IN_URL, *token_strip.IN_URL) if key in named}
    address = (st.context.url or "samples").partition("?")[0]
    return f"{address}?{urlencode({**names, SAMPLE_KEY: identity, **kept})}"


def _head(comparison: Comparison, outcome: dict[str, Any], answers: list[Answer]) -> None:
    """What the update made of the sample, and what the adapter makes of it."""
    quadrant = outcome["quadrant"]
    row = st.container(horizontal=True, vertical_alignment="center")
    compat = next((one for one in answers if one.role == "compat"), None)
    if isinstance(quadrant, str):
        row.badge(words.QUADRANTS[quadrant], color=_COLORS[quadrant])  # type: ignore[arg-type]
        if compat is not None and compat.correct is not None:
            row.markdown(words.COMPAT_ON[quadrant, compat.correct], width="content")
    score = comparison.score
    if score is None:
        return
    values = [answer.score(score) for answer in answers]
    if values[0] is None or values[1] is None:
        return
    name = SCORE_NAMES.get(score, score)
    row.markdown(plain(words.change(name, values[0], values[1])), width="content")
    if compat is not None and compat.correct is None and (own := compat.score(score)) is not None:
        row.markdown(plain(words.compat_change(name, values[1], own)), width="content")


def _cause(workspace: Workspace, chosen: Picks, identity: str) -> None:
    """Why it flipped, by which rule, and what was seen."""
    cause = data.cause(workspace, chosen.old, chosen.new, chosen.dataset, chosen.split, identity)
    if cause is None:
        return
    st.markdown(words.cause(plain(cause["cause"])))
    st.caption(words.rule(plain(cause["cause_rule"]), plain(cause["cause_evidence"] or "")))


def _input(sample: Sample) -> None:
    st.markdown(f"**{words.INPUT}**")
    with st.container(border=True):
        content = detail_text.marked_text(sample.input)
        long = detail_text.is_long(sample.input)
        st.html(detail_text.box(content, name=words.text_of(words.INPUT), long=long))
