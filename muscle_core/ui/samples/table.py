"""The table of samples: quadrant filter, search, sort, one page at a time; the selected sample's id goes to the URL."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa
import streamlit as st

from muscle_core.actions.compare import require_run
from muscle_core.comparison import Comparison
from muscle_core.comparison.view import (
    Neighbours,
    ViewOfSamples,
    filter_rows,
    neighbours,
    page_count,
    page_of,
)
from muscle_core.store import Workspace
from muscle_core.ui import data
from muscle_core.ui.frame import plain
from muscle_core.ui.picks import Picks
from muscle_core.ui.url import forget, linked_select, publish, restore

__all__ = ["SAMPLE_KEY", "Neighbours", "ViewOfSamples", "build", "neighbours", "show"]

PAGE_SIZE = 25
_LAST_VIEW = "_last_view_of_samples"
SAMPLE_KEY = "sample"
ALL_CAUSES = "all"
_LABELS = {
    "Q4": "Q4 negative flips",
    "Q2": "Q2 positive flips",
    "Q3": "Q3 both wrong",
    "Q3-changed": "Q3 answer changed",
    "Q3-same": "Q3 same answer",
    "Q1": "Q1 both right",
}
_PARTS = {"Q3-changed": ("Q3 changed",), "Q3-same": ("Q3 same",)}


@st.cache_resource(max_entries=8, show_spinner="Preparing the table …")
def _build(home: str, key: tuple[str, ...], _workspace: Workspace, _chosen: Picks) -> pd.DataFrame:
    chosen = _chosen
    comparison = data.comparison(_workspace, chosen.old, chosen.new, chosen.dataset, chosen.split)
    samples = data.samples(_workspace, chosen.dataset, chosen.split)
    frame = comparison.samples
    known = [samples[identity] for identity in frame["sample_id"]]
    table = pd.DataFrame(
        {
            "sample_id": frame["sample_id"],
            "quadrant": frame["quadrant"],
            "same_answer": frame["same_answer"],
            "input": [sample.input for sample in known],
            "gold": [data.answer_text(s, s.gold) for s in known],
            "old_answer": [data.answer_text(s, p) for s, p in zip(known, frame["old_prediction"], strict=True)],
            "new_answer": [data.answer_text(s, p) for s, p in zip(known, frame["new_prediction"], strict=True)],
        }
    )
    if chosen.compat is not None:
        other = data.predictions(_workspace, chosen.compat, chosen.dataset, chosen.split)["prediction"]
        table["compat_answer"] = [data.answer_text(s, other.get(s.id)) for s in known]
    causes = data.causes(_workspace, chosen.old, chosen.new, chosen.dataset, chosen.split)
    for column in ("cause", "cause_rule"):
        table[column] = frame["sample_id"].map(causes[column])
    for column in frame.columns:
        if column.startswith("delta_"):
            table[column] = frame[column]
    for side in ("old", "new"):
        if f"{side}_margin" in frame:
            table[f"{side}_margin"] = frame[f"{side}_margin"]
    return table


def build(workspace: Workspace, chosen: Picks) -> pd.DataFrame:
    """One row a sample of the comparison, with readable answers."""
    versions = [version for version in (chosen.old, chosen.new, chosen.compat) if version is not None]
    # Run ids, not names: an evaluation made meanwhile is another table.
    runs = [require_run(workspace, version, chosen.dataset, chosen.split).id for version in versions]
    key = (*runs, *(version.name for version in versions))
    return _build(str(workspace.home), key, workspace, chosen)


def show(chosen: Picks, comparison: Comparison, frame: pd.DataFrame) -> ViewOfSamples:
    """Draw filters, table and pages; returns the samples that pass, in order, over all pages."""
    quadrants: tuple[str, ...] = ()
    if comparison.counts is not None:
        counts = {key: len(filter_rows(frame, quadrants=_PARTS.get(key, (key,)))) for key in _LABELS}
        restore("quadrant", None, lambda key: key is None or key in _LABELS)
        picked = st.segmented_control(
            "Quadrant",
            list(_LABELS),
            format_func=lambda key: f"{_LABELS[key]} ({counts[key]:,})",
            key="quadrant",
            help="Choose none to see all samples.",
            wrap=True,
        )
        publish("quadrant", picked)
        quadrants = _PARTS.get(picked, (picked,)) if picked else ()
    if quadrants == ("Q4",):
        frame_of_cause = _of_cause(frame)
    else:
        forget("cause")
        frame_of_cause = frame
    left, right = st.columns([3, 2])
    with left:
        restore("search", "", lambda text: isinstance(text, str))
        search = st.text_input(
            "Search",
            key="search",
            placeholder="words in the input or the answers",
            help="All words must occur, in any order, in the input or one of the answers.",
        )
        publish("search", search)
    columns = [c for c in ("input", "gold", "old_answer", "new_answer", "compat_answer", "sample_id") if c in frame]
    rows = filter_rows(frame_of_cause, quadrants=quadrants, search=search or "", search_columns=columns)
    orders = _orders(frame)
    with right:
        order = linked_select("Sort by", list(orders), "sort")
    column, ascending = orders[order]
    if column is not None:
        rows = rows.sort_values(column, ascending=ascending, kind="stable")
    pages = page_count(len(rows), PAGE_SIZE)
    cause = st.session_state.get("cause")
    view_now = (*quadrants, search, order, cause)
    if st.session_state.setdefault(_LAST_VIEW, view_now) != view_now:
        st.session_state[_LAST_VIEW] = view_now
        forget("page")  # page 7 of another filter means nothing
    left, right = st.columns([3, 2], vertical_alignment="center")
    left.caption(f"{len(rows):,} of {len(frame):,} samples")
    with right:
        restore("page", 1, lambda number: isinstance(number, int) and 1 <= number <= pages, int)
        page = st.pagination(pages, key="page")
        publish("page", page if page > 1 else None)
    view = page_of(rows, page, PAGE_SIZE)
    if view.empty:
        st.info("No sample matches. Choose another quadrant or clear the search.", icon=":material/info:")
    else:
        _table(chosen, view, (*quadrants, search or "", order, str(cause), str(page)))
    return ViewOfSamples(pa.array(frame["sample_id"], pa.large_string()), rows.index.to_numpy())


def _of_cause(frame: pd.DataFrame) -> pd.DataFrame:
    """Draw the filter of causes, with the rule of the one chosen; returns the rows of that cause."""
    counts = frame["cause"].value_counts()
    if counts.empty:
        return frame
    names = {ALL_CAUSES: f"all causes ({counts.sum():,})"} | {
        str(cause): f"{cause} ({count:,})" for cause, count in counts.items()
    }
    restore("cause", ALL_CAUSES, lambda cause: cause in names)
    picked = st.selectbox(
        "Cause",
        list(names),
        key="cause",
        format_func=lambda cause: names[cause],
        help="Found by rules over the two outputs: what can be seen in them, not why the model does it.",
    )
    # Not written where it is all: a step of its own in the browser's history would be in the way of "back".
    publish("cause", None if picked == ALL_CAUSES else picked)
    if picked == ALL_CAUSES:
        return frame
    rows = frame[frame["cause"] == picked]
    st.caption(f"Rule: {plain(str(rows['cause_rule'].iloc[0]))}")
    return rows


def _orders(frame: pd.DataFrame) -> dict[str, tuple[str | None, bool]]:
    orders: dict[str, tuple[str | None, bool]] = {"Dataset order": (None, True)}
    for column in frame.columns:
        if column.startswith("delta_"):
            orders[f"Largest loss of {column.removeprefix('delta_')}"] = (column, True)
    if "new_margin" in frame:
        orders["New version most surely wrong"] = ("new_margin", True)
    return orders


def _table(chosen: Picks, view: pd.DataFrame, state: tuple[str, ...]) -> None:
    ids = list(view["sample_id"])
    order = ["quadrant", "cause", "input", "gold", "old_answer", "new_answer", "compat_answer"]
    order += [c for c in view.columns if c.startswith("delta_")] + ["new_margin", "sample_id"]
    shown = view[[c for c in order if c in view]].copy()
    long_answers = chosen.dataset.task_kind == "summarization"
    answer_width = 220 if long_answers else 110
    if shown["quadrant"].isna().all():
        shown = shown.drop(columns="quadrant")
    if shown["cause"].isna().all():
        shown = shown.drop(columns="cause")
    for column in ("input", "gold", "old_answer", "new_answer", "compat_answer"):
        if column in shown:
            shown[column] = shown[column].str.slice(0, data.PREVIEW_CHARACTERS)
    # Filter and page are part of the key: a selection is a position, and must not survive them.
    key = f"samples_table_{hash((chosen.old.id, chosen.new.id, chosen.dataset.id, *state))}"

    def remember() -> None:
        rows = st.session_state[key].selection.rows
        if rows and rows[0] < len(ids):
            st.session_state[SAMPLE_KEY] = ids[rows[0]]

    st.dataframe(
        shown,
        key=key,
        on_select=remember,
        selection_mode="single-row",
        hide_index=True,
        height="content",
        alt="Samples of the chosen quadrant with gold answer and the answers of the versions",
        column_config={
            "sample_id": st.column_config.TextColumn("Sample", width=130),
            "quadrant": st.column_config.TextColumn("Quadrant", width=70),
            "cause": st.column_config.TextColumn("Cause", width=130, help="Of a negative flip; the rule is below."),
            "input": st.column_config.TextColumn("Input", width=300 if long_answers else 420),
            "gold": st.column_config.TextColumn("Gold answer", width=answer_width),
            "old_answer": st.column_config.TextColumn("Old answer", width=answer_width),
            "new_answer": st.column_config.TextColumn("New answer", width=answer_width),
            "compat_answer": st.column_config.TextColumn("Compat answer", width=answer_width),
            "new_margin": st.column_config.NumberColumn(
                "New margin",
                format="%.2f",
                help="Log-likelihood of the gold choice minus the best wrong one, new version (nats).",
            ),
            **{
                c: st.column_config.NumberColumn(f"Δ {c.removeprefix('delta_')}", format="%+.3f")
                for c in view.columns
                if c.startswith("delta_")
            },
        },
    )
    st.caption(f"Old: {plain(chosen.old.name)} · New: {plain(chosen.new.name)}. Tick a row to read the sample below.")
