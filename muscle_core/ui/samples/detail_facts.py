"""What else is known of one sample: the prompt, raw outputs, finish reasons, times, metadata, and people's reviews."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from muscle_core.actions.reviews.records import reviews_of_sample
from muscle_core.actions.updates.compare import VersionPair
from muscle_core.store import Workspace
from muscle_core.tasks import Sample, render_prompt
from muscle_core.ui import data
from muscle_core.ui.frame import plain
from muscle_core.ui.picks import Picks
from muscle_core.ui.samples import detail_text
from muscle_core.ui.samples import detail_words as words
from muscle_core.ui.samples.detail_answers import Answer

_OUTPUT_HEIGHT = 300


def show(chosen: Picks, sample: Sample, answers: list[Answer]) -> None:
    """Draw prompt, raw outputs and metadata, each folded."""
    with st.expander(words.PROMPT):
        _prompts(sample, answers)
    asked = [answer for answer in answers if answer.record is not None]
    with st.expander(words.FACTS):
        names = [f"{words.ROLES[answer.role]} {answer.version.name}" for answer in asked]
        columns = [_column(answer, sample) for answer in asked]
        rows = [list(row) for row in zip(words.FACTS_ROWS, *columns, strict=True)]
        st.html(detail_text.table(words.FACTS_CAPTION, [words.FACTS_HEAD, *names], rows))
        for answer in asked:
            output = (answer.record or {}).get("output")
            if isinstance(output, str) and output and not sample.choices:
                st.caption(f"{words.ROLES[answer.role]} · {plain(answer.version.name)}")
                _code(output)
    if sample.metadata:
        with st.expander(words.METADATA):
            st.json(sample.metadata, expanded=True)


def _prompts(sample: Sample, answers: list[Answer]) -> None:
    """What was asked; once where all versions were asked alike."""
    by_template: dict[tuple[str, bool, bool], list[Answer]] = {}
    for answer in answers:
        imported, chat = answer.run.origin == "imported", bool(answer.run.decoding.get("chat"))
        by_template.setdefault((answer.run.template, chat, imported), []).append(answer)
    for (template, chat, imported), group in by_template.items():
        if len(by_template) > 1:
            st.caption(" · ".join(plain(answer.version.name) for answer in group))
        _code(render_prompt(template, sample.input))
        if chat:
            st.caption(words.CHAT)
        if imported:
            st.caption(words.IMPORTED_PROMPT)


def _code(text: str) -> None:
    long = detail_text.is_long(text)
    st.code(text, language=None, wrap_lines=True, height=_OUTPUT_HEIGHT if long else "content")


def _column(answer: Answer, sample: Sample) -> list[str]:
    """What is known of one answer, in the order of FACTS_ROWS."""
    record = answer.record or {}
    reason = record.get("finish_reason")
    seconds, likelihood = answer.score("latency_seconds"), answer.score("gold_loglikelihood")
    taken = record.get("prediction")
    return [
        words.NO_ANSWER if pd.isna(taken) else _short(data.answer_text(sample, taken)),
        words.FINISH.get(reason, reason) if isinstance(reason, str) else words.UNKNOWN,
        words.UNKNOWN if seconds is None else words.seconds(seconds),
        words.evaluated(answer.run.origin == "imported", answer.run.created_at),
        words.UNKNOWN if likelihood is None else f"{likelihood:.2f}",
    ]


def _short(text: str) -> str:
    return text if len(text) <= data.PREVIEW_CHARACTERS else f"{text[: data.PREVIEW_CHARACTERS - 1]}…"


def reviews(workspace: Workspace, chosen: Picks, identity: str) -> None:
    """What people said of the sample; nothing where nobody has reviewed it."""
    old, new = (
        data.prediction(workspace, version, chosen.dataset, chosen.split, identity) or {}
        for version in (chosen.old, chosen.new)
    )
    pair = VersionPair(chosen.old, chosen.new, chosen.dataset, chosen.split)
    found = reviews_of_sample(workspace, pair, identity, old, new)
    if not found:
        return
    st.markdown(f"**{words.REVIEWS}**")
    for one in found:
        said = " · ".join(filter(None, (one["verdict"], one["cause"], one["severity"], one["note"])))
        st.markdown(words.review(plain(one["reviewer"]), plain(said), one["stale"]))
