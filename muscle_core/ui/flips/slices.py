"""Tab "Slices": where the update broke more than elsewhere, corrected for the number of slices tested."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from muscle_core.comparison.slices import left_out
from muscle_core.figures import slice_chart
from muscle_core.metrics import Rate
from muscle_core.metrics.text import SIGNIFICANCE_LEVEL, p_text
from muscle_core.store import Workspace
from muscle_core.ui import data
from muscle_core.ui.chart import chart
from muscle_core.ui.flips import words
from muscle_core.ui.flips.link import to_samples
from muscle_core.ui.frame import plain, wrapping_columns
from muscle_core.ui.numbers import percent, with_interval
from muscle_core.ui.picks import Picks
from muscle_core.ui.row_choice import MODE, chosen_row
from muscle_core.ui.slices import slices_of
from muscle_core.ui.url import linked_control, publish, restore

_MOST_IN_CHART = 10
_MOST_FOUND = 40
_TOPICS_AT_ONCE = 20_000  # samples up to which topics are looked for without being asked


def show(home: Workspace, chosen: Picks) -> None:
    """Draw the tab."""
    n = data.comparison(home, chosen.old, chosen.new, chosen.dataset, chosen.split).n
    minimum, conditions, topics = _options(n)
    table = slices_of(
        home,
        chosen.old,
        chosen.new,
        chosen.dataset,
        chosen.split,
        minimum=minimum,
        conditions=conditions,
        topics=topics,
        top=_MOST_FOUND,
    )
    if table.empty:
        st.info(words.NO_SLICE, icon=":material/info:")
    else:
        keys = [slice_link(parts) for parts in table.attrs["conditions"]]
        _chart(table, keys)
        _table(table, keys)
        st.caption(words.CORRECTION)
    omitted = left_out(table)
    if omitted:
        with st.expander(words.LEFT_OUT):
            st.markdown("\n".join(f"- {plain(sentence)}" for sentence in omitted))


def slice_link(conditions: Sequence[tuple[str, str]]) -> str:
    """The slice as the Samples page reads it from its URL; see `muscle_core.ui.samples.link`."""
    return "&".join(f"{column}={value}" for column, value in conditions)


def _options(n: int) -> tuple[int, int, bool]:
    left, middle, right = wrapping_columns([2, 3, 3], least=180, key="flips_slice_options", align="bottom")
    with left:
        restore("minimum", 30, lambda value: isinstance(value, int) and 5 <= value <= 10_000, int)
        minimum = int(st.number_input(words.MINIMUM, 5, 10_000, key="minimum", step=5, help=words.MINIMUM_HELP))
        publish("minimum", minimum)
    with middle:
        conditions = linked_control(
            words.CONDITIONS,
            words.CONDITION_NAMES,
            "conditions",
            parse=int,
            format_func=words.CONDITION_NAMES.__getitem__,
            help=words.CONDITIONS_HELP,
        )
    with right:
        restore("topics", n <= _TOPICS_AT_ONCE, lambda value: isinstance(value, bool), lambda text: text == "yes")
        topics = st.toggle(words.TOPICS, key="topics", help=words.TOPICS_HELP)
        publish("topics", "yes" if topics else "no")
    return minimum, conditions, topics


def _chart(table: pd.DataFrame, keys: list[str]) -> None:
    top = table.head(_MOST_IN_CHART)
    differ, tested = int((table["p_adjusted"] < SIGNIFICANCE_LEVEL).sum()), f"{table.attrs['tested']:,}"
    first = table.iloc[0]
    name = plain(str(first["slice"]))
    if "nfr" in table:
        rate = Rate(first["nfr"], int(first["negative_flips"]), int(first["n"]), first["nfr_low"], first["nfr_high"])
        rest = words.slice_rest(plain(percent(first["rest_nfr"])), f"{int(first['rest_n']):,}")
        says = words.slices_says(differ, tested, words.slice_worst(name, with_interval(rate), rest))
    else:
        loss = plain(
            f"{first['regression']:.4f} (95 % interval {first['regression_low']:.4f} to "
            f"{first['regression_high']:.4f}; {int(first['n']):,})"
        )
        rest = words.slice_rest(plain(f"{first['rest_regression']:.4f}"), f"{int(first['rest_n']):,}")
        says = words.slices_says_scores(differ, tested, words.slice_worst(name, loss, rest))
    chart(
        slice_chart(top, [[key] for key in keys[: len(top)]]),
        key="flips_slices",
        says=says,
        alt=words.SLICES_ALT,
        numbers=lambda: table,
        name="flip-slices",
        on_click=lambda key: _open(key[0], "nfr" in table),
    )


def _table(table: pd.DataFrame, keys: list[str]) -> None:
    word = "nfr" if "nfr" in table else "regression"
    number = percent if word == "nfr" else lambda value: f"{value:.4f}"
    shown = pd.DataFrame(
        {
            "slice": table["slice"],
            "n": table["n"],
            **({"negative_flips": table["negative_flips"]} if word == "nfr" else {}),
            "rate": table[word].map(number),
            "interval": [
                f"{number(low)} to {number(high)}"
                for low, high in zip(table[f"{word}_low"], table[f"{word}_high"], strict=True)
            ],
            "rest": [
                f"{number(value)} of {count:,}"
                for value, count in zip(table[f"rest_{word}"], table["rest_n"], strict=True)
            ],
            "p_adjusted": table["p_adjusted"].map(p_text),
            "verdict": [words.DIFFERS if p < SIGNIFICANCE_LEVEL else words.MAY_NOT_DIFFER for p in table["p_adjusted"]],
        }
    )

    def picked() -> None:
        row = chosen_row(st.session_state["flips_slice_table"].selection, len(keys))
        if row is not None:
            _open(keys[row], word == "nfr")

    st.dataframe(
        shown.rename(columns=words.SLICE_COLUMNS),
        key="flips_slice_table",
        hide_index=True,
        on_select=picked,
        selection_mode=MODE,
        alt=words.SLICE_TABLE_ALT,
    )
    st.caption(words.SLICE_PICK)


def _open(link: str, flips: bool) -> None:
    to_samples({"slice": link, **({"quadrant": "Q4"} if flips else {})})
