"""Accuracy and flip rates with their intervals."""

from __future__ import annotations

import plotly.graph_objects as go

from muscle_core.comparison.comparison import Comparison
from muscle_core.errors import DataError
from muscle_core.figures import palette
from muscle_core.figures.text import version_label
from muscle_core.metrics.rates import Rate
from muscle_core.metrics.text import percent_range, rate_text


def rates_chart(comparison: Comparison) -> go.Figure:
    """Return accuracy of both versions, NFR, PFR and NFR_mc as points with Wilson 95 % error bars.

    The first of the `customdata` of a point is the name of its rate in `Comparison.rates`.

    Args:
        comparison: the two versions compared.

    Raises:
        DataError: if the comparison has no right and wrong.
    """
    rows = _rows(comparison)
    if not rows:
        raise DataError("there is no right and wrong in this comparison, so that it has no rates to show")
    widest = max(rate.high for _, _, rate, _, _ in rows)
    figure = go.Figure()
    for key, label, rate, color, symbol in rows:
        figure.add_trace(
            go.Scatter(
                x=[rate.value],
                y=[label],
                mode="markers+text",
                text=[rate_text(rate)],
                customdata=[[key, percent_range(rate.low, rate.high)]],
                textposition=_side(rate.value, widest),
                cliponaxis=False,
                error_x={
                    "type": "data",
                    "symmetric": False,
                    "array": [rate.high - rate.value],
                    "arrayminus": [rate.value - rate.low],
                    "color": color,
                },
                marker={"color": color, "symbol": symbol, "size": 11},
                hovertemplate="%{text}<br>95 % interval %{customdata[1]}<extra></extra>",
                showlegend=False,
            )
        )
    figure.update_xaxes(tickformat=".0%", range=[-widest * 0.03, widest * 1.05], zeroline=True)
    figure.update_yaxes(autorange="reversed")
    return palette.style(figure, 80 + 58 * len(rows))


def _side(value: float, widest: float) -> str:
    """Where the label of a point goes, so that it is not cut off at either end of the axis."""
    if value < widest * 0.25:
        return "top right"
    return "top left" if value > widest * 0.75 else "top center"


def _rows(comparison: Comparison) -> list[tuple[str, str, Rate, str, str]]:
    """Name, label, rate, colour and symbol of each line of the chart."""
    old, new = version_label(comparison.old_name), version_label(comparison.new_name)
    if comparison.old_name == comparison.new_name:
        # One version run twice: equal labels would fall on one line.
        old, new = f"{old} (first run)", f"{new} (second run)"
    named = [
        ("accuracy_old", f"Accuracy, {old}", palette.OLD, "circle"),
        ("accuracy_new", f"Accuracy, {new}", palette.NEW, "square"),
        ("nfr", "Negative flips (NFR)", palette.WORSE, "x"),
        ("pfr", "Positive flips (PFR)", palette.BETTER, "cross"),
        ("nfr_mc", "NFR_mc: NFR + changed wrong answers", palette.PURPLE, "diamond"),
    ]
    rates = comparison.rates
    return [(key, label, rates[key], color, symbol) for key, label, color, symbol in named if key in rates]
