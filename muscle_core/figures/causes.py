"""Why samples were broken: how many negative flips each rule explains."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from muscle_core.errors import DataError
from muscle_core.figures import palette
from muscle_core.figures.text import safe
from muscle_core.metrics.text import percent, percent_range


def cause_bars(table: pd.DataFrame) -> go.Figure:
    """Return one bar a cause with its count, its share and the interval of the share; `customdata` is the cause.

    Args:
        table: result of `muscle_core.comparison.causes.cause_table`.

    Raises:
        DataError: there is no negative flip.
    """
    if table.empty:
        raise DataError("there is no negative flip to explain")
    rows = table.to_dict("records")
    figure = go.Figure(
        go.Bar(
            x=[row["share"] for row in rows],
            y=[safe(row["cause"], longest=40) for row in rows],
            orientation="h",
            hovertext=[
                f"<b>{safe(row['cause'])}</b><br>95 % interval {percent_range(row['low'], row['high'])}<br>"
                f"{wrapped(str(row['rule']))}"
                for row in rows
            ],
            customdata=[[str(row["cause"])] for row in rows],
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [row["high"] - row["share"] for row in rows],
                "arrayminus": [row["share"] - row["low"] for row in rows],
                "color": palette.LINE,
                "thickness": 1,
            },
            marker={"color": palette.WORSE, "pattern": {"shape": "/", "solidity": 0.15, "fillmode": "overlay"}},
            unselected={"marker": {"opacity": 1}},
            hovertemplate="%{hovertext}<extra></extra>",
            showlegend=False,
        )
    )
    # Beyond the interval, which would cross the number at the end of the bar.
    figure.add_trace(
        go.Scatter(
            x=[row["high"] for row in rows],
            y=[safe(row["cause"], longest=40) for row in rows],
            mode="text",
            text=[f" {row['flips']:,} of {row['of']:,} ({percent(row['share'])})" for row in rows],
            textposition="middle right",
            cliponaxis=False,
            hoverinfo="skip",
            showlegend=False,
        )
    )
    widest = max(row["high"] for row in rows)
    figure.update_xaxes(title="share of the negative flips", tickformat=".0%", range=[0, widest * 1.5])
    figure.update_yaxes(autorange="reversed", showgrid=False)
    figure.update_xaxes(fixedrange=True)
    figure.update_yaxes(fixedrange=True)
    return palette.style(figure, 90 + 42 * len(rows), dragmode=False, clickmode="event+select")


def wrapped(text: str, width: int = 60) -> str:
    """Text in lines that a hover label can hold."""
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + len(word) >= width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return "<br>".join(safe(line) for line in lines)
