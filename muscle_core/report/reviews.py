"""What people said of the flips, as tables of a report."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from muscle_core.metrics.rates import Rate
from muscle_core.metrics.text import percent, percent_range, share
from muscle_core.report.data import ReviewerPair, Reviews
from muscle_core.report.tables import DASH, Cell, Table
from muscle_core.report.text import one_line

MOST_NOTES = 50
LONGEST_NOTE = 500
_CAPTIONS = {
    "verdict": "Verdicts on the reviewed samples",
    "cause": "Causes that people named",
    "severity": "How bad it is for the user",
}


def reviews_values(reviews: Reviews, what: str) -> dict[str, Any]:
    """What the section of a report shows.

    Args:
        reviews: what people said.
        what: the samples that were to be reviewed, such as "negative flips".
    """
    people = "1 person" if reviews.reviewers == 1 else f"{reviews.reviewers:,} people"
    of = reviews.reviewed
    return {
        "what": what,
        "sentence": (
            f"{share(of)} {what} were reviewed by {people} with the answers as they are now."
            if of.numerator
            else f"None of the {of.denominator:,} {what} has been reviewed with the answers as they are now."
        ),
        "stale": reviews.stale,
        "shares": [_shares(_CAPTIONS[label], label, rates) for label, rates in reviews.shares.items() if rates],
        "agreement": _agreement(reviews) if reviews.pairs else None,
        "why": [_why(pair) for pair in reviews.pairs if pair.agreement.why],
        "notes": _notes(reviews),
    }


def said_of(reviews: Reviews | None) -> Mapping[str, list[str]]:
    """What each person said of a sample, by sample id, one line a person."""
    found: dict[str, list[str]] = {}
    if reviews is not None:
        for row in reviews.said.to_dict("records"):
            found.setdefault(row["sample_id"], []).append(f"{one_line(row['reviewer'], 80)}: {_words(row)}")
    return found


def _words(row: Mapping[Any, Any]) -> str:
    labels = ", ".join(one_line(row[name], 80) for name in ("verdict", "cause", "severity") if row[name])
    return f"{labels}. {one_line(row['note'], LONGEST_NOTE)}" if row["note"] else labels


def _shares(caption: str, label: str, rates: Mapping[str, Rate]) -> Table:
    rows = [
        (
            Cell(one_line(name, 80)),
            Cell(share(value)),
            Cell(percent(value.value), f"[{percent_range(value.low, value.high)}]", value.value),
        )
        for name, value in rates.items()
    ]
    return Table(caption, (label, "samples", "share"), "lrr", rows)


def _agreement(reviews: Reviews) -> Table:
    rows = []
    for pair in reviews.pairs:
        found = pair.agreement
        exact = found.exact
        kappa = DASH if math.isnan(found.kappa) else f"{found.kappa:.2f}"
        between = "" if math.isnan(found.low) else f"[{found.low:.2f}, {found.high:.2f}]"
        alike = (
            Cell(percent(exact.value), f"{share(exact)}\n[{percent_range(exact.low, exact.high)}]")
            if exact.denominator
            else Cell(DASH)
        )
        rows.append((Cell(_names(pair), pair.label), Cell(f"{found.n:,}"), alike, Cell(kappa, between)))
    columns = ("two people, and on what", "samples", "the same", "Cohen's kappa")
    return Table(
        "Agreement of those who reviewed the same samples; brackets hold 95 % intervals", columns, "lrrr", rows
    )


def _names(pair: ReviewerPair) -> str:
    return f"{one_line(pair.first, 80)} and {one_line(pair.second, 80)}"


def _why(pair: ReviewerPair) -> str:
    return f"{_names(pair)}, {pair.label}: {pair.agreement.why}."


def _notes(reviews: Reviews) -> Table | None:
    noted = [row for row in reviews.said.to_dict("records") if row["note"]]
    if not noted:
        return None
    rows = []
    for row in noted[:MOST_NOTES]:
        labels = ", ".join(one_line(row[name], 80) for name in ("verdict", "cause", "severity") if row[name])
        rows.append(
            (
                Cell(one_line(row["sample_id"])),
                Cell(one_line(row["note"], LONGEST_NOTE)),
                Cell(labels),
                Cell(one_line(row["reviewer"], 80)),
            )
        )
    more = f", the first {MOST_NOTES} of {len(noted):,}" if len(noted) > MOST_NOTES else ""
    return Table(f"Notes{more}", ("sample", "note", "said", "by"), "llll", rows)
