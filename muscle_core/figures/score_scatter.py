"""Score of each sample under the old version against that under the new one."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike, NDArray

from muscle_core.errors import ConfigError, DataError
from muscle_core.figures import palette
from muscle_core.figures.text import safe
from muscle_core.metrics.continuous import as_scores
from muscle_core.metrics.quadrants import check_same_length
from muscle_core.metrics.text import percent

MOST_POINTS = 5_000


def drawn_points(change: NDArray[np.float64], most: int = MOST_POINTS) -> NDArray[np.int64]:
    """Which samples are drawn: all, or evenly many of the order by change, so that both ends are among them.

    Args:
        change: new score minus old one of each sample.
        most: number of samples to draw at most.
    """
    if len(change) <= most:
        return np.arange(len(change))
    order = np.argsort(change, kind="stable")
    return np.sort(order[np.linspace(0, len(change) - 1, most).round().astype(np.int64)])


def score_scatter(
    old: ArrayLike,
    new: ArrayLike,
    sample_ids: Sequence[str] | NDArray,
    *,
    tau: float = 0.0,
    score: str = "score",
    old_name: str = "old",
    new_name: str = "new",
    most: int = MOST_POINTS,
) -> go.Figure:
    """Return one point a sample; below the diagonal it became worse, and within the band it counts as unchanged.

    The counts in the legend are of all samples, also where only some are drawn (see `drawn_points`). The `customdata`
    of a point is the sample's id.

    Args:
        old: scores under the old version.
        new: scores under the new version, in the same order.
        sample_ids: ids in that order.
        tau: changes up to this count as none.
        score: name of the score.
        old_name: name of the old version.
        new_name: name of the new version.
        most: number of points at most.

    Raises:
        DataError: scores that cannot be compared, or none.
        ConfigError: tau is negative or no number.
    """
    if not (tau >= 0 and math.isfinite(tau)):
        raise ConfigError(f"tau, the change of score that is ignored, must be 0 or larger; it is {tau}")
    first, second = as_scores(old, "the old version's scores"), as_scores(new, "the new version's scores")
    check_same_length(first, second, "the old version's scores", "the new version's scores")
    if not len(first):
        raise DataError("there is no score to show")
    change = second - first
    drawn = np.zeros(len(change), dtype=bool)
    drawn[drawn_points(change, most)] = True
    low, high = float(min(first.min(), second.min())), float(max(first.max(), second.max()))
    room = (high - low) * 0.04 or 0.04
    low, high = low - room, high + room
    figure = go.Figure()
    ends = np.array([low, high])
    if tau > 0:
        figure.add_trace(
            go.Scatter(
                x=np.concatenate([ends, ends[::-1]]),
                y=np.concatenate([ends + tau, (ends - tau)[::-1]]),
                mode="none",
                fill="toself",
                fillcolor="rgba(128, 128, 128, 0.22)",
                name=f"unchanged: moved by at most {tau:g}",
                hoverinfo="skip",
            )
        )
    figure.add_trace(
        go.Scatter(
            x=ends,
            y=ends,
            mode="lines",
            line={"color": palette.LINE, "width": 1.5, "dash": "dash"},
            name="no change",
            hoverinfo="skip",
            showlegend=False,
        )
    )
    ids = np.asarray(sample_ids, dtype=object)
    for label, chosen, color, symbol in (
        ("unchanged", np.abs(change) <= tau, palette.NEUTRAL, "circle-open"),
        ("better", change > tau, palette.BETTER, "triangle-up"),
        ("worse", change < -tau, palette.WORSE, "triangle-down"),
    ):
        count = int(np.count_nonzero(chosen))
        here = chosen & drawn
        figure.add_trace(
            go.Scatter(
                x=first[here],
                y=second[here],
                mode="markers",
                name=f"{label}: {count:,} of {len(change):,} ({percent(count / len(change))})",
                customdata=[[str(value)] for value in ids[here]],
                text=[safe(value, longest=60) for value in ids[here]],
                marker={"color": color, "symbol": symbol, "size": 7, "opacity": 0.75},
                unselected={"marker": {"opacity": 0.75}},
                hovertemplate=f"%{{text}}<br>old %{{x:.4f}}, new %{{y:.4f}}: {label}<extra></extra>",
            )
        )
    name = safe(score)
    figure.update_xaxes(title=f"{name}, {safe(old_name, longest=40)}", range=[low, high], showgrid=True)
    figure.update_yaxes(title=f"{name}, {safe(new_name, longest=40)}", range=[low, high])
    legend = {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0}
    return palette.style(figure, 520, legend=legend, dragmode=False, clickmode="event+select")
