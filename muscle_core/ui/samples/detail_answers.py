"""The answers of one sample beside each other and beside the gold answer, with differences or shared words marked."""

from __future__ import annotations

from typing import Any, NamedTuple

import pandas as pd
import streamlit as st

from muscle_core.actions.updates.compare import require_run
from muscle_core.store import EvaluationRun, ModelVersion, Workspace
from muscle_core.tasks import Sample
from muscle_core.tasks.math import normalise_number, number_place
from muscle_core.tasks.shared_words import SharedWords, shared_words
from muscle_core.ui import data
from muscle_core.ui.frame import plain, wrapping_columns
from muscle_core.ui.numbers import SCORE_NAMES
from muscle_core.ui.picks import Picks
from muscle_core.ui.samples import detail_text
from muscle_core.ui.samples import detail_words as words
from muscle_core.ui.samples.detail_text import Span
from muscle_core.ui.url import linked_control

BASE, MARK = "compare_with", "mark"
IN_URL = (BASE, MARK)
_GOLD = "gold"
_DIFFERENCES = "differences"
_WITH_SHARED_WORDS = ("summarization", "instruction")
_SAME_SCORE = 5e-4  # both are shown with three digits


class Answer(NamedTuple):
    """What one version said of the sample.

    Attributes:
        role: "old", "new" or "compat".
        version: who.
        run: its newest run.
        record: its row of the run; None where it was not asked.
        text: the answer as people read it.
    """

    role: str
    version: ModelVersion
    run: EvaluationRun
    record: dict[str, Any] | None
    text: str

    @property
    def correct(self) -> bool | None:
        """Whether it is right; None where that is not known."""
        value = None if self.record is None else self.record.get("correct")
        return None if value is None or pd.isna(value) else bool(value)

    def score(self, name: str) -> float | None:
        """One of its continuous scores, or log-likelihoods; None where it has none."""
        value = None if self.record is None else self.record.get(name)
        return None if value is None or pd.isna(value) else float(value)


def answers_of(workspace: Workspace, chosen: Picks, sample: Sample) -> list[Answer]:
    """The answers of the old and the new version, and of the adapter where one is picked.

    Raises:
        StoreError: a version was not evaluated on the split.
    """
    found = []
    for role in ("old", "new", "compat"):
        version = getattr(chosen, role)
        if version is None:
            continue
        run = require_run(workspace, version, chosen.dataset, chosen.split)
        record = data.prediction(workspace, version, chosen.dataset, chosen.split, sample.id)
        found.append(Answer(role, version, run, record, _text_of(record, sample)))
    return found


def _text_of(record: dict[str, Any] | None, sample: Sample) -> str:
    if record is None:
        return ""
    output, taken = record.get("output"), record.get("prediction")
    if isinstance(output, str) and output:
        return output
    return "" if pd.isna(taken) else data.answer_text(sample, taken)


def show(chosen: Picks, sample: Sample, answers: list[Answer]) -> None:
    """Draw the gold answer and those of all versions."""
    mark, base = _choices(chosen, sample)
    columns = wrapping_columns(len(answers) + 1, least=215, key="sample_answers")
    texts = {answer.role: answer.text for answer in answers} | {_GOLD: sample.target}
    with columns[0]:
        _gold(chosen, sample, answers, mark, base, texts[base])
    for answer, column in zip(answers, columns[1:], strict=True):
        with column:
            _answer(chosen, sample, answer, mark, base, texts[base])
    _legend(mark, base, has_number=chosen.dataset.task_kind == "math")


def _choices(chosen: Picks, sample: Sample) -> tuple[str, str]:
    """What is marked, and against what; both are in the URL where they are not the usual."""
    bases = ["old", "new", *([_GOLD] if sample.target else [])]
    marks = list(words.MARKS) if sample.target and chosen.dataset.task_kind in _WITH_SHARED_WORDS else [_DIFFERENCES]
    row = st.container(horizontal=True)
    mark = _DIFFERENCES
    if len(marks) > 1:
        with row:
            mark = linked_control(
                words.MARK,
                marks,
                MARK,
                unnamed=_DIFFERENCES,
                format_func=words.MARKS.__getitem__,
                help=words.MARK_HELP,
            )
    if mark != _DIFFERENCES:
        return mark, _GOLD
    with row:
        base = linked_control(
            words.COMPARE_WITH,
            bases,
            BASE,
            unnamed="old",
            format_func=words.ROLES_IN_TEXT.__getitem__,
            help=words.COMPARE_HELP,
        )
    return mark, base


def _gold(chosen: Picks, sample: Sample, answers: list[Answer], mark: str, base: str, base_text: str) -> None:
    name = words.REFERENCE if chosen.dataset.task_kind in _WITH_SHARED_WORDS else words.GOLD
    st.markdown(f"**{name}**  \n{words.OF_DATASET}")
    if not sample.target:
        with st.container(border=True):
            st.caption(words.NO_REFERENCE)
        return
    newest = next(answer for answer in answers if answer.role == "new")
    shared = _shared(newest.text, sample, mark)
    with st.container(border=True):
        content = _marked(sample.target, None, shared.reference if shared else (), _number(chosen, sample.target, None))
        _box(content, name, sample.target)
    if shared is not None:
        st.caption(words.reference_marks(words.ROLES_IN_TEXT["new"]))


def _answer(chosen: Picks, sample: Sample, answer: Answer, mark: str, base: str, base_text: str) -> None:
    st.markdown(f"**{words.ROLES[answer.role]}**  \n{plain(answer.version.name)}")
    with st.container(border=True):
        if answer.record is None:
            st.caption(words.NOT_EVALUATED)
            return
        if not answer.text:
            st.caption(words.NO_TEXT)
        else:
            shared = _shared(answer.text, sample, mark)
            other = base_text if mark == _DIFFERENCES and answer.role != base else None
            number = _number(chosen, answer.text, answer.record.get("prediction"))
            content = _marked(answer.text, other, shared.answer if shared else (), number)
            _box(content, f"{words.ROLES[answer.role]} {answer.version.name}", answer.text)
    _judgement(answer)
    if mark != _DIFFERENCES and answer.text:
        _counted(answer, mark, _shared(answer.text, sample, mark))


def _box(content: str, name: str, text: str) -> None:
    st.html(detail_text.box(content, name=words.text_of(name), long=detail_text.is_long(text)))


@st.cache_data(max_entries=256, show_spinner=False)
def _difference(base: str, text: str) -> detail_text.Difference | None:
    return detail_text.word_difference(base, text)


@st.cache_data(max_entries=256, show_spinner=False)
def _shared_words(answer: str, reference: str, score: str) -> SharedWords | None:
    return shared_words(answer, reference, score)


def _shared(text: str, sample: Sample, mark: str) -> SharedWords | None:
    return None if mark == _DIFFERENCES else _shared_words(text, sample.target, mark)


def _marked(text: str, other: str | None, shared: tuple[Span, ...] | list[Span], number: Span | None) -> str:
    difference = None if other is None else _difference(other, text)
    if other is not None and difference is None:
        st.caption(words.TOO_LONG)
    return detail_text.marked_text(text, difference=difference, shared=shared, number=number)


def _number(chosen: Picks, text: str, prediction: Any) -> Span | None:
    """Where the number stands that was taken as the answer of a word problem; None where it is not in the text."""
    if chosen.dataset.task_kind != "math":
        return None
    for scoring in ("", "strict"):
        place = number_place(text, scoring)
        if place is not None and (prediction is None or normalise_number(text[slice(*place)]) == prediction):
            return place
    return None


def _judgement(answer: Answer) -> None:
    """Right or wrong in words, then what else is known in figures."""
    record = answer.record or {}
    parts = []
    if answer.correct is not None:
        parts.append(f"**✓ {words.RIGHT}**" if answer.correct else f"**✗ {words.WRONG}**")
    if pd.isna(record.get("prediction")) and answer.text:
        parts.append(words.NO_ANSWER)
    if record.get("finish_reason") == "length":
        parts.append(words.FINISH["length"])
    for name, label in SCORE_NAMES.items():
        value = answer.score(name)
        if value is not None:
            parts.append(words.score_of(label, value))
    likelihood = answer.score("gold_loglikelihood")
    if likelihood is not None:
        parts.append(words.likelihood(likelihood))
    if parts:
        st.caption(" · ".join(parts))


def _counted(answer: Answer, mark: str, shared: SharedWords | None) -> None:
    """What the score counts, and where the run has another figure."""
    if shared is None:
        st.caption(words.TOO_LONG)
        return
    st.caption(words.shared_figures(mark, shared.shared, shared.of_answer, shared.of_reference, shared.f1))
    stored = answer.score(mark)
    if stored is not None and abs(stored - shared.f1) > _SAME_SCORE:
        st.caption(words.other_score(SCORE_NAMES[mark], stored, shared.f1))


def _legend(mark: str, base: str, *, has_number: bool) -> None:
    if mark == _DIFFERENCES:
        against = words.differences_legend(words.ROLES_IN_TEXT[base])
        marks = [f"<ins>{words.ADDED}</ins>", f"<del>{words.LEFT_OUT}</del> {against}"]
    else:
        marks = [f"<mark>{words.SHARED}</mark> {words.counts_for(words.MARKS[mark])}"]
    if has_number:
        marks.append(f'<mark class="muscle-number">{words.NUMBER}</mark> {words.NUMBER_MEANS}')
    st.html(f'<div class="muscle-text">{" · ".join(marks)}</div>')
