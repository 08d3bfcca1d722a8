"""How the score of each sample moved."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from muscle_core.comparison.comparison import Comparison
from muscle_core.errors import ConfigError
from muscle_core.figures import palette
from muscle_core.figures.text import SCORE_NAMES, safe
from muscle_core.metrics.text import percent

BINS_EACH_SIDE = 20


def score_change_histogram(comparison: Comparison, score: str, tau: float | None = None) -> go.Figure:
    """Return the histogram of new - old for one score, split into worse, unchanged and better.

    Binned here and not in the browser: a figure stays small however many samples there are. The `customdata` of a bar
    is the range of changes that it counts, "score:low:high": low is in it, high is not, and an empty one is no limit.

    Args:
        comparison: the two versions compared.
        score: name of the score, such as "rouge1".
        tau: changes up to this count as none; by default those of the comparison.

    Raises:
        ConfigError: if the comparison does not hold this score, or tau is negative or no number.
    """
    if score not in comparison.continuous:
        known = ", ".join(comparison.continuous) or "none"
        raise ConfigError(f"the comparison has no score {score!r}; the scores in it are: {known}")
    change = comparison.samples[f"delta_{score}"].to_numpy(dtype=np.float64)
    tau = comparison.tau if tau is None else tau
    if not (tau >= 0 and math.isfinite(tau)):
        raise ConfigError(f"tau, the change of score that is ignored, must be 0 or larger; it is {tau}")
    limit = float(np.abs(change).max()) or 1.0
    width = limit / (BINS_EACH_SIDE - 0.5)
    # The middle bin lies around 0, so that unchanged samples do not fall to one side.
    edges = (np.arange(2 * BINS_EACH_SIDE) - BINS_EACH_SIDE + 0.5) * width
    edges[0], edges[-1] = min(edges[0], -limit), max(edges[-1], limit)
    unchanged = "unchanged" if tau == 0 else f"moved by at most {tau:g}"
    above = math.nextafter(tau, math.inf)
    groups: list[tuple[str, NDArray[np.bool_], str, str, float, float]] = [
        ("worse", change < -tau, palette.WORSE, "/", -math.inf, -tau),
        (unchanged, np.abs(change) <= tau, palette.NEUTRAL, "", -tau, above),
        ("better", change > tau, palette.BETTER, "\\", above, math.inf),
    ]
    figure = go.Figure()
    for label, chosen, color, pattern, low, high in groups:
        size = int(np.count_nonzero(chosen))
        heights, _ = np.histogram(change[chosen], bins=edges)
        figure.add_trace(
            go.Bar(
                x=(edges[:-1] + edges[1:]) / 2,
                y=heights,
                width=width,
                name=f"{label}: {size:,} of {len(change):,} ({percent(size / len(change))})",
                customdata=[[f"{score}:{_text(a)}:{_text(b)}"] for a, b in _ranges(edges, low, high)],
                marker={"color": color, "pattern": {"shape": pattern, "solidity": 0.25}},
                unselected={"marker": {"opacity": 1}},
                hovertemplate=f"{label}<br>change about %{{x:.4f}}<br>%{{y:,}} samples<extra></extra>",
            )
        )
    figure.update_xaxes(title=f"change of {safe(SCORE_NAMES.get(score, score))} (new − old)")
    figure.update_yaxes(title="samples")
    return palette.style(
        figure,
        360,
        barmode="stack",
        bargap=0,
        legend={"orientation": "h", "traceorder": "normal", "y": 1.02, "yanchor": "bottom", "x": 0},
    )


def _ranges(edges: NDArray[np.floating], low: float, high: float) -> Iterator[tuple[float, float]]:
    """What of each bin lies in [low, high); the outermost bins have no limit of their own."""
    outer = [-math.inf, *edges[1:-1].tolist(), math.inf]
    return ((max(a, low), min(b, high)) for a, b in pairwise(outer))


def _text(limit: float) -> str:
    """A limit that reads back as the same number; nothing where there is none."""
    return repr(limit) if math.isfinite(limit) else ""
