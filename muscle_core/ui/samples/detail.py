"""One sample side by side: input, gold answer, each version's answer with a word diff, choices with log-likelihoods."""

from __future__ import annotations

import html
from difflib import SequenceMatcher
from typing import Any

import pandas as pd
import streamlit as st

from muscle_core.comparison import Comparison
from muscle_core.figures import choice_bars
from muscle_core.store import ModelVersion, Workspace
from muscle_core.tasks import Sample, render_prompt
from muscle_core.ui import data
from muscle_core.ui.frame import plain
from muscle_core.ui.numbers import SCORE_NAMES
from muscle_core.ui.picks import Picks
from muscle_core.ui.samples.table import SAMPLE_KEY, ViewOfSamples
from muscle_core.ui.url import publish, restore

_BOX = "white-space:pre-wrap;overflow-wrap:anywhere;line-height:1.5;font-size:0.95rem"


def show(workspace: Workspace, chosen: Picks, comparison: Comparison, view: ViewOfSamples) -> None:
    """Draw the sample whose id is in the URL, or say how to choose one."""
    st.subheader("Sample", anchor=False)
    restore(SAMPLE_KEY, "", lambda text: isinstance(text, str))
    identity = st.text_input("Sample id", key=SAMPLE_KEY, placeholder="tick a row above, or type an id")
    publish(SAMPLE_KEY, identity)
    if not identity:
        st.info("Tick a row of the table to read its sample here.", icon=":material/touch_app:")
        return
    if not draw(workspace, chosen, comparison, identity):
        st.warning(f"No sample {plain(repr(identity))} was answered by both versions.", icon=":material/warning:")


def draw(
    workspace: Workspace, chosen: Picks, comparison: Comparison, identity: str, *, with_cause: bool = True
) -> bool:
    """Draw one sample, with the cause by rule or without; False where it was not answered by both versions."""
    rows = comparison.samples[comparison.samples["sample_id"] == identity]
    sample = data.samples(workspace, chosen.dataset, chosen.split).get(identity)
    if sample is None or rows.empty:
        return False
    row = rows.iloc[0]
    _head(row)
    if with_cause:
        _cause(workspace, chosen, identity)
    st.markdown("**Input**")
    with st.container(border=True):
        st.html(f'<div style="{_BOX}">{html.escape(sample.input)}</div>')
    with st.expander("Prompt as the model reads it"):
        st.code(render_prompt(chosen.dataset.template, sample.input), language=None, wrap_lines=True)
    _answers(workspace, chosen, sample)
    if sample.metadata:
        with st.expander("Metadata"):
            st.json(sample.metadata, expanded=True)
    return True


def _head(row: pd.Series) -> None:
    quadrant = row["quadrant"]
    if isinstance(quadrant, str):
        names = {
            "Q1": ("both right", "gray"),
            "Q2": ("positive flip: wrong before, right now", "blue"),
            "Q3": ("both wrong", "gray"),
            "Q4": ("negative flip: right before, wrong now", "orange"),
        }
        text, color = names[quadrant]
        st.badge(f"{quadrant} · {text}", color=color)  # type: ignore[arg-type]


def _cause(workspace: Workspace, chosen: Picks, identity: str) -> None:
    """Why it flipped, by which rule, and what was seen."""
    causes = data.causes(workspace, chosen.old, chosen.new, chosen.dataset, chosen.split)
    if identity not in causes.index:
        return
    cause = causes.loc[identity]
    seen = f" Seen here: {plain(cause['cause_evidence'])}" if cause["cause_evidence"] else ""
    st.markdown(f"**Cause: {plain(cause['cause'])}**")
    st.caption(f"Rule: {plain(cause['cause_rule'])}{seen}")


def _answers(workspace: Workspace, chosen: Picks, sample: Sample) -> None:
    versions: list[tuple[str, ModelVersion]] = [("Old", chosen.old), ("New", chosen.new)]
    if chosen.compat is not None:
        versions.append(("Compat", chosen.compat))
    records = [_record(workspace, chosen, version, sample.id) for _, version in versions]
    columns = st.columns(len(versions) + 1)
    with columns[0]:
        st.markdown("**Gold answer**")
        with st.container(border=True):
            st.html(f'<div style="{_BOX}">{html.escape(sample.target)}</div>')
    reference = _text_of(records[0], sample)
    for position, ((label, version), record) in enumerate(zip(versions, records, strict=True)):
        with columns[position + 1]:
            st.markdown(f"**{label}** · {plain(version.name)}")
            with st.container(border=True):
                if record is None:
                    st.caption("not evaluated on this sample")
                    continue
                text = _text_of(record, sample)
                shown = html.escape(text) if position == 0 else word_diff(reference, text)
                st.html(f'<div style="{_BOX}">{shown}</div>')
            st.caption(_facts(record))
    if sample.choices and all(r is not None and r.get("choice_loglikelihoods") is not None for r in records):
        _choices(sample, versions, [r for r in records if r is not None])


def _record(workspace: Workspace, chosen: Picks, version: ModelVersion, identity: str) -> dict[str, Any] | None:
    frame = data.predictions(workspace, version, chosen.dataset, chosen.split)
    return frame.loc[identity].to_dict() if identity in frame.index else None


def _text_of(record: dict[str, Any] | None, sample: Sample) -> str:
    if record is None:
        return ""
    output = record.get("output")
    return str(output) if isinstance(output, str) and output else data.answer_text(sample, record.get("prediction"))


def _facts(record: dict[str, Any]) -> str:
    facts = []
    if not pd.isna(record.get("correct")):
        facts.append("✓ right" if record["correct"] else "✗ wrong")
    if pd.isna(record.get("prediction")):
        facts.append("no answer found")
    if record.get("finish_reason") == "length":
        facts.append("cut off at the token limit")
    for name, label in SCORE_NAMES.items():
        if record.get(name) is not None and not pd.isna(record[name]):
            facts.append(f"{label} {record[name]:.3f}")
    if record.get("gold_loglikelihood") is not None and not pd.isna(record["gold_loglikelihood"]):
        facts.append(f"log-likelihood of the gold answer {record['gold_loglikelihood']:.2f}")
    return " · ".join(facts)


def _choices(sample: Sample, versions: list[tuple[str, ModelVersion]], records: list[dict[str, Any]]) -> None:
    st.markdown("**Choices with log-likelihood** (nats; nearer to 0 is more likely)")
    st.plotly_chart(
        choice_bars(
            sample.choices,
            list(records[0]["choice_loglikelihoods"]),
            list(records[1]["choice_loglikelihoods"]),
            int(sample.gold),
            compat_ll=list(records[2]["choice_loglikelihoods"]) if len(records) > 2 else None,
            old_name=versions[0][1].name,
            new_name=versions[1][1].name,
            compat_name=versions[2][1].name if len(versions) > 2 else "compat",
        ),
        key="sample_choices",
        config={"displayModeBar": False},
        alt="Log-likelihood of each choice under each version; the gold choice is marked",
    )


def word_diff(old: str, new: str) -> str:
    """HTML of the new text with words marked that the old one does not have; all text is escaped.

    Inserted words are underlined and bold, left-out words struck through, so that colour is not needed.
    """
    first, second = old.split(), new.split()
    parts = []
    for operation, a, b, c, d in SequenceMatcher(a=first, b=second, autojunk=False).get_opcodes():
        removed, added = html.escape(" ".join(first[a:b])), html.escape(" ".join(second[c:d]))
        if operation == "equal":
            parts.append(added)
            continue
        if removed:
            parts.append(f'<del style="opacity:0.65">{removed}</del>')
        if added:
            parts.append(f'<ins style="font-weight:600">{added}</ins>')
    return " ".join(parts)
