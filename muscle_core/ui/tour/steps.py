"""The five steps of the tour: on which page, with which picks and filters, and what is said there."""

from __future__ import annotations

from typing import NamedTuple

from muscle_core.metrics.text import p_text
from muscle_core.store import list_training_runs
from muscle_core.store.workspace import Workspace
from muscle_core.ui.frame import plain
from muscle_core.ui.numbers import duration, percent, points
from muscle_core.ui.tour import words
from muscle_core.ui.tour.facts import SPLIT, Facts, Pair

_SIGNIFICANT = 0.05


class Step(NamedTuple):
    """One step.

    Attributes:
        page: key of its page.
        also: other pages that belong to it.
    """

    page: str
    also: tuple[str, ...] = ()

    @property
    def pages(self) -> tuple[str, ...]:
        """All its pages."""
        return self.page, *self.also


STEPS = (
    Step("update_report"),
    Step("samples"),
    Step("flips"),
    Step("masking", ("samples",)),
    Step("update_report", ("review",)),
)


def parameters(number: int, pair: Pair, facts: Facts | None) -> dict[str, str]:
    """URL parameters of a step: picks and filters."""
    picks = {"dataset": pair.dataset.name, "split": SPLIT, "old": pair.old.name, "new": pair.new.name}
    if facts is None:
        return picks
    if number == 2:
        return {**picks, "quadrant": "Q4", "sample": facts.flip.sample}
    if number == 5 and pair.compat is not None:
        return {**picks, "new": pair.compat.name}
    return picks


def title(number: int, facts: Facts) -> str:
    """Title of a step."""
    change = facts.comparison.accuracy_change
    if number == 1 and change is not None and change.value <= 0:
        return words.TITLE_WHERE_NOT_BETTER
    return words.TITLES[number - 1]


def text(number: int, workspace: Workspace, facts: Facts) -> list[str]:
    """What a step says, one Markdown paragraph each."""
    return [_first, _second, _third, _fourth, _fifth][number - 1](workspace, facts)


def _first(workspace: Workspace, facts: Facts) -> list[str]:
    one = facts.comparison
    assert one.accuracy_old is not None
    assert one.accuracy_new is not None
    assert one.nfr is not None
    p = one.mcnemar_p
    return [
        words.better_on_average(
            percent(one.accuracy_new.value),
            percent(one.accuracy_old.value),
            one.n,
            points(one.accuracy_new.value - one.accuracy_old.value),
            "–" if p is None else p_text(p),
            by_chance=p is None or p >= _SIGNIFICANT,
            broken=one.nfr.numerator,
            nfr=percent(one.nfr.value),
            interval=_interval(one.nfr.low, one.nfr.high),
        )
    ]


def _second(workspace: Workspace, facts: Facts) -> list[str]:
    flip = facts.flip
    texts = (plain(part) for part in (flip.input, flip.gold, flip.old, flip.new))
    return [words.which_inputs(sum(count for _, count in facts.causes), *texts)]


def _third(workspace: Workspace, facts: Facts) -> list[str]:
    causes = tuple((plain(cause), count) for cause, count in facts.causes)
    said = [words.why(causes, sum(count for _, count in causes))]
    worst = facts.slice
    if worst is not None:
        share, rest = percent(worst.flips / worst.n), percent(worst.rest)
        label = plain(worst.label)
        said.append(words.worst_slice(label, worst.flips, worst.n, share, rest, p_text(worst.p_adjusted), worst.tested))
        if worst.column == "old_margin":
            said[-1] += f" {words.OLD_MARGIN}"
    return said


def _fourth(workspace: Workspace, facts: Facts) -> list[str]:
    pair, repair = facts.pair, facts.repair
    if repair is None or pair.compat is None:
        return [words.not_repaired_yet(plain(pair.old.name), plain(pair.new.name))]
    plain_new, with_it = facts.comparison, repair.comparison
    assert plain_new.nfr is not None
    assert with_it.nfr is not None
    assert plain_new.accuracy_new is not None
    assert with_it.accuracy_new is not None
    seconds = [
        training.summary["seconds"]
        for training in list_training_runs(workspace)
        if training.result_version_id == pair.compat.id
    ]
    return [
        words.repaired(
            plain(pair.compat.name),
            plain_new.nfr.numerator,
            repair.repaired,
            repair.broken_anew,
            (
                percent(plain_new.nfr.value),
                percent(with_it.nfr.value),
                _interval(with_it.nfr.low, with_it.nfr.high),
            ),
            _change(*repair.nfr_change),
            (percent(plain_new.accuracy_new.value), percent(with_it.accuracy_new.value)),
            _change(*repair.accuracy_change),
            duration(seconds[0]) if seconds else None,
        )
    ]


def _fifth(workspace: Workspace, facts: Facts) -> list[str]:
    pair, repair = facts.pair, facts.repair
    if repair is None or pair.compat is None:
        return [words.guard_without_adapter(plain(pair.new.name))]
    return [
        words.guard(
            percent(repair.limit, 0),
            plain(pair.new.name),
            plain(pair.compat.name),
            new_passes=repair.new_passes,
            compat_passes=repair.compat_passes,
        )
    ]


def commands(facts: Facts) -> str:
    """The gate's commands of step 5."""
    pair, repair = facts.pair, facts.repair
    assert facts.comparison.nfr is not None
    if repair is None or pair.compat is None:
        limit = round(facts.comparison.nfr.value / 2, 2)
        return words.gate_command(pair.old.name, pair.new.name, pair.dataset.name, limit)
    return "\n".join(
        words.gate_command(pair.old.name, name, pair.dataset.name, repair.limit)
        for name in (pair.new.name, pair.compat.name)
    )


def _interval(low: float, high: float) -> str:
    return f"{low * 100:.1f}–{high * 100:.1f}\u00a0%"


def _change(value: float, low: float, high: float) -> str:
    return f"{points(value)} [{low * 100:+.1f}, {high * 100:+.1f}]".replace("[", "\\[").replace("]", "\\]")
