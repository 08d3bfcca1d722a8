"""How the score of each sample moved."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from muscle_core.comparison.comparison import Comparison
from muscle_core.errors import ConfigError
from muscle_core.figures import palette
from muscle_core.figures.text import percent, safe

BINS_EACH_SIDE = 20


def score_change_histogram(comparison: Comparison, score: str) -> go.Figure:
    """Return the histogram of new - old for one score, split into worse, unchanged and better.

    Binned here and not in the browser: a figure stays small however many samples there are.

    Args:
        comparison: the two versions compared.
        score: name of the score, such as "rouge1".

    Raises:
        ConfigError: if the comparison does not hold this score.
    """
    if score not in comparison.continuous:
        known = ", ".join(comparison.continuous) or "none"
        raise ConfigError(f"the comparison has no score {score!r}; the scores in it are: {known}")
    change = comparison.samples[f"delta_{score}"].to_numpy(dtype=np.float64)
    tau = comparison.tau
    limit = float(np.abs(change).max()) or 1.0
    width = limit / (BINS_EACH_SIDE - 0.5)
    # The middle bin lies around 0, so that unchanged samples do not fall to one side.
    edges = (np.arange(2 * BINS_EACH_SIDE) - BINS_EACH_SIDE + 0.5) * width
    edges[0], edges[-1] = min(edges[0], -limit), max(edges[-1], limit)
    unchanged = "unchanged" if tau == 0 else f"moved by at most {tau:g}"
    groups: list[tuple[str, NDArray[np.bool_], str, str]] = [
        ("worse", change < -tau, palette.WORSE, "/"),
        (unchanged, np.abs(change) <= tau, palette.NEUTRAL, ""),
        ("better", change > tau, palette.BETTER, "\\"),
    ]
    figure = go.Figure()
    for label, chosen, color, pattern in groups:
        size = int(np.count_nonzero(chosen))
        heights, _ = np.histogram(change[chosen], bins=edges)
        figure.add_trace(
            go.Bar(
                x=(edges[:-1] + edges[1:]) / 2,
                y=heights,
                width=width,
                name=f"{label}: {size:,} of {len(change):,} ({percent(size / len(change))})",
                marker={"color": color, "pattern": {"shape": pattern, "solidity": 0.25}},
                hovertemplate=f"{label}<br>change about %{{x:.4f}}<br>%{{y:,}} samples<extra></extra>",
            )
        )
    figure.update_xaxes(title=f"change of {safe(score)} (new − old)")
    figure.update_yaxes(title="samples")
    return palette.style(
        figure,
        360,
        barmode="stack",
        bargap=0,
        legend={"orientation": "h", "traceorder": "normal", "y": 1.02, "yanchor": "bottom", "x": 0},
    )
