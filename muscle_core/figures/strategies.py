"""Strategies side by side: what each keeps of the gain, and how much it still breaks."""

from __future__ import annotations

import math

import pandas as pd
import plotly.graph_objects as go

from muscle_core.errors import DataError
from muscle_core.figures import palette
from muscle_core.figures.text import percent, safe, version_label

_SYMBOLS = ("square", "diamond", "cross", "triangle-up", "triangle-down", "pentagon", "hexagram", "x")
_PLAIN_SYMBOL = "star"
_MOST_ENTRIES = 10  # of the legend; with more rows it names each family once, and the hover text tells them apart


def strategy_chart(frame: pd.DataFrame) -> go.Figure:
    """Return NFR against accuracy for each strategy, with intervals; low and to the right is best.

    Without accuracy in the frame (scores only) it is mean regression against mean change of the score.

    Args:
        frame: result of `compare_strategies`; a column `family` gives rows of one strategy its colour.

    Raises:
        DataError: if the frame holds no row or none of the needed columns.
    """
    if frame.empty or "strategy" not in frame.columns:
        raise DataError("there is no strategy to show; evaluate the plain new version and a variant first")
    flips = "nfr" in frame.columns and bool(frame["nfr"].notna().any())
    across, up = ("accuracy", "nfr") if flips else ("mean_change", "regression")
    if across not in frame.columns or up not in frame.columns:
        raise DataError(f"the strategies have neither accuracy and nfr nor {across} and {up}; compare them again")
    figure = go.Figure()
    variants = 0
    crowded = "family" in frame and len(frame) > _MOST_ENTRIES
    families: list[object] = []
    for row in frame.to_dict("records"):
        plain = bool(row.get("is_plain_new", False))
        symbol, color = _PLAIN_SYMBOL, palette.NEUTRAL
        if not plain:
            symbol = _SYMBOLS[variants % len(_SYMBOLS)]
            # The colours run through in another step than the symbols, so that pairs repeat late.
            color = palette.SEQUENCE[:-1][variants % (len(palette.SEQUENCE) - 1)]
            if "family" in row:
                color = palette.strategy_color(row["family"])
            variants += 1
        family = row.get("family") if crowded and not plain else None
        first = family not in families
        if family is not None:
            families += [family] if first else []
            symbol = _SYMBOLS[families.index(family) % len(_SYMBOLS)]
        label = version_label(row["strategy"]) + (" (plain new version)" if plain else "")
        figure.add_trace(
            go.Scatter(
                x=[row[across]],
                y=[row[up]],
                mode="markers",
                name=label if family is None else version_label(str(family)),
                legendgroup=None if family is None else str(family),
                showlegend=family is None or first,
                text=[_hover(label, row, across, up, flips)],
                customdata=[[safe(row["strategy"])]],
                hovertemplate="%{text}<extra></extra>",
                marker={"symbol": symbol, "size": 17 if plain else 12, "color": color},
                error_x=_bars(row, across, color),
                error_y=_bars(row, up, color),
            )
        )
        if plain:
            figure.add_hline(y=row[up], line={"dash": "dot", "color": palette.LINE, "width": 1})
            figure.add_vline(x=row[across], line={"dash": "dot", "color": palette.LINE, "width": 1})
    n = _sizes(frame)
    if flips:
        figure.update_xaxes(title=f"accuracy ({n}) – more is better", tickformat=".1%")
        figure.update_yaxes(title="negative flip rate – less is better", tickformat=".1%", rangemode="tozero")
    else:
        figure.update_xaxes(title=f"mean change of the score ({n}) – more is better")
        figure.update_yaxes(title="mean regression – less is better", rangemode="tozero")
    return palette.style(figure, 460, legend={"orientation": "h", "y": -0.25, "yanchor": "top", "x": 0})


def _bars(row: dict, column: str, color: str) -> dict[str, object]:
    low, high = row.get(f"{column}_low", math.nan), row.get(f"{column}_high", math.nan)
    if not (math.isfinite(low) and math.isfinite(high)):
        return {"visible": False}
    return {
        "type": "data",
        "symmetric": False,
        "array": [high - row[column]],
        "arrayminus": [row[column] - low],
        "color": color,
        "thickness": 1,
        "width": 3,
    }


def _hover(label: str, row: dict, across: str, up: str, flips: bool) -> str:
    def number(value: float) -> str:
        return percent(value) if flips else f"{value:.4f}"

    lines = [f"<b>{label}</b>"]
    for column, text in ((across, across.replace("_", " ")), (up, "NFR" if up == "nfr" else up)):
        low, high = row.get(f"{column}_low", math.nan), row.get(f"{column}_high", math.nan)
        lines.append(f"{text} {number(row[column])} (95 % interval {number(low)} to {number(high)})")
    lines.append(f"n = {int(row['n']):,}")
    return "<br>".join(lines)


def _sizes(frame: pd.DataFrame) -> str:
    smallest, largest = int(frame["n"].min()), int(frame["n"].max())
    return f"n = {smallest:,}" if smallest == largest else f"n = {smallest:,} to {largest:,}"
