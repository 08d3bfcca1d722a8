"""Which teacher the strategies follow while they train: share of tokens aligned to the old version, step by step."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from muscle_core.errors import DataError
from muscle_core.figures import palette
from muscle_core.figures.text import version_label
from muscle_core.metrics.text import percent

_HEIGHT = 420
_MOST_POINTS = 400
_DASHES = ("solid", "dash", "dot", "dashdot")


def smoothing_window(shares: pd.DataFrame) -> int:
    """How many steps the running mean of `alignment_chart` spans: an odd number, about 5 % of the longest training."""
    longest = int(shares["step"].max()) if len(shares) else 1
    return max(1, round(longest / 20) // 2 * 2 + 1)


def alignment_chart(shares: pd.DataFrame, window: int) -> go.Figure:
    """Return one line a strategy: the share of answer tokens that follow the old version, over the steps of training.

    The legend gives the end of each line. Several seeds of a strategy are averaged, as far as all of them go. Each
    step's share is of that step's tokens.

    Args:
        shares: result of `muscle_core.actions.strategies.over_seeds.old_shares`: `label`, `strategy`,
            `seed`, `step`, `old_share`.
        window: steps that the centred running mean spans; fewer at both ends.

    Raises:
        DataError: if there is no step.
    """
    if shares.empty:
        raise DataError("no step with a share of tokens aligned to the old version is logged; train a strategy first")
    figure = go.Figure()
    counts: dict[str, int] = {}
    for label, part in shares.groupby("label", sort=False):
        strategy = str(part["strategy"].iloc[0])
        color = palette.strategy_color(strategy)
        number = counts[color] = counts.get(color, -1) + 1  # lines of one colour differ in their dash
        by_seed = part.pivot(index="step", columns="seed", values="old_share").dropna()
        mean = by_seed.mean(axis=1).rolling(window, center=True, min_periods=1).mean()
        every = -(-len(mean) // _MOST_POINTS)
        line = mean[(np.arange(len(mean)) % every == 0) | (np.arange(len(mean)) == len(mean) - 1)]
        seeds = by_seed.shape[1]
        figure.add_trace(
            go.Scatter(
                x=line.index.to_numpy(),
                y=line.to_numpy(dtype=float),
                mode="lines" if len(line) > 1 else "markers",
                name=f"{version_label(str(label))}: {percent(float(line.iloc[-1]))} at its end",
                line={"color": color, "width": 2, "dash": _DASHES[number % len(_DASHES)]},
                hovertemplate=f"<b>{version_label(str(label))}</b>, {seeds} seed{'s' if seeds > 1 else ''}<br>"
                "step %{x:,}: %{y:.1%} of tokens follow the old version<extra></extra>",
            )
        )
    # The legend names the lines in the order of their right ends, the highest first.
    figure.data = sorted(figure.data, key=lambda trace: -trace.y[-1])
    figure.update_xaxes(title="step", rangemode="tozero")
    figure.update_yaxes(title="tokens aligned to the old version", tickformat=".0%", range=[-0.03, 1.03])
    legend = {"orientation": "h", "y": -0.2, "yanchor": "top", "x": 0}
    return palette.style(figure, _HEIGHT, legend=legend, showlegend=True)
