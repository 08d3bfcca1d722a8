"""Two trainings side by side: the settings in which they differ, how they went, and what came of each."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from muscle_core.actions.training.differences import (
    Offered,
    Outcome,
    Setting,
    compare_settings,
    get_training,
    offered_trainings,
)
from muscle_core.store import TrainingRun, Workspace
from muscle_core.ui.frame import errors_shown, plain, wrapping_columns
from muscle_core.ui.picks import Picks
from muscle_core.ui.training import curves, reads
from muscle_core.ui.training import trainings_words as words
from muscle_core.ui.training.outcome_text import fact_text, figure_text, setting_text
from muscle_core.ui.url import linked_select, publish, restore
from muscle_core.ui.wrapped_table import wrapped_table

_FIRST, _SECOND, _SETTINGS, _OTHERS = "first", "second", "settings", "others"  # URL parameters
_DIFFERENT, _ALL = "different", "all"


def show(workspace: Workspace, chosen: Picks) -> None:
    """Draw the panel: two picks, what differs, the curves and the results."""
    st.subheader(words.DIFFERENCES, anchor=False)
    with errors_shown():
        known = offered_trainings(workspace, chosen.old, chosen.new, chosen.dataset)
    own = sum(one.of_update for one in known)
    if len(known) < 2:
        st.info(words.need_two(own), icon=":material/info:")
        return
    offered = known if _with_others(known) else [one for one in known if one.of_update]
    if len(offered) < 2:
        st.info(words.need_two(own), icon=":material/info:")
        return
    by_key = {one.id[:8]: one for one in offered}
    keys = list(by_key)
    columns = wrapping_columns([3, 3, 2], least=200, key="difference_picks")
    with columns[0]:
        first_key = linked_select(words.FIRST, keys, _FIRST, default=keys[1], format_func=lambda k: _option(by_key[k]))
    with columns[1]:
        second_key = linked_select(words.SECOND, keys, _SECOND, format_func=lambda key: _option(by_key[key]))
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
        first, second = (get_training(workspace, by_key[key].id) for key in (first_key, second_key))
        pair = (first, second)
        settings = compare_settings(workspace, *pair)
        outcomes = [reads.reached(workspace, run, chosen.split) for run in pair]
    names = _heads(by_key[first_key].name, by_key[second_key].name)
    _settings(settings, names, everything=shown == _ALL)
    st.markdown(words.CURVES)
    with errors_shown():
        curves.show(workspace, pair, names)
    _results(outcomes, names, chosen.split)
    _gap(workspace, pair, chosen.split)


def _with_others(known: Sequence[Offered]) -> bool:
    """Whether trainings of other updates and mixes are offered too; a link that names one asks for it."""
    if all(one.of_update for one in known):
        return False
    named = [st.query_params.get(key) for key in (_FIRST, _SECOND)]
    asked = any(one.id[:8] in named and not one.of_update for one in known)
    restore(_OTHERS, asked, lambda value: isinstance(value, bool), lambda text: text == "yes")
    wanted = st.toggle(words.OTHERS, key=_OTHERS, help=words.OTHERS_HELP)
    publish(_OTHERS, "yes" if wanted else None)
    return wanted


def _option(one: Offered) -> str:
    return words.option(one.name, one.id[:8], None if one.of_update else one.kind)


def _heads(first: str, second: str) -> tuple[str, str]:
    """Names of the two columns, which must not be one."""
    return (first, second) if first != second else (f"{first} (1)", f"{second} (2)")


def _settings(settings: Sequence[Setting], names: tuple[str, str], *, everything: bool) -> None:
    st.markdown(words.SETTINGS)
    differing = [setting for setting in settings if setting.differs]
    st.caption(words.counted(len(differing), len(settings)) if differing else words.NO_DIFFERENCE)
    rows = [
        {
            words.GROUP: setting.group,
            words.SETTING: plain(("" if setting.differs or not everything else "= ") + setting.name),
            plain(names[0]): plain(setting_text(setting.first)),
            plain(names[1]): plain(setting_text(setting.second)),
        }
        for setting in (settings if everything else differing)
    ]
    if rows:
        wrapped_table(
            pd.DataFrame(rows), "settings_table", wide=[3, 4], alt=words.SETTINGS_ALT, most_rows=14, least=120
        )


def _results(outcomes: Sequence[Outcome], names: tuple[str, str], split: str) -> None:
    st.markdown(words.RESULTS)
    st.caption(words.results_note(plain(split)))
    both = list(zip(map(plain, names), outcomes, strict=True))
    rows = [
        {words.RESULT: plain(words.figure_name(name))} | {head: plain(figure_text(one, name)) for head, one in both}
        for name in dict.fromkeys(name for one in outcomes for name in one.figures)
    ]
    rows += [
        {words.RESULT: plain(words.figure_name(name))}
        | {head: plain(fact_text(name, one.summary[name])) for head, one in both}
        for name in outcomes[0].summary
        if any(one.summary[name] is not None for one in outcomes)
    ]
    wrapped_table(pd.DataFrame(rows), "results_table", wide=[2, 3], alt=words.RESULTS_ALT, least=120, most_rows=20)


def _gap(workspace: Workspace, pair: tuple[TrainingRun, TrainingRun], split: str) -> None:
    with errors_shown():
        gap = reads.gap(workspace, *pair, split)
    if gap is None:
        st.caption(words.not_paired())
        return
    value, low, high = (_signed(gap.measure, number) for number in gap.change)
    apart = gap.change.low > 0 or gap.change.high < 0
    st.markdown(plain(words.gap(gap.measure, value, low, high, gap.n, apart=apart)))


def _signed(measure: str, value: float) -> str:
    return f"{value * 100:+.1f} points" if measure == "nfr" else f"{value:+.4f}"
