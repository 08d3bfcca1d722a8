"""Texts cut to their cells, and which row is chosen."""

from __future__ import annotations

from types import SimpleNamespace

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from muscle_core.ui.row_choice import chosen_row, fitting

WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=400)


@given(WORDS, st.integers(60, 400))
def test_a_cut_text_is_short_enough_and_begins_as_the_whole_one(text: str, width: int) -> None:
    plain = " ".join(text.split())
    cut = fitting(pd.Series([text], dtype=object), width).iloc[0]
    if cut == plain:
        return
    assert cut.endswith("…")
    assert plain.startswith(cut[:-1])
    narrower = fitting(pd.Series([plain], dtype=object), width - 10).iloc[0]
    assert len(narrower) <= len(cut)
    assert len(fitting(pd.Series(["m" * 1000]), width).iloc[0]) >= len(cut)


def test_missing_texts_stay_missing() -> None:
    cut = fitting(pd.Series(["a b", None], dtype=object), 90)
    assert cut.iloc[0] == "a b"
    assert pd.isna(cut.iloc[1])


def test_a_row_is_chosen_by_its_tick_or_by_a_cell() -> None:
    def selection(rows: list[int], cells: list[tuple[int, str]]) -> SimpleNamespace:
        return SimpleNamespace(rows=rows, cells=cells)

    assert chosen_row(selection([], []), 5) is None
    assert chosen_row(selection([3], []), 5) == 3
    assert chosen_row(selection([], [(2, "input")]), 5) == 2
    assert chosen_row(selection([7], []), 5) is None
    assert chosen_row(selection([3], [(1, "input")]), 5, before=3) == 1
    assert chosen_row(selection([3], [(1, "input")]), 5, before=1) == 3
    assert chosen_row(selection([3], [(3, "input")]), 5, before=3) == 3
