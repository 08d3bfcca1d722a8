"""Below the sample on the Review page: the queue as a table, what was found, agreement, dealing, causes and export."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from muscle_core.actions.review_causes import Cause, list_causes, save_causes
from muscle_core.actions.review_queue import QUEUES, assign
from muscle_core.actions.reviews import LABELS, agreement_of, allow_list, export_reviews, summary_of
from muscle_core.comparison.view import page_count, page_of
from muscle_core.metrics import Rate
from muscle_core.ui import data
from muscle_core.ui.frame import errors_shown, plain, wrapping_columns
from muscle_core.ui.numbers import counts, percent
from muscle_core.ui.url import publish, restore

if TYPE_CHECKING:
    from muscle_core.ui.review.queue import Review

PAGE_SIZE = 25
_PAGE = "review_page"
_SAID = "_review_panel_said"
_TABS = ("Queue", "Findings", "Agreement", "Assign", "Causes", "Export")


def show(state: Review, shown: pd.DataFrame, sample_key: str) -> None:
    """Draw the panels; only the open one is worked out."""
    st.divider()
    tabs = st.tabs(list(_TABS), key="review_panel", on_change="rerun")
    queue = partial(_queue, shown=shown, sample_key=sample_key)
    panels: tuple[Callable[[Review], None], ...] = (queue, _findings, _agreement, _assign, _causes, _export)
    for tab, draw in zip(tabs, panels, strict=True):
        if tab.open:
            with tab, errors_shown():
                if _SAID in st.session_state:
                    st.success(st.session_state.pop(_SAID), icon=":material/check_circle:")
                draw(state)


def _queue(state: Review, shown: pd.DataFrame, sample_key: str) -> None:
    pages = page_count(len(shown), PAGE_SIZE)
    left, right = st.columns([3, 2], vertical_alignment="center")
    left.caption(f"{len(shown):,} of {len(state.queue):,} {QUEUES[state.what]}. Tick a row to open its sample.")
    with right:
        restore(_PAGE, 1, lambda number: isinstance(number, int) and 1 <= number <= pages, int)
        page = st.pagination(pages, key=_PAGE)
        publish(_PAGE, page if page > 1 else None)
    view = page_of(shown, page, PAGE_SIZE)
    if view.empty:
        st.info("No sample is left by the filters above.", icon=":material/filter_alt_off:")
        return
    samples = data.samples(state.workspace, state.chosen.dataset, state.chosen.split)
    ids = list(view["sample_id"])
    inputs = [samples[one].input[: data.PREVIEW_CHARACTERS] if one in samples else "" for one in ids]
    table = view[["state", "sample_id", "assigned", "verdict", "cause", "severity"]].fillna("").copy()
    table.insert(2, "input", inputs)
    # The ids are part of the key: a selection is a position, and must not survive another view.
    key = f"review_table_{hash((state.chosen.old.id, state.chosen.new.id, *ids))}"

    def open_row() -> None:
        rows = st.session_state[key].selection.rows
        if rows and rows[0] < len(ids):
            st.session_state[sample_key] = ids[rows[0]]

    st.dataframe(
        table,
        key=key,
        on_select=open_row,
        selection_mode="single-row",
        hide_index=True,
        height="content",
        alt="Samples of the queue with the state of their review",
        column_config={
            "state": st.column_config.TextColumn("Review", width=90),
            "sample_id": st.column_config.TextColumn("Sample", width=140),
            "input": st.column_config.TextColumn("Input", width=380),
            "assigned": st.column_config.TextColumn("Assigned to", width=110),
            "verdict": st.column_config.TextColumn("Verdict", width=120),
            "cause": st.column_config.TextColumn("Cause", width=140),
            "severity": st.column_config.TextColumn("Severity", width=70),
        },
    )


def _findings(state: Review) -> None:
    names = [cause.name for cause in list_causes(state.workspace)]
    found = summary_of(state.samples, state.reviews, names, state.what)
    if not found.reviewed.numerator:
        st.info(f"None of the {QUEUES[state.what]} is reviewed yet.", icon=":material/info:")
        return
    who = f" by {len(found.reviewers):,} reviewer{'s' if len(found.reviewers) > 1 else ''}"
    st.markdown(f"{found.reviewed.numerator:,} of {found.reviewed.denominator:,} {QUEUES[found.what]} reviewed{who}.")
    for column, label in zip(wrapping_columns(3, least=300, key="review_findings"), LABELS, strict=True):
        with column:
            st.markdown(f"**{label.capitalize()}**")
            st.table(_shares(getattr(found, f"by_{label}")), hide_index=True, alt=f"Reviewed samples by {label}")
    st.caption(
        "Shares of the reviewed samples with 95 % Wilson intervals; a sample counts once, whatever the number of its "
        "reviewers. If the samples reviewed were not drawn at random, the shares tell of them alone."
    )
    st.markdown("**Reviewers**")
    people = [
        (plain(row.reviewer), *(f"{count:,}" for count in (row.reviewed, row.assigned, row.done, row.stale, row.left)))
        for row in state.progress.by_reviewer.itertuples()
    ]
    columns = ["reviewer", "reviewed", "assigned", "of these reviewed", "of these stale", "of these left"]
    st.table(pd.DataFrame(people, columns=columns), hide_index=True, alt="Reviewed and assigned samples by reviewer")


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
    return pd.DataFrame(rows, columns=["", "samples", "share", "interval"])


def _agreement(state: Review) -> None:
    label = st.segmented_control("Agreement on", list(LABELS), default="verdict", key="review_agree_on", required=True)
    found = agreement_of(state.reviews, str(label))
    if not found:
        st.info(
            "No sample has been reviewed by two people yet. Under Assign, let every fifth sample go to two reviewers.",
            icon=":material/info:",
        )
        return
    rows = []
    for one in found:
        measured = one.agreement
        kappa = "not defined" if math.isnan(measured.kappa) else f"{measured.kappa:.2f}"
        interval = "–" if math.isnan(measured.low) else f"{measured.low:.2f} to {measured.high:.2f}"
        pair = f"{plain(one.first)} and {plain(one.second)}"
        rows.append((pair, f"{measured.n:,}", percent(measured.exact.value), counts(measured.exact), kappa, interval))
    columns = ["reviewers", "samples", f"same {label}", "of samples", "Cohen's kappa", "95 % interval"]
    st.table(pd.DataFrame(rows, columns=columns), hide_index=True, alt=f"Agreement on the {label} by two reviewers")
    for one in found:
        if one.agreement.why or one.left_out:
            why = f" {one.agreement.why}." if one.agreement.why else ""
            out = f" {one.left_out:,} samples are left out, because they read other answers." if one.left_out else ""
            st.caption(plain(f"{one.first} and {one.second}:{why}{out}"))
    st.caption(
        "Kappa is the agreement beyond chance: 1 is full agreement, 0 what chance gives. It is low where one label "
        "dominates, even if nearly all pairs agree, so read it beside the share. Intervals by bootstrap over samples."
    )


def _assign(state: Review) -> None:
    free = int(((state.queue["assigned"] == "") & (state.queue["state"] == "unreviewed")).sum())
    if free:
        st.markdown(
            f"Deal the {QUEUES[state.what]} that nobody reviewed or was asked to review ({free:,} now), evenly and in "
            "their order."
        )
    else:
        st.info(
            f"All {QUEUES[state.what]} are reviewed or assigned. To deal again what is not reviewed yet, take it back "
            "first.",
            icon=":material/info:",
        )
    with st.form("review_assign", border=False):
        names = st.text_input(
            "Reviewers",
            placeholder="Ada, Ben, Chris",
            help="Names separated by commas, as they are typed under Reviewer in the sidebar. One name gets all.",
        )
        columns = wrapping_columns(2, least=200, key="review_assign_numbers")
        every = columns[0].number_input(
            "Every n-th to two people", 0, 1000, 5, help="To measure how far they agree; 0 for none."
        )
        limit = columns[1].number_input("At most", 0, 10_000_000, 0, help="Samples to deal; 0 for all.")
        replace = st.checkbox("First take back what is assigned and not reviewed")
        if not st.form_submit_button("Assign", icon=":material/group_add:"):
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
    st.session_state[_SAID] = f"Assigned: {said} samples."
    st.rerun()


def _causes(state: Review) -> None:
    causes = list_causes(state.workspace)
    st.markdown(
        "The words that reviewers choose from; the first nine have a number key. A cause that reviews name can be "
        "renamed or retired, not removed."
    )
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
            "order": st.column_config.NumberColumn("Order", width=80, min_value=1, step=1),
            "name": st.column_config.TextColumn("Name", width=180),
            "description": st.column_config.TextColumn("When to use it", width=480),
            "retired": st.column_config.CheckboxColumn("Retired", width=70),
        },
    )
    if not st.button("Save the causes", icon=":material/save:", disabled=edited.equals(start)):
        return
    edited = edited.sort_values("order", kind="stable", na_position="last")
    save_causes(
        state.workspace,
        [
            Cause(_string(row.id), _string(row.name), _string(row.description), row.retired is True)
            for row in edited.itertuples()
        ],
    )
    st.session_state[_SAID] = "The causes are saved."
    st.rerun()


def _string(value: object) -> str:
    return value if isinstance(value, str) else ""


def _export(state: Review) -> None:
    if state.reviews.empty:
        st.info("There is no review to export yet.", icon=":material/info:")
        return
    chosen = state.chosen
    name = f"reviews-{chosen.old.name}-to-{chosen.new.name}-{chosen.dataset.name}-{chosen.split}"
    st.markdown(f"{len(state.reviews):,} reviews with the answers that they are about, and the list for the gate.")
    row = st.container(horizontal=True)
    for form, mime in (("csv", "text/csv"), ("jsonl", "application/jsonl")):
        row.download_button(
            f"Reviews ({form.upper()})",
            partial(export_reviews, *state.names, split=state.split, form=form, answers=state.answers),
            file_name=f"{name}.{form}",
            mime=mime,
            icon=":material/download:",
            key=f"review_export_{form}",
        )
    allowed = allow_list(*state.names, split=state.split, answers=state.answers)
    row.download_button(
        f"Allow list ({len(allowed):,})",
        "".join(f"{one}\n" for one in allowed),
        file_name=f"allow-{name.removeprefix('reviews-')}.txt",
        mime="text/plain",
        icon=":material/download:",
        disabled=not allowed,
        help="Samples that all their reviewers call acceptable; the gate can let these pass.",
        key="review_export_allowed",
    )
