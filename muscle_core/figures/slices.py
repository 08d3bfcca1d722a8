"""Where an update broke more than elsewhere: the worst slices, each against the rest of the samples."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go

from muscle_core.errors import DataError
from muscle_core.figures import palette
from muscle_core.figures.text import safe
from muscle_core.metrics.text import SIGNIFICANCE_LEVEL, p_text, percent, percent_range


def slice_chart(table: pd.DataFrame, keys: Sequence[Sequence[str] | None]) -> go.Figure:
    """Return the rate of each slice with its interval, and beside it that of all other samples.

    A slice whose corrected p-value is below 0.05 is a filled mark, any other an open one; the text says it too.

    Args:
        table: rows of `slice_table` or `find_slices`, in the order from the top.
        keys: `customdata` of each row.

    Raises:
        DataError: there is no slice.
    """
    if table.empty:
        raise DataError("there is no slice to show")
    word = "nfr" if "nfr" in table.columns else "regression"
    number = percent if word == "nfr" else lambda value: f"{value:.4f}"
    rows = table.to_dict("records")
    places = list(range(len(rows)))
    figure = go.Figure()
    for differs, name, symbol in (
        (True, "slice that differs (corrected p below 0.05)", "diamond"),
        (False, "slice that may not differ", "diamond-open"),
    ):
        chosen = [place for place in places if (rows[place]["p_adjusted"] < SIGNIFICANCE_LEVEL) == differs]
        if not chosen:
            continue
        part = [rows[place] for place in chosen]
        figure.add_trace(
            go.Scatter(
                x=[row[word] for row in part],
                y=chosen,
                mode="markers",
                name=name,
                customdata=[keys[place] for place in chosen],
                hovertext=[_hover(row, word) for row in part],
                error_x={
                    "type": "data",
                    "symmetric": False,
                    "array": [row[f"{word}_high"] - row[word] for row in part],
                    "arrayminus": [row[word] - row[f"{word}_low"] for row in part],
                    "color": palette.WORSE,
                    "thickness": 1.5,
                },
                marker={"symbol": symbol, "size": 12, "color": palette.WORSE, "line": {"width": 1.5}},
                unselected={"marker": {"opacity": 1}},
                hovertemplate="%{hovertext}<extra></extra>",
            )
        )
    figure.add_trace(
        go.Scatter(
            x=[row[f"rest_{word}"] for row in rows],
            y=places,
            mode="markers",
            name="all other samples",
            hovertext=[f"all other {row['rest_n']:,} samples: {number(row[f'rest_{word}'])}" for row in rows],
            marker={
                "symbol": "line-ns",
                "size": 14,
                "color": palette.GREY,
                "line": {"width": 3, "color": palette.GREY},
            },
            unselected={"marker": {"opacity": 1}},
            hovertemplate="%{hovertext}<extra></extra>",
        )
    )
    limits = [row[f"{word}_high"] for row in rows if math.isfinite(row[f"{word}_high"])]
    title = "negative flip rate of the slice" if word == "nfr" else "mean loss of the score"
    figure.update_xaxes(
        title=title,
        tickformat=".0%" if word == "nfr" else None,
        range=[0, max([*limits, 1e-9]) * 1.05],
    )
    figure.update_yaxes(
        tickvals=places,
        ticktext=[
            f"{safe(row['slice'], longest=48)}<br>{_count(row, word)}, {safe(p_text(row['p_adjusted']))}"
            for row in rows
        ],
        range=[len(rows) - 0.5, -0.5],
        zeroline=False,
    )
    legend = {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0}
    figure.update_xaxes(fixedrange=True)
    figure.update_yaxes(fixedrange=True)
    return palette.style(figure, 110 + 46 * len(rows), legend=legend, dragmode=False, clickmode="event+select")


def _count(row: dict, word: str) -> str:
    return f"{row['negative_flips']:,} of {row['n']:,}" if word == "nfr" else f"{row['n']:,} samples"


def _hover(row: dict, word: str) -> str:
    if word == "nfr":
        return (
            f"<b>{safe(row['slice'], longest=80)}</b><br>{row['negative_flips']:,} of {row['n']:,} broken "
            f"({percent(row['nfr'])}), 95 % interval {percent_range(row['nfr_low'], row['nfr_high'])}<br>"
            f"all other samples {percent(row['rest_nfr'])}; corrected {safe(p_text(row['p_adjusted']))}"
        )
    return (
        f"<b>{safe(row['slice'], longest=80)}</b><br>mean loss {row['regression']:.4f} of {row['n']:,} samples, "
        f"95 % interval {row['regression_low']:.4f} to {row['regression_high']:.4f}<br>"
        f"all other samples {row['rest_regression']:.4f}; corrected {safe(p_text(row['p_adjusted']))}"
    )
