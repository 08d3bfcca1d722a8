"""Classification: one of a fixed set of labels, chosen by the log-likelihood of the labels' names after the prompt.

Reads one text (text, sentence, input or question) or a pair of texts (such as premise and hypothesis), and `label`.
The names of the labels, in the order of their indices, come from the row (labels, label_names or choices), else from
whoever adds the dataset, else they are the dataset's distinct labels, sorted. What this task does not tell: how the
classes differ in difficulty; slice by the gold label for that.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from muscle_core.tasks.base import Judgement, ParsedRow, field_text, plain_value, rest_of
from muscle_core.tasks.multiple_choice import WHOLE, choice_index

_TEXTS = ("text", "sentence", "input", "question")
# Before the single texts: GLUE's QNLI has question and sentence.
_PAIRS = (("premise", "hypothesis"), ("sentence1", "sentence2"), ("question1", "question2"), ("question", "sentence"))
_NAMES = ("labels", "label_names", "choices")


class Classification:
    """Choose one of a fixed set of labels by log-likelihood."""

    kind = "classification"
    generates = False
    default_template = "Text: {input}\nLabel:"
    max_new_tokens = 0
    stop: tuple[str, ...] = ()
    scorings: tuple[str, ...] = ("sum", "per_byte")
    right_or_wrong = True

    def __init__(self, labels: Sequence[str] = ()) -> None:
        """Classification of one dataset.

        Args:
            labels: names of the labels in the order of their indices, for rows that do not bring them.
        """
        self.labels = tuple(labels)

    def parse_row(self, row: dict[str, Any]) -> ParsedRow:
        """Read a text or a pair of texts, and the label as an index or a name.

        Raises:
            ValueError: no text, no label, unknown or unusable label names, or a label that is none of them.
        """
        text, used = _text(row)
        label = plain_value(row.get("label"))
        if _is_missing(label):
            raise ValueError("no label (looked for the field label)")
        field, names = _own_names(row)
        if field is not None and self.labels and names != self.labels:
            raise ValueError(f"{field} is {list(names)}, but the labels of the dataset are {list(self.labels)}")
        names = names or self.labels
        if not names and _is_number(label):
            raise ValueError(
                f"the label {label!r} is a number, and nothing says what it stands for; name the labels in the order "
                "of their numbers (option labels, for example negative,positive), or write labels as texts"
            )
        if problem := label_names_problem(names):
            raise ValueError(problem)
        index = label_index(label, names)
        return ParsedRow(
            input=text,
            gold=str(index),
            target=names[index],
            choices=names,
            metadata=rest_of(row, "label", field, *used),
        )

    def judge(self, output: str, gold: str, scoring: str = "") -> Judgement:
        """Judge a label's index given as text; the scoring has decided which index that is."""
        return Judgement(prediction=output, correct=output == gold)


def label_index(value: Any, names: Sequence[str], *, what: str = "the label") -> int:
    """Index of the label that a value names: by index or by the label's name; a text that is a name is that name.

    Args:
        value: index or name.
        names: names of the labels.
        what: names the value in messages.

    Raises:
        ValueError: the value names none of the labels, or may mean two of them.
    """
    value = plain_value(value)
    if _is_number(value) and value not in names:
        digits = str(value).strip().partition(".")[0]
        if digits in names and names.index(digits) != int(digits):
            raise ValueError(
                f"{what} {value!r} may be an index or a name, for the labels are {', '.join(names)}; write the name as "
                f"the text {digits!r}"
            )
    return choice_index(value, names, letters=False, what=what)


def label_names_problem(names: Sequence[str]) -> str | None:
    """Say what is wrong with the names of labels, or None."""
    if any(not isinstance(name, str) or not name.strip() for name in names):
        return f"a label's name is empty or not a text: {', '.join(map(repr, names))}"
    if len(names) < 2:
        return f"needs at least 2 labels, got {', '.join(map(repr, names)) or 'none'}"
    if len({name.strip() for name in names}) < len(names):
        return f"a label is named twice: {', '.join(map(repr, names))}"
    return None


def distinct_labels(rows: Iterable[dict[str, Any]]) -> tuple[str, ...]:
    """All distinct label texts, sorted, of rows that do not name the labels themselves; numbers are no names."""
    labels = (row.get("label") for row in rows if all(row.get(name) is None for name in _NAMES))
    return tuple(sorted({label.strip() for label in labels if isinstance(label, str) and not _is_number(label)} - {""}))


def _text(row: dict[str, Any]) -> tuple[str, tuple[str, ...]]:
    for pair in _PAIRS:
        texts = [found[1] for name in pair if (found := field_text(row, name)) is not None]
        if len(texts) == len(pair):
            return "\n".join(texts), pair
    single = field_text(row, *_TEXTS)
    if single is None:
        pairs = ", ".join(" and ".join(pair) for pair in _PAIRS)
        raise ValueError(f"no text (looked for the fields {', '.join(_TEXTS)}, and for the pairs {pairs})")
    return single[1], (single[0],)


def _own_names(row: dict[str, Any]) -> tuple[str | None, tuple[str, ...]]:
    for field in _NAMES:
        value = plain_value(row.get(field))
        if value is None:
            continue
        if not isinstance(value, list):
            raise ValueError(f"{field} must be a list of label names, got {value!r}")
        return field, tuple(value)
    return None, ()


def _is_missing(label: Any) -> bool:
    return label is None or label != label or (isinstance(label, str) and not label.strip())  # nan differs from itself


def _is_number(label: Any) -> bool:
    if isinstance(label, str):
        return WHOLE.fullmatch(label.strip()) is not None
    return isinstance(label, int | float) and not isinstance(label, bool)
