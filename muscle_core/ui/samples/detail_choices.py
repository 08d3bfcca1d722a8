"""The choices of one sample with each version's log-likelihoods, as bars and as a table."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from muscle_core.actions.updates.explain import margin_unit
from muscle_core.figures import choice_bars
from muscle_core.tasks import Sample
from muscle_core.ui.chart import chart
from muscle_core.ui.frame import plain
from muscle_core.ui.samples import detail_text
from muscle_core.ui.samples import detail_words as words
from muscle_core.ui.samples.detail_answers import Answer

_SUM, _PER_BYTE = "choice_loglikelihoods", "choice_loglikelihoods_per_byte"


def show(sample: Sample, answers: list[Answer]) -> None:
    """Draw the log-likelihoods of those versions that have them; nothing where none has."""
    # As the answers were judged; else the longest bar and the answer taken would not fit together.
    per_byte = margin_unit([answer.run for answer in answers if answer.record is not None]) != "nats"
    column = _PER_BYTE if per_byte else _SUM
    found = {answer.role: (answer, _values(answer, column, sample)) for answer in answers}
    known = {role: (answer, values) for role, (answer, values) in found.items() if values is not None}
    if not sample.choices or not known:
        return
    st.markdown(f"**{words.CHOICES}** ({words.NEAREST_TO_0_PER_BYTE if per_byte else words.NEAREST_TO_0})")
    if {"old", "new"} <= known.keys():
        names = {role: answer.version.name for role, (answer, _) in known.items()}
        chart(
            choice_bars(
                sample.choices,
                known["old"][1],
                known["new"][1],
                _gold(sample),
                compat_ll=known["compat"][1] if "compat" in known else None,
                old_name=names["old"],
                new_name=names["new"],
                compat_name=names.get("compat", "compat"),
            ),
            key="sample_choices",
            says=words.choices_say(plain(names["old"]), plain(names["new"])),
            alt=words.CHOICES_ALT,
            numbers=lambda: _frame(sample, known),
            name=f"choices-{sample.id}",
        )
    with st.expander(words.CHOICES_TABLE, expanded=not {"old", "new"} <= known.keys()):
        st.html(_table(sample, known))


def _values(answer: Answer, column: str, sample: Sample) -> list[float] | None:
    values = None if answer.record is None else answer.record.get(column)
    if values is None or isinstance(values, float) or len(values) != len(sample.choices):
        return None
    return [float(value) for value in values]


def _gold(sample: Sample) -> int | None:
    return int(sample.gold) if sample.gold.isdigit() and int(sample.gold) < len(sample.choices) else None


def _frame(sample: Sample, known: dict[str, tuple[Answer, Any]]) -> pd.DataFrame:
    gold = _gold(sample)
    columns: dict[str, Any] = {
        "choice": sample.choices,
        "gold": [place == gold for place in range(len(sample.choices))],
    }
    return pd.DataFrame({**columns, **{answer.version.name: values for answer, values in known.values()}})


def _table(sample: Sample, known: dict[str, tuple[Answer, Any]]) -> str:
    gold = _gold(sample)
    rows = []
    for place, choice in enumerate(sample.choices):
        row = [f"{place + 1}. {choice}", words.GOLD_MARK if place == gold else ""]
        for answer, values in known.values():
            picked = answer.record is not None and str(answer.record.get("prediction")) == str(place)
            row.append(f"{values[place]:.2f}" + (f" ({words.PICK})" if picked else ""))
        rows.append(row)
    head = [*words.CHOICES_HEAD, *(answer.version.name for answer, _ in known.values())]
    return detail_text.table(words.CHOICES, head, rows, figures=range(2, len(head)))
