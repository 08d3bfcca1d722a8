"""Section "Model versions": the list with its search, roles and figures, and what is known of the version picked."""

from __future__ import annotations

from collections import Counter
from typing import Any

import streamlit as st

from muscle_core.actions.library.inventory import (
    Inventory,
    Place,
    evaluated_on,
    holds_words,
    origin_of,
    places,
    right_of,
    runs_at,
)
from muscle_core.store import EvaluationRun, ModelVersion, Workspace
from muscle_core.ui.frame import wrapping_columns
from muscle_core.ui.library import additions, one_version
from muscle_core.ui.library import inspect_words as words
from muscle_core.ui.library import words as page_words
from muscle_core.ui.library.lists import VERSION, pick_box, pick_table, restore_pick, search_box, text_column
from muscle_core.ui.url import linked_control, parameters, publish, restore

SEARCH, ROLE, PLACE = "version_search", "version_role", "figures_on"
_NO_PLACE = "-"
_ALL = "all"


def show(workspace: Workspace, held: Inventory) -> None:
    """Draw the list, what is known of the picked version, and the form that adds one."""
    if held.versions:
        _list(held)
        names = [version.name for version in held.versions.values()]
        picked = held.version_named(pick_box(VERSION, names) or "")
        if picked is not None:
            with st.container(border=True):
                one_version.show(workspace, held, picked)
    else:
        st.info(page_words.NONE_YET, icon=":material/info:")
    with st.expander(page_words.ADD_A_VERSION, icon=":material/add:", expanded=not held.versions):
        additions.add_version_form(workspace)
        st.caption(page_words.BY_COMMAND)
        st.code(page_words.VERSION_COMMAND, language=None, wrap_lines=True)


def _list(held: Inventory) -> None:
    restore_pick(VERSION, [version.name for version in held.versions.values()])
    left, right = wrapping_columns([1, 1], least=240, key="version_filters")
    search = search_box(SEARCH, words.SEARCH_VERSIONS, left)
    with right:
        place = _place(places(held))
    roles = Counter(version.role for version in held.versions.values())
    role = linked_control(
        words.ROLE,
        [_ALL, *roles],
        ROLE,
        unnamed=_ALL,
        format_func=lambda one: words.ALL_ROLES if one == _ALL else words.role_option(one, roles[one]),
        wrap=True,
        label_visibility="collapsed",
    )
    versions = [
        version
        for version in held.versions.values()
        if role in (_ALL, version.role) and holds_words(search, _searched(held, version))
    ]
    runs, everywhere = runs_at(held, place), evaluated_on(held)
    judged = [right_of(run) is not None for run in runs.values()]
    shows = "right" if all(judged) else "both" if any(judged) else "scores"
    st.caption(words.found(len(versions), len(held.versions), page_words.VERSIONS_COUNTED))
    pick_table(
        VERSION,
        [version.name for version in versions],
        [_row(held, version, place, runs.get(version.id), shows, everywhere) for version in versions],
        repr((search, role, place and place.key)),
        alt=words.VERSIONS_ALT,
        config=_CONFIG,
    )


def _searched(held: Inventory, version: ModelVersion) -> list[str | None]:
    training = held.made.get(version.id)
    return [
        version.name,
        version.role,
        _made(held, version),
        held.name_of(version.parent_id),
        version.notes,
        None if training is None else f"seed {training.seed}",
    ]


def _place(found: list[Place]) -> Place | None:
    """The dataset whose results are shown: at first that of the sidebar of the other pages, else the most used one."""
    if not found:
        return None
    by_key = {place.key: place for place in found}
    named = parameters()
    sidebar = f"{named.get('dataset')}/{named.get('split', 'test')}"
    first = sidebar if sidebar in by_key else found[0].key
    restore(PLACE, first, lambda key: key in (*by_key, _NO_PLACE))
    key = st.selectbox(
        words.FIGURES_ON,
        [*by_key, _NO_PLACE],
        key=PLACE,
        format_func=lambda one: (
            words.NO_FIGURES
            if one == _NO_PLACE
            else words.place_option(by_key[one].dataset.name, by_key[one].split, by_key[one].versions)
        ),
        help=words.FIGURES_ON_HELP,
    )
    publish(PLACE, key)
    return by_key.get(key or "")


def _made(held: Inventory, version: ModelVersion) -> str:
    training = held.made.get(version.id)
    share = None if training is None else training.options.get("share")
    strategy = None if training is None else training.strategy
    return words.made_by(origin_of(held, version), strategy, share)


def _row(
    held: Inventory,
    version: ModelVersion,
    place: Place | None,
    run: EvaluationRun | None,
    shows: str,
    everywhere: dict[str, int],
) -> dict[str, Any]:
    row: dict[str, Any] = {
        words.NAME: version.name,
        words.ROLE_COLUMN: version.role,
    }
    rate = None if run is None else right_of(run)
    if place is not None and shows != "scores":
        row[words.RIGHT] = None if rate is None else 100 * rate.value
    if place is not None and shows != "right":
        row[words.SCORE] = None if run is None else _score(run)
    if place is not None:
        row[words.COUNTS] = (
            words.NO_VALUE
            if run is None
            else words.mean_of(run.rows)
            if rate is None
            else words.counts(rate.numerator, rate.denominator)
        )
    row[words.MADE] = _made(held, version)
    row[words.PARENT] = held.name_of(version.parent_id) or words.NO_VALUE
    row[words.EVALUATED] = everywhere.get(version.id, 0)
    if words.RIGHT in row:
        row[words.INTERVAL] = words.NO_VALUE if rate is None else words.interval(100 * rate.low, 100 * rate.high)
    return row


def _score(run: EvaluationRun) -> float | None:
    return next((run.summary[name] for name in ("rouge1", "score", "bertscore") if name in run.summary), None)


_CONFIG = {
    words.NAME: text_column(words.NAME, 250),
    words.ROLE_COLUMN: text_column(words.ROLE_COLUMN, 70),
    words.MADE: text_column(words.MADE, 135),
    words.RIGHT: st.column_config.NumberColumn(words.RIGHT, format="%.1f %%", width=65),
    words.SCORE: st.column_config.NumberColumn(words.SCORE, format="%.3f", width=65),
    words.COUNTS: text_column(words.COUNTS, 100),
    words.INTERVAL: text_column(words.INTERVAL, 105),
    words.PARENT: text_column(words.PARENT, 150),
    words.EVALUATED: st.column_config.NumberColumn(words.EVALUATED, width=90, help=words.EVALUATED_HELP),
}
