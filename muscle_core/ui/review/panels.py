"""Below the sample on the Review page: the queue as a table, what was found, agreement, dealing, causes and export."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st

from muscle_core.actions.reviews.causes import Cause, list_causes, save_causes
from muscle_core.actions.reviews.findings import agreement_of, allow_list, export_reviews, summary_of
from muscle_core.actions.reviews.queue import QUEUES, assign
from muscle_core.actions.reviews.queue_columns import LABELS, UNREVIEWED, Positions
from muscle_core.comparison.view import page_count
from muscle_core.metrics import Rate
from muscle_core.ui import data
from muscle_core.ui.frame import errors_shown, plain, wrapping_columns
from muscle_core.ui.numbers import counts, percent
from muscle_core.ui.review import words
from muscle_core.ui.row_choice import LINES_HEIGHT, fitting, pick_row
from muscle_core.ui.url import publish, rerun, restore

if TYPE_CHECKING:
    from muscle_core.ui.review.queue import Review

PAGE_SIZE = 10
_PAGE = "review_page"
_SAID = "_review_panel_said"


def show(state: Review, shown: Positions, sample_key: str) -> None:
    """Draw the panels; only the open one is worked out."""
    st.divider()
    tabs = st.tabs(list(words.TABS.values()), key="review_panel", on_change="rerun")
    queue = partial(_queue, shown=shown, sample_key=sample_key)
    panels: tuple[Callable[[Review], None], ...] = (queue, _findings, _agreement, _assign, _causes, _export)
    for tab, draw in zip(tabs, panels, strict=True):
        if tab.open:
            with tab, errors_shown():
                if _SAID in st.session_state:
                    st.success(st.session_state.pop(_SAID), icon=":material/check_circle:")
                draw(state)


def _queue(state: Review, shown: Positions, sample_key: str) -> None:
    pages = page_count(len(shown), PAGE_SIZE)
    left, right = st.columns([3, 2], vertical_alignment="center")
    left.caption(words.queue_line(len(shown), len(state.queue), QUEUES[state.what]))
    with right:
        restore(_PAGE, 1, lambda number: isinstance(number, int) and 1 <= number <= pages, int)
        page = st.pagination(pages, key=_PAGE)
        publish(_PAGE, page if page > 1 else None)
    if not len(shown):
        st.info(words.NONE_LEFT_ABOVE, icon=":material/filter_alt_off:")
        return
    view = state.queue.frame(shown[(page - 1) * PAGE_SIZE : page * PAGE_SIZE])
    ids = list(view["sample_id"])
    chosen = state.chosen
    inputs = data.inputs(state.workspace, chosen.dataset, chosen.split, ids, gap="")
    table = view[["state", "sample_id", "assigned", "verdict", "cause", "severity"]].fillna("").copy()
    table.insert(2, "input", fitting(pd.Series(list(inputs), dtype=object), words.QUEUE_COLUMNS["input"][1]).tolist())
    names = (state.chosen.old.id, state.chosen.new.id, *ids)
    pick_row(
        table,
        ids,
        sample_key,
        f"review_table_{hash(names)}",
        none=st.session_state.get(sample_key),
        height="content",
        row_height=LINES_HEIGHT,
        alt=words.QUEUE_ALT,
        column_config={
            name: st.column_config.TextColumn(label, width=width)
            for name, (label, width) in words.QUEUE_COLUMNS.items()
        },
    )


def _findings(state: Review) -> None:
    names = [cause.name for cause in list_causes(state.workspace)]
    found = summary_of(state.queue.samples, state.reviews, names)
    if not found.reviewed.numerator:
        st.info(words.none_reviewed(QUEUES[state.what]), icon=":material/info:")
        return
    of = found.reviewed
    st.markdown(words.reviewed_line(of.numerator, of.denominator, QUEUES[found.what], len(found.reviewers)))
    for column, label in zip(wrapping_columns(3, least=300, key="review_findings"), LABELS, strict=True):
        with column:
            st.markdown(f"**{label.capitalize()}**")
            st.table(_shares(getattr(found, f"by_{label}")), hide_index=True, alt=words.by_label_alt(label))
    st.caption(words.SHARES_NOTE)
    st.markdown(f"**{words.REVIEWERS}**")
    people = [
        (plain(row.reviewer), *(f"{count:,}" for count in (row.reviewed, row.assigned, row.done, row.stale, row.left)))
        for row in state.progress.by_reviewer.itertuples()
    ]
    st.table(pd.DataFrame(people, columns=list(words.REVIEWERS_COLUMNS)), hide_index=True, alt=words.REVIEWERS_ALT)


def _shares(rates: dict[str, Rate]) -> pd.DataFrame:
    rows = [
        (
            plain(name),
            f"{one.numerator:,}",
            percent(one.value).replace(" ", "\u00a0"),
            f"{one.low * 100:.1f}\u2060–\u2060{one.high * 100:.1f}\u00a0%",
        )
        for name, one in rates.items()
    ]
    return pd.DataFrame(rows, columns=list(words.SHARE_COLUMNS))


def _agreement(state: Review) -> None:
    label = st.segmented_control(
        words.AGREEMENT_ON, list(LABELS), default="verdict", key="review_agree_on", required=True
    )
    found = agreement_of(state.reviews, str(label))
    if not found:
        st.info(words.NONE_BY_TWO, icon=":material/info:")
        return
    rows = []
    for one in found:
        measured = one.agreement
        kappa = words.NOT_DEFINED if math.isnan(measured.kappa) else f"{measured.kappa:.2f}"
        interval = "–" if math.isnan(measured.low) else words.interval(measured.low, measured.high)
        pair = words.pair(plain(one.first), plain(one.second))
        rows.append((pair, f"{measured.n:,}", percent(measured.exact.value), counts(measured.exact), kappa, interval))
    columns = list(words.agreement_columns(str(label)))
    st.table(pd.DataFrame(rows, columns=columns), hide_index=True, alt=words.agreement_alt(str(label)))
    for one in found:
        if one.agreement.why or one.left_out:
            st.caption(plain(words.why_no_kappa(one.first, one.second, one.agreement.why, one.left_out)))
    st.caption(words.KAPPA_NOTE)


def _assign(state: Review) -> None:
    free = int(np.count_nonzero(state.queue.unassigned() & (state.queue.state == UNREVIEWED)))
    if free:
        st.markdown(words.deal(QUEUES[state.what], free))
    else:
        st.info(words.nothing_to_deal(QUEUES[state.what]), icon=":material/info:")
    with st.form("review_assign", border=False):
        names = st.text_input(words.NAMES, placeholder=words.NAMES_HINT, help=words.NAMES_HELP)
        columns = wrapping_columns(2, least=200, key="review_assign_numbers")
        every = columns[0].number_input(words.TWO_FOR_EVERY, 0, 1000, 5, help=words.TWO_FOR_EVERY_HELP)
        limit = columns[1].number_input(words.AT_MOST, 0, 10_000_000, 0, help=words.AT_MOST_HELP)
        replace = st.checkbox(words.TAKE_BACK)
        if not st.form_submit_button(words.ASSIGN, icon=":material/group_add:"):
            return
    people = [name for name in (names or "").split(",") if name.strip()]
    dealt = assign(
        *state.names,
        people,
        split=state.split,
        what=state.what,
        two_for_every=int(every) if every and len(people) > 1 else None,
        limit=int(limit) or None,
        replace=replace,
        answers=state.answers,
    )
    said = ", ".join(f"{plain(name)} {count:,}" for name, count in dealt.items())
    st.session_state[_SAID] = words.assigned(said)
    rerun()


def _causes(state: Review) -> None:
    causes = list_causes(state.workspace)
    st.markdown(words.CAUSES_NOTE)
    start = pd.DataFrame(
        {
            "order": range(1, len(causes) + 1),
            "name": [cause.name for cause in causes],
            "description": [cause.description for cause in causes],
            "retired": [cause.retired for cause in causes],
            "id": [cause.id for cause in causes],
        }
    )
    edited = st.data_editor(
        start,
        key=f"review_causes_{hash(tuple(causes))}",
        num_rows="dynamic",
        hide_index=True,
        height="content",
        column_order=["order", "name", "description", "retired"],
        column_config={
            "order": st.column_config.NumberColumn(words.CAUSE_COLUMNS["order"], width=80, min_value=1, step=1),
            "name": st.column_config.TextColumn(words.CAUSE_COLUMNS["name"], width=180),
            "description": st.column_config.TextColumn(words.CAUSE_COLUMNS["description"], width=480),
            "retired": st.column_config.CheckboxColumn(words.CAUSE_COLUMNS["retired"], width=70),
        },
    )
    if not st.button(words.SAVE_CAUSES, icon=":material/save:", disabled=edited.equals(start)):
        return
    edited = edited.sort_values("order", kind="stable", na_position="last")
    save_causes(
        state.workspace,
        [
            Cause(_string(row.id), _string(row.name), _string(row.description), row.retired is True)
            for row in edited.itertuples()
        ],
    )
    st.session_state[_SAID] = words.CAUSES_SAVED
    rerun()


def _string(value: object) -> str:
    return value if isinstance(value, str) else ""


def _export(state: Review) -> None:
    if state.reviews.empty:
        st.info(words.NOTHING_TO_EXPORT, icon=":material/info:")
        return
    chosen = state.chosen
    name = f"reviews-{chosen.old.name}-to-{chosen.new.name}-{chosen.dataset.name}-{chosen.split}"
    st.markdown(words.export_line(len(state.reviews)))
    row = st.container(horizontal=True)
    for form, mime in (("csv", "text/csv"), ("jsonl", "application/jsonl")):
        row.download_button(
            words.export_button(form),
            partial(export_reviews, *state.names, split=state.split, form=form, answers=state.answers),
            file_name=f"{name}.{form}",
            mime=mime,
            icon=":material/download:",
            key=f"review_export_{form}",
        )
    allowed = allow_list(*state.names, split=state.split, answers=state.answers)
    file = f"allow-{name.removeprefix('reviews-')}.txt"
    row.download_button(
        words.allow_button(len(allowed)),
        lambda: "".join(f"{one}\n" for one in allowed),
        file_name=file,
        mime="text/plain",
        icon=":material/download:",
        disabled=not allowed,
        help=words.ALLOW_HELP,
        key="review_export_allowed",
    )
    if allowed:
        st.caption(words.GATE_NOTE)
        names = (chosen.old.name, chosen.new.name, chosen.dataset.name, chosen.split)
        st.code(words.gate_command(*names, file), language=None, wrap_lines=True)
    st.caption(words.IN_THE_REPORT)
