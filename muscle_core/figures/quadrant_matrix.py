"""Matrix of right and wrong, old version against new."""

from __future__ import annotations

import plotly.graph_objects as go

from muscle_core.comparison.comparison import Comparison
from muscle_core.errors import DataError
from muscle_core.figures import palette
from muscle_core.figures.text import version_label
from muscle_core.metrics.quadrants import Quadrant, QuadrantCounts
from muscle_core.metrics.text import percent

# Column (new right, new wrong) and bottom edge (old wrong below, old right above) of each cell.
_PLACES = {Quadrant.Q1: (0, 1), Quadrant.Q4: (1, 1), Quadrant.Q2: (0, 0), Quadrant.Q3: (1, 0)}
# So light that dark text stands out; the browser's tables too choose dark text on them.
QUADRANT_FILLS = {
    Quadrant.Q1: palette.tint(palette.GREY, 0.35),
    Quadrant.Q2: palette.tint(palette.BETTER, 0.6),
    Quadrant.Q3: palette.tint(palette.YELLOW, 0.55),
    Quadrant.Q4: palette.tint(palette.WORSE, 0.45),
}


def quadrant_matrix(comparison: Comparison) -> go.Figure:
    """Return the 2x2 matrix of quadrants: rows old right/wrong, columns new right/wrong.

    Each cell is one point of the single trace; its `customdata` is the quadrant's key ("Q1" to "Q4"), so that
    a click can be mapped to samples.

    Args:
        comparison: the two versions compared.

    Raises:
        DataError: if the comparison has no right and wrong.
    """
    counts = comparison.counts
    if counts is None:
        raise DataError("there is no right and wrong in this comparison, so that it has no quadrant matrix")
    order = list(_PLACES)
    figure = go.Figure(
        # Cells are bars and not a heat map: Plotly lets people select bars by a click.
        go.Bar(
            x=[_PLACES[quadrant][0] for quadrant in order],
            base=[_PLACES[quadrant][1] for quadrant in order],
            y=[1.0] * 4,
            width=1.0,
            text=[_cell_text(quadrant, counts) for quadrant in order],
            customdata=[[quadrant.value] for quadrant in order],
            textposition="inside",
            insidetextanchor="middle",
            textangle=0,
            constraintext="none",
            textfont={"size": 14},
            marker={
                "color": [QUADRANT_FILLS[quadrant] for quadrant in order],
                "line": {"color": palette.LINE, "width": 1},
            },
            unselected={"marker": {"opacity": 0.5}},
            hovertemplate="%{text}<extra></extra>",
            showlegend=False,
        )
    )
    old, new = version_label(comparison.old_name), version_label(comparison.new_name)
    figure.update_xaxes(tickvals=[0, 1], ticktext=[f"{new}<br>right", f"{new}<br>wrong"], side="top", range=[-0.5, 1.5])
    figure.update_yaxes(tickvals=[0.5, 1.5], ticktext=[f"{old}<br>wrong", f"{old}<br>right"], range=[0, 2])
    figure.update_xaxes(showgrid=False, zeroline=False, fixedrange=True)
    figure.update_yaxes(showgrid=False, zeroline=False, fixedrange=True)
    return palette.style(figure, 340, bargap=0, barmode="overlay", dragmode=False, clickmode="event+select")


def _cell_text(quadrant: Quadrant, counts: QuadrantCounts) -> str:
    count = counts.of(quadrant)
    lines = [
        f"{quadrant.value} · {quadrant.label}",
        f"<b>{count:,}</b> of {counts.n:,} · {percent(count / counts.n)}",
    ]
    if quadrant is Quadrant.Q3:
        lines.append(f"same answer {counts.q3_same:,}<br>changed {counts.q3_changed:,}")
    return "<br>".join(lines)
