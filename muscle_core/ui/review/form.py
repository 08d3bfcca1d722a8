"""The form of the Review page: cause, verdict, severity and note by mouse or keyboard, saved on request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from muscle_core.actions.reviews.answers import answer_hashes
from muscle_core.actions.reviews.causes import Cause, list_causes
from muscle_core.actions.reviews.records import (
    REGRESSION,
    SEVERITIES,
    VERDICTS,
    save_review,
    withdraw_review,
)
from muscle_core.ui.frame import errors_shown, plain
from muscle_core.ui.review import words
from muscle_core.ui.url import rerun

if TYPE_CHECKING:
    from muscle_core.ui.review.queue import Review

_DRAFTS = "_review_drafts"  # what was chosen and not saved yet, by sample
_SAID = "_review_said"
_NAME = "_review_name"
_VERDICT_KEYS = dict(zip(VERDICTS, "QWEU", strict=True))
_SEVERITY_KEYS = dict(zip(SEVERITIES, "LMH", strict=True))
_MOST_KEYS = 9
# Streamlit writes the key of a shortcut so faintly that it cannot be read on a coloured button.
_STYLE = "<style>button[data-testid='stBaseButton-primary'] kbd { opacity: 1; }</style>"
_FIELDS = ("verdict", "cause", "severity", "note")


def show(state: Review, identity: str, following: str | None, sample_key: str) -> None:
    """Draw the form of one sample.

    Args:
        state: what the page is about.
        identity: the sample.
        following: the sample to open after saving; None where no other one is left.
        sample_key: where the session keeps which sample is shown.
    """
    if not state.reviewer:
        with st.container(border=True):
            st.text_input(
                words.YOUR_NAME, key=_NAME, placeholder=words.REVIEWER_HINT, help=words.REVIEWER_HELP, on_change=_named
            )
        return
    if _SAID in st.session_state:
        st.success(st.session_state.pop(_SAID), icon=":material/check_circle:")
    st.fragment(_form)(state, identity, following, sample_key)
    _others(state, identity)


def _named() -> None:
    """A name typed where the form will stand is that of the sidebar."""
    st.session_state["reviewer"] = st.session_state[_NAME]


def _form(state: Review, identity: str, following: str | None, sample_key: str) -> None:
    st.html(_STYLE)
    own = _own(state, identity)
    draft = _draft(state, identity, own)
    causes = list_causes(state.workspace)
    st.markdown(f"**{words.VERDICT}**")
    _choices(draft, "verdict", {name: (key, VERDICTS[name]) for name, key in _VERDICT_KEYS.items()})
    st.markdown(f"**{words.CAUSE}**")
    _choices(draft, "cause", _cause_keys(causes, draft["cause"]))
    st.markdown(f"**{words.SEVERITY}**")
    _choices(draft, "severity", {name: (key, words.SEVERITY_HELP) for name, key in _SEVERITY_KEYS.items()})
    note_key = f"review_note_{identity}_{draft['revision']}"

    def keep_note() -> None:
        draft["note"] = st.session_state[note_key]

    note = st.text_area(
        words.NOTE, draft["note"], key=note_key, height=90, on_change=keep_note, placeholder=words.NOTE_HINT
    )
    draft["note"] = note or ""
    row = st.container(horizontal=True, vertical_alignment="center")
    save = row.button(
        words.SAVE_AND_NEXT if following else words.SAVE,
        type="primary",
        icon=":material/save:",
        shortcut="Ctrl+Enter",
        key="review_save",
    )
    discard = _is_changed(draft) and row.button(words.DISCARD, icon=":material/close:", key="review_discard")
    withdraw = own is not None and row.button(words.WITHDRAW, icon=":material/undo:", key="review_withdraw")
    _say_state(draft, own)
    if save:
        with errors_shown():
            _save(state, identity, draft)
        if following:
            st.session_state[sample_key] = following
            st.toast(words.SAVED, icon=":material/check:")
        else:
            st.session_state[_SAID] = words.SAVED_ALL
        rerun()
    if discard:
        _drop(state, identity)
        rerun()
    if withdraw:
        with errors_shown():
            withdraw_review(*state.names, identity, state.reviewer, split=state.split)
        _drop(state, identity)
        rerun()


def _drop(state: Review, identity: str) -> None:
    st.session_state[_DRAFTS].pop(_draft_key(state, identity), None)


def _cause_keys(causes: list[Cause], chosen: str | None) -> dict[str, tuple[str | None, str]]:
    """What can be chosen, with number keys for the first nine; a retired cause only where it was chosen before."""
    offered = [cause for cause in causes if not cause.retired or cause.name == chosen]
    return {
        cause.name: (str(place + 1) if place < _MOST_KEYS else None, cause.description)
        for place, cause in enumerate(offered)
    }


def _choices(draft: dict[str, Any], field: str, options: dict[str, tuple[str | None, str]]) -> None:
    """One button an option; the chosen one is marked by colour and a dot, and a second click takes it back."""
    box = st.container(horizontal=True, gap="xsmall", key=f"review_choose_{field}")
    for place, (name, (shortcut, meaning)) in enumerate(options.items()):
        chosen = draft[field] == name
        box.button(
            plain(name),
            key=f"review_choose_{field}_{place}",
            shortcut=shortcut,
            type="primary" if chosen else "secondary",
            # Both have an icon: the buttons keep their widths, and colour does not speak alone.
            icon=f":material/radio_button_{'checked' if chosen else 'unchecked'}:",
            help=plain(meaning) or None,
            on_click=_choose,
            args=(draft, field, None if chosen else name),
        )


def _choose(draft: dict[str, Any], field: str, value: str | None) -> None:
    draft[field] = value


def _own(state: Review, identity: str) -> dict[str, Any] | None:
    mine = (state.reviews["sample_id"] == identity) & (state.reviews["reviewer"] == state.reviewer)
    found = state.reviews[mine]
    return None if found.empty else found.iloc[0].to_dict()


def _draft_key(state: Review, identity: str) -> tuple[str, ...]:
    chosen = state.chosen
    return chosen.old.id, chosen.new.id, chosen.dataset.id, chosen.split, state.reviewer, identity


def _draft(state: Review, identity: str, own: dict[str, Any] | None) -> dict[str, Any]:
    """What the form shows: what was chosen before and not saved, else the saved review."""
    drafts = st.session_state.setdefault(_DRAFTS, {})
    key = _draft_key(state, identity)
    saved = own or {**dict.fromkeys(_FIELDS), "note": "", "revision": 0}
    draft = drafts.get(key)
    if draft is None or (draft["revision"] != saved["revision"] and not _is_changed(draft)):
        start = {name: saved[name] for name in _FIELDS}
        draft = drafts[key] = {**start, "revision": saved["revision"], "start": start}
    return draft


def _is_changed(draft: dict[str, Any]) -> bool:
    return any(draft[name] != draft["start"][name] for name in _FIELDS)


def _save(state: Review, identity: str, draft: dict[str, Any]) -> None:
    save_review(
        *state.names,
        identity,
        state.reviewer,
        verdict=draft["verdict"] or "",
        cause=draft["cause"],
        severity=draft["severity"],
        note=draft["note"],
        split=state.split,
        shown_answers=answer_hashes(state.answers, [identity]).get(identity),
        shown_revision=draft["revision"],
        answers=state.answers,
    )
    _drop(state, identity)


def _say_state(draft: dict[str, Any], own: dict[str, Any] | None) -> None:
    if _is_changed(draft):
        st.caption(words.NOT_SAVED)
    elif own is not None:
        st.caption(words.saved_at(f"{own['updated_at']:%Y-%m-%d %H:%M}"))
    else:
        st.caption(words.what_is_needed(REGRESSION))
    if own is not None and own["stale"]:
        st.warning(words.STALE, icon=":material/history:")


def _others(state: Review, identity: str) -> None:
    """What others said, once one's own review is there: before, it would sway it."""
    others = state.reviews[(state.reviews["sample_id"] == identity) & (state.reviews["reviewer"] != state.reviewer)]
    if others.empty:
        return
    if _own(state, identity) is None:
        st.caption(words.hidden_reviews(len(others)))
        return
    for row in others.itertuples():
        said = " · ".join(filter(None, (row.verdict, row.cause, row.severity, row.note)))
        st.caption(words.said(plain(row.reviewer), plain(said), bool(row.stale)))
