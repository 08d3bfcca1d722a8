"""Figures and texts put into one HTML file that needs nothing else: no network, no other file, no account."""

from __future__ import annotations

import base64
import hashlib
from datetime import datetime
from functools import lru_cache
from importlib.resources import files
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from muscle_core.comparison.verdict import floor_text, verdict
from muscle_core.errors import ConfigError
from muscle_core.metrics.text import SIGNIFICANCE_LEVEL
from muscle_core.report import charts, tables
from muscle_core.report.data import ReportData, Slices
from muscle_core.report.examples import LONGEST_ANSWER, LONGEST_INPUT, examples_of
from muscle_core.report.reviews import reviews_values
from muscle_core.report.telling import telling_samples
from muscle_core.report.text import one_line, visible

THEMES = ("auto", "light", "dark")
MOST_FLIPS = 500
MOST_SLICES = 10
MOST_PAIRS = 12


def render_report(data: ReportData, *, theme: str = "auto") -> str:
    """Return a report as one HTML page; the same data gives the same text.

    Args:
        data: what it shows.
        theme: "light", "dark", or "auto" for that of the reader's system. It is always printed light.

    Raises:
        ConfigError: no such theme, or a number of flips that no page can hold.
    """
    if theme not in THEMES:
        raise ConfigError(f"there is no theme {theme!r} for a report; choose one of {', '.join(THEMES)}.")
    check_flips(data.flips)
    scripts = {"plotly": _plotly(), "own": _file("report.js")}
    values = _values(data)
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            theme=theme,
            style=Markup(_file("report.css")),
            scripts={name: Markup(text) for name, text in scripts.items()},
            # No script but these two may run, and nothing may be fetched, whatever a text of the data holds.
            script_hashes=Markup(" ".join(f"'sha256-{_hash(text)}'" for text in scripts.values())),
            **values,
        )
    )


def check_flips(flips: int) -> None:
    """Refuse a number of flips that no page can hold.

    Raises:
        ConfigError: naming the limits.
    """
    if not 0 <= flips <= MOST_FLIPS:
        raise ConfigError(f"a report shows 0 to {MOST_FLIPS} flips, not {flips}.")


def _values(data: ReportData) -> dict[str, Any]:
    comparison = data.comparison
    spread = _spread_column(data)
    telling = telling_samples(data.samples, comparison, data.flips, spread_column=spread)
    drawn = {
        "rates": charts.rates(data),
        "score": charts.score_histogram(data),
        "strategies": charts.strategies(data),
    }
    flipped = data.samples[(data.samples["quadrant"] == "Q4").fillna(False)]
    left_out = comparison.join.reasons(comparison.old_name, comparison.new_name)
    return {
        "data": data,
        "comparison": comparison,
        "counts": comparison.counts,
        "judgement": data.judgement,
        "dataset": data.provenance.dataset,
        "cards": tables.cards(comparison),
        "quadrants": tables.quadrant_cells(comparison) if comparison.counts is not None else None,
        "rates": tables.rates_table(comparison) if comparison.rates else None,
        "scores": tables.scores_table(comparison) if comparison.continuous else None,
        "score_name": None if comparison.score is None else tables.score_name(comparison.score),
        "left_out": [f"{count:,} {what}" for count, what in left_out if count],
        "noise": data.noise,
        "floor": None if data.noise is None else _sentence(floor_text(data.noise)),
        "runs": None if data.noise is None else tables.noise_table(data.noise, MOST_PAIRS),
        "verdict": verdict(comparison),
        "why": _sentence(data.judgement.sentence.removeprefix(f"{data.judgement.word}: ")),
        "repairs": _repairs(data),
        "slices": _slices(data),
        "searched": _searched(data),
        "margins": "old_margin" in data.samples,
        "causes": tables.causes_table(flipped) if "cause" in flipped and len(flipped) else None,
        "people": None if data.reviews is None else reviews_values(data.reviews, telling.what),
        "telling": telling,
        "examples": examples_of(data, telling),
        "charts": {name: chart for name, chart in drawn.items() if chart is not None},
        "provenance": data.provenance,
        "limits": {"input": LONGEST_INPUT, "answer": LONGEST_ANSWER, "level": SIGNIFICANCE_LEVEL},
        "title": f"{comparison.old_name} → {comparison.new_name}",
    }


def _sentence(text: str) -> str:
    """A text with a capital in front and a full stop behind."""
    return f"{text[:1].upper()}{text[1:].removesuffix('.')}."


def _repairs(data: ReportData) -> list[tables.Table]:
    """What was trained beside the plain new version: over seeds, and one by one what has no seed."""
    made = []
    if data.over_seeds is not None:
        caption = "Trained strategies, each the mean over its seeds; brackets hold 95 % intervals"
        made.append(tables.variants_table(data.over_seeds, caption, "label"))
    if data.variants is not None:
        caption = "Versions beside the plain new one; brackets hold 95 % intervals"
        made.append(tables.variants_table(data.variants, caption, "label"))
    return made


def _slices(data: ReportData) -> list[tables.Table]:
    if data.slices is None:
        return []
    by_value, found = _by_p(data.slices.by_value), _combinations(data.slices)
    made = []
    if len(by_value):
        more = f", the {MOST_SLICES} with the smallest p" if len(by_value) > MOST_SLICES else ""
        caption = f"By one property: {len(by_value):,} slices of at least {data.slices.minimum:,} samples{more}"
        made.append(tables.slices_table(by_value.head(MOST_SLICES), caption, SIGNIFICANCE_LEVEL))
    if len(found):
        tested = f"{data.slices.found.attrs['tested']:,} slices of at least {data.slices.minimum:,} samples"
        caption = f"Combinations of properties that break more than their parts, found among {tested}"
        made.append(tables.slices_table(found.head(MOST_SLICES), caption, SIGNIFICANCE_LEVEL))
    return made


def _combinations(slices: Slices) -> pd.DataFrame:
    """What the search found beyond single properties, which the other table holds."""
    return slices.found[slices.found["conditions"] > 1]


def _searched(data: ReportData) -> str:
    """What is to be said of a search that found no combination."""
    if data.slices is None or len(_combinations(data.slices)):
        return ""
    tested = data.slices.found.attrs["tested"]
    return (
        f"A search among {tested:,} slices found no combination of properties that breaks clearly more than its parts."
    )


def _by_p(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.sort_values(["p_adjusted", "p", "slice"], na_position="last", kind="stable")


def _spread_column(data: ReportData) -> str | None:
    """The metadata field of the slice with the smallest p; None without one."""
    if data.slices is None or not len(data.slices.by_value):
        return None
    columns = [f"meta.{name}" for name in _by_p(data.slices.by_value)["column"]]
    return next((column for column in columns if column in data.samples), None)


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("muscle_core.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "visible": visible,
        "line": one_line,
        "tight": lambda text: text.replace(" %", "\u00a0%").replace("–", "\u2060–\u2060"),
        "moment": _moment,
    }
    return environment


def _moment(value: datetime) -> str:
    return f"{value:%-d %B %Y, %H:%M} {value.tzname() or ''}".strip()


@lru_cache(maxsize=4)
def _file(name: str) -> str:
    return (files("muscle_core.report") / name).read_text(encoding="utf-8")


@lru_cache(maxsize=1)
def _plotly() -> str:
    from plotly.offline import get_plotlyjs

    return get_plotlyjs()


@lru_cache(maxsize=4)
def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
