"""Links to the Samples page: which filters its URL can hold, and how another page opens it with some of them.

URL parameters, all optional; unknown values are ignored:
    quadrant: Q1, Q2, Q3, Q4, Q3-same or Q3-changed.
    cause: cause of a negative flip, as the rules name it.
    search: words in the input or the answers.
    slice: "field=value" of a field of the samples as `comparison.conditions` names it; several are joined by "&"; a
        metadata field with or without its "meta.".
    change: "score:low:high", the new score minus the old one lies in [low, high); either may be empty.
    right, wrong: names of versions, joined by ",", which answered the sample rightly or wrongly.
    answers: "different" for samples whose answers differ.
    sort: dataset, surest, new_wrong, loss:<score>, gain:<score>, shortest, longest or id.
    rows: 25, 50 or 100 a page.
    page: counted from 1.
    sample: id of the sample that is shown below the table.
"""

from __future__ import annotations

from collections.abc import Mapping

from muscle_core.ui.frame import go

FILTERS = ("quadrant", "cause", "search", "slice", "change", "right", "wrong", "answers")
VIEW = (*FILTERS, "sort", "rows", "page", "sample")


def open_samples(filters: Mapping[str, str], picks: Mapping[str, str] | None = None) -> None:
    """Open the Samples page with exactly these filters; those of an earlier visit are dropped.

    Args:
        filters: URL parameters of `VIEW`.
        picks: of the sidebar (`dataset`, `split`, `old`, `new`, `compat`) where they change.
    """
    go("samples", {**(picks or {}), **filters}, afresh=VIEW)
