"""The form that says what a compatibility training is to be: a request, which the other panels look at."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from muscle_core.actions.background.submit import VALIDATION_SPLIT
from muscle_core.actions.training.commands import CompatRequest
from muscle_core.actions.training.presets import Fitted, fitted_preset, preset_of
from muscle_core.compat.config import STRATEGIES, CompatConfig
from muscle_core.errors import MuscleError
from muscle_core.store import Dataset
from muscle_core.ui.frame import plain, wrapping_columns
from muscle_core.ui.picks import Picks
from muscle_core.ui.training import fields
from muscle_core.ui.training import form_words as words
from muscle_core.ui.url import follow, forget, parameters, publish, started_by_widget

JOB_KEY = "job"
_PRESET, _STRATEGY, _SPLIT = "preset", "strategy", "train_split"  # URL parameters
_OPTIONS = tuple(field.key for field in fields.FIELDS if field.option != "seed")  # those that a preset sets
KEYS = (_PRESET, _STRATEGY, _SPLIT, "seed", *_OPTIONS)
_DRAWN = "_training_form"  # what the form was of when it was drawn last
_IGNORED = "_training_form_ignored"


def show(chosen: Picks, above: DeltaGenerator) -> CompatRequest | None:
    """Draw the form.

    Args:
        chosen: versions, dataset and test split.
        above: where it is said which values of a link cannot be used.

    Returns:
        What it says; None where an option cannot work.
    """
    wrong, one = _restored(chosen)
    st.segmented_control(
        words.PRESET,
        list(offered_presets(chosen.dataset)),
        key=_PRESET,
        required=True,
        wrap=True,
        help=words.PRESET_HELP,
    )
    st.caption(plain(words.preset_says(st.session_state[_PRESET], one.config)))
    if one.from_scratch:
        st.caption(words.FROM_SCRATCH)
    if one.without_validation:
        st.caption(words.NO_VALIDATION)
    left, right = wrapping_columns([3, 2], least=200, key="training_what")
    strategy = left.selectbox(words.STRATEGY, list(STRATEGIES), key=_STRATEGY, help=words.STRATEGY_HELP)
    train_split = right.selectbox(
        words.TRAIN_SPLIT,
        list(chosen.dataset.splits),
        key=_SPLIT,
        format_func=lambda split: words.split_option(split, chosen.dataset.splits[split]),
    )
    st.caption(words.strategy_meaning(plain(strategy), plain(STRATEGIES[strategy])))
    _row(fields.FIRST, one.config, "options_first", (4, 3, 3))
    with st.expander(words.folded(words.MORE, fields.differing(fields.MORE, one.config)), key="training_more"):
        _row(fields.MORE, one.config, "options_more")
    _advanced(one.config, strategy, chosen.dataset)
    for key in (_PRESET, _STRATEGY, _SPLIT):
        publish(key, st.session_state[key])
    fields.published(one.config)
    with above:
        _tell(wrong)
    try:
        config = CompatConfig.from_dict({**one.config.as_dict(), **fields.values(one.config), "strategy": strategy})
    except MuscleError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return None
    return CompatRequest(
        chosen.old.name, chosen.new.name, chosen.dataset, one.preset, config, train_split, chosen.split
    )


def offered_presets(dataset: Dataset) -> list[str]:
    """The presets that make sense for a dataset, its own among them."""
    names = ["quick", "paper", "thorough"]
    own = preset_of(dataset)
    return names if own in names else [*names, own]


def _restored(chosen: Picks) -> tuple[list[str], Fitted]:
    """Take all values over from the URL or the last visit; returns what cannot be used, and the preset's options.

    Options are those of a preset for a pair of versions. Where the user picks others of these, they start anew; where
    a link or the back button does, the URL says them.
    """
    touched = started_by_widget()
    follow(KEYS, (_PRESET,))
    drawn_pair, drawn_preset = st.session_state.get(_DRAWN, (None, None))
    pair = {"dataset": chosen.dataset.name, "old": chosen.old.name, "new": chosen.new.name}
    browser = parameters()
    linked = not touched and _PRESET in browser and all(browser.get(name) == value for name, value in pair.items())
    if drawn_pair not in (None, pair):
        _start_anew(_OPTIONS, linked)
        if drawn_pair["dataset"] != pair["dataset"]:
            _start_anew((_PRESET, _SPLIT), linked)
    names, splits = offered_presets(chosen.dataset), list(chosen.dataset.splits)
    wrong = fields.restore_told(_PRESET, words.PRESET, preset_of(chosen.dataset), lambda name: name in names)
    preset = st.session_state[_PRESET]
    if drawn_preset not in (None, preset):
        _start_anew(_OPTIONS, not touched and browser.get(_PRESET) == preset)
    st.session_state[_DRAWN] = (pair, preset)
    one = fitted_preset(preset, chosen.old, chosen.new, chosen.dataset, VALIDATION_SPLIT)
    wrong += fields.restore_told(_STRATEGY, words.STRATEGY, one.config.strategy, lambda name: name in STRATEGIES)
    usual = "train" if "train" in splits else splits[0]
    wrong += fields.restore_told(_SPLIT, words.TRAIN_SPLIT, usual, lambda name: name in splits)
    return wrong + fields.restored(one.config), one


def _start_anew(keys: Iterable[str], linked: bool) -> None:
    """Let values be the preset's, except for those that a link names."""
    forget(*(key for key in keys if not linked or key not in parameters()))


def _tell(wrong: list[str]) -> None:
    """Say which values of a link could not be used, until one in the form is changed."""
    now = [st.session_state[key] for key in KEYS]
    if wrong:
        st.session_state[_IGNORED] = (wrong, now)
    texts, then = st.session_state.get(_IGNORED, ([], None))
    if texts and then == now:
        st.warning(words.ignored(texts), icon=":material/link_off:")
    else:
        st.session_state.pop(_IGNORED, None)


def _row(
    row: tuple[fields.Field, ...],
    preset: CompatConfig,
    key: str,
    widths: tuple[int, ...] = (1, 1, 1),
    **disabled: bool,
) -> None:
    columns = wrapping_columns(widths, least=150, key=key, align="bottom")
    for number, field in enumerate(row):
        fields.draw(columns[number % 3], field, preset, disabled=disabled.get(field.option, False))


def _advanced(preset: CompatConfig, strategy: str, dataset: Dataset) -> None:
    """Options that most trainings leave as they are; those without use for strategy or dataset are disabled."""
    every: list[fields.Field] = [field for group in fields.ADVANCED.values() for field in group]
    without_focal, blind = strategy != "focal_distillation", VALIDATION_SPLIT not in dataset.splits
    useless: dict[str, Any] = {
        "cross_entropy_weight": strategy in ("cross_entropy", "focal_distillation"),
        "focal_alpha": without_focal,
        "focal_beta": without_focal,
        **{field.option: blind for field in fields.STOPPING},
    }
    with st.expander(words.folded(words.ADVANCED, fields.differing(every, preset)), key="training_advanced"):
        for number, (title, group) in enumerate(fields.ADVANCED.items()):
            st.markdown(title)
            if group is fields.STOPPING and blind:
                st.caption(words.lacks_validation(VALIDATION_SPLIT, plain(dataset.name)))
            _row(group, preset, f"options_advanced_{number}", **useless)
