"""The table of samples: filters, order, one page at a time; the selected sample's id goes to the URL.

Only the rows of the page are made into text; filters and orders work on whole columns, once for all sessions.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from muscle_core.actions.updates.sample_columns import ComparedSamples
from muscle_core.comparison.sample_filter import DATASET_ORDER, SampleFilter, orders_of
from muscle_core.comparison.view import ViewOfSamples, neighbours, page_count
from muscle_core.figures.quadrant_matrix import QUADRANT_FILLS
from muscle_core.metrics.quadrants import Quadrant, QuadrantCounts
from muscle_core.store import Workspace
from muscle_core.ui import data
from muscle_core.ui.frame import plain, wrapping_columns
from muscle_core.ui.picks import Picks
from muscle_core.ui.row_choice import LINES_HEIGHT, fitting, pick_row
from muscle_core.ui.samples import filters, words
from muscle_core.ui.samples.link import FILTERS
from muscle_core.ui.url import forget, publish, restore

SAMPLE_KEY = "sample"
PAGE_SIZES = (10, 25, 50, 100)  # few at first, so that the sample below is in sight
_LAST = "_last_view_of_samples"


def show(workspace: Workspace, chosen: Picks, samples: ComparedSamples) -> ViewOfSamples:
    """Draw filters, table and pages; returns the samples that pass, in order, over all pages."""
    filters.restored()
    restore(SAMPLE_KEY, "", lambda text: isinstance(text, str))
    if samples.comparison.counts is not None:
        _quadrants(samples.comparison.counts)
    left, right = wrapping_columns([1, 1], least=360, key="samples_search")
    left.text_input(words.SEARCH, key="search", placeholder=words.SEARCH_HINT, help=words.SEARCH_HELP)
    sort, size = right.columns([2, 1])
    named = filters.run_named(workspace, chosen)
    orders = orders_of(samples.comparison.rows)
    labels = {words.order(key): key for key in orders}
    restore("sort", DATASET_ORDER, lambda key: key in orders, lambda text: labels.get(text, text))
    order = sort.selectbox(words.SORT, orders, key="sort", format_func=words.order)
    restore("rows", PAGE_SIZES[0], lambda number: number in PAGE_SIZES, int)
    rows = size.selectbox(words.ROWS, PAGE_SIZES, key="rows")
    on = filters.wanted(samples, named)
    filters.draw(chosen, samples, on)
    view = data.view_of_samples(workspace, samples, on, order, named)
    page = _pages(view, on, order, rows)
    for key, value in (
        {key: st.session_state[key] for key in FILTERS}
        | {
            "sort": None if order == DATASET_ORDER else order,
            "rows": None if rows == PAGE_SIZES[0] else rows,
            "page": page if page > 1 else None,
            SAMPLE_KEY: st.session_state[SAMPLE_KEY],
        }
    ).items():
        publish(key, value)
    if len(view):
        _table(chosen, samples, view, page, rows, repr((on, order)))
    else:
        st.info(words.NOTHING, icon=":material/info:")
    return view


def _quadrants(counts: QuadrantCounts) -> None:
    st.segmented_control(
        words.QUADRANT,
        list(words.QUADRANTS),
        format_func=lambda key: words.counted(words.QUADRANTS[key], getattr(counts, key.lower().replace("-", "_"))),
        key="quadrant",
        help=words.QUADRANT_HELP,
        wrap=True,
    )


def _pages(view: ViewOfSamples, on: SampleFilter, order: str, rows: int) -> int:
    """Draw how many pass, and the pages; a sample that was gone to from another one brings its page with it."""
    pages = page_count(len(view), rows)
    sample = st.session_state[SAMPLE_KEY]
    now = (on, order, rows)
    last_view, last_sample = st.session_state.get(_LAST, (now, sample))
    if last_view != now:
        forget("page")  # page 7 of another filter means nothing
    elif sample and sample != last_sample:
        position = neighbours(view, sample).position
        if position is not None:
            st.session_state["page"] = (position - 1) // rows + 1
    st.session_state[_LAST] = (now, sample)
    left, right = wrapping_columns([3, 2], least=320, key="samples_pages", align="center")
    left.caption(words.found(len(view), len(view.ids)))
    restore("page", 1, lambda number: isinstance(number, int) and 1 <= number <= pages, int)
    with right:
        return int(st.pagination(pages, key="page"))


def _table(chosen: Picks, samples: ComparedSamples, view: ViewOfSamples, page: int, size: int, state: str) -> None:
    start = (page - 1) * size
    numbers = np.arange(start, min(start + size, len(view))) if view.rows is None else view.rows[start : start + size]
    widths = _widths(chosen.dataset.task_kind)
    shown = _readable(samples.page(numbers), widths)
    ids = list(shown["sample_id"])
    stem = f"samples_table_{hash((*samples.run_ids, state, page, size))}"
    pick_row(
        shown,
        ids,
        SAMPLE_KEY,
        stem,
        height="content",
        row_height=LINES_HEIGHT,
        alt=words.TABLE_ALT,
        column_config=_column_config(widths, list(shown.columns)),
    )
    compat = None if chosen.compat is None else plain(chosen.compat.name)
    st.caption(words.below(plain(chosen.old.name), plain(chosen.new.name), compat))


def _widths(task_kind: str) -> dict[str, int]:
    """Pixels of each column of text; of a window of 900 they leave room for short answers beside the input."""
    answer = 200 if task_kind in ("summarization", "instruction") else 90
    return {
        "sample_id": 130,
        "right": 105,
        "cause": 110,
        "input": 250,
        "gold": answer,
        "old_answer": answer,
        "new_answer": answer,
        "compat_answer": answer,
    }


def _readable(page: pd.DataFrame, widths: dict[str, int]) -> pd.DataFrame:
    """The columns as they are shown, with texts cut to their cells; what no row of the page has is left out."""
    if "compat_right" in page:
        rights = page[["old_right", "new_right", "compat_right"]].astype(object)
        rights = rights.where(rights.notna(), None)
        page = page.assign(right=[words.marks(tuple(row)) for row in rights.itertuples(index=False)])
    # Where there are only scores, the change of them is what the page is about.
    deltas = [str(column) for column in page if str(column).startswith("delta_")]
    first = deltas if page["quadrant"].isna().all() else []
    order = ["quadrant", "right", *first, "input", "gold", "old_answer", "new_answer", "compat_answer", "cause"]
    order += [*deltas, "new_margin", "sample_id"]
    shown = page[[column for column in dict.fromkeys(order) if column in page]].copy()
    for column in ("quadrant", "cause"):
        if shown[column].isna().all():
            shown = shown.drop(columns=column)
    for column in ("input", "gold", "old_answer", "new_answer", "compat_answer"):
        if column in shown:
            shown[column] = fitting(shown[column], widths[column])
    if "quadrant" in shown:
        shown["quadrant"] = [[words.CELLS[name]] if isinstance(name, str) else [] for name in shown["quadrant"]]
    return shown.fillna(dict.fromkeys(("cause", "input", "gold"), ""))


def _column_config(widths: dict[str, int], columns: list[str]) -> dict[str, Any]:
    config: dict[str, Any] = {
        name: st.column_config.TextColumn(
            words.COLUMNS[name], width=width, help=words.CAUSE_COLUMN_HELP if name == "cause" else None
        )
        for name, width in widths.items()
    }
    config["quadrant"] = st.column_config.MultiselectColumn(
        words.COLUMNS["quadrant"],
        width=118,
        options=list(words.CELLS.values()),
        color=[QUADRANT_FILLS[Quadrant[name]] for name in words.CELLS],
    )
    config["new_margin"] = st.column_config.NumberColumn(
        words.COLUMNS["new_margin"], format="%.2f", help=words.MARGIN_HELP
    )
    for column in columns:
        if column.startswith("delta_"):
            score = words.delta(column.removeprefix("delta_"))
            config[column] = st.column_config.NumberColumn(score, format="%+.3f", width=90)
    return config
