"""Filters of the Samples page: their state, which lives in the URL, and the box that adds one.

Quadrant and search are widgets of the page. The others are texts in the session as the URL holds them; see `link`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import streamlit as st

from muscle_core.actions.updates.compare import latest_run
from muscle_core.actions.updates.sample_columns import ComparedSamples
from muscle_core.comparison.sample_filter import QUADRANTS, SampleFilter, in_quadrant, read_range, read_slices
from muscle_core.errors import StoreError
from muscle_core.store import EvaluationRun, Workspace, get_version
from muscle_core.ui.frame import plain
from muscle_core.ui.picks import Picks
from muscle_core.ui.samples import words
from muscle_core.ui.samples.link import FILTERS, VIEW
from muscle_core.ui.url import follow, restore

DIFFERENT = "different"
_PICKS = ("dataset", "old", "new")
_ADD = "samples_add_filter"
# A chip reads "quadrant: Q4 … ×"; "Remove filter:", which is coloured to be found here, is for those who hear it.
_STYLE = """<style>
.st-key-samples_chips button[kind="secondary"] { border-radius: 1rem; min-height: 2rem; padding: 0.1rem 0.75rem; }
.st-key-samples_chips button[kind="secondary"] .stMarkdownColoredText {
  position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap;
}
</style>"""


class Chip(NamedTuple):
    """One filter that is on: what it says, as Markdown, and what remains of its URL parameter without it."""

    text: str
    key: str
    without: str


def follow_url() -> None:
    """Let go of filters that the URL no longer names, as after "back"; before anything is drawn."""
    follow(VIEW, (*_PICKS, *VIEW))


def run_named(workspace: Workspace, chosen: Picks) -> Callable[[str], EvaluationRun | None]:
    """Look up the run of the version of a name on the chosen split; None where there is no such version or run."""

    def found(name: str) -> EvaluationRun | None:
        try:
            version = get_version(workspace, name)
        except StoreError:
            return None
        return latest_run(workspace, version, chosen.dataset, chosen.split)

    return found


def restored() -> None:
    """Take all filters from the URL or the last visit, before any of their widgets is drawn."""
    restore("quadrant", None, lambda key: key is None or key in QUADRANTS)
    for key in FILTERS[1:]:
        restore(key, "", lambda text: isinstance(text, str))


def set_filters(**values: str | None) -> None:
    """Set some filters, before the page is drawn again; None and "" remove one."""
    for key, value in values.items():
        st.session_state[key] = value or (None if key == "quadrant" else "")


def clear() -> None:
    """Remove all filters."""
    set_filters(**dict.fromkeys(FILTERS, None))


def wanted(samples: ComparedSamples, named: Callable[[str], EvaluationRun | None]) -> SampleFilter:
    """The filters that are on; what the URL names and this comparison does not have is dropped from the state."""
    state = st.session_state
    has_quadrants = samples.comparison.counts is not None
    if not has_quadrants or state["quadrant"] not in (None, "Q4"):
        state["cause"] = ""  # only negative flips have one
    if not has_quadrants:
        state["quadrant"] = None  # no widget of that key is drawn
    change = read_range(state["change"])
    if change is not None and change.score not in samples.comparison.rows.scores:
        change = None
    slices: tuple[tuple[str, str], ...] = ()
    if state["slice"]:
        slices = read_slices(state["slice"], lambda field: _values_of(samples, field))
    versions = {}
    for key in ("right", "wrong"):
        names = tuple(dict.fromkeys(name for name in state[key].split(",") if name))
        versions[key] = tuple(name for name in names if _is_judged(samples, named, name))
    cause = state["cause"] or None
    if cause is not None and cause not in samples.cause_table().index:
        cause = None
    state["slice"] = "&".join(f"{field}={value}" for field, value in slices)
    state["change"] = state["change"] if change else ""
    state["right"], state["wrong"] = ",".join(versions["right"]), ",".join(versions["wrong"])
    state["cause"] = cause or ""
    state["answers"] = DIFFERENT if state["answers"] == DIFFERENT else ""
    return SampleFilter(
        quadrant=state["quadrant"] if has_quadrants else None,
        cause=cause,
        search=" ".join(state["search"].split()),
        slices=slices,
        change=change,
        right=versions["right"],
        wrong=versions["wrong"],
        differ=bool(state["answers"]),
    )


def _values_of(samples: ComparedSamples, field: str) -> list[str] | None:
    column = samples.condition(field)
    return None if column is None else column.values


def _is_judged(samples: ComparedSamples, named: Callable[[str], EvaluationRun | None], name: str) -> bool:
    run = named(name)
    if run is None:
        return False
    correct = samples.correct_of(run)
    return correct.null_count < len(correct)


def chips(on: SampleFilter) -> Iterator[Chip]:
    """One chip for every filter that is on."""
    if on.quadrant:
        yield Chip(words.quadrant_chip(on.quadrant), "quadrant", "")
    if on.cause:
        yield Chip(words.cause_chip(plain(on.cause)), "cause", "")
    if on.search:
        yield Chip(words.search_chip(plain(on.search)), "search", "")
    for number, (field, value) in enumerate(on.slices):
        others = "&".join(f"{one}={two}" for place, (one, two) in enumerate(on.slices) if place != number)
        yield Chip(words.slice_chip(plain(words.field(field)), plain(value)), "slice", others)
    if on.change:
        score, low, high = on.change
        yield Chip(words.change_chip(plain(words.score_name(score)), low, high), "change", "")
    for key, names, text in (("right", on.right, words.right_chip), ("wrong", on.wrong, words.wrong_chip)):
        for name in names:
            yield Chip(text(plain(name)), key, ",".join(other for other in names if other != name))
    if on.differ:
        yield Chip(words.ANSWERS_CHIP, "answers", "")


def draw(chosen: Picks, samples: ComparedSamples, on: SampleFilter) -> None:
    """Draw the box that adds a filter, and a chip for each that is on."""
    st.html(_STYLE)
    with st.container(horizontal=True, key="samples_chips", vertical_alignment="center", gap="small"):
        box = st.popover(words.ADD, icon=":material/add:", key=_ADD, on_change="rerun")
        shown = list(chips(on))
        for number, chip in enumerate(shown):
            st.button(
                words.removes(chip.text),
                key=f"samples_chip_{number}",
                icon=":material/close:",
                icon_position="right",
                on_click=set_filters,
                kwargs={chip.key: chip.without},
            )
        if len(shown) > 1:
            st.button(words.CLEAR, key="samples_clear", type="tertiary", on_click=clear)
    if box.open:
        with box:
            _add(chosen, samples)
    if on.cause:
        st.caption(words.rule(plain(str(samples.cause_table().loc[on.cause, "rule"]))))


def _add(chosen: Picks, samples: ComparedSamples) -> None:
    if chosen.compat is not None and samples.comparison.counts is not None:
        _of_adapter(chosen, samples)
    st.checkbox(
        words.ANSWERS,
        value=bool(st.session_state["answers"]),
        key="samples_add_answers",
        on_change=lambda: set_filters(answers=DIFFERENT if st.session_state["samples_add_answers"] else None),
    )
    if samples.comparison.counts is not None and samples.comparison.counts.q4:
        _of_causes(samples)
    _of_fields(samples)
    if samples.comparison.rows.scores:
        _of_change(list(samples.comparison.rows.scores))


def _picked(key: str, apply: Callable[[Any], None]) -> Callable[[], None]:
    """Callback of a select box that applies what was chosen and is empty again."""

    def changed() -> None:
        value = st.session_state[key]
        if value is not None:
            st.session_state[key] = None
            apply(value)

    return changed


def _of_adapter(chosen: Picks, samples: ComparedSamples) -> None:
    assert chosen.compat is not None
    compat, new = chosen.compat.name, chosen.new.name
    rows, right = samples.comparison.rows, samples.compat_correct()
    known, flipped = _flags(right.is_valid()), in_quadrant(rows, "Q4")
    is_right = _flags(pc.fill_null(right, False))
    settings = {
        words.FIXED: ({"quadrant": "Q4", "right": compat, "wrong": None}, flipped & is_right),
        words.STILL_WRONG: ({"quadrant": "Q4", "right": None, "wrong": compat}, flipped & known & ~is_right),
        words.NEWLY_BROKEN: ({"quadrant": None, "right": new, "wrong": compat}, rows.new_right & known & ~is_right),
    }
    st.selectbox(
        words.ADAPTER,
        list(settings),
        index=None,
        key="samples_add_adapter",
        placeholder=words.ADAPTER_HINT,
        format_func=lambda text: words.counted(text, int(np.count_nonzero(settings[text][1]))),
        on_change=_picked("samples_add_adapter", lambda text: set_filters(**settings[text][0])),
    )


def _of_causes(samples: ComparedSamples) -> None:
    with st.spinner(words.LOOKING_FOR_CAUSES):
        table = samples.cause_table()
    st.selectbox(
        words.CAUSE,
        list(table.index),
        index=None,
        key="samples_add_cause",
        placeholder=words.CAUSE_HINT,
        help=words.CAUSE_HELP,
        format_func=lambda cause: words.counted(cause, int(table.loc[cause, "flips"])),
        on_change=_picked("samples_add_cause", lambda cause: set_filters(quadrant="Q4", cause=cause)),
    )


def _of_fields(samples: ComparedSamples) -> None:
    with st.spinner(words.LOOKING_AT_FIELDS):
        fields = samples.fields()
    if not fields:
        return
    left, right = st.columns(2)
    field = left.selectbox(
        words.FIELD,
        fields,
        index=None,
        key="samples_add_field",
        placeholder=words.FIELD_HINT,
        format_func=words.field,
    )
    column = samples.condition(field) if field else None
    counted: dict[str, int] = {}
    if column is not None:
        sizes = np.bincount(column.codes[column.codes >= 0], minlength=len(column.values))
        counted = dict(zip(column.values, map(int, sizes), strict=True))

    def apply(value: str) -> None:
        others = [part for part in st.session_state["slice"].split("&") if part and not part.startswith(f"{field}=")]
        set_filters(slice="&".join([*others, f"{field}={value}"]))

    right.selectbox(
        words.VALUE,
        list(counted),
        index=None,
        key="samples_add_value",
        placeholder=words.NO_FIELD if column is None else words.VALUE_HINT,
        format_func=lambda value: words.counted(value, counted[value]),
        on_change=_picked("samples_add_value", apply),
    )


def _of_change(scores: list[str]) -> None:
    columns = st.columns(3)
    score = columns[0].selectbox(words.SCORE, scores, key="samples_add_score", format_func=words.score_name)
    low = columns[1].number_input(
        words.LOW, value=None, step=0.1, format="%g", key="samples_add_low", placeholder=words.NO_LIMIT
    )
    high = columns[2].number_input(
        words.HIGH, value=None, step=0.1, format="%g", key="samples_add_high", placeholder=words.NO_LIMIT
    )
    text = f"{score}:{'' if low is None else low}:{'' if high is None else high}"
    usable = read_range(text) is not None
    st.button(
        words.APPLY,
        key="samples_add_change",
        disabled=not usable,
        help=None if usable else words.LIMITS_WRONG,
        on_click=set_filters,
        kwargs={"change": text},
    )


def _flags(array: pa.Array) -> np.ndarray:
    return array.to_numpy(zero_copy_only=False)
