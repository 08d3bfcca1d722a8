"""Strategies side by side: what each keeps of the gain, and how much it still breaks."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pandas as pd
import plotly.graph_objects as go

from muscle_core.comparison.pareto import measures_of
from muscle_core.errors import DataError
from muscle_core.figures import palette
from muscle_core.figures.text import SCORE_NAMES, safe, version_label
from muscle_core.metrics.text import percent

_SYMBOLS = ("square", "diamond", "cross", "triangle-up", "triangle-down", "pentagon", "hexagram", "x")
_PLAIN_SYMBOL = "star"
_DASHES = ("dash", "dot", "dashdot", "longdash")
_MOST_ENTRIES = 10  # of the legend; with more rows it names each family once, and the hover text tells them apart


def strategy_chart(
    frame: pd.DataFrame,
    lines: Mapping[str, pd.DataFrame] | None = None,
    optimal: pd.DataFrame | None = None,
    limits: tuple[tuple[float, float], tuple[float, float]] | None = None,
) -> go.Figure:
    """Return NFR against accuracy for each strategy, with intervals; low and to the right is best.

    Without accuracy in the frame (scores only) it is mean regression against the mean score.

    Args:
        frame: result of `compare_strategies`; a column `family` gives rows of one strategy its colour.
        lines: by name, points of mixes of two adapters that are connected, in their order; column `alpha` is written
            beside each.
        optimal: rows that are ringed; columns as of the frame.
        limits: of the axes, across and up; see `limits_of`.

    Raises:
        DataError: if the frame holds no row or none of the needed columns.
    """
    if frame.empty or "strategy" not in frame.columns:
        raise DataError("there is no strategy to show; evaluate the plain new version and a variant first")
    across, up = measures_of(frame)
    flips = up == "nfr"
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
    for number, (name, points) in enumerate((lines or {}).items()):
        _add_line(figure, name, points, (across, up), number, flips)
    if optimal is not None and len(optimal):
        figure.add_trace(
            go.Scatter(
                x=optimal[across].to_numpy(dtype=float),
                y=optimal[up].to_numpy(dtype=float),
                mode="markers",
                name="ringed: Pareto-optimal",
                hoverinfo="skip",
                marker={"symbol": "circle-open", "size": 26, "color": palette.LINE, "line": {"width": 2}},
            )
        )
    n = _sizes(frame)
    if flips:
        figure.update_xaxes(title=f"accuracy ({n}) – more is better", tickformat=".1~%")
        figure.update_yaxes(title="negative flip rate – less is better", tickformat=".1~%", rangemode="tozero")
    else:
        score = str(frame["score"].dropna().iloc[0]) if "score" in frame and frame["score"].notna().any() else "score"
        figure.update_xaxes(title=f"mean {SCORE_NAMES.get(score, safe(score))} ({n}) – more is better")
        figure.update_yaxes(title="mean regression – less is better", rangemode="tozero")
    if limits is not None:
        figure.update_xaxes(range=limits[0])
        figure.update_yaxes(range=limits[1], rangemode="normal")
    height = 460 if len(figure.data) <= _MOST_ENTRIES else 580  # the legend takes it
    return palette.style(figure, height, legend={"orientation": "h", "y": -0.25, "yanchor": "top", "x": 0})


def limits_of(frame: pd.DataFrame) -> tuple[tuple[float, float], tuple[float, float]]:
    """Limits of the axes around points and their intervals, with some room; flips and regression begin at 0.

    Args:
        frame: as of `strategy_chart`, without what may lie outside.
    """
    across, up = measures_of(frame)
    left = float(frame[[across, f"{across}_low"]].min(axis=1).min())
    right = float(frame[[across, f"{across}_high"]].max(axis=1).max())
    top = float(frame[[up, f"{up}_high"]].max(axis=1).max())
    room = 0.05 * max(right - left, 1e-9)
    return (left - room, right + room), (-0.04 * top, 1.1 * top or 1.0)


def outside(points: pd.DataFrame, limits: tuple[tuple[float, float], tuple[float, float]]) -> int:
    """How many points lie outside of the axes."""
    across, up = (points[name] for name in measures_of(points))
    return int((~(across.between(*limits[0]) & up.between(*limits[1]))).sum())


def _add_line(
    figure: go.Figure, name: str, points: pd.DataFrame, columns: tuple[str, str], number: int, flips: bool
) -> None:
    """Mixes of two adapters: connected, each with its alpha beside it."""
    across, up = columns
    color = palette.NEUTRAL
    figure.add_trace(
        go.Scatter(
            x=points[across].to_numpy(dtype=float),
            y=points[up].to_numpy(dtype=float),
            mode="lines+markers+text",
            name=safe(name, longest=70),
            text=[f"α {alpha:g}" if 0 < alpha < 1 else "" for alpha in points["alpha"]],
            textposition="top center",
            textfont={"size": 11},
            customdata=[
                _hover(f"{safe(name, longest=70)}, α = {row['alpha']:g}", row, across, up, flips)
                for row in points.to_dict("records")
            ],
            hovertemplate="%{customdata}<extra></extra>",
            line={"color": color, "width": 2, "dash": _DASHES[number % len(_DASHES)]},
            marker={"symbol": "circle", "size": 7, "color": color},
        )
    )


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
