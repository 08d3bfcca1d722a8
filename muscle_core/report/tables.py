"""Figures as the tables of a report: text for people, every rate with its counts and its interval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import pandas as pd

from muscle_core.comparison.comparison import Comparison
from muscle_core.comparison.noise import NoiseFloor
from muscle_core.comparison.table_text import is_known
from muscle_core.metrics.continuous import ScoreChange
from muscle_core.metrics.rates import Interval, Rate, rate
from muscle_core.metrics.text import p_text, percent, percent_range, share
from muscle_core.report.text import one_line, score_name

DASH = "–"
_Row = dict[str, Any]


class Cell(NamedTuple):
    """A cell of a table.

    Attributes:
        text: what it says.
        detail: further lines in smaller type, such as an interval.
        share: from 0 to 1 where a bar shows it, else None.
    """

    text: str
    detail: str = ""
    share: float | None = None


class Table(NamedTuple):
    """A table.

    Attributes:
        caption: says what it shows.
        columns: headings.
        align: for each column "l" for text or "r" for numbers.
        rows: one cell a column.
        marked: numbers of the rows that stand out.
    """

    caption: str
    columns: tuple[str, ...]
    align: str
    rows: Sequence[tuple[Cell, ...]]
    marked: frozenset[int] = frozenset()


class Card(NamedTuple):
    """A key figure.

    Attributes:
        label: what it is.
        value: the figure.
        detail: its counts or its interval, line by line.
        tone: "worse" or "better" where the figure counts what broke or what was gained.
    """

    label: str
    value: str
    detail: tuple[str, ...]
    tone: str = ""


def rate_text(value: Rate) -> str:
    """Return a share as a percentage, or that it is not defined."""
    return percent(value.value) if value.denominator else "not defined"


def interval_text(value: Rate) -> str:
    """Return the 95 % interval of a rate, or a dash."""
    return percent_range(value.low, value.high) if value.denominator else DASH


def cards(comparison: Comparison) -> list[Card]:
    """Return the key figures: accuracies and flip rates, or means and changes of the leading score."""
    if comparison.counts is not None:
        assert comparison.accuracy_old is not None
        assert comparison.accuracy_new is not None
        change = (comparison.counts.q2 - comparison.counts.q4) / comparison.counts.n * 100
        return [
            _rate_card("Right, old version", comparison.accuracy_old),
            _rate_card("Right, new version", comparison.accuracy_new, f"{change:+.1f} points"),
            _rate_card("Negative flips (NFR)", comparison.nfr, "right before, wrong now", tone="worse"),
            _rate_card("Positive flips (PFR)", comparison.pfr, "wrong before, right now", tone="better"),
        ]
    if comparison.score is None:
        return []
    name, change_of = score_name(comparison.score), comparison.continuous[comparison.score]
    worse, better = change_of.regression_rate, change_of.gain_rate
    return [
        Card(f"Mean {name}, old version", f"{change_of.mean_old:.4f}", (f"of {change_of.n:,} samples",)),
        Card(
            f"Mean {name}, new version",
            f"{change_of.mean_new:.4f}",
            (f"of {change_of.n:,} samples", *_signed(change_of.mean_change)),
        ),
        Card(
            "Mean regression",
            f"{change_of.regression.value:.4f}",
            (_level_interval(change_of.regression), f"lower: {share(worse)} samples ({rate_text(worse)})"),
            "worse",
        ),
        Card(
            "Mean gain",
            f"{change_of.gain.value:.4f}",
            (_level_interval(change_of.gain), f"higher: {share(better)} samples ({rate_text(better)})"),
            "better",
        ),
    ]


def _rate_card(label: str, value: Rate | None, note: str = "", *, tone: str = "") -> Card:
    assert value is not None
    lines = (share(value), f"{interval_text(value)} (95 % interval)")
    return Card(label, rate_text(value), (*lines, note) if note else lines, tone)


def _level_interval(value: Interval) -> str:
    return f"{value.low:.4f}–{value.high:.4f} (95 % interval)"


def _signed(value: Interval) -> tuple[str, str]:
    return f"change {value.value:+.4f}", f"{value.low:+.4f} to {value.high:+.4f} (95 % interval)"


_MEANINGS = {
    "accuracy_old": ("Accuracy, old version", "right before, of all samples"),
    "accuracy_new": ("Accuracy, new version", "right now, of all samples"),
    "nfr": ("Negative flip rate (NFR)", "right before and wrong now, of all samples"),
    "pfr": ("Positive flip rate (PFR)", "wrong before and right now, of all samples"),
    "nfr_mc": ("NFR_mc", "wrong now with another answer than before, of all samples"),
    "btc": ("Backward trust compatibility (BTC)", "still right, of those that were right before"),
    "bec": ("Backward error compatibility (BEC)", "wrong before too, of those that are wrong now"),
    "inconsistency": ("Inconsistency", "another wrong answer than before, of those wrong in both"),
}


def rates_table(comparison: Comparison) -> Table:
    """Return every rate of a comparison with its counts, its interval and its meaning."""
    rows = []
    for key, value in comparison.rates.items():
        name, meaning = _MEANINGS[key]
        rows.append((Cell(name, meaning), Cell(rate_text(value)), Cell(interval_text(value)), Cell(share(value))))
    if comparison.relative_nfr is not None:
        meaning = "1 means as many negative flips as two unrelated models of these accuracies"
        rows.append((Cell("Relative NFR", meaning), Cell(f"{comparison.relative_nfr:.2f}"), Cell(DASH), Cell(DASH)))
    if comparison.mcnemar_p is not None and comparison.counts is not None:
        counts = comparison.counts
        rows.append(
            (
                Cell("Change of accuracy", f"exact McNemar test of no change: {p_text(comparison.mcnemar_p)}"),
                Cell(f"{(counts.q2 - counts.q4) / counts.n * 100:+.1f} points"),
                Cell(DASH),
                Cell(f"{counts.q2:,} gained, {counts.q4:,} lost"),
            )
        )
    return Table("All rates", ("rate", "value", "95 % interval", "counts"), "lrrr", rows)


def scores_table(comparison: Comparison) -> Table:
    """Return every continuous score: means, change, gain and regression."""
    rows = [_score_row(score_name(name), change) for name, change in comparison.continuous.items()]
    columns = ("score", "old", "new", "mean change", "mean regression", "mean gain", "lower now", "higher now")
    return Table("Scores of the same samples; brackets hold 95 % intervals", columns, "lrrrrrrr", rows)


def _score_row(name: str, change: ScoreChange) -> tuple[Cell, ...]:
    def between(value: Interval, digits: str) -> Cell:
        return Cell(f"{value.value:{digits}}", f"[{value.low:{digits}}, {value.high:{digits}}]")

    def counted(value: Rate) -> Cell:
        return Cell(rate_text(value), f"{share(value)}\n[{interval_text(value)}]")

    return (
        Cell(one_line(name), f"{change.n:,} samples"),
        Cell(f"{change.mean_old:.4f}"),
        Cell(f"{change.mean_new:.4f}"),
        between(change.mean_change, "+.4f"),
        between(change.regression, ".4f"),
        between(change.gain, ".4f"),
        counted(change.regression_rate),
        counted(change.gain_rate),
    )


def variants_table(frame: pd.DataFrame, caption: str, name_column: str) -> Table:
    """Return the plain new version and what was trained beside it: levels, and changes against the plain version.

    Args:
        frame: result of `compare_over_seeds` or `compare_trained`.
        caption: of the table.
        name_column: column that names the rows.
    """
    flips = "nfr" in frame and bool(frame["nfr"].notna().any())
    score = "regression" in frame and bool(frame["regression"].notna().any())
    columns = ["version", "samples"]
    columns += ["accuracy", "NFR", "change of NFR", "change of accuracy"] if flips else []
    columns += ["mean score", "regression", "change of regression"] if score else []
    rows = []
    for row in frame.to_dict("records"):
        plain = bool(row["is_plain_new"])
        cells = [Cell(one_line(row[name_column]), "plain new version" if plain else _origin(row))]
        cells.append(Cell(f"{int(row['n']):,}"))
        if flips:
            cells += [_level(row, "accuracy", 100, " %", ".1f"), _level(row, "nfr", 100, " %", ".1f")]
            cells += [_change(row, name, 100, " points", "+.1f") for name in ("nfr", "accuracy")]
        if score:
            cells.append(Cell(f"{row['mean_score']:.4f}" if is_known(row["mean_score"]) else DASH))
            cells += [_level(row, "regression", 1, "", ".4f"), _change(row, "regression", 1, "", "+.4f")]
        rows.append(tuple(cells))
    marked = frozenset(number for number, plain in enumerate(frame["is_plain_new"]) if plain)
    return Table(caption, tuple(columns), "l" + "r" * (len(columns) - 1), rows, marked)


def _origin(row: _Row) -> str:
    """How a variant was made: seeds, start, share of tokens that followed the old version."""
    facts = []
    if row.get("seed_list"):
        facts.append(f"mean of seeds {row['seed_list']}" if row["seeds"] > 1 else f"seed {row['seed_list']}")
    if row.get("initialisation"):
        facts.append(f"from the {row['initialisation']} adapter" if row["initialisation"] in ("old", "new") else "")
    if is_known(row.get("old_share")):
        facts.append(f"{percent(row['old_share'])} of tokens follow old")
    return one_line(", ".join(fact for fact in facts if fact))


def _level(row: _Row, name: str, scale: int, unit: str, digits: str) -> Cell:
    if not is_known(row.get(name)):
        return Cell(DASH)
    value, low, high = (row[f"{name}{end}"] * scale for end in ("", "_low", "_high"))
    return Cell(f"{value:{digits}}{unit}", f"[{low:{digits}}, {high:{digits}}]")


def _change(row: _Row, name: str, scale: int, unit: str, digits: str) -> Cell:
    if row["is_plain_new"] or not is_known(row.get(f"{name}_change")):
        return Cell(DASH)
    value, low, high = (row[f"{name}_change{end}"] * scale for end in ("", "_low", "_high"))
    detail = f"[{low:{digits}}, {high:{digits}}]"
    if is_known(row.get(f"{name}_change_p")):
        detail += f"\n{p_text(row[f'{name}_change_p'])}"
    return Cell(f"{value:{digits}}{unit}", detail)


def slices_table(frame: pd.DataFrame, caption: str, level: float) -> Table:
    """Return slices with their flips (or the loss of a score), the same of all other samples, and the corrected p.

    Args:
        frame: rows of `muscle_core.comparison.slices.slice_table` or `find_slices`.
        caption: of the table.
        level: rows with a corrected p below it stand out.
    """
    word = "nfr" if "nfr" in frame else "regression"
    widest = float(frame[word].max()) if len(frame) else 0.0
    name, value_text = ("NFR", percent) if word == "nfr" else ("mean regression", "{:.4f}".format)
    rows = []
    for row in frame.to_dict("records"):
        low, high = row[f"{word}_low"], row[f"{word}_high"]
        between = percent_range(low, high) if word == "nfr" else f"{low:.4f}–{high:.4f}"
        flips = f"{int(row['negative_flips']):,} of " if word == "nfr" else ""
        rest = row[f"rest_{word}"]
        rows.append(
            (
                Cell(one_line(row["slice"], 120)),
                Cell(f"{flips}{int(row['n']):,}"),
                Cell(value_text(row[word]), f"[{between}]", row[word] / widest if widest > 0 else None),
                Cell(value_text(rest) if is_known(rest) else DASH, f"of {int(row['rest_n']):,}"),
                Cell(p_text(row["p_adjusted"]) if is_known(row["p_adjusted"]) else DASH),
            )
        )
    counted = "negative flips" if word == "nfr" else "samples"
    columns = ("slice", counted, f"{name} in it", f"{name} elsewhere", "corrected p")
    clear = frozenset(number for number, p in enumerate(frame["p_adjusted"]) if p < level)
    shaded = f"; shaded: corrected p below {level:g}" if clear else ""
    return Table(caption + shaded, columns, "lrrrr", rows, clear)


def noise_table(noise: NoiseFloor, most: int) -> Table:
    """Return the flips (or the loss of a score) between runs of one version, pair by pair.

    Args:
        noise: the noise floor.
        most: pairs to show.
    """
    rows = []
    for pair in noise.by_pair[:most]:
        if isinstance(pair.rate, Rate):
            figures = (Cell(share(pair.rate)), Cell(percent(pair.rate.value, 2)))
            interval = percent_range(pair.rate.low, pair.rate.high, 2)
        else:
            figures = (Cell(f"{noise.n:,}"), Cell(f"{pair.rate.value:.4f}"))
            interval = f"{pair.rate.low:.4f}–{pair.rate.high:.4f}"
        rows.append((Cell(one_line(f"{pair.first} → {pair.second}")), *figures, Cell(interval)))
    more = f", the first {most} of {len(noise.by_pair):,}" if len(noise.by_pair) > most else ""
    caption = f"Runs of one version against one another{more}"
    if noise.score is None:
        return Table(caption, ("pair of runs", "negative flips", "NFR", "95 % interval"), "lrrr", rows)
    return Table(caption, ("pair of runs", "samples", "mean loss", "95 % interval"), "lrrr", rows)


def causes_table(flips: pd.DataFrame) -> Table:
    """Return the causes of the flips, the most frequent first, with the rule that names each.

    Args:
        flips: samples with `cause` and `cause_rule`.
    """
    total = len(flips)
    causes = flips["cause"].astype("string").fillna("no cause found")
    counts = causes.value_counts()
    rules = flips.assign(cause=causes).groupby("cause")["cause_rule"].first()
    rows = []
    for name in sorted(counts.index, key=lambda name: (-counts[name], name)):
        of = rate(int(counts[name]), total)
        rule = rules.get(name)
        rows.append(
            (
                Cell(one_line(name), one_line(rule, 500) if isinstance(rule, str) else ""),
                Cell(share(of)),
                Cell(percent(of.value), f"[{percent_range(of.low, of.high)}]", of.value),
            )
        )
    return Table("Causes of the negative flips, by rule", ("cause and its rule", "flips", "share"), "lrr", rows)


def quadrant_cells(comparison: Comparison) -> dict[str, tuple[str, str]]:
    """Return count and share of each quadrant, by "Q1" to "Q4"."""
    counts = comparison.counts
    assert counts is not None
    found: Sequence[tuple[str, int]] = (("Q1", counts.q1), ("Q2", counts.q2), ("Q3", counts.q3), ("Q4", counts.q4))
    return {name: (f"{count:,}", f"of {counts.n:,} · {percent(count / counts.n)}") for name, count in found}
