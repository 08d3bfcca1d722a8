"""Ratios with their spread, and the Markdown that shows them."""

from __future__ import annotations

from statistics import median
from typing import Any


def speed(rows: int, seconds: dict[str, list[float]]) -> dict[str, Any]:
    """Medians and ratios of one set.

    Args:
        rows: rows of the set.
        seconds: for each side one time a repetition; the first ones of all sides belong together, and so on.

    Returns:
        Median seconds and samples/s of each side, and comparisons: of "ours" with the faster of lm-eval's batch sizes
        (by median), of "ours 8" with "lm-eval 8", and so on. A ratio above 1 means that ours is faster; its spread is
        that of the ratios within the repetitions.
    """
    medians = {name: median(times) for name, times in seconds.items()}
    comparisons = []
    for ours in (name for name in seconds if name.startswith("ours")):
        theirs = [name for name in seconds if name.startswith("lm-eval")]
        size = ours.removeprefix("ours").strip()
        other = f"lm-eval {size}" if size else min(theirs, key=medians.__getitem__)
        paired = [one / mine for one, mine in zip(seconds[other], seconds[ours], strict=True)]
        comparisons.append(
            {
                "ours": ours,
                "theirs": other,
                "ratio": medians[other] / medians[ours],
                "paired": paired,
                "spread": [min(paired), max(paired)],
            }
        )
    return {
        "seconds": seconds,
        "median_seconds": medians,
        "samples_per_second": {name: rows / value for name, value in medians.items()},
        "comparisons": comparisons,
    }


def markdown(result: dict[str, Any]) -> str:
    """The whole result as Markdown."""
    where = result["machine"]
    packages = ", ".join(f"{name} {number}" for name, number in where["packages"].items() if number)
    changed = " with uncommitted changes" if where["uncommitted_changes"] else ""
    lines = [
        "# Our scorer against lm-evaluation-harness",
        "",
        f"{result['date']}, {where['cpu']}, {where['cores']} cores, {result['threads']} threads; {packages}; "
        f"commit {where['commit'][:12]}{changed}. Model: {result['model']}, float32. "
        f"{result['repetitions']} repetitions, sides in shuffled order (seed {result['seed']}); seconds are medians, "
        "a ratio is lm-eval's time over ours, in brackets the smallest and the largest one within a repetition. "
        f"Load of the machine before the start: {where['load_before']:.1f}.",
        *([f"**Shortened to {result['rows']} rows a set: a trial, not a measurement.**"] if result["rows"] else []),
        "",
    ]
    choices = [one for one in result["sets"] if not one["generates"]]
    texts = [one for one in result["sets"] if one["generates"]]
    if choices:
        lines += _table(
            ("set", "rows", "lm-eval 8", "lm-eval 16", "ours", "samples/s", "ratio to the better", "goal"),
            [_choice_speed(one) for one in choices],
        )
        lines += _table(
            (
                "agreement with",
                "same choice",
                "near ties",
                "accuracy ours / theirs",
                "largest difference",
                "beyond allowed",
            ),
            [cells for one in choices for cells in _choice_agreement(one)],
        )
    if texts:
        lines += _table(
            ("set", "rows", "batch size", "lm-eval", "ours", "samples/s", "ratio", "goal", "identical texts"),
            [cells for one in texts for cells in _text_cells(one)],
        )
    notes = [note for one in result["sets"] for note in _notes(one)]
    return "\n".join([*lines, *notes]).rstrip() + "\n"


def _table(head: tuple[str, ...], rows: list[list[str]]) -> list[str]:
    return [*(f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)), ""]


def _seconds(one: dict[str, Any], side: str) -> str:
    return f"{one['speed']['median_seconds'][side]:.1f} s"


def _rates(one: dict[str, Any], comparison: dict[str, Any]) -> str:
    rates = one["speed"]["samples_per_second"]
    return f"{rates[comparison['theirs']]:.2f} → {rates[comparison['ours']]:.2f}"


def _ratio(comparison: dict[str, Any]) -> str:
    low, high = comparison["spread"]
    return f"**{comparison['ratio']:.2f}** [{low:.2f}, {high:.2f}]"


def _choice_speed(one: dict[str, Any]) -> list[str]:
    [comparison] = one["speed"]["comparisons"]
    times = [_seconds(one, side) for side in ("lm-eval 8", "lm-eval 16", "ours")]
    return [one["title"], str(one["rows"]), *times, _rates(one, comparison), _ratio(comparison), f"{one['target']:g}"]


def _choice_agreement(one: dict[str, Any]) -> list[list[str]]:
    return [
        [
            f"{side}, {one['title']}",
            f"{found['same_choice']} of {found['rows']}",
            str(found["near_ties"]),
            f"{found['accuracy_ours']:.1%} / {found['accuracy_theirs']:.1%}",
            f"{found['largest_difference']:.1e} nats, {found['largest_share_of_allowed']:.0%} of what is allowed",
            f"{len(found['beyond_allowed'])} of {found['choices']} choices",
        ]
        for side, found in one["agreement"].items()
    ]


def _text_cells(one: dict[str, Any]) -> list[list[str]]:
    cells = []
    for comparison in one["speed"]["comparisons"]:
        found = one["agreement"][comparison["theirs"]]
        cells.append(
            [
                one["title"],
                str(one["rows"]),
                comparison["ours"].removeprefix("ours "),
                _seconds(one, comparison["theirs"]),
                _seconds(one, comparison["ours"]),
                _rates(one, comparison),
                _ratio(comparison),
                f"{one['target']:g}",
                f"{found['identical']} of {found['rows']}",
            ]
        )
    return cells


def _notes(one: dict[str, Any]) -> list[str]:
    notes = []
    if one["fallback_reason"]:
        notes.append(f"- {one['title']}: our side did not take its fast way: {one['fallback_reason']}")
    if one["rows_with_other_tokens"]:
        notes.append(f"- {one['title']}: other token ids in rows {one['rows_with_other_tokens']}")
    unsteady = [side for side, same in one["same_in_all_repetitions"].items() if not same]
    if unsteady:
        notes.append(f"- {one['title']}: not the same results in all repetitions: {', '.join(unsteady)}")
    for side, found in one["agreement"].items():
        for row in found.get("other_choice", []):
            kind = f"{'a' if row['near_tie'] else 'no'} near tie ({row['margin']:.1e} nats)"
            notes.append(f"- {one['title']}, row {row['row']}, {side}: another choice, {kind}")
        for row in found.get("different", []):
            notes.append(
                f"- {one['title']}, row {row['row']}, {side}: texts differ from sign {row['first_different_sign']}: "
                f"ours {row['ours']!r}, lm-eval {row['theirs']!r}"
            )
    return notes
