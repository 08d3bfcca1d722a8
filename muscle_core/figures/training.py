"""Curves of a training run, step by step, and of two."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from muscle_core.errors import DataError
from muscle_core.figures import palette
from muscle_core.figures.text import version_label

# Title of each panel, then the columns in it: column, label, colour, dash.
_Line = tuple[str, str, str, str]
_PANELS: tuple[tuple[str, tuple[_Line, ...], str], ...] = (
    ("loss", (("loss", "loss", palette.BLUE, "solid"),), ""),
    ("tokens aligned to old", (("old_share", "share", palette.ORANGE, "solid"),), ".0%"),
    (
        "KL: old dashed, new solid",
        (
            ("kl_old", "to the old version", palette.OLD, "dash"),
            ("kl_new", "to the new version", palette.NEW, "solid"),
        ),
        "",
    ),
    ("token accuracy", (("token_accuracy", "token accuracy", palette.GREEN, "solid"),), ".0%"),
    ("learning rate", (("learning_rate", "learning rate", palette.PURPLE, "solid"),), ".1e"),
)
_COLUMNS = 2
_PANEL_HEIGHT = 220


def training_curves(metrics: pd.DataFrame) -> go.Figure:
    """Return one panel a quantity over the steps of a training run; columns without a value are left out.

    Args:
        metrics: one row a logged step; columns `step`, `loss`, `old_share`, `kl_old`, `kl_new`,
            `token_accuracy`, `learning_rate`, of which any but `step` may be missing.

    Raises:
        DataError: if there is no step, or nothing to draw.
    """
    if "step" not in metrics.columns or metrics.empty:
        raise DataError("no step of this training run is logged yet; look again when it has started")
    ordered = metrics.sort_values("step", kind="stable")
    panels = []
    for title, all_lines, tick_format in _PANELS:
        present = [line for line in all_lines if line[0] in ordered.columns and ordered[line[0]].notna().any()]
        if present:
            panels.append((title, present, tick_format))
    if not panels:
        raise DataError("the log of this training run holds steps but no loss, share, accuracy or learning rate")
    rows = -(-len(panels) // _COLUMNS)
    figure = make_subplots(
        rows=rows,
        cols=_COLUMNS,
        subplot_titles=[title for title, _, _ in panels],
        vertical_spacing=0.35 / rows if rows > 1 else 0.0,
        horizontal_spacing=0.12,
    )
    figure.update_annotations(font_size=13)  # the titles fit beside each other on a narrow page
    for position, (_, lines, tick_format) in enumerate(panels):
        row, column = position // _COLUMNS + 1, position % _COLUMNS + 1
        for name, label, color, dash in lines:
            known = ordered[["step", name]].dropna()
            figure.add_trace(
                go.Scatter(
                    x=known["step"].to_numpy(),
                    y=known[name].to_numpy(dtype=float),
                    # A single logged step would be invisible as a line.
                    mode="lines" if len(known) > 1 else "markers",
                    name=label,
                    line={"color": color, "dash": dash},
                    showlegend=False,
                    hovertemplate=f"step %{{x:,}}<br>{label} %{{y}}<extra></extra>",
                ),
                row=row,
                col=column,
            )
        figure.update_yaxes(tickformat=tick_format or None, row=row, col=column)
        if position + _COLUMNS >= len(panels):
            figure.update_xaxes(title="step", row=row, col=column)
    return palette.style(figure, 40 + _PANEL_HEIGHT * rows)


# What `compared_curves` can show, by column: title of the axis and its format.
COMPARED = {
    "loss": ("loss, nats a token", ""),
    "old_share": ("tokens aligned to old", ".0%"),
    "token_accuracy": ("token accuracy", ".0%"),
}
_HEIGHT = 290
_LOOKS = ((palette.BLUE, "solid"), (palette.VERMILION, "dash"))


def running_means(metrics: pd.DataFrame, column: str, window: int) -> pd.Series:
    """Mean of a quantity over the last steps, by step; steps where it was not measured are left out.

    Args:
        metrics: one row a logged step, with `step` and the column.
        column: the quantity.
        window: how many steps each mean spans; fewer at the beginning.
    """
    known = metrics.dropna(subset=[column]).sort_values("step", kind="stable").set_index("step")[column]
    return known.astype(float).rolling(window, min_periods=1).mean()


def compared_curves(first: pd.DataFrame, second: pd.DataFrame, names: tuple[str, str], column: str) -> go.Figure:
    """Return one quantity of two training runs over their steps, each as a running mean over the steps themselves.

    Args:
        first: one row a logged step, as of `training_curves`.
        second: the same of the other run.
        names: of both, for the legend.
        column: of `COMPARED`; a run that has no value of it has no line.

    Raises:
        DataError: neither run has a value.
    """
    title, tick_format = COMPARED[column]
    window = mean_window(first, second)
    figure = go.Figure()
    for metrics, name, (color, dash) in zip((first, second), names, _LOOKS, strict=True):
        if column not in metrics or not metrics[column].notna().any():
            continue
        known = metrics[["step", column]].dropna().sort_values("step", kind="stable")
        mean = running_means(metrics, column, window)
        label = version_label(name)
        figure.add_trace(
            go.Scatter(
                x=known["step"].to_numpy(),
                y=known[column].to_numpy(dtype=float),
                mode="lines",
                name=f"{label}, single steps",
                line={"color": color, "width": 1},
                opacity=0.25,
                hoverinfo="skip",
                showlegend=False,
            )
        )
        figure.add_trace(
            go.Scatter(
                x=mean.index.to_numpy(),
                y=mean.to_numpy(),
                mode="lines" if len(mean) > 1 else "markers",
                name=label,
                line={"color": color, "width": 2.5, "dash": dash},
                hovertemplate=f"{label}<br>step %{{x:,}}: %{{y}}<extra></extra>",
            )
        )
    if not figure.data:
        raise DataError(f"neither training has logged a value of {column!r}")
    figure.update_xaxes(title="step")
    figure.update_yaxes(title=title, tickformat=tick_format or None)
    legend = {"orientation": "h", "y": -0.28, "yanchor": "top", "x": 0}
    return palette.style(figure, _HEIGHT, legend=legend, showlegend=True)


def mean_window(*runs: pd.DataFrame) -> int:
    """How many steps the running means span: a twentieth of the longer training."""
    return max(1, max((len(metrics) for metrics in runs), default=0) // 20)
