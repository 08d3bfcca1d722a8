"""The paper's own figures, apart from those of the workbench."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from muscle_core.compat.published import published
from muscle_core.ui.frame import plain
from muscle_core.ui.masking import words
from muscle_core.ui.wrapped_table import wrapped_table


def show() -> None:
    """Draw the panel, folded."""
    found = published()
    with st.expander(words.PUBLISHED):
        st.warning(words.published_note(plain(found.paper)), icon=":material/menu_book:")
        rows = [
            (one.update, one.measure, f"{one.before:.2f}", f"{one.after:.2f}", f"{one.change:+.2f} %", one.source)
            for one in found.figures
        ]
        cells = [[plain(value) for value in row] for row in rows]
        wrapped_table(
            pd.DataFrame(cells, columns=list(words.PUBLISHED_COLUMNS)),
            "published",
            wide=[1],
            alt=words.PUBLISHED_ALT,
            least=120,
        )
        st.markdown("\n".join(words.finding(plain(text), plain(source)) for text, source in found.findings))
