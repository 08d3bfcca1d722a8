"""The fields of the form: which options they stand for, their values in the URL, and which differ from the preset."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from muscle_core.compat.config import INITIALISATIONS, SCHEDULES, CompatConfig
from muscle_core.ui.frame import plain
from muscle_core.ui.training import form_words as words
from muscle_core.ui.url import parameters, publish, restore

_MOST = 10_000_000
_SWITCH = {"yes": True, "no": False}
_LONGEST_SHOWN = 40  # characters of a value that cannot be used


class Field(NamedTuple):
    """One option in the form; its kind is that of the option's value.

    Attributes:
        option: of `CompatConfig`.
        label: beside the field.
        help: what it means.
        low: smallest number.
        high: largest number.
        step: between two numbers.
        choices: values of a text.
        in_points: the option is a share, the field holds it times 100.
    """

    option: str
    label: str
    help: str | None = None
    low: float = 0
    high: float = _MOST
    step: float | None = None
    choices: Sequence[str] = ()
    in_points: bool = False

    @property
    def key(self) -> str:
        """Of the widget, and name of the URL parameter."""
        return f"{self.option}_points" if self.in_points else self.option

    def usual(self, preset: CompatConfig) -> Any:
        """What the field holds where nobody changed it."""
        value = getattr(preset, self.option)
        return value * 100 if self.in_points else value

    def valid(self, value: Any, usual: Any) -> bool:
        """Whether the field can hold a value."""
        if isinstance(usual, bool):
            return isinstance(value, bool)
        if isinstance(usual, str):
            return value in self.choices
        kinds = int if isinstance(usual, int) else (int, float)
        return isinstance(value, kinds) and not isinstance(value, bool) and self.low <= value <= self.high


FIRST = (
    Field("initialisation", words.START_FROM, words.START_FROM_HELP, choices=tuple(INITIALISATIONS)),
    Field("steps", words.STEPS, words.STEPS_HELP, 1, 1_000_000),
    Field("seed", words.SEED, words.SEED_HELP, 0, 2**32 - 1),
)
MORE = (
    Field("learning_rate", words.RATE, words.RATE_HELP, 1e-7, 1.0, 1e-4),
    Field("batch_size", words.BATCH, words.BATCH_HELP, 1, 65_536),
    Field("gradient_accumulation", words.ACCUMULATION, words.ACCUMULATION_HELP, 1, 65_536),
    Field("warmup_steps", words.WARMUP, None, 0, 1_000_000),
    Field("schedule", words.SCHEDULE, choices=SCHEDULES),
    Field("temperature", words.TEMPERATURE, words.TEMPERATURE_HELP, 0.05, 100.0, 0.05),
)
STOPPING = (
    Field("validation_every", words.LOOKS, words.LOOKS_HELP),
    Field("accuracy_margin", words.MARGIN, words.MARGIN_HELP, 0.0, 100.0, 0.5, in_points=True),
    Field("patience", words.PATIENCE, words.PATIENCE_HELP, 1, 10_000),
)
ADVANCED = {
    words.LOSS: (
        Field("cross_entropy_weight", words.GOLD_WEIGHT, words.GOLD_WEIGHT_HELP, 0.0, 1000.0, 0.1),
        Field("focal_alpha", words.FOCAL_ALPHA, words.FOCAL_ALPHA_HELP, 0.0, 1000.0, 0.1),
        Field("focal_beta", words.FOCAL_BETA, words.FOCAL_BETA_HELP, 0.0, 1000.0, 0.1),
    ),
    words.STOPPING: STOPPING,
    words.LENGTH: (
        Field("max_length", words.LONGEST, words.LONGEST_HELP, 2),
        Field("truncate", words.CUT, words.CUT_HELP),
        Field("gradient_checkpointing", words.CHECKPOINTING, words.CHECKPOINTING_HELP),
    ),
    words.KEPT: (
        Field("teacher_store", words.STORE, words.STORE_HELP),
        Field("teacher_store_gib", words.STORE_SIZE, words.STORE_SIZE_HELP, 0.01, 1e6, 0.5),
        Field("checkpoint_every", words.CHECKPOINTS, words.CHECKPOINTS_HELP),
    ),
}
FOLDED = (*MORE, *(field for group in ADVANCED.values() for field in group))
FIELDS = (*FIRST, *FOLDED)


def restored(preset: CompatConfig) -> list[str]:
    """Take the values over from the URL or the last visit, before anything is drawn; says what cannot be used."""
    found = []
    for field in FIELDS:
        usual = field.usual(preset)
        found += restore_told(
            field.key, field.label, usual, lambda value, f=field, u=usual: f.valid(value, u), _parser(usual)
        )
    return found


def restore_told(key: str, label: str, default: Any, valid: Any, parse: Any = str) -> list[str]:
    """As `muscle_core.ui.url.restore`; says where the URL's value cannot be used."""
    text = parameters().get(key)
    restore(key, default, valid, parse)
    if text is None:
        return []
    try:
        if valid(parse(text)):
            return []
    except ValueError:
        pass
    return [words.unusable(label, plain(text[:_LONGEST_SHOWN]))]


def _parser(usual: Any) -> Any:
    return _switch if isinstance(usual, bool) else type(usual)


def _switch(text: str) -> bool:
    if text not in _SWITCH:
        raise ValueError(text)
    return _SWITCH[text]


def differing(fields: Sequence[Field], preset: CompatConfig) -> int:
    """How many of some fields hold another value than the preset's."""
    return sum(bool(st.session_state[field.key] != field.usual(preset)) for field in fields)


def values(preset: CompatConfig) -> dict[str, Any]:
    """The options that the form says, by name."""
    return {
        # Points and shares would differ in the last digit, and the option would no longer be the preset's.
        field.option: getattr(preset, field.option)
        if st.session_state[field.key] == field.usual(preset)
        else round(st.session_state[field.key] / 100, 6)
        if field.in_points
        else st.session_state[field.key]
        for field in FIELDS
    }


def published(preset: CompatConfig) -> None:
    """Write the values into the URL: the first ones always, of the folded ones those that are not the preset's."""
    for field in FIELDS:
        value = st.session_state[field.key]
        named = field in FIRST or value != field.usual(preset)
        publish(field.key, None if not named else text_of(value))


def text_of(value: Any) -> str:
    """A value as the URL holds it."""
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def draw(place: DeltaGenerator, field: Field, preset: CompatConfig, *, disabled: bool = False) -> None:
    """Draw a field, whose value is restored already."""
    usual = field.usual(preset)
    if isinstance(usual, bool):
        place.checkbox(field.label, key=field.key, help=field.help, disabled=disabled)
    elif isinstance(usual, str):
        place.selectbox(
            field.label,
            field.choices,
            key=field.key,
            help=field.help,
            disabled=disabled,
            format_func=words.choice,
        )
    elif isinstance(usual, int):
        place.number_input(
            field.label,
            int(field.low),
            int(field.high),
            key=field.key,
            help=field.help,
            disabled=disabled,
        )
    else:
        place.number_input(
            field.label,
            float(field.low),
            float(field.high),
            step=field.step,
            format="%g",
            key=field.key,
            help=field.help,
            disabled=disabled,
        )
