"""Curves of a training run, step by step."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from muscle_core.errors import DataError
from muscle_core.figures import palette

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
