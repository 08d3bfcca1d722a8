"""Why a negative flip happened, by an ordered list of rules over the two outputs; the first that applies is the cause.

A cause says what can be seen in the outputs, not why the model does it. The order: first what hides an answer (cut off,
written in another way, none found), then what can be measured (margins), then what a text shows of its reasoning.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd

from muscle_core.comparison.answers_in_text import (
    false_equation,
    is_open,
    last_sentence,
    letter_in,
    markers_in,
    numbers_in,
    steps_of,
    without_marked,
    words_of,
)
from muscle_core.comparison.answers_in_text import overlap as overlap_of
from muscle_core.errors import ConfigError, DataError
from muscle_core.metrics.rates import rate
from muscle_core.tasks.math import normalise_number

NEAR_TIE = 0.1
SIMILARITY = 0.5
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_CUT_OFF = ("length", "max_tokens", "model_length")  # as here, and as other tools say it
_UNKNOWN_ENDS = ("imported", "")
_SHOWN = 160


class Rule(NamedTuple):
    """One cause: its name, the rule as people read it, and what finds it.

    `find` takes the flips that no earlier rule explained and returns for each what was seen, or None.
    """

    cause: str
    text: str
    find: Callable[[pd.DataFrame], list[str | None]]


def rules(near_tie: float = NEAR_TIE, similarity: float = SIMILARITY, unit: str = "nats") -> tuple[Rule, ...]:
    """The rules in their order.

    Args:
        near_tie: the new version's margin counts as a near tie below this; in `unit`.
        similarity: steps count as different below this Jaccard similarity, between 0 and 1.
        unit: of the margins: "nats", or "nats a byte" where answers are judged by their log-likelihood a byte.

    Raises:
        ConfigError: a threshold that cannot be.
    """
    if not (near_tie >= 0 and np.isfinite(near_tie)):
        raise ConfigError(f"the margin of a near tie must be 0 or larger, in {unit}; it is {near_tie}")
    if not 0 <= similarity <= 1:
        raise ConfigError(f"the similarity of steps must lie between 0 and 1; it is {similarity}")
    share = f"{similarity * 100:g} %"
    return (
        Rule(
            "truncated",
            "The new output was cut off at the token limit (or, where no finish reason is known, inside braces that it "
            "never closes) before any marked answer.",
            _each(truncated),
        ),
        Rule(
            "format changed",
            "The new output marks the right answer as its answer, but another was taken from it; or it marks a list or "
            "an object; or it no longer marks its answer as the old one did, and its last sentence, or the one choice "
            "that it names, is right.",
            _each(format_changed),
        ),
        Rule("no answer extracted", "No answer could be read in the new output.", no_answer),
        Rule(
            "near tie",
            f"The new version prefers a wrong choice, but by less than {near_tie:g} {unit}.",
            partial(near_ties, limit=near_tie, unit=unit),
        ),
        Rule(
            "clear preference",
            f"The new version prefers a wrong choice by {near_tie:g} {unit} or more.",
            partial(clear_preferences, limit=near_tie, unit=unit),
        ),
        Rule("wrong calculation", "An equation in the new output does not hold.", _each(wrong_calculation)),
        Rule(
            "went past the answer",
            "The right number is the result of a step of the new output (it follows an equals sign, and the question "
            "does not hold it), but the output goes on to another one.",
            _each(went_past),
        ),
        Rule(
            "answer not worked out",
            "The number taken as the answer stands in the new output only where the answer is marked, not in its "
            "steps; that of the old output stood in its steps too.",
            _each(not_worked_out),
        ),
        Rule(
            "different reasoning",
            f"The steps of the two outputs have less than {share} in common: Jaccard similarity of their intermediate "
            "numbers, or of their words where there are none.",
            partial(different_reasoning, limit=similarity),
        ),
        Rule(
            "other",
            f"None of the rules above applies; {share} or more of the steps are the same.",
            partial(similar_reasoning, limit=similarity),
        ),
        Rule(
            "not known",
            "These outputs hold neither a text nor margins, so that no rule can be applied.",
            lambda flips: [""] * len(flips),
        ),
    )


def find_causes(
    flips: pd.DataFrame, *, near_tie: float = NEAR_TIE, similarity: float = SIMILARITY, unit: str = "nats"
) -> pd.DataFrame:
    """One cause for each negative flip.

    Args:
        flips: one row a negative flip, with `new_prediction`, `gold`, and where known `old_prediction`, `input`,
            `target`, `choices` (lists), `old_output`, `new_output`, `new_finish_reason` and `new_margin`. Outputs that
            are no more than the prediction itself count as unknown.
        near_tie: as of `rules`.
        similarity: as of `rules`.
        unit: as of `rules`.

    Returns:
        By the index of `flips`: `cause`, `cause_rule` (the rule's text) and `cause_evidence` (what was seen, or "").

    Raises:
        ConfigError: a threshold that cannot be.
        DataError: a column is missing.
    """
    ordered = rules(near_tie, similarity, unit)
    missing = [name for name in ("new_prediction", "gold") if name not in flips.columns]
    if missing:
        raise DataError(f"the causes of flips need the columns {', '.join(missing)}; there are: {', '.join(flips)}")
    open_rows = _prepared(flips)
    cause = np.full(len(flips), None, dtype=object)
    rule, evidence = cause.copy(), cause.copy()
    for one in ordered:
        if open_rows.empty:
            break
        seen = np.array(one.find(open_rows), dtype=object)
        found = np.array([value is not None for value in seen], dtype=bool)
        places = open_rows["place"].to_numpy()[found]
        cause[places], rule[places], evidence[places] = one.cause, one.text, seen[found]
        open_rows = open_rows[~found]
    columns = {"cause": cause, "cause_rule": rule, "cause_evidence": evidence}
    return pd.DataFrame({name: pd.array(values, dtype="str") for name, values in columns.items()}, index=flips.index)


def cause_table(causes: pd.DataFrame, confidence: float = 0.95) -> pd.DataFrame:
    """How often each cause is, of all negative flips, most frequent first.

    Args:
        causes: frame with `cause` and `cause_rule`; rows without a cause (samples that did not flip) do not count.
        confidence: coverage of the Wilson intervals.

    Returns:
        cause, flips, of (all flips), share, low, high, rule.
    """
    known = causes[causes["cause"].notna()]
    counts = known.groupby("cause", sort=True)["cause_rule"].agg(["size", "first"])
    counts = counts.sort_values("size", ascending=False, kind="stable")
    rates = [rate(int(count), len(known), confidence) for count in counts["size"]]
    return pd.DataFrame(
        {
            "cause": pd.array(list(counts.index), dtype="str"),
            "flips": np.array([r.numerator for r in rates], dtype=np.int64),
            "of": np.array([r.denominator for r in rates], dtype=np.int64),
            "share": np.array([r.value for r in rates], dtype=np.float64),
            "low": np.array([r.low for r in rates], dtype=np.float64),
            "high": np.array([r.high for r in rates], dtype=np.float64),
            "rule": pd.array(list(counts["first"]), dtype="str"),
        }
    )


# ----------------------------------------------------------------------------------------------------- one flip


class Flip(NamedTuple):
    """What the rules on texts read of one negative flip; "" and None where it is not known."""

    gold: str
    target: str
    choices: list[str]
    input: str
    old_prediction: str | None
    new_prediction: str | None
    old_text: str
    new_text: str
    finish_reason: str


def truncated(flip: Flip) -> str | None:
    """Cut off before an answer. Does not tell whether the answer would have been right with more room."""
    if not flip.new_text or markers_in(flip.new_text):
        return None
    if flip.finish_reason in _CUT_OFF:
        return f"ends at the token limit: … {flip.new_text[-60:]}"
    if flip.finish_reason in _UNKNOWN_ENDS and is_open(flip.new_text):
        return f"ends inside open braces: … {flip.new_text[-60:]}"
    return None


def format_changed(flip: Flip) -> str | None:
    """The right answer is there but was not taken. Does not tell which of two marked answers the model meant."""
    if not flip.new_text:
        return None
    marked = markers_in(flip.new_text)
    for name, tail in marked.items():
        if _holds_gold(flip, tail, anywhere=name == '"answer":'):
            return f"{name} {tail[:_SHOWN]}"
        if name == '"answer":' and tail[:1] in ("{", "["):
            return f"the marked answer is a structure: {name} {tail[:_SHOWN]}"
    lost = [] if marked else list(markers_in(flip.old_text))
    last = last_sentence(flip.new_text)
    if lost and not flip.choices and _number(flip.gold) in numbers_in(last):
        return f"no {lost[0]} as before; the last sentence: {last[:_SHOWN]}"
    if flip.choices and not marked and (named := _only_choice_named(flip)):
        return f"of the choices, the new output names only {named!r}"
    return None


def wrong_calculation(flip: Flip) -> str | None:
    """An equation is false. Does not tell whether it led to the answer; mistakes in words or algebra are not seen."""
    return false_equation(flip.new_text) if flip.new_text else None


def went_past(flip: Flip) -> str | None:
    """A step gives the right number, the end another. May be chance: an intermediate number may equal the answer."""
    gold = _number(flip.gold)
    if not flip.new_text or flip.choices or gold is None or gold in numbers_in(flip.input):
        return None
    for part in flip.new_text.split("=")[1:]:
        result = part.lstrip()[:40]
        if numbers_in(result)[:1] == [gold] and result.lstrip("$€£")[:1].isdigit():
            return f"= {result.splitlines()[0][:_SHOWN]}"
    return None


def not_worked_out(flip: Flip) -> str | None:
    """The steps do not lead to the answer. Does not tell whether they would have led to the right one."""
    new, old = (_number(text or "") for text in (flip.new_prediction, flip.old_prediction))
    if not new or flip.choices or not markers_in(flip.new_text) or new in numbers_in(without_marked(flip.new_text)):
        return None
    if not old or old not in numbers_in(without_marked(flip.old_text)):
        return None
    return f"{new} is in no step"


# ------------------------------------------------------------------------------------------------ all flips at once


def no_answer(flips: pd.DataFrame) -> list[str | None]:
    """No prediction. Does not tell whether the text holds an answer that a reader would find."""
    return ["" if missing else None for missing in flips["new_prediction"].isna()]


def near_ties(flips: pd.DataFrame, limit: float, unit: str) -> list[str | None]:
    """The margin is small. Does not tell whether the old version's was: a small step may be enough, or a large one."""
    return _by_margin(flips, flips["new_margin"].abs() < limit, unit)


def clear_preferences(flips: pd.DataFrame, limit: float, unit: str) -> list[str | None]:
    """The margin is not small. Does not tell why the new version prefers another choice."""
    return _by_margin(flips, flips["new_margin"].abs() >= limit, unit)


def _by_margin(flips: pd.DataFrame, chosen: pd.Series, unit: str) -> list[str | None]:
    return [
        f"margin {new:+.3f} {unit}" + (f", old {old:+.3f}" if old == old else "") if yes else None
        for yes, new, old in zip(chosen, flips["new_margin"], flips["old_margin"], strict=True)
    ]


def different_reasoning(flips: pd.DataFrame, limit: float) -> list[str | None]:
    """Few common steps. Does not tell which of the steps is wrong, or whether the old ones were right."""
    return [text if shared is not None and shared < limit else None for shared, text in map(_similarity, _flips(flips))]


def similar_reasoning(flips: pd.DataFrame, limit: float) -> list[str | None]:
    """Many common steps, and another answer. Does not tell where the two part."""
    return [
        text if shared is not None and shared >= limit else None for shared, text in map(_similarity, _flips(flips))
    ]


def _similarity(flip: Flip) -> tuple[float | None, str]:
    if not flip.old_text or not flip.new_text:
        return None, ""
    if _number(flip.gold) is not None and not flip.choices:
        known = set(numbers_in(flip.input))
        old = steps_of(flip.old_text, known, flip.old_prediction)
        new = steps_of(flip.new_text, known, flip.new_prediction)
        if old | new:
            return overlap_of(old, new), f"{len(old & new)} of {len(old | new)} intermediate numbers in common"
    old, new = words_of(flip.old_text), words_of(flip.new_text)
    return overlap_of(old, new), f"{len(old & new)} of {len(old | new)} words in common"


def _each(rule: Callable[[Flip], str | None]) -> Callable[[pd.DataFrame], list[str | None]]:
    return lambda flips: [rule(flip) for flip in _flips(flips)]


def _flips(flips: pd.DataFrame) -> list[Flip]:
    return [Flip(*row) for row in zip(*(flips[name] for name in Flip._fields), strict=True)]


def _prepared(flips: pd.DataFrame) -> pd.DataFrame:
    """The columns that the rules read, with gaps where a table has none; `place` counts the rows."""
    n = len(flips)

    def texts(name: str, gap: str | None = "") -> list[str | None]:
        if name not in flips.columns:
            return [gap] * n
        return [value if isinstance(value, str) else gap for value in flips[name]]

    def numbers(name: str) -> np.ndarray:
        if name not in flips.columns:
            return np.full(n, np.nan)
        return flips[name].to_numpy(dtype=np.float64, na_value=np.nan)

    choices = flips["choices"] if "choices" in flips.columns else [None] * n
    # As objects: pandas would make NaN of None in a column of texts.
    columns: dict[str, list[object]] = {
        "gold": list(texts("gold")),
        "target": list(texts("target")),
        "choices": [list(value) if isinstance(value, list | tuple | np.ndarray) else [] for value in choices],
        "input": list(texts("input")),
        "old_prediction": list(texts("old_prediction", None)),
        "new_prediction": list(texts("new_prediction", None)),
        "old_text": [],
        "new_text": [],
        "finish_reason": list(texts("new_finish_reason")),
    }
    for side in ("old", "new"):
        columns[f"{side}_text"] = [
            text if _is_text(text, prediction, options) else ""
            for text, prediction, options in zip(
                texts(f"{side}_output"), columns[f"{side}_prediction"], columns["choices"], strict=True
            )
        ]
    frame = pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in columns.items()})
    return frame.assign(old_margin=numbers("old_margin"), new_margin=numbers("new_margin"), place=np.arange(n))


def _is_text(output: str | None, prediction: object, choices: object) -> bool:
    """Whether an output is a generated text: more than the prediction, and not one of the choices."""
    assert isinstance(choices, list)
    return bool(output) and output != prediction and output not in choices


def _number(text: str) -> str | None:
    return normalise_number(text)


def _holds_gold(flip: Flip, tail: str, *, anywhere: bool) -> bool:
    """Whether what follows a mark begins with the right answer; in a field of JSON, all of it is the answer."""
    if not flip.choices:
        gold, numbers = _number(flip.gold), numbers_in(tail)
        if gold is None:
            return bool(flip.gold) and tail.startswith(flip.gold)
        return gold in (numbers if anywhere else numbers[:1])
    if not flip.gold.isdecimal() or int(flip.gold) >= len(flip.choices):
        return False
    index = int(flip.gold)
    if letter_in(tail) == _LETTERS[index : index + 1]:
        return True
    plain = tail.strip(" .\"'*(){}[]").casefold()
    return bool(plain) and plain == flip.choices[index].strip(" .\"'*(){}[]").casefold()


def _only_choice_named(flip: Flip) -> str | None:
    """The gold choice's text, where it occurs in the new output and no other choice's does."""
    if not flip.gold.isdecimal() or int(flip.gold) >= len(flip.choices):
        return None
    text, index = flip.new_text.casefold(), int(flip.gold)
    named = [place for place, choice in enumerate(flip.choices) if choice.strip() and choice.strip().casefold() in text]
    return flip.choices[index] if named == [index] else None
