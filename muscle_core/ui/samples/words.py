"""Texts of the Samples page but for the detail of one sample. Values from data come in safe for Markdown."""

from __future__ import annotations

from muscle_core.comparison.sample_filter import BY_ID, DATASET_ORDER, GAIN, LONGEST, LOSS, NEW_WRONG, SHORTEST, SUREST
from muscle_core.ui.numbers import SCORE_NAMES

QUADRANTS = {
    "Q4": "Q4 negative flips",
    "Q2": "Q2 positive flips",
    "Q3": "Q3 both wrong",
    "Q3-changed": "Q3 answer changed",
    "Q3-same": "Q3 same answer",
    "Q1": "Q1 both right",
}
QUADRANT = "Quadrant"
QUADRANT_HELP = "Choose none to see all samples."
SEARCH = "Search"
SEARCH_HINT = "words in the input or the answers"
SEARCH_HELP = "All words must occur, in any order, in the input, one of the answers or the id. Capitals do not matter."
SORT = "Sort by"
ROWS = "Rows a page"
ADD = "Add a filter"
CLEAR = "Clear all"
ADAPTER = "What the adapter does"
ADAPTER_HINT = "choose one"
CAUSE = "Cause of the negative flip"
CAUSE_HINT = "choose a cause"
CAUSE_HELP = "Found by rules over the two outputs: what can be seen in them, not why the model does it."
FIELD = "Field of the samples"
FIELD_HINT = "choose a field"
VALUE = "Value"
NO_FIELD = "after the field"
VALUE_HINT = "choose a value"
SCORE = "Score"
LOW = "New minus old, from"
HIGH = "to below"
APPLY = "Show these"
LIMITS_WRONG = "Give one limit, or two of which the second is larger."
ANSWERS = "Only where the answers differ"
LOOKING_AT_FIELDS = "Reading the fields of the samples …"
LOOKING_FOR_CAUSES = "Looking for causes …"
NOTHING = "No sample matches all filters. Remove one of them, or clear all."
TABLE_ALT = "Samples that pass the filters, with the gold answer and the answers of the versions"
NO_LIMIT = "no limit"

# A quadrant in a cell of the table: short, and never a colour alone.
CELLS = {"Q1": "Q1 both right", "Q2": "Q2 fixed", "Q3": "Q3 both wrong", "Q4": "Q4 broke"}
COLUMNS = {
    "sample_id": "Sample",
    "quadrant": "Quadrant",
    "right": "Which are right",
    "cause": "Cause",
    "input": "Input",
    "gold": "Gold answer",
    "old_answer": "Old answer",
    "new_answer": "New answer",
    "compat_answer": "Compat answer",
    "new_margin": "New margin",
}
CAUSE_COLUMN_HELP = "Of a negative flip, by rules over the two outputs."
MARGIN_HELP = "Log-likelihood of the gold choice minus the best wrong one, new version (nats)."
VERSIONS = ("old", "new", "compat")
_MARKS = {True: "✓", False: "✗", None: "?"}
_ORDERS = {
    DATASET_ORDER: "Dataset order",
    SUREST: "Surest regressions",
    NEW_WRONG: "New version most surely wrong",
    SHORTEST: "Shortest input",
    LONGEST: "Longest input",
    BY_ID: "Sample id",
}
_FIELDS = {
    "gold": "gold answer",
    "target": "gold answer",
    "input_chars": "length of the input",
    "old_output_chars": "length of the old answer",
    "new_output_chars": "length of the new answer",
    "old_margin": "old margin",
    "new_margin": "new margin",
    "old_finish_reason": "why the old answer ended",
    "new_finish_reason": "why the new answer ended",
}


def score_name(score: str) -> str:
    """A score as people write it."""
    return SCORE_NAMES.get(score, score)


def order(key: str) -> str:
    """An order of the table."""
    for prefix, text in ((LOSS, "Largest loss of"), (GAIN, "Largest gain of")):
        if key.startswith(prefix):
            return f"{text} {score_name(key.removeprefix(prefix))}"
    return _ORDERS[key]


def field(name: str) -> str:
    """A field of the samples."""
    return _FIELDS.get(name, name.removeprefix("meta."))


def counted(text: str, count: int) -> str:
    """A choice with the number of samples behind it."""
    return f"{text} ({count:,})"


def found(count: int, total: int) -> str:
    """How many samples pass."""
    return f"{count:,} of {total:,} samples"


def marks(rights: tuple[bool | None, ...]) -> str:
    """Which versions are right, in words and signs."""
    return " ".join(f"{name} {_MARKS[right]}" for name, right in zip(VERSIONS, rights, strict=False))


def delta(score: str) -> str:
    """Heading of a change of score."""
    return f"Δ {score_name(score)}"


def below(old: str, new: str, compat: str | None) -> str:
    """What the columns stand for, and what to do next."""
    third = f" · Compat: {compat}" if compat else ""
    return f"Old: {old} · New: {new}{third}. Click a row to read the sample below."


def rule(text: str) -> str:
    """Rule of the cause that is chosen."""
    return f"Rule: {text}"


def removes(chip: str) -> str:
    """Label of a button that removes a filter. Coloured is what is read aloud only; on the screen a cross says it."""
    return f":gray[Remove filter:] {chip}"


def quadrant_chip(name: str) -> str:
    """A filter by quadrant."""
    return f"quadrant: {QUADRANTS[name]}"


def cause_chip(name: str) -> str:
    """A filter by cause."""
    return f"cause: {name}"


def search_chip(words: str) -> str:
    """A filter by words."""
    return f"holds: {words}"


def slice_chip(name: str, value: str) -> str:
    """A filter by a field."""
    return f"{name} = {value}"


def change_chip(score: str, low: float | None, high: float | None) -> str:
    """A filter by the change of a score."""
    if low is None:
        return f"change of {score}: below {high:+g}"
    if high is None:
        return f"change of {score}: {low:+g} or more"
    return f"change of {score}: {low:+g} to below {high:+g}"


def right_chip(name: str) -> str:
    """A filter by a version that is right."""
    return f"right in {name}"


def wrong_chip(name: str) -> str:
    """A filter by a version that is wrong."""
    return f"wrong in {name}"


ANSWERS_CHIP = "answers differ"
FIXED = "fixed: a negative flip that is right again"
STILL_WRONG = "still wrong: a negative flip that stays one"
NEWLY_BROKEN = "newly broken: right in the new version, wrong in compat"
