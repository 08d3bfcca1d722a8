"""Plotly figures of an update, shared by the pages and the exported report; no Streamlit in here."""

from __future__ import annotations

from muscle_core.figures.alignment import alignment_chart, smoothing_window
from muscle_core.figures.causes import cause_bars
from muscle_core.figures.cells import Cell, cell_map
from muscle_core.figures.choices import choice_bars
from muscle_core.figures.flow import flow_chart
from muscle_core.figures.quadrant_matrix import quadrant_matrix
from muscle_core.figures.rates_chart import rates_chart
from muscle_core.figures.score_change import score_change_histogram
from muscle_core.figures.score_scatter import drawn_points, score_scatter
from muscle_core.figures.slices import slice_chart
from muscle_core.figures.strategies import limits_of, outside, strategy_chart
from muscle_core.figures.training import compared_curves, mean_window, running_means, training_curves

__all__ = [
    "Cell",
    "alignment_chart",
    "cause_bars",
    "cell_map",
    "choice_bars",
    "compared_curves",
    "drawn_points",
    "flow_chart",
    "limits_of",
    "mean_window",
    "outside",
    "quadrant_matrix",
    "rates_chart",
    "running_means",
    "score_change_histogram",
    "score_scatter",
    "slice_chart",
    "smoothing_window",
    "strategy_chart",
    "training_curves",
]
