"""The report of an update for stakeholders: one HTML file from figures that are already there. Reads no workspace."""

from __future__ import annotations

from muscle_core.report.data import (
    CompatEffect,
    DatasetFacts,
    Provenance,
    ReportData,
    ReviewerPair,
    Reviews,
    RunFacts,
    Slices,
    VersionFacts,
)
from muscle_core.report.page import THEMES, render_report
from muscle_core.report.telling import Telling, telling_samples

__all__ = [
    "THEMES",
    "CompatEffect",
    "DatasetFacts",
    "Provenance",
    "ReportData",
    "ReviewerPair",
    "Reviews",
    "RunFacts",
    "Slices",
    "Telling",
    "VersionFacts",
    "render_report",
    "telling_samples",
]
