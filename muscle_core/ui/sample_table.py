"""The table of samples: quadrant filter, search, sort, one page at a time; the selected sample's id goes to the URL."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from muscle_core.comparison import Comparison
from muscle_core.comparison.view import filter_rows, page_count, page_of
from muscle_core.store import Workspace
from muscle_core.ui import data
from muscle_core.ui.frame import plain
from muscle_core.ui.picks import Picks

PAGE_SIZE = 25
SAMPLE_KEY = "sample"
_LABELS = {
    "Q4": "Q4 negative flips",
    "Q2": "Q2 positive flips",
    "Q3 changed": "Q3 both wrong, changed",
    "Q3 same": "Q3 both wrong, same",
    "Q1": "Q1 both right",
}
# A link to "Q3" (the quadrant matrix has one) means both halves of it.
_PARTS = {"Q3": ("Q3 same", "Q3 changed")}


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
    for column in frame.columns:
        if column.startswith("delta_"):
            table[column] = frame[column]
    for side in ("old", "new"):
        if f"{side}_margin" in frame:
            table[f"{side}_margin"] = frame[f"{side}_margin"]
    return table


def build(workspace: Workspace, chosen: Picks) -> pd.DataFrame:
    """One row a sample of the comparison, with readable answers."""
    versions = (chosen.old, chosen.new, chosen.compat)
    fingerprints = (f"{v.name}:{v.fingerprint}" if v else "-" for v in versions)
    key = (*fingerprints, chosen.dataset.id, chosen.split)
    return _build(str(workspace.home), key, workspace, chosen)


def show(chosen: Picks, comparison: Comparison, frame: pd.DataFrame) -> None:
    """Draw filters, table and pages."""
    judged = comparison.counts is not None
    quadrants: tuple[str, ...] = ()
    left, right = st.columns([3, 2])
    if judged:
        wanted = st.query_params.get("quadrant")
        if wanted in _PARTS:
            st.session_state["quadrant"] = None
            quadrants = _PARTS[wanted]
        with left:
            picked = st.segmented_control(
                "Quadrant",
                list(_LABELS),
                format_func=lambda key: f"{_LABELS[key]} ({len(filter_rows(frame, quadrants=[key])):,})",
                key="quadrant",
                bind="query-params",
                help="Choose none to see all samples.",
            )
        quadrants = (picked,) if picked else quadrants
    with right:
        search = st.text_input(
            "Search",
            key="search",
            bind="query-params",
            placeholder="words in question or answers",
            help="All words must occur, in any order, in the input or one of the answers.",
        )
    columns = [c for c in ("input", "gold", "old_answer", "new_answer", "compat_answer", "sample_id") if c in frame]
    rows = filter_rows(frame, quadrants=quadrants, search=search or "", search_columns=columns)
    orders = _orders(frame)
    sort_column, page_column, count_column = st.columns([2, 3, 2], vertical_alignment="bottom")
    with sort_column:
        order = st.selectbox("Sort by", list(orders), key="sort", bind="query-params")
    column, ascending = orders[order]
    if column is not None:
        rows = rows.sort_values(column, ascending=ascending, kind="stable")
    pages = page_count(len(rows), PAGE_SIZE)
    with page_column:
        if st.session_state.get("page", 1) > pages:
            st.session_state["page"] = pages
        page = st.pagination(pages, key="page", bind="query-params")
    count_column.markdown(f"{len(rows):,} of {len(frame):,} samples")
    view = page_of(rows, page, PAGE_SIZE)
    if view.empty:
        st.info("No sample matches. Choose another quadrant or clear the search.", icon=":material/info:")
        return
    _table(chosen, view, (*quadrants, search or "", order, str(page)))


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
    shown = view.drop(columns=[c for c in ("same_answer", "old_margin") if c in view])
    if shown["quadrant"].isna().all():
        shown = shown.drop(columns="quadrant")
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
            "sample_id": st.column_config.TextColumn("Sample", width=150),
            "quadrant": st.column_config.TextColumn("Quadrant", width=80),
            "input": st.column_config.TextColumn("Input", width="large"),
            "gold": st.column_config.TextColumn("Gold answer", width=150),
            "old_answer": st.column_config.TextColumn("Old answer", width=150),
            "new_answer": st.column_config.TextColumn("New answer", width=150),
            "compat_answer": st.column_config.TextColumn("Compat answer", width=150),
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
