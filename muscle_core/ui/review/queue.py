"""The Review page: one sample of a queue at a time beside the form that says what is wrong with it."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import streamlit as st

from muscle_core.actions.reviews.queue import (
    LOSS,
    QUEUES,
    STATES,
    Progress,
    are_among,
    build_queue,
    default_queue,
    list_assignments,
    progress_of,
    queue_samples,
)
from muscle_core.actions.reviews.records import PairAnswers, check_reviewer, list_reviews
from muscle_core.actions.updates.compare import VersionPair, require_run
from muscle_core.actions.updates.explain import margin_unit
from muscle_core.comparison import Comparison
from muscle_core.comparison.causes import find_causes
from muscle_core.store import Workspace
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
        samples: its samples, as of `queue_samples`.
        queue: the same with what is known of each, in the order of the queue.
        reviews: all reviews of the pair.
        assignments: who is asked to review what.
        progress: how far the queue is.
        unit: of the margins.
    """

    workspace: Workspace
    chosen: Picks
    comparison: Comparison
    answers: PairAnswers
    reviewer: str
    what: str
    samples: pd.DataFrame
    queue: pd.DataFrame
    reviews: pd.DataFrame
    assignments: pd.DataFrame
    progress: Progress
    unit: str

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
    old, new = (data.predictions(workspace, one, chosen.dataset, chosen.split) for one in versions)
    answers = PairAnswers(comparison.samples, comparison.score, old, new, (runs[0].id, runs[1].id))
    names = (workspace, chosen.old.name, chosen.new.name, chosen.dataset.name)
    reviews = list_reviews(*names, split=chosen.split, answers=answers)
    assignments = list_assignments(workspace, VersionPair(chosen.old, chosen.new, chosen.dataset, chosen.split))

    bar = st.container()
    columns = wrapping_columns(4, least=160, key="review_filters")
    with columns[0]:
        offered = [one for one in QUEUES if (one == LOSS and answers.score) or one == "all" or _has(comparison, one)]
        default = default_queue(answers)
        what = linked_select(words.QUEUE, offered, "review_of", default=default, format_func=lambda one: QUEUES[one])
    samples = _kept_samples(str(workspace.home), answers.runs, what, answers)
    queue = build_queue(samples, reviews, assignments, reviewer or None).sort_values("position", ignore_index=True)
    state = Review(
        *(workspace, chosen, comparison, answers, reviewer, what, samples, queue, reviews, assignments),
        progress_of(samples, reviews, assignments),
        margin_unit(runs),
    )
    shown = _filtered(state, columns[1:])
    with bar:
        _progress(state)
    if queue.empty:
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
def _kept_samples(home: str, runs: tuple[str, ...], what: str, _answers: PairAnswers) -> pd.DataFrame:
    return queue_samples(_answers, what)


def _filtered(state: Review, columns: list[Any]) -> pd.DataFrame:
    """The samples that the filters leave, in the order of the queue."""
    shown = state.queue
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
        shown = shown[shown["assigned"] == ""]
    elif whose != _EVERYBODY:
        name = state.reviewer if whose == _MINE else whose
        asked = state.assignments.loc[state.assignments["reviewer"] == name, "sample_id"]
        shown = shown[are_among(shown["sample_id"], asked)]
    with columns[1]:
        wanted = linked_select(
            words.SHOW,
            ["all", *STATES],
            "review_state",
            help=words.by_reviews_of(state.reviewer) if state.reviewer else words.BY_ANYBODY,
        )
    if wanted != "all":
        shown = shown[shown["state"] == wanted]
    causes = list(dict.fromkeys(one for one in state.queue["cause"] if one))
    with columns[2]:
        cause = linked_select(
            words.CAUSE, [_ANY, *causes], "review_cause", format_func=lambda name: name.removeprefix("*")
        )
    if cause != _ANY:
        shown = shown[shown["cause"] == cause]
    return shown


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
    stale = int((state.queue["state"] == "stale").sum())
    if stale:
        text += f" · {words.progress_stale(stale)}"
    st.progress(float(value), text=text)


def _sample_and_form(state: Review, shown: pd.DataFrame) -> None:
    open_ones = shown[shown["state"] != "reviewed"]
    first = next(iter(open_ones["sample_id"]), next(iter(shown["sample_id"]), ""))
    view = tuple(st.session_state.get(key) for key in _FILTERS)
    if st.session_state.get(_VIEW, view) != view and not (shown["sample_id"] == st.session_state.get(SAMPLE)).any():
        st.session_state[SAMPLE] = first  # another filter was chosen: what it leaves is meant
    st.session_state[_VIEW] = view
    linked = st.query_params.get(SAMPLE)
    there = (state.answers.old.index, state.answers.new.index)
    restore(SAMPLE, first, lambda text: text == "" or all(text in ids for ids in there))
    identity = st.session_state[SAMPLE]
    if linked and linked not in (identity, st.session_state.get(_SHOWN)):
        st.warning(words.broken_link(plain(repr(linked))), icon=":material/link_off:")
    publish(SAMPLE, identity)
    st.session_state[_SHOWN] = identity
    if not identity:
        st.info(words.NONE_LEFT, icon=":material/filter_alt_off:")
        return
    left, right = wrapping_columns([5, 3], least=270, key="review_desk")
    with left:
        _navigation(state, shown, identity)
        # The cause by rule comes last: read before the answers, it would sway the reviewer.
        if not detail.draw(state.workspace, state.chosen, state.comparison, identity, with_cause=False):
            st.warning(words.NOT_COMPARED, icon=":material/warning:")
            return
        _what_rules_see(state, identity)
    with right:
        form.show(state, identity, _next_open(state.queue, shown, identity), SAMPLE)


def _what_rules_see(state: Review, identity: str) -> None:
    """The cause that the rules name for a negative flip, beside which a person's cause stands."""
    flip = state.answers.samples[state.answers.samples["sample_id"] == identity]
    sample = data.samples(state.workspace, state.chosen.dataset, state.chosen.split)[identity]
    if flip["quadrant"].iloc[0] != "Q4":
        return
    flip = flip.assign(input=sample.input, target=sample.target, choices=[list(sample.choices)])
    for side, frame in (("old", state.answers.old), ("new", state.answers.new)):
        for column in ("output", "finish_reason"):
            flip[f"{side}_{column}"] = [frame.at[identity, column] if column in frame else None]
    found = find_causes(flip, unit=state.unit).iloc[0]
    if isinstance(found["cause"], str):
        evidence = plain(found["cause_evidence"] or "")
        st.caption(words.by_rule(plain(found["cause"]), evidence), help=plain(found["cause_rule"]))


def _navigation(state: Review, shown: pd.DataFrame, identity: str) -> None:
    """Where one is in the list, and the keys that move."""
    place, before, after = _neighbours(state.queue, shown, identity)
    row = st.container(horizontal=True, vertical_alignment="center")
    following = _next_open(state.queue, shown, identity)
    moves = (
        Move(words.PREVIOUS, "review_previous", ":material/arrow_back:", "K", before),
        Move(words.NEXT, "review_next", ":material/arrow_forward:", "J", after),
        Move(words.NEXT_UNREVIEWED, "review_next_open", ":material/skip_next:", "N", following),
    )
    move_buttons(row, moves, SAMPLE)
    where = words.place(place + 1, len(shown)) if place is not None else words.not_among(len(shown))
    row.caption(f"{where} · {plain(identity)}")


def _neighbours(queue: pd.DataFrame, shown: pd.DataFrame, identity: str) -> tuple[int | None, str | None, str | None]:
    """Place of a sample among those shown, and its neighbours there, also where it is not among them itself."""
    own = queue.loc[queue["sample_id"] == identity, "position"]
    ids, positions = shown["sample_id"].to_numpy(), shown["position"].to_numpy()
    at = int(np.searchsorted(positions, own.iloc[0])) if len(own) else 0
    here = at < len(ids) and ids[at] == identity
    before = ids[at - 1] if at > 0 else None
    after = ids[at + here] if at + here < len(ids) else None
    return (at if here else None), before, after


def _next_open(queue: pd.DataFrame, shown: pd.DataFrame, identity: str) -> str | None:
    """The first sample after this one that is still to be reviewed; from the start again after the last."""
    waiting = shown[(shown["state"] != "reviewed") & (shown["sample_id"] != identity)]
    if waiting.empty:
        return None
    own = queue.loc[queue["sample_id"] == identity, "position"]
    later = waiting[waiting["position"] > own.iloc[0]] if len(own) else waiting
    return str((waiting if later.empty else later)["sample_id"].iloc[0])
