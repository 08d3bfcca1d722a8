"""Buttons, each with a key of the keyboard, that go from one sample to another."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import streamlit as st
from streamlit.delta_generator import DeltaGenerator


class Move(NamedTuple):
    """One button.

    Attributes:
        label: what stands on it.
        key: unique on the page.
        icon: beside the label.
        shortcut: key of the keyboard.
        target: id of the sample that it goes to; None where there is none.
    """

    label: str
    key: str
    icon: str
    shortcut: str
    target: str | None


def move_buttons(row: DeltaGenerator, moves: Iterable[Move], state: str) -> None:
    """Draw the buttons.

    Args:
        row: where they stand.
        moves: one a button.
        state: key under which the page keeps the id of its sample.
    """
    for move in moves:
        row.button(
            move.label,
            icon=move.icon,
            shortcut=move.shortcut,
            key=move.key,
            disabled=move.target is None,
            on_click=_go,
            args=(state, move.target),
        )


def _go(state: str, target: str) -> None:
    st.session_state[state] = target
