"""Figures that the method's paper published, on other models and data; nothing of it was measured here."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from typing import NamedTuple

import yaml


class PublishedFigure(NamedTuple):
    """One figure of the paper.

    Attributes:
        update: old and new model.
        measure: what was measured, with its unit.
        before: of the plain new version.
        after: with the compatibility adapter.
        change: relative, in per cent, as printed.
        source: table of the paper.
    """

    update: str
    measure: str
    before: float
    after: float
    change: float
    source: str


class Published(NamedTuple):
    """What the paper published.

    Attributes:
        paper: what to cite.
        figures: its figures.
        findings: what it says without both figures, each with its source.
    """

    paper: str
    figures: tuple[PublishedFigure, ...]
    findings: tuple[tuple[str, str], ...]


@lru_cache(maxsize=1)
def published() -> Published:
    """Read the file beside this module."""
    content = yaml.safe_load(files("muscle_core.compat").joinpath("published.yaml").read_text(encoding="utf-8"))
    return Published(
        content["paper"],
        tuple(PublishedFigure(**entry) for entry in content["figures"]),
        tuple((entry["text"], entry["source"]) for entry in content["findings"]),
    )
