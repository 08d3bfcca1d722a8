"""Colours that stay apart for colour-blind readers (Okabe and Ito), and the look all figures share.

Colour never carries a meaning alone: every figure also says it with text, position, pattern or symbol.
"""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from muscle_core.compat.config import STRATEGIES

BLACK = "#000000"
ORANGE = "#E69F00"
SKY_BLUE = "#56B4E9"
GREEN = "#009E73"
YELLOW = "#F0E442"
BLUE = "#0072B2"
VERMILION = "#D55E00"
PURPLE = "#CC79A7"
GREY = "#8A8A8A"

# One colour a role, in every figure. Black is left out: it would vanish on a dark page.
OLD = ORANGE
NEW = BLUE
COMPAT = GREEN
WORSE = VERMILION
BETTER = SKY_BLUE
NEUTRAL = GREY

SEQUENCE = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY_BLUE, YELLOW, GREY)

# Without yellow, whose lines and small marks are hard to see on a light page, and grey, which is the plain version's.
_OF_STRATEGIES = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY_BLUE)

# Half-transparent grey shows on a light and on a dark page alike.
GRID = "rgba(128, 128, 128, 0.25)"
LINE = "rgba(128, 128, 128, 0.7)"
CLEAR = "rgba(0, 0, 0, 0)"


def strategy_color(strategy: str | None) -> str:
    """Return the colour of a strategy, the same in every figure; of what has no strategy, grey."""
    if strategy is None:
        return NEUTRAL
    names = list(STRATEGIES)
    place = names.index(strategy) if strategy in names else len(names)
    return _OF_STRATEGIES[place % len(_OF_STRATEGIES)]


def tint(color: str, strength: float) -> str:
    """Mix a colour with white; opaque, so that Plotly's dark text on it is readable on any page.

    Args:
        color: "#RRGGBB".
        strength: 0 for white, 1 for the colour itself.
    """
    channels = (int(color[start : start + 2], 16) for start in (1, 3, 5))
    return "#" + "".join(f"{round(255 + (channel - 255) * strength):02X}" for channel in channels)


def style(figure: go.Figure, height: int, **layout: Any) -> go.Figure:
    """Give a figure the shared look and return it.

    Fonts keep their theme colour: the page decides whether it is light or dark.

    Args:
        figure: the figure to change in place.
        height: height in pixels.
        **layout: further layout settings of this figure.
    """
    figure.update_layout(
        height=height,
        paper_bgcolor=CLEAR,
        plot_bgcolor=CLEAR,
        margin={"l": 10, "r": 10, "t": 30, "b": 10},
        **{"hovermode": "closest", **layout},
    )
    # The default template draws white grid lines, which a clear background would hide.
    figure.update_xaxes(gridcolor=GRID, zerolinecolor=LINE, automargin=True)
    figure.update_yaxes(gridcolor=GRID, zerolinecolor=LINE, automargin=True)
    return figure
