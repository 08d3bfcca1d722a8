"""A table of figures as coloured cells: datasets by pairs, or old versions by new ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import plotly.graph_objects as go

from muscle_core.errors import DataError
from muscle_core.figures import palette
from muscle_core.figures.text import safe, wrapped

Scale = Literal["worse", "better", "change"]

# Steps of lightness, so that they stay apart for every kind of colour vision; the first lies near the page's ground.
# After ColorBrewer's Oranges and Blues (colorbrewer2.org), marked there as colour-blind safe.
_RAMPS = {
    "worse": ("#FFF5EB", "#FDD0A2", "#FD8D3C", "#D94801", "#7F2704"),
    "better": ("#F7FBFF", "#C6DBEF", "#6BAED6", "#2171B5", "#08306B"),
}
_DARK_FIRST = "#232B36"
_MIDDLE = {False: "#F4F4F4", True: "#2B333E"}
_MISSING = {False: "#FFFFFF", True: "#11161D"}
_LINE = {False: "#D5DAE1", True: "#36404D"}
_INK = ("#000000", "#FFFFFF")  # with these two, one always has a contrast of 4.58 or more


class Cell(NamedTuple):
    """One cell.

    Attributes:
        row: its place from the top.
        column: its place from the left.
        value: what its colour shows; None where there is nothing to show.
        text: what stands in it, as Plotly's markup.
        hover: what is shown beside the pointer.
        key: its `customdata`; None for a cell that opens nothing.
    """

    row: int
    column: int
    value: float | None
    text: str
    hover: str
    key: Sequence[str] | None


def cell_map(
    rows: Sequence[str],
    columns: Sequence[str],
    cells: Sequence[Cell],
    *,
    scale: Scale,
    dark: bool = False,
    cell_height: int = 44,
    row_title: str = "",
    column_title: str = "",
) -> go.Figure:
    """Return the cells with a scale beside them; those without a value are hatched, and say why in their text.

    Args:
        rows: names of the rows, from the top.
        columns: names of the columns.
        cells: the cells.
        scale: "worse" and "better" go from 0 up, "change" to both sides of 0.
        dark: whether the page is dark; near 0 a cell then is dark and not light.
        cell_height: height of a row in pixels.
        row_title: of the axis.
        column_title: of the axis.

    Raises:
        DataError: there is no cell.
    """
    if not cells:
        raise DataError("there is no pair of versions to show")
    known = [cell for cell in cells if cell.value is not None and math.isfinite(cell.value)]
    largest = max((abs(cell.value or 0.0) for cell in known), default=0.0) or 0.01
    low = -largest if scale == "change" else 0.0
    ramp = _ramp(scale, dark)
    figure = go.Figure()
    if known:
        shares = [((cell.value or 0.0) - low) / (largest - low) for cell in known]
        fills = [_mixed(ramp, share) for share in shares]
        figure.add_trace(
            _bars(
                known,
                marker={
                    "color": [cell.value for cell in known],
                    "colorscale": [[place / (len(ramp) - 1), color] for place, color in enumerate(ramp)],
                    "cmin": low,
                    "cmax": largest,
                    "showscale": True,
                    "colorbar": {"tickformat": "+.1%" if scale == "change" else ".0%", "thickness": 12, "len": 1.0},
                    "line": {"color": _LINE[dark], "width": 1},
                },
                textfont={"color": [_ink(fill) for fill in fills], "size": 12},
            )
        )
    missing = [cell for cell in cells if cell.value is None or not math.isfinite(cell.value)]
    if missing:
        figure.add_trace(
            _bars(
                missing,
                marker={
                    "color": _MISSING[dark],
                    "pattern": {"shape": "/", "fgcolor": _LINE[dark], "size": 8, "solidity": 0.3},
                    "line": {"color": _LINE[dark], "width": 1},
                },
                textfont={"color": _ink(_MISSING[dark]), "size": 11},
            )
        )
    axis = {"showgrid": False, "zeroline": False, "fixedrange": True}
    figure.update_xaxes(
        tickvals=list(range(len(columns))),
        ticktext=[wrapped(name, 15) if len(columns) <= 6 else safe(name, longest=32) for name in columns],
        range=[-0.5, len(columns) - 0.5],
        side="top",
        tickangle=0 if len(columns) <= 6 else -60,
        title=column_title,
        **axis,
    )
    figure.update_yaxes(
        tickvals=[place + 0.5 for place in range(len(rows))],
        ticktext=[wrapped(name, 36) for name in rows],
        range=[len(rows), 0],
        title=row_title,
        **axis,
    )
    return palette.style(
        figure,
        120 + cell_height * len(rows),
        bargap=0,
        barmode="overlay",
        dragmode=False,
        clickmode="event+select",
        showlegend=False,
    )


def _bars(cells: Sequence[Cell], marker: dict[str, Any], textfont: dict[str, Any]) -> go.Bar:
    # Bars and not a heat map: Plotly lets people select bars by a click.
    return go.Bar(
        x=[cell.column for cell in cells],
        base=[cell.row for cell in cells],
        y=[1.0] * len(cells),
        width=1.0,
        text=[cell.text for cell in cells],
        hovertext=[cell.hover for cell in cells],
        customdata=[list(cell.key) if cell.key is not None else None for cell in cells],
        textposition="inside",
        insidetextanchor="middle",
        textangle=0,
        constraintext="none",
        textfont=textfont,
        marker=marker,
        hovertemplate="%{hovertext}<extra></extra>",
        unselected={"marker": {"opacity": 1}},
        showlegend=False,
    )


def _ramp(scale: Scale, dark: bool) -> list[str]:
    if scale == "change":
        worse, better = _RAMPS["worse"], _RAMPS["better"]
        strong = slice(1, 4) if dark else slice(2, 5)
        sides = list(worse[strong]), list(better[strong])
        if dark:
            sides = sides[0][::-1], sides[1][::-1]  # lighter is farther from 0
        return [*reversed(sides[0]), _MIDDLE[dark], *sides[1]]
    steps = list(_RAMPS[scale])
    return [_DARK_FIRST, *reversed(steps[1:4])] if dark else steps


def _channels(color: str) -> list[int]:
    return [int(color[start : start + 2], 16) for start in (1, 3, 5)]


def _mixed(ramp: Sequence[str], share: float) -> str:
    place = min(max(share, 0.0), 1.0) * (len(ramp) - 1)
    first = min(int(place), len(ramp) - 2)
    pairs = zip(_channels(ramp[first]), _channels(ramp[first + 1]), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * (place - first)):02X}" for a, b in pairs)


def _luminance(color: str) -> float:
    """Relative luminance as WCAG 2 defines it."""
    linear = [c / 12.92 if (c := x / 255) <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for x in _channels(color)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first: str, second: str) -> float:
    """Contrast of two colours as WCAG 2 defines it, 1 to 21.

    Args:
        first: "#RRGGBB".
        second: "#RRGGBB".
    """
    lighter, darker = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _ink(ground: str) -> str:
    """The text colour that stands out more on a ground."""
    return max(_INK, key=lambda ink: contrast(ink, ground))
