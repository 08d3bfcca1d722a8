"""How samples move between right and wrong from version to version: a Sankey diagram."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from muscle_core.comparison.history import STATES
from muscle_core.errors import DataError
from muscle_core.figures import palette
from muscle_core.figures.text import safe, version_label, wrapped
from muscle_core.metrics.text import percent

_NODE_WIDTH = 0.07
_GAP = 0.06  # between the nodes of a version, as a share of all samples
_STEPS = np.linspace(0.0, 1.0, 25)
_CLICKS = np.array([0.12, 0.25, 0.38, 0.5, 0.62, 0.75, 0.88])  # where a band can be clicked, along its way
_MOST_LABELLED = 6  # versions up to which each band has its number
_NODE_COLORS = {"right": palette.BLUE, "wrong": palette.VERMILION, "not judged": palette.GREY}
# Of (before, after): name, colour, hatching.
_KINDS = {
    ("right", "right"): ("stayed right", palette.GREY, ""),
    ("right", "wrong"): ("broken", palette.WORSE, "/"),
    ("wrong", "right"): ("fixed", palette.BETTER, "\\"),
    ("wrong", "wrong"): ("stayed wrong", palette.YELLOW, "."),
}
_INK = {False: "#0B1220", True: "#FFFFFF"}
_UNJUDGED = ("not judged in one of the two", palette.GREY, "x")


def flow_chart(names: Sequence[str], transitions: pd.DataFrame, *, dark: bool = False) -> go.Figure:
    """Return the streams of samples between right (above) and wrong (below) of consecutive versions.

    The `customdata` of a band is [old version, new version, state before, state after]. Plotly's own Sankey cannot be
    selected from by a click, therefore the bands are drawn here.

    Args:
        names: the versions in order.
        transitions: result of `muscle_core.comparison.History.transitions`.
        dark: whether the page is dark.

    Raises:
        DataError: fewer than two versions, or no stream.
    """
    if len(names) < 2 or transitions.empty:
        raise DataError("a flow needs two versions or more that judged samples")
    total = int(transitions.loc[transitions["old"] == names[0], "samples"].sum())
    sizes = _node_sizes(names, transitions)
    tops = _node_tops(sizes, total)
    figure = go.Figure()
    used_out = dict.fromkeys(tops, 0.0)
    used_in = dict.fromkeys(tops, 0.0)
    shown: set[str] = set()
    click_x: list[float] = []
    click_y: list[float] = []
    texts: list[str] = []
    hovers: list[str] = []
    keys: list[list[str]] = []
    ordered = sorted(transitions.to_dict("records"), key=lambda row: _order(names, row))
    for row in ordered:
        place = list(names).index(row["old"])
        before, after, count = row["old_state"], row["new_state"], int(row["samples"])
        start, end = (place, before), (place + 1, after)
        y0, y1 = tops[start] - used_out[start], tops[end] - used_in[end]
        used_out[start] += count
        used_in[end] += count
        kind, color, pattern = _KINDS.get((before, after), _UNJUDGED)
        x = place + _NODE_WIDTH / 2 + _STEPS * (1 - _NODE_WIDTH)
        bend = _STEPS**2 * (3 - 2 * _STEPS)
        upper = y0 + (y1 - y0) * bend
        figure.add_trace(
            go.Scatter(
                x=np.concatenate([x, x[::-1]]),
                y=np.concatenate([upper, (upper - count)[::-1]]),
                mode="none",
                fill="toself",
                fillcolor=_clear(color, 0.4),
                fillpattern={
                    "shape": pattern,
                    "fillmode": "overlay",
                    "bgcolor": _clear(color, 0.4),
                    "fgcolor": _clear(color, 1.0),
                    "size": 8,
                    "solidity": 0.12,
                },
                name=kind,
                legendgroup=kind,
                showlegend=kind not in shown,
                hoverinfo="skip",
            )
        )
        shown.add(kind)
        bend = _CLICKS**2 * (3 - 2 * _CLICKS)
        click_x += list(place + _NODE_WIDTH / 2 + _CLICKS * (1 - _NODE_WIDTH))
        click_y += list(y0 + (y1 - y0) * bend - count / 2)
        label = f"{count:,}" if len(names) <= _MOST_LABELLED else ""
        # Bands cross in the middle: each has its number where it begins.
        texts += [label if at == 1 else "" for at in range(len(_CLICKS))]
        hover = (
            f"<b>{kind}</b>: {count:,} of {total:,} samples ({percent(count / total)})<br>"
            f"{version_label(row['old'])}: {before}<br>{version_label(row['new'])}: {after}"
        )
        hovers += [hover] * len(_CLICKS)
        keys += [[str(row["old"]), str(row["new"]), before, after]] * len(_CLICKS)
    _add_nodes(figure, names, sizes, tops, total, _INK[dark])
    figure.add_trace(
        go.Scatter(
            x=click_x,
            y=click_y,
            mode="markers+text",
            text=texts,
            hovertext=hovers,
            customdata=keys,
            textposition="middle center",
            textfont={"size": 13, "color": _INK[dark]},
            marker={"size": 22, "opacity": 0},
            selected={"marker": {"opacity": 0}},
            unselected={"marker": {"opacity": 0}, "textfont": {"color": _INK[dark]}},
            hovertemplate="%{hovertext}<extra></extra>",
            showlegend=False,
        )
    )
    shares = {
        place: sizes[place, "right"] / max(1, sizes[place, "right"] + sizes[place, "wrong"])
        for place in range(len(names))
    }
    upright = len(names) <= 5
    longest = 20 if len(names) <= 4 else 16
    figure.update_xaxes(
        tickvals=list(range(len(names))),
        ticktext=[
            f"{wrapped(name, longest) if upright else safe(name, longest=longest)}<br>{percent(shares[place])} right"
            for place, name in enumerate(names)
        ],
        range=[-0.25, len(names) - 1 + 0.25],
        showgrid=False,
        zeroline=False,
        fixedrange=True,
        side="top",
        tickangle=0 if upright else -45,
    )
    figure.update_yaxes(visible=False, fixedrange=True)
    legend = {"orientation": "h", "y": -0.05, "yanchor": "top", "x": 0}
    palette.style(
        figure, 420, legend=legend, dragmode=False, clickmode="event+select", hoverdistance=30, barmode="overlay"
    )
    return figure if upright else figure.update_layout(margin_r=90)  # the last slanted name needs room


def _order(names: Sequence[str], row: dict) -> tuple[int, int, int]:
    return list(names).index(row["old"]), STATES.index(row["old_state"]), STATES.index(row["new_state"])


def _node_sizes(names: Sequence[str], transitions: pd.DataFrame) -> dict[tuple[int, str], int]:
    """Samples of each version in each state."""
    sizes = {(place, state): 0 for place in range(len(names)) for state in STATES}
    for row in transitions.to_dict("records"):
        place = list(names).index(row["old"])
        sizes[place, row["old_state"]] += int(row["samples"])
        if place == len(names) - 2:
            sizes[place + 1, row["new_state"]] += int(row["samples"])
    return sizes


def _node_tops(sizes: dict[tuple[int, str], int], total: int) -> dict[tuple[int, str], float]:
    """Upper edge of each node, counted in samples; right stands above wrong."""
    tops: dict[tuple[int, str], float] = {}
    for place in sorted({place for place, _ in sizes}):
        top = total * (1 + 2 * _GAP)
        for state in STATES:
            tops[place, state] = top
            top -= sizes[place, state] + (_GAP * total if sizes[place, state] else 0)
    return tops


def _add_nodes(
    figure: go.Figure,
    names: Sequence[str],
    sizes: dict[tuple[int, str], int],
    tops: dict[tuple[int, str], float],
    total: int,
    ink: str,
) -> None:
    nodes = [(place, state) for place in range(len(names)) for state in STATES if sizes[place, state]]
    figure.add_trace(
        go.Bar(
            x=[place for place, _ in nodes],
            base=[tops[node] - sizes[node] for node in nodes],
            y=[sizes[node] for node in nodes],
            width=_NODE_WIDTH,
            marker={"color": [_NODE_COLORS[state] for _, state in nodes], "line": {"width": 0}},
            unselected={"marker": {"opacity": 1}},
            hovertext=[
                f"{version_label(names[place])}: {sizes[place, state]:,} of {total:,} samples {state} "
                f"({percent(sizes[place, state] / total)})"
                for place, state in nodes
            ],
            hovertemplate="%{hovertext}<extra></extra>",
            showlegend=False,
        )
    )
    ends = [(place, state) for place, state in nodes if place in (0, len(names) - 1)]
    for place, state in ends:
        first = place == 0
        figure.add_annotation(
            x=place - _NODE_WIDTH / 2 if first else place + _NODE_WIDTH / 2,
            y=tops[place, state] - sizes[place, state] / 2,
            xanchor="right" if first else "left",
            text=f"{state}<br>{sizes[place, state]:,}",
            showarrow=False,
            font={"size": 12, "color": ink},
            xshift=-4 if first else 4,
        )


def _clear(color: str, opacity: float) -> str:
    red, green, blue = (int(color[start : start + 2], 16) for start in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, {opacity})"
