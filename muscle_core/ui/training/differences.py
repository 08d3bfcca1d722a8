"""Two trainings side by side: the settings in which they differ, and what came of each."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from muscle_core.actions.training.differences import (
    Outcome,
    compare_settings,
    difference,
    get_training,
    known_trainings,
    outcome,
)
from muscle_core.metrics import Interval
from muscle_core.store import Workspace
from muscle_core.store.disk import size_text
from muscle_core.ui.frame import errors_shown, plain, wrapping_columns
from muscle_core.ui.numbers import duration, percent
from muscle_core.ui.picks import Picks
from muscle_core.ui.training import words
from muscle_core.ui.url import linked_select, publish, restore
from muscle_core.ui.wrapped_table import wrapped_table

_FIRST, _SECOND, _SETTINGS = "first", "second", "settings"  # URL parameters
_DIFFERENT, _ALL = "different", "all"
_SHORT = 12  # characters of a fingerprint that are shown
_HASH = 40  # longer words are fingerprints
_POINTS = ("accuracy", "nfr", "nfr_mc")
_SHARES = ("old_share", "token_accuracy")


def show(workspace: Workspace, chosen: Picks) -> None:
    """Draw the panel: two picks, what differs, and the results."""
    st.subheader(words.DIFFERENCES, anchor=False)
    with errors_shown():
        names = {run_id[:8]: name for run_id, name in known_trainings(workspace).items()}
    if len(names) < 2:
        st.info(words.NEED_TWO, icon=":material/info:")
        return
    keys = list(names)
    columns = wrapping_columns([3, 3, 2], least=200, key="difference_picks")
    with columns[0]:
        first_key = linked_select(
            words.FIRST, keys, _FIRST, default=keys[1], format_func=lambda key: _option(names, key)
        )
    with columns[1]:
        second_key = linked_select(words.SECOND, keys, _SECOND, format_func=lambda key: _option(names, key))
    with columns[2]:
        restore(_SETTINGS, _DIFFERENT, lambda value: value in (_DIFFERENT, _ALL))
        shown = st.radio(
            words.SHOW,
            [_DIFFERENT, _ALL],
            key=_SETTINGS,
            format_func=lambda value: words.ONLY_DIFFERENT if value == _DIFFERENT else words.ALL_SETTINGS,
        )
        publish(_SETTINGS, shown)
    if first_key == second_key:
        st.info(words.SAME_TRAINING, icon=":material/info:")
        return
    with errors_shown():
        first, second = (get_training(workspace, key) for key in (first_key, second_key))
        settings = compare_settings(workspace, first, second)
        outcomes = [outcome(workspace, run, chosen.split) for run in (first, second)]
        gap = difference(workspace, first, second, chosen.split)
    heads = _heads(names[first_key], names[second_key])
    st.markdown(words.SETTINGS)
    differing = [setting for setting in settings if setting.differs]
    st.caption(words.counted(len(differing), len(settings)) if differing else words.NO_DIFFERENCE)
    rows = [
        {
            words.GROUP: setting.group,
            words.SETTING: plain(("" if setting.differs or shown == _DIFFERENT else "= ") + setting.name),
            heads[0]: plain(_text(setting.first)),
            heads[1]: plain(_text(setting.second)),
        }
        for setting in (settings if shown == _ALL else differing)
    ]
    if rows:
        wrapped_table(
            pd.DataFrame(rows), "settings_table", wide=[3, 4], alt=words.SETTINGS_ALT, most_rows=14, least=120
        )
    st.markdown(words.RESULTS)
    st.caption(words.results_note(plain(chosen.split)))
    wrapped_table(
        pd.DataFrame(_results(outcomes, heads)),
        "results_table",
        wide=[2, 3],
        alt=words.RESULTS_ALT,
        least=120,
        most_rows=20,
    )
    if gap is None:
        st.caption(words.not_paired())
        return
    value, low, high = (_signed(gap.measure, number) for number in gap.change)
    apart = gap.change.low > 0 or gap.change.high < 0
    st.markdown(plain(words.gap(gap.measure, value, low, high, gap.n, apart=apart)))


def _option(names: dict[str, str], key: str) -> str:
    return f"{names[key]} · {key}"


def _heads(first: str, second: str) -> tuple[str, str]:
    """Names of the two columns, which must not be one."""
    return (plain(first), plain(second)) if first != second else (plain(f"{first} (1)"), plain(f"{second} (2)"))


def _text(value: Any) -> str:
    """A setting as people read it; of fingerprints the beginning of each part."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "–"
    text = str(value)
    if len(text) > _HASH and " " not in text:
        return ":".join(part[:_SHORT] for part in text.split(":"))
    return text


def _results(outcomes: list[Outcome], heads: tuple[str, str]) -> list[dict[str, str]]:
    figures = dict.fromkeys(name for one in outcomes for name in one.figures)
    rows = [
        {words.RESULT: plain(words.figure_name(name))}
        | {head: plain(_figure(one, name)) for head, one in zip(heads, outcomes, strict=True)}
        for name in figures
    ]
    rows += [
        {words.RESULT: plain(words.figure_name(name))}
        | {head: plain(_fact(name, one.summary[name])) for head, one in zip(heads, outcomes, strict=True)}
        for name in outcomes[0].summary
        if any(one.summary[name] is not None for one in outcomes)
    ]
    return rows


def _figure(one: Outcome, name: str) -> str:
    found: Interval | None = one.figures.get(name)
    if found is None:
        return "–"
    if name in _POINTS:
        return f"{percent(found.value)} [{found.low * 100:.1f}, {found.high * 100:.1f}] of {one.n:,}"
    return f"{found.value:.4f} [{found.low:.4f}, {found.high:.4f}], {one.score}, n = {one.n:,}"


def _fact(name: str, value: float | None) -> str:
    if value is None:
        return "–"
    if name.endswith("seconds"):
        return duration(value)
    if name in _SHARES:
        return percent(value)
    if name == "peak_memory_mb":
        return size_text(value * 2**20)
    return f"{value:,}" if isinstance(value, int) else f"{value:.4f}"


def _signed(measure: str, value: float) -> str:
    return f"{value * 100:+.1f} points" if measure == "nfr" else f"{value:+.4f}"
