"""Tab "All pairs": one measure for pairs of versions on all datasets, or for all versions of the chosen dataset."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import pandas as pd
import streamlit as st

from muscle_core.actions.updates.evaluated_pairs import (
    EvaluatedPair,
    Place,
    evaluated_pairs,
    evaluated_places,
    matching_pairs,
)
from muscle_core.comparison.pair_map import Measure, PairFigure, PairMap
from muscle_core.figures import Cell, cell_map
from muscle_core.figures.text import version_label
from muscle_core.metrics.text import percent, percent_range
from muscle_core.store import Workspace
from muscle_core.ui.chart import chart
from muscle_core.ui.flips import reads, words
from muscle_core.ui.flips.link import to_samples
from muscle_core.ui.flips.reads import Judged
from muscle_core.ui.flips.theme import dark_theme
from muscle_core.ui.frame import plain, wrapping_columns
from muscle_core.ui.numbers import points
from muscle_core.ui.picks import Picks
from muscle_core.ui.url import linked_control, publish, restore

_MOST_PAIRS = 20
_MOST_VERSIONS = 60
_MOST_WITH_NUMBERS = 24  # versions up to which a cell of the matrix has room for its number
_SCALES: dict[Measure, Literal["worse", "better", "change"]] = {
    "nfr": "worse",
    "pfr": "better",
    "nfr_mc": "worse",
    "accuracy_change": "change",
}


def show(home: Workspace, chosen: Picks) -> None:
    """Draw the tab."""
    places = evaluated_places(home)
    left, middle, right = wrapping_columns([2, 3, 2], least=190, key="flips_pairs_options", align="bottom")
    with left:
        view = _choice(words.VIEW, words.VIEWS, "pairs")
    with middle:
        measure: Measure = _choice(words.MEASURE, words.MEASURES, "measure", help_text=words.MEASURE_HELP)  # type: ignore[assignment]
    with right:
        restore("pair_search", "", lambda text: isinstance(text, str))
        search = st.text_input(
            words.SEARCH_PAIRS,
            key="pair_search",
            placeholder=words.SEARCH_PLACEHOLDER,
            help=words.SEARCH_PAIRS_HELP if view == "datasets" else words.SEARCH_VERSIONS_HELP,
        )
        publish("pair_search", search)
    if view == "datasets":
        _datasets(home, chosen, places, measure, search or "")
    else:
        _matrix(home, chosen, places, measure, search or "")


def _choice(label: str, options: dict[str, str], key: str, help_text: str | None = None) -> str:
    return linked_control(label, options, key, format_func=options.__getitem__, wrap=True, help=help_text)


# ---------------------------------------------------------------------------------------------- pairs x datasets


def _datasets(home: Workspace, chosen: Picks, places: list[Place], measure: Measure, search: str) -> None:
    pairs = matching_pairs(evaluated_pairs(home, places), search, (chosen.old.name, chosen.new.name))
    if not pairs:
        st.info(words.NO_PAIR, icon=":material/info:")
        return
    shown = pairs[:_MOST_PAIRS]
    numbers = sorted({number for pair in shown for number in pair.places})
    maps = {number: _map_of(home, places[number], shown) for number in numbers}
    table = pd.DataFrame(
        [
            {"old": pair.old, "new": pair.new, "dataset": places[number].dataset.name, "split": places[number].split}
            | _fields(_figure(maps[number], measure, pair))
            for pair in shown
            for number in numbers
        ]
    ).assign(measure=measure)
    cells = [
        _pair_cell(row, column, pair, number, places[number], maps[number], measure, narrow=len(numbers) > 7)
        for row, pair in enumerate(shown)
        for column, number in enumerate(numbers)
    ]
    chart(
        cell_map(
            [f"{pair.old} → {pair.new}" for pair in shown],
            [places[number].label for number in numbers],
            cells,
            scale=_SCALES[measure],
            dark=dark_theme(),
        ),
        key="flips_pairs_map",
        says=words.pairs_says(f"{len(shown):,}", f"{len(pairs):,}", _largest(table, measure), words.MEASURES[measure]),
        alt=words.CELL_ALT,
        numbers=lambda: table,
        name=f"pairs-{measure}",
        on_click=lambda key: _open(*key),
    )


def _map_of(home: Workspace, place: Place, pairs: Sequence[EvaluatedPair]) -> Judged[PairMap]:
    wanted = {name for pair in pairs for name in (pair.old, pair.new)}
    versions = [version for version in place.versions if version.name in wanted]
    return reads.pair_map_of(home, versions, place.dataset, place.split)


def _figure(read: Judged[PairMap], measure: Measure, pair: EvaluatedPair) -> PairFigure | None:
    return None if read.found is None else read.found.figure(measure, pair.old, pair.new)


def _fields(figure: PairFigure | None) -> dict[str, float | int | None]:
    return dict.fromkeys(PairFigure._fields) if figure is None else figure._asdict()


def _pair_cell(
    row: int,
    column: int,
    pair: EvaluatedPair,
    number: int,
    place: Place,
    read: Judged[PairMap],
    measure: Measure,
    *,
    narrow: bool,
) -> Cell:
    title = f"<b>{version_label(pair.old)} → {version_label(pair.new)}</b><br>{version_label(place.label)}: "
    figure = _figure(read, measure, pair)
    if figure is None:
        if number not in pair.places:
            why = words.NOT_EVALUATED
        else:
            why = words.SCORES_ONLY if {pair.old, pair.new} & set(read.unjudged) else words.NO_SHARED
        return Cell(row, column, None, why, title + why, None)
    text = _value(figure.value, measure)
    if not narrow:
        text += (
            f"<br>{figure.counted:+,} of {figure.n:,}"
            if measure == "accuracy_change"
            else (f"<br>{figure.counted:,} of {figure.n:,}")
        )
    key = [place.dataset.name, place.split, pair.old, pair.new, measure]
    return Cell(row, column, figure.value, text, title + _sentence(figure, measure), key)


# ---------------------------------------------------------------------------------------------- versions x versions


def _matrix(home: Workspace, chosen: Picks, places: list[Place], measure: Measure, search: str) -> None:
    place = next(one for one in places if (one.dataset.id, one.split) == (chosen.dataset.id, chosen.split))
    sought = search.lower().split()
    versions = [one for one in place.versions if not sought or any(word in one.name.lower() for word in sought)]
    if not versions:
        st.info(words.NO_PAIR, icon=":material/info:")
        return
    read = reads.pair_map_of(home, versions, place.dataset, place.split)
    if read.found is None:
        st.info(words.NO_RIGHT_OR_WRONG, icon=":material/info:")
        return
    found = read.found
    accuracies = found.accuracies()
    by_accuracy = sorted(range(len(found.names)), key=lambda v: (-accuracies[v], found.names[v]))
    order = by_accuracy[:_MOST_VERSIONS]
    names = [found.names[v] for v in order]
    values, counts, n = found.values(measure), found.counts(measure), found.flips.n
    with_numbers = len(order) <= _MOST_WITH_NUMBERS
    cells = []
    for row, old in enumerate(order):
        for column, new in enumerate(order):
            title = f"<b>{version_label(found.names[old])} → {version_label(found.names[new])}</b>: "
            value = float(values[old, new])
            if old == new or not math.isfinite(value):
                why = words.ONE_VERSION if old == new else words.NO_SHARED
                cells.append(Cell(row, column, None, why if with_numbers else "", title + why, None))
                continue
            hover = f"{_value(value, measure)} ({counts[old, new]:,} of {n[old, new]:,})"
            key = [place.dataset.name, place.split, found.names[old], found.names[new], measure]
            text = _value(value, measure, short=True) if with_numbers else ""
            cells.append(Cell(row, column, value, text, title + hover, key))
    if read.unjudged:
        st.caption(words.unjudged(plain(", ".join(read.unjudged))))

    def table() -> pd.DataFrame:
        return pd.DataFrame(
            [
                {"old": old, "new": new, "measure": measure} | _fields(found.figure(measure, old, new))
                for old in names
                for new in names
                if old != new
            ]
        )

    chart(
        cell_map(
            [f"{name} ({percent(accuracies[v])})" for name, v in zip(names, order, strict=True)],
            names,
            cells,
            scale=_SCALES[measure],
            dark=dark_theme(),
            cell_height=30 if with_numbers else 18,
            row_title=words.OLD_VERSION,
            column_title=words.NEW_VERSION,
        ),
        key="flips_matrix",
        says=words.matrix_says(
            words.MEASURES[measure],
            f"{len(names):,}",
            f"{len(found.names):,}",
            plain(place.label),
            _n_text(n[order][:, order]),
            _largest_of(found, order, measure, place),
        ),
        alt=words.CELL_ALT,
        numbers=table,
        name=f"versions-{measure}",
        on_click=lambda key: _open(*key),
    )


def _n_text(n: object) -> str:
    import numpy as np

    array = np.asarray(n)
    low, high = int(array.min()), int(array.max())
    return f"{high:,}" if low == high else f"{low:,} to {high:,}"


def _largest_of(found: PairMap, order: Sequence[int], measure: Measure, place: Place) -> str:
    values = found.values(measure)
    pairs = [(old, new) for old in order for new in order if old != new and math.isfinite(values[old, new])]
    if not pairs:
        return ""
    old, new = max(pairs, key=lambda pair: abs(values[pair]))
    figure = found.figure(measure, found.names[old], found.names[new])
    assert figure is not None
    names = plain(found.names[old]), plain(found.names[new])
    return words.largest_says(words.MEASURES[measure], *names, plain(place.label), plain(_sentence(figure, measure)))


# ------------------------------------------------------------------------------------------------------- both maps


def _largest(table: pd.DataFrame, measure: Measure) -> str:
    known = table[table["value"].notna()]
    if known.empty:
        return ""
    row = known.loc[known["value"].astype(float).abs().idxmax()]
    figure = PairFigure(float(row["value"]), int(row["counted"]), int(row["n"]), float(row["low"]), float(row["high"]))
    old, new, dataset = (plain(str(row[name])) for name in ("old", "new", "dataset"))
    return words.largest_says(words.MEASURES[measure], old, new, dataset, plain(_sentence(figure, measure)))


def _value(value: float, measure: Measure, *, short: bool = False) -> str:
    if measure == "accuracy_change":
        return f"{value * 100:+.1f}" if short else points(value)
    return f"{value * 100:.1f}" if short else percent(value)


def _sentence(figure: PairFigure, measure: Measure) -> str:
    sign = "+" if measure == "accuracy_change" else ""
    of = f"{figure.counted:{sign},} of {figure.n:,}"
    return f"{_value(figure.value, measure)} ({of}; 95 % interval {_range(figure, measure)})"


def _range(figure: PairFigure, measure: Measure) -> str:
    if measure == "accuracy_change":
        return f"{figure.low * 100:+.1f} to {figure.high * 100:+.1f}"
    return percent_range(figure.low, figure.high)


def _open(dataset: str, split: str, old: str, new: str, measure: str) -> None:
    quadrant = "Q2" if measure == "pfr" else "Q4"
    to_samples({"quadrant": quadrant}, {"dataset": dataset, "split": split, "old": old, "new": new})
