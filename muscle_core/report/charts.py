"""The Plotly figures of a report, each with the text that stands for it where it cannot be seen."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import plotly.graph_objects as go

from muscle_core.figures import rates_chart, score_change_histogram, strategy_chart
from muscle_core.report.data import ReportData
from muscle_core.report.text import score_name


class Chart(NamedTuple):
    """A figure of the report.

    Attributes:
        key: names it within the page.
        alt: what it shows, for those who cannot see it.
        caption: what to read in it.
        height: in pixels.
        figure: data and layout for Plotly.
    """

    key: str
    alt: str
    caption: str
    height: int
    figure: dict[str, Any]


def _chart(key: str, alt: str, caption: str, figure: go.Figure) -> Chart:
    # Streamlit makes its own template the default of its process; a report looks the same wherever it was made.
    figure.update_layout(template="plotly")
    content = json.loads(figure.to_json())
    return Chart(key, alt, caption, int(figure.layout.height), {"data": content["data"], "layout": content["layout"]})


def rates(data: ReportData) -> Chart | None:
    """Accuracies and flip rates with intervals; None for a task without right and wrong."""
    if data.comparison.counts is None:
        return None
    return _chart(
        "rates",
        "Accuracy of both versions and the flip rates as points with 95 % intervals; the table below has the numbers.",
        "Shares of all samples. Bars are Wilson 95 % intervals.",
        rates_chart(data.comparison),
    )


def score_histogram(data: ReportData) -> Chart | None:
    """Change of the leading score; None without a score."""
    score = data.comparison.score
    if score is None:
        return None
    name = score_name(score)
    return _chart(
        "score",
        f"Histogram of the change of {name} from the old to the new version, sample by sample.",
        f"Samples left of 0 have a lower {name} than before.",
        score_change_histogram(data.comparison, score),
    )


def strategies(data: ReportData) -> Chart | None:
    """Flips against accuracy of what was trained; None where nothing was."""
    frame = data.over_seeds if data.over_seeds is not None else data.variants
    if frame is None or len(frame) < 2:
        return None
    charted = frame.assign(family=frame["strategy"], strategy=frame["label"])
    flips = data.comparison.counts is not None
    up, across = ("negative flip rate", "accuracy") if flips else ("mean regression", "mean change of the score")
    return _chart(
        "strategies",
        f"{up} against {across} of the plain new version and of what was trained; the table has the numbers.",
        f"Low and to the right is best: low {up}, high {across}. Dotted lines mark the plain new version.",
        strategy_chart(charted),
    )
