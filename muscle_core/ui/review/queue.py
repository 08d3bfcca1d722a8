"""The Review page: one sample of a queue at a time beside the form that says what is wrong with it."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import streamlit as st

from muscle_core.actions.reviews.answers import PairAnswers
from muscle_core.actions.reviews.queue import (
    LOSS,
    QUEUES,
    Progress,
    default_queue,
    list_assignments,
    progress_of,
    queue_samples,
)
from muscle_core.actions.reviews.queue_columns import (
    REVIEWED,
    STALE,
    STATES,
    Positions,
    Queue,
    QueuedSamples,
    build_queue,
)
from muscle_core.actions.reviews.records import check_reviewer, list_reviews
from muscle_core.actions.updates.compare import VersionPair, require_run
from muscle_core.comparison import Comparison
from muscle_core.store import EvaluationRun, Workspace
from muscle_core.ui import data
from muscle_core.ui.frame import errors_shown, plain, wrapping_columns
from muscle_core.ui.moves import Move, move_buttons
from muscle_core.ui.picks import Picks
from muscle_core.ui.review import form, panels, words
from muscle_core.ui.samples import detail
from muscle_core.ui.url import linked_select, publish, restore

SAMPLE = "review_sample"  # id of the sample, in the URL
_SHOWN, _VIEW = "_review_sample_shown", "_review_view_shown"
_FILTERS = ("review_of", "review_for", "review_state", "review_cause")
# No reviewer or cause has these names; a star is not offered by them.
_EVERYBODY, _MINE, _NOBODY, _ANY = "*everybody", "*me", "*nobody", "*any"


class Review(NamedTuple):
    """What the page is about.

    Attributes:
        workspace: where it is.
        chosen: the sidebar's picks.
        comparison: of the two versions.
        answers: the answers that reviews are about.
        reviewer: whose reviews these are; "" where no name was given.
        what: the queue.
        queue: its samples with what is known of each.
        reviews: all reviews of the pair.
        assignments: who is asked to review what.
        progress: how far the queue is.
    """

    workspace: Workspace
    chosen: Picks
    comparison: Comparison
    answers: PairAnswers
    reviewer: str
    what: str
    queue: Queue
    reviews: pd.DataFrame
    assignments: pd.DataFrame
    progress: Progress

    @property
    def names(self) -> tuple[Workspace, str, str, str]:
        """The first arguments of the library's functions."""
        return self.workspace, self.chosen.old.name, self.chosen.new.name, self.chosen.dataset.name

    @property
    def split(self) -> str:
        """The split compared."""
        return self.chosen.split


def show(workspace: Workspace, chosen: Picks) -> None:
    """Draw the page."""
    reviewer = _reviewer()
    comparison = data.comparison(workspace, chosen.old, chosen.new, chosen.dataset, chosen.split)
    versions = (chosen.old, chosen.new)
    runs = [require_run(workspace, one, chosen.dataset, chosen.split) for one in versions]
    answers = _answers(str(workspace.home), (runs[0].id, runs[1].id), workspace, runs, comparison)
    names = (workspace, chosen.old.name, chosen.new.name, chosen.dataset.name)
    reviews = list_reviews(*names, split=chosen.split, answers=answers)
    assignments = list_assignments(workspace, VersionPair(chosen.old, chosen.new, chosen.dataset, chosen.split))

    bar = st.container()
    columns = wrapping_columns(4, least=160, key="review_filters")
    with columns[0]:
        offered = [one for one in QUEUES if (one == LOSS and answers.score) or one == "all" or _has(comparison, one)]
        default = default_queue(answers)
        what = linked_select(words.QUEUE, offered, "review_of", default=default, format_func=lambda one: QUEUES[one])
    samples = _samples(str(workspace.home), answers.runs, what, answers)
    state = Review(
        *(workspace, chosen, comparison, answers, reviewer, what),
        build_queue(samples, reviews, assignments, reviewer or None),
        *(reviews, assignments),
        progress_of(samples, reviews, assignments),
    )
    shown = _filtered(state, columns[1:])
    with bar:
        _progress(state)
    if not len(samples):
        st.success(words.empty_queue(QUEUES[what]), icon=":material/check_circle:")
    else:
        _sample_and_form(state, shown)
    panels.show(state, shown, SAMPLE)


def _reviewer() -> str:
    """The name in the sidebar, which is also in the URL; there is no login."""
    with st.sidebar:
        restore("reviewer", "", lambda text: isinstance(text, str))
        name = st.text_input(words.REVIEWER, key="reviewer", placeholder=words.REVIEWER_HINT, help=words.REVIEWER_HELP)
        publish("reviewer", (name or "").strip())
        if not (name or "").strip():
            return ""
        with errors_shown():
            return check_reviewer(name)


def _has(comparison: Comparison, what: str) -> bool:
    return comparison.counts is not None and what in ("Q1", "Q2", "Q3", "Q4")


@st.cache_resource(max_entries=16, show_spinner=False)
def _answers(
    home: str, run_ids: tuple[str, str], _workspace: Workspace, _runs: list[EvaluationRun], _comparison: Comparison
) -> PairAnswers:
    return PairAnswers(_workspace, _runs, _comparison)


@st.cache_resource(max_entries=16, show_spinner=False)
def _samples(home: str, runs: tuple[str, ...], what: str, _answers: PairAnswers) -> QueuedSamples:
    return queue_samples(_answers, what)


def _filtered(state: Review, columns: list[Any]) -> Positions:
    """Positions of the samples that the filters leave, in the order of the queue."""
    queue = state.queue
    keep = np.ones(len(queue), dtype=np.bool_)
    people = list(dict.fromkeys(state.assignments["reviewer"]))
    offered = [_EVERYBODY, *([_MINE] if state.reviewer in people else []), *people, *([_NOBODY] if people else [])]
    with columns[0]:
        whose = linked_select(
            words.ASSIGNED_TO,
            list(dict.fromkeys(offered)),
            "review_for",
            default=_MINE if _MINE in offered else _EVERYBODY,
            format_func=lambda name: words.me(state.reviewer) if name == _MINE else name.removeprefix("*"),
        )
    if whose == _NOBODY:
        keep &= queue.unassigned()
    elif whose != _EVERYBODY:
        name = state.reviewer if whose == _MINE else whose
        asked = state.assignments.loc[state.assignments["reviewer"] == name, "sample_id"]
        keep &= _at(queue, queue.samples.positions(asked))
    with columns[1]:
        wanted = linked_select(
            words.SHOW,
            ["all", *STATES],
            "review_state",
            help=words.by_reviews_of(state.reviewer) if state.reviewer else words.BY_ANYBODY,
        )
    if wanted != "all":
        keep &= queue.state == STATES.index(wanted)
    with columns[2]:
        cause = linked_select(
            words.CAUSE, [_ANY, *queue.causes()], "review_cause", format_func=lambda name: name.removeprefix("*")
        )
    if cause != _ANY:
        keep &= _at(queue, queue.with_cause(cause))
    return np.flatnonzero(keep)


def _at(queue: Queue, positions: Positions) -> np.ndarray:
    """Which of the samples stand at some positions; -1 stands nowhere."""
    found = np.zeros(len(queue), dtype=np.bool_)
    found[positions[positions >= 0]] = True
    return found


def _progress(state: Review) -> None:
    done = state.progress
    share = done.reviewed
    text = words.progress_by_anybody(share.numerator, done.queue, QUEUES[state.what])
    value = share.value if done.queue else 0.0
    own = done.by_reviewer[done.by_reviewer["reviewer"] == state.reviewer]
    if not own.empty:
        row = own.iloc[0]
        if row["assigned"]:
            text = f"{words.progress_assigned(row['done'], row['assigned'], plain(state.reviewer))} · {text}"
            value = row["done"] / row["assigned"]
        else:
            text = f"{words.progress_own(row['reviewed'], plain(state.reviewer))} · {text}"
    stale = int(np.count_nonzero(state.queue.state == STALE))
    if stale:
        text += f" · {words.progress_stale(stale)}"
    st.progress(float(value), text=text)


def _sample_and_form(state: Review, shown: Positions) -> None:
    queue = state.queue
    waiting = shown[queue.state[shown] != REVIEWED]
    first = next(iter(queue.samples.ids_at((waiting if len(waiting) else shown)[:1])), "")
    view = tuple(st.session_state.get(key) for key in _FILTERS)
    if st.session_state.get(_VIEW, view) != view and _position(queue, st.session_state.get(SAMPLE)) not in shown:
        st.session_state[SAMPLE] = first  # another filter was chosen: what it leaves is meant
    st.session_state[_VIEW] = view
    linked = st.query_params.get(SAMPLE)
    restore(SAMPLE, first, lambda text: text == "" or _is_answered(state, text))
    identity = st.session_state[SAMPLE]
    if linked and linked not in (identity, st.session_state.get(_SHOWN)):
        st.warning(words.broken_link(plain(repr(linked))), icon=":material/link_off:")
    publish(SAMPLE, identity)
    st.session_state[_SHOWN] = identity
    if not identity:
        st.info(words.NONE_LEFT, icon=":material/filter_alt_off:")
        return
    own = _position(queue, identity)
    following = _next_open(queue, shown, own)
    left, right = wrapping_columns([5, 3], least=270, key="review_desk")
    with left:
        _navigation(queue, shown, own, following, identity)
        # The cause by rule comes last: read before the answers, it would sway the reviewer.
        if not detail.draw(state.workspace, state.chosen, state.comparison, identity, with_cause=False):
            st.warning(words.NOT_COMPARED, icon=":material/warning:")
            return
        _what_rules_see(state, identity)
    with right:
        form.show(state, identity, following, SAMPLE)


def _position(queue: Queue, identity: str | None) -> int | None:
    """Where a sample stands in the queue; None where it does not."""
    at = -1 if not identity else int(queue.samples.positions([identity])[0])
    return None if at < 0 else at


def _is_answered(state: Review, identity: str) -> bool:
    """Whether both versions answered a sample."""
    chosen = state.chosen
    return all(
        data.is_answered(state.workspace, version, chosen.dataset, chosen.split, identity)
        for version in (chosen.old, chosen.new)
    )


def _what_rules_see(state: Review, identity: str) -> None:
    """The cause that the rules name for a negative flip, beside which a person's cause stands."""
    chosen = state.chosen
    found = data.cause(state.workspace, chosen.old, chosen.new, chosen.dataset, chosen.split, identity)
    if found is not None and isinstance(found["cause"], str):
        evidence = plain(found["cause_evidence"] or "")
        st.caption(words.by_rule(plain(found["cause"]), evidence), help=plain(found["cause_rule"]))


def _navigation(queue: Queue, shown: Positions, own: int | None, following: str | None, identity: str) -> None:
    """Where one is in the list, and the keys that move."""
    place, before, after = _neighbours(queue, shown, own)
    row = st.container(horizontal=True, vertical_alignment="center")
    moves = (
        Move(words.PREVIOUS, "review_previous", ":material/arrow_back:", "K", before),
        Move(words.NEXT, "review_next", ":material/arrow_forward:", "J", after),
        Move(words.NEXT_UNREVIEWED, "review_next_open", ":material/skip_next:", "N", following),
    )
    move_buttons(row, moves, SAMPLE)
    where = words.place(place + 1, len(shown)) if place is not None else words.not_among(len(shown))
    row.caption(f"{where} · {plain(identity)}")


def _neighbours(queue: Queue, shown: Positions, own: int | None) -> tuple[int | None, str | None, str | None]:
    """Place of a sample among those shown, and its neighbours there, also where it is not among them itself."""
    at = 0 if own is None else int(np.searchsorted(shown, own))
    here = at < len(shown) and shown[at] == own
    before = queue.samples.ids_at(shown[at - 1 : at])[0] if at > 0 else None
    after = next(iter(queue.samples.ids_at(shown[at + here : at + here + 1])), None)
    return (at if here else None), before, after


def _next_open(queue: Queue, shown: Positions, own: int | None) -> str | None:
    """The first sample after this one that is still to be reviewed; from the start again after the last."""
    waiting = shown[(queue.state[shown] != REVIEWED) & (shown != (-1 if own is None else own))]
    if not len(waiting):
        return None
    later = 0 if own is None else int(np.searchsorted(waiting, own))
    return queue.samples.ids_at(waiting[later % len(waiting) :][:1])[0]
