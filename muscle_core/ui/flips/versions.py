"""Tab "Over versions": how samples move between right and wrong over three versions or more."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd
import streamlit as st

from muscle_core.actions.updates.evaluated_pairs import evaluated_places
from muscle_core.comparison import History
from muscle_core.comparison.history import FLIP_FLOP, STATES, STILL_BROKEN
from muscle_core.figures import flow_chart
from muscle_core.metrics import rate
from muscle_core.store import ModelVersion, Workspace
from muscle_core.ui.chart import chart
from muscle_core.ui.flips import reads, words
from muscle_core.ui.flips.link import to_samples
from muscle_core.ui.flips.theme import dark_theme
from muscle_core.ui.frame import plain, wrapping_columns
from muscle_core.ui.numbers import percent, with_interval
from muscle_core.ui.picks import Picks
from muscle_core.ui.row_choice import MODE, chosen_row
from muscle_core.ui.url import linked_control, publish, restore

_MOST_VERSIONS = 12
_AT_FIRST = 3
_MOST_PATTERNS = 25


def show(home: Workspace, chosen: Picks) -> None:
    """Draw the tab."""
    place = next(
        one for one in evaluated_places(home) if (one.dataset.id, one.split) == (chosen.dataset.id, chosen.split)
    )
    by_name = {version.name: version for version in place.versions}
    names, order = _options(list(by_name), chosen)
    if order == "added":
        names = [name for name in by_name if name in names]
    if len(names) < 2:
        st.info(words.TOO_FEW_VERSIONS, icon=":material/info:")
        return
    read = reads.history_of(home, _of(by_name, names), chosen.dataset, chosen.split)
    if read.found is not None and order == "accuracy":
        pairs = zip(read.found.names, read.found.accuracies(), strict=True)
        ordered = [name for name, _ in sorted(pairs, key=lambda pair: pair[1].value)]
        read = reads.history_of(home, _of(by_name, ordered), chosen.dataset, chosen.split)
    if read.unjudged:
        st.caption(words.unjudged(plain(", ".join(read.unjudged))))
    if read.found is None:
        st.info(words.NO_RIGHT_OR_WRONG if len(read.unjudged) else words.TOO_FEW_VERSIONS, icon=":material/info:")
        return
    found = read.found
    picks = {"dataset": chosen.dataset.name, "split": chosen.split}
    _flow(found, picks)
    _categories(found)
    _patterns(found, picks)


def _of(by_name: dict[str, ModelVersion], names: Sequence[str]) -> list[ModelVersion]:
    return [by_name[name] for name in names]


def _options(names: list[str], chosen: Picks) -> tuple[list[str], str]:
    first = [chosen.old.name, chosen.new.name]
    first += [name for name in names if name not in first][: _AT_FIRST - len(first)]
    left, right = wrapping_columns([3, 2], least=260, key="flips_version_options", align="top")
    with left:
        restore(
            "versions",
            first,
            lambda value: isinstance(value, list) and len(value) >= 1 and set(value) <= set(names),
            lambda text: list(dict.fromkeys(text.split(","))),
        )
        picked = st.multiselect(
            words.VERSIONS, names, key="versions", max_selections=_MOST_VERSIONS, help=words.VERSIONS_HELP
        )
        publish("versions", ",".join(picked))
    with right:
        order = linked_control(words.ORDER, words.ORDERS, "order", format_func=words.ORDERS.__getitem__, wrap=True)
    return picked, order


def _flow(found: History, picks: dict[str, str]) -> None:
    streams = found.transitions()
    categories = found.category_table().set_index("category")

    def share(category: str) -> str:
        row = categories.loc[category]
        return with_interval(rate(int(row["samples"]), int(row["n"])))

    chart(
        flow_chart(found.names, streams, dark=dark_theme()),
        key="flips_versions_flow",
        says=words.versions_says(f"{len(found.names):,}", f"{found.n:,}", share(STILL_BROKEN), share(FLIP_FLOP)),
        alt=words.VERSIONS_ALT,
        numbers=lambda: streams,
        name="flips-over-versions",
        on_click=lambda key: _open_stream(key, picks),
    )
    with st.expander(words.STREAMS):
        rows = streams.to_dict("records")
        _picked_table(
            streams.rename(columns=words.STREAM_COLUMNS),
            key="flips_streams",
            alt=words.STREAMS_ALT,
            on_pick=lambda row: _open_stream(
                [str(rows[row][name]) for name in ("old", "new", "old_state", "new_state")], picks
            ),
        )
        st.caption(words.STREAM_PICK)


def _open_stream(key: Sequence[str], picks: dict[str, str]) -> None:
    old, new, before, after = key
    filters = state_filters({old: before, new: after})
    if filters is not None:
        to_samples(filters, {**picks, "old": old, "new": new})


def state_filters(states: dict[str, str]) -> dict[str, str] | None:
    """Filters of the Samples page for what each version did; None where one did not judge: no filter says that."""
    if not {*states.values()} <= {*STATES[:2]}:
        return None
    filters = {state: ",".join(name for name, one in states.items() if one == state) for state in STATES[:2]}
    return {state: names for state, names in filters.items() if names}


def _categories(found: History) -> None:
    st.subheader(words.HISTORY, anchor=False)
    table = found.category_table()
    shown = pd.DataFrame(
        {
            "category": table["category"].map(words.CATEGORY_NAMES),
            "samples": table["samples"],
            "share": [
                f"{percent(share)} of {n:,}" if n and share == share else "–"
                for share, n in zip(table["share"], table["n"], strict=True)
            ],
            "interval": _intervals(table),
            "rule": table["rule"],
        }
    )
    st.dataframe(
        shown.rename(columns=words.CATEGORY_COLUMNS), hide_index=True, key="flips_history", alt=words.HISTORY_ALT
    )


def _patterns(found: History, picks: dict[str, str]) -> None:
    st.subheader(words.PATTERNS, anchor=False)
    table = found.patterns()
    top = table.head(_MOST_PATTERNS)
    shown = pd.DataFrame(
        {
            "trajectory": [" ".join(text).replace("-", "–") for text in top["trajectory"]],
            "category": top["category"].map(words.CATEGORY_NAMES),
            "samples": top["samples"],
            "share": [f"{percent(share)} of {found.n:,}" for share in top["share"]],
            "interval": _intervals(top),
        }
    )

    def open_pattern(row: int) -> None:
        states = dict(zip("RW-", STATES, strict=True))
        signs = top["trajectory"].iloc[row]
        filters = state_filters({name: states[sign] for name, sign in zip(found.names, signs, strict=True)})
        if filters is not None:
            to_samples(filters, {**picks, "old": found.names[0], "new": found.names[-1]})

    _picked_table(
        shown.rename(columns=words.PATTERN_COLUMNS), key="flips_patterns", alt=words.PATTERNS_ALT, on_pick=open_pattern
    )
    more = "" if len(top) == len(table) else words.patterns_shown(f"{len(top):,}", f"{len(table):,}") + " "
    st.caption(more + words.PATTERN_PICK)


def _intervals(table: pd.DataFrame) -> list[str]:
    return [
        f"{percent(low)} to {percent(high)}" if low == low else "–"
        for low, high in zip(table["share_low"], table["share_high"], strict=True)
    ]


def _picked_table(shown: pd.DataFrame, *, key: str, alt: str, on_pick: Callable[[int], None]) -> None:
    def picked() -> None:
        row = chosen_row(st.session_state[key].selection, len(shown))
        if row is not None:
            on_pick(row)

    st.dataframe(shown, hide_index=True, key=key, alt=alt, on_select=picked, selection_mode=MODE)
