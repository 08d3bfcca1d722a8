"""The tokens of a sample's gold answer and which teacher each follows: for one strategy, or for all of them.

Pages load no models. What is shown is what a background job has kept (`muscle_core.store.kept_tokens`); where there is
nothing yet, a button submits the job, for the sample and some around it.
"""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
import streamlit as st

from muscle_core.actions.background.submit import submit_token_views
from muscle_core.actions.strategies.token_view import job_of_tokens, why_no_tokens
from muscle_core.comparison.sample_filter import in_quadrant
from muscle_core.compat.config import STRATEGIES
from muscle_core.interchange.exports import csv_text
from muscle_core.jobs import ACTIVE, list_jobs
from muscle_core.store import Job, Workspace
from muscle_core.store.kept_tokens import KeptTokens, TokensOf, read_tokens
from muscle_core.tasks import Sample
from muscle_core.ui import data
from muscle_core.ui import token_words as words
from muscle_core.ui.frame import errors_shown, plain, plain_lines
from muscle_core.ui.numbers import percent
from muscle_core.ui.picks import Picks
from muscle_core.ui.samples import detail_text
from muscle_core.ui.url import linked_control, linked_select, rerun
from muscle_core.ui.words import NUMBERS_CSV
from muscle_core.ui.worker import keep_worker

STRATEGY, STUDENT, FLIP = "tokens_by", "tokens_student", "tokens_of"
IN_URL = (STRATEGY, STUDENT)
_JOBS = 200  # the newest, among which that of a sample is looked for
_AROUND = 25
_MOST_FLIPS = 200  # that the picker offers
_MOST_SIGNS = 300  # of a sample's texts above its tokens
_STYLE = """<style>
.muscle-strip { line-height: 2.6; overflow-wrap: anywhere; }
.muscle-token { display: inline-block; line-height: 1.25; margin: 0 2px 4px 0; padding: 1px 4px; border-radius: 4px;
  border: 2px solid transparent; text-align: center; white-space: pre-wrap; max-width: 100%;
  font-family: "Source Code Pro", monospace; font-size: 0.85rem; }
.muscle-token b { display: block; font-size: 0.75rem; }
.muscle-old { background: rgba(230, 159, 0, 0.22); border: 2px dashed #B37A00; }
.muscle-new { background: rgba(0, 114, 178, 0.16); border: 2px solid #3D8FC4; }
.muscle-gold { background: rgba(128, 128, 128, 0.14); border: 2px dotted #808080; }
.muscle-several { background: rgba(204, 121, 167, 0.20); border: 4px double #B4628F; }
.muscle-grid { border-collapse: separate; border-spacing: 2px; font-size: 0.85rem; }
.muscle-grid th { text-align: left; font-weight: 600; white-space: pre; padding: 0 6px 0 0; }
.muscle-grid th.muscle-head { font-family: "Source Code Pro", monospace; text-align: center; padding: 0 3px; }
.muscle-grid tbody th { position: sticky; left: 0; }
.muscle-grid td { text-align: center; border-radius: 4px; padding: 1px 5px; font-variant-numeric: tabular-nums; }
</style>"""


def show(
    workspace: Workspace,
    chosen: Picks,
    sample_id: str,
    strategies: Sequence[str] | None = None,
    *,
    around: Sequence[str] = (),
) -> None:
    """Draw the tokens of one sample with the teacher that each follows under a strategy to be chosen.

    Args:
        workspace: where all is.
        chosen: the sidebar's picks.
        sample_id: the sample.
        strategies: what can be chosen; by default all.
        around: further samples that are looked at in the same job.
    """
    st.markdown(f"**{words.TITLE}**", help=words.EXPLAIN)
    whose = _whose(chosen, with_choice=True)
    found = _looked_at(workspace, chosen, whose, sample_id, around, key="strip")
    if found is None:
        return
    offered = [name for name in strategies or STRATEGIES if name in found.follows]
    strategy = linked_control(words.STRATEGY, offered, STRATEGY, unnamed=offered[0], format_func=plain)
    counts = Counter(found.follows[strategy])
    summary = words.summary(strategy, dict(sorted(counts.items())))
    st.caption(f"{plain(summary)} {plain(_begun(STRATEGIES[strategy]))}.")
    st.html(_STYLE)
    st.html(_strip(found, strategy, summary))
    st.html(_legend(counts))
    with st.expander(words.TABLE):
        frame = _frame(found, strategy)
        st.html(detail_text.STYLE)
        cells = [[_cell(value) for value in row] for row in frame.itertuples(index=False)]
        figures = [place for place, name in enumerate(frame) if pd.api.types.is_float_dtype(frame[name])]
        st.html(detail_text.table(words.TABLE_CAPTION, list(frame), cells, figures=figures))
        st.download_button(
            NUMBERS_CSV,
            lambda: csv_text(frame),
            file_name=f"tokens-{sample_id}.csv",
            mime="text/csv",
            icon=":material/download:",
            type="tertiary",
            key="strip_csv",
        )


def show_all_strategies(workspace: Workspace, chosen: Picks, sample_ids: Sequence[str] | None = None) -> None:
    """Draw the tokens of one of some samples, a row for each strategy; a select box chooses the sample.

    Args:
        workspace: where all is.
        chosen: the sidebar's picks.
        sample_ids: what can be chosen; by default the negative flips, or where answers are neither right nor wrong,
            the samples that lost score.
    """
    st.subheader(words.TITLE_ALL, anchor=False)
    label, offered = words.FLIPS, list(sample_ids or ())[:_MOST_FLIPS]
    if sample_ids is None:
        label, offered = _flips(workspace, chosen)
    if not offered:
        st.info(words.NO_FLIPS, icon=":material/info:")
        return
    sample_id = linked_select(label, offered, FLIP, help=words.EXPLAIN)
    sample = data.sample(workspace, chosen.dataset, chosen.split, sample_id)
    if sample is not None:
        st.caption(plain(words.about(_cut(sample.input), _cut(sample.target))))
    at = offered.index(sample_id)
    start = max(0, at - _AROUND // 3)
    found = _looked_at(
        workspace,
        chosen,
        _whose(chosen, with_choice=False),
        sample_id,
        offered[start : start + _AROUND],
        key="strip_all",
    )
    if found is None:
        return
    st.html(_STYLE)
    st.html(_grid(found))
    st.html(_legend(Counter(follow for all_of in found.follows.values() for follow in all_of)))


def _begun(text: str) -> str:
    """As the beginning of a sentence."""
    return text[:1].upper() + text[1:]


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_SIGNS else f"{text[: _MOST_SIGNS - 1]}…"


def _flips(workspace: Workspace, chosen: Picks) -> tuple[str, list[str]]:
    """What can be chosen where nothing was named: label and ids."""
    compared = data.comparison(workspace, chosen.old, chosen.new, chosen.dataset, chosen.split)
    matched = compared.rows
    label, rows = words.FLIPS, np.flatnonzero(in_quadrant(matched, "Q4"))
    if not len(rows) and compared.score is not None:
        old, new = matched.scores[compared.score]
        lost = np.flatnonzero(new - old < 0)
        label, rows = words.LOSSES, lost[np.argsort((new - old)[lost], kind="stable")]
    return label, matched.ids.take(pa.array(rows[:_MOST_FLIPS])).to_pylist()


def _whose(chosen: Picks, *, with_choice: bool) -> TokensOf:
    """The versions; the student is the new one unless the picked adapter is chosen in its place."""
    student = chosen.new
    if with_choice and chosen.compat is not None:
        adapter = TokensOf(chosen.old, chosen.new, chosen.compat, chosen.dataset)
        if why_no_tokens(adapter) is None:
            picked = linked_control(
                words.STUDENT,
                words.STUDENTS,
                STUDENT,
                unnamed="new",
                format_func=words.STUDENTS.__getitem__,
                help=words.STUDENT_HELP,
            )
            student = chosen.compat if picked == "compat" else chosen.new
    return TokensOf(chosen.old, chosen.new, student, chosen.dataset)


def _looked_at(
    workspace: Workspace, chosen: Picks, whose: TokensOf, sample_id: str, around: Sequence[str], *, key: str
) -> KeptTokens | None:
    """What is kept of a sample's tokens; where there is nothing, says why, offers to look, or shows how far it is."""
    sample = data.sample(workspace, chosen.dataset, chosen.split, sample_id)
    if sample is None:
        return None
    why = why_no_tokens(whose)
    if why is not None:
        st.caption(plain(words.no_weights(why)))
        return None
    if not sample.target:
        st.caption(words.NO_TARGET)
        return None
    found = read_tokens(workspace, whose, sample)
    if found is not None:
        return found
    job = job_of_tokens(list_jobs(workspace, _JOBS), whose, chosen.split, sample_id)
    if job is not None and job.state == "succeeded":
        found = read_tokens(workspace, whose, sample, fetch=True)  # perhaps another machine looked
        if found is not None:
            return found
    place = st.container()
    if job is not None and job.state in ACTIVE:
        with place:
            _progress(workspace, job.id, whose, sample)
        return None
    with place:
        _offer(workspace, chosen, whose, sample_id, around, job, key)
    return None


def _offer(
    workspace: Workspace,
    chosen: Picks,
    whose: TokensOf,
    sample_id: str,
    around: Sequence[str],
    job: Job | None,
    key: str,
) -> None:
    """The button that submits the job, after what became of an earlier one."""
    label = words.LOOK
    if job is not None:
        refused = (job.result or {}).get("refused", {}).get(sample_id)
        if refused:
            st.info(plain_lines(words.refused(refused)), icon=":material/info:")
            return
        if job.state != "succeeded":
            label = words.LOOK_AGAIN
            text = words.cancelled() if job.state == "cancelled" else words.failed(job.error or job.state)
            st.warning(plain_lines(text), icon=":material/warning:")
    ids = list(dict.fromkeys([sample_id, *around]))
    st.caption(words.ask(len(ids)))
    if st.button(label, icon=":material/token:", help=words.LOOK_HELP, key=f"{key}_look"):
        with errors_shown():
            submit_token_views(
                workspace,
                whose.old.name,
                whose.new.name,
                chosen.dataset.name,
                ids,
                compat_name=None if whose.student.id == whose.new.id else whose.student.name,
                split=chosen.split,
            )
        rerun()


@st.fragment(run_every="1s")
def _progress(workspace: Workspace, job_id: str, whose: TokensOf, sample: Sample) -> None:
    """How far the job is; draws the page anew when it is over, or when this sample is there."""
    job = next((job for job in list_jobs(workspace, _JOBS) if job.id == job_id), None)
    if job is None or job.state not in ACTIVE or read_tokens(workspace, whose, sample) is not None:
        rerun()
    keep_worker(workspace, job)
    told = job.progress
    if job.state == "queued":
        st.progress(0.0, text=words.WAITING)
    elif not told:
        st.progress(0.0, text=words.STARTING)
    else:
        share = min(told["done"] / max(told["total"], 1), 1.0)
        st.progress(share, text=plain(words.progress(told["stage"], told["done"], told["total"])))


def visible(token: str) -> str:
    """A token as it is shown: spaces at its ends, line ends and tabs can be seen."""
    core = token.strip(" ")
    before = "·" * (len(token) - len(token.lstrip(" ")))
    after = "·" * (len(token) - len(token.rstrip(" "))) if core else ""
    return (before + core + after).replace("\n", "⏎").replace("\r", "␍").replace("\t", "⇥") or "∅"


def _kind(follows: str) -> str:
    return f"muscle-{follows}" if follows in ("old", "new", "gold") else "muscle-several"


def _letter(follows: str) -> str:
    return words.LETTERS.get(follows, follows)


def _strip(found: KeptTokens, strategy: str, summary: str) -> str:
    tokens = []
    for place, (token, follows) in enumerate(zip(found.text, found.follows[strategy], strict=True)):
        seen = [
            (name, visible(says[place]), percent(found.probability[name][place])) for name, says in found.argmax.items()
        ]
        hover = words.hover(place + 1, visible(token), follows, seen)
        tokens.append(
            f'<span class="muscle-token {_kind(follows)}" title="{html.escape(hover, quote=True)}">'
            f"{html.escape(visible(token))}<b>{html.escape(_letter(follows))}</b></span>"
        )
    label = html.escape(words.alt("".join(found.text), summary), quote=True)
    return (
        f'<div class="muscle-strip" role="img" aria-label="{label}" data-strategy="{strategy}">{"".join(tokens)}</div>'
    )


def _grid(found: KeptTokens) -> str:
    """A table: one row a strategy, one column a token."""
    head = "".join(f'<th scope="col" class="muscle-head">{html.escape(visible(token))}</th>' for token in found.text)
    rows = []
    for strategy, follows in found.follows.items():
        cells = "".join(f'<td class="{_kind(one)}">{html.escape(_letter(one))}</td>' for one in follows)
        share = sum("old" in one.split("+") for one in follows)  # not in "gold"
        meaning = html.escape(STRATEGIES.get(strategy, ""), quote=True)
        rows.append(
            f'<tr><th scope="row" title="{meaning}">{html.escape(strategy)}</th>'
            f"<td>{words.share(share, len(follows))}</td>{cells}</tr>"
        )
    label = html.escape(words.TITLE_ALL, quote=True)
    first = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in (words.ALL_HEAD, words.SHARE_HEAD))
    region = f'<div style="overflow-x: auto" tabindex="0" role="region" aria-label="{label}">'
    table = f"<thead><tr>{first}{head}</tr></thead><tbody>{''.join(rows)}</tbody>"
    return f'{region}<table class="muscle-grid">{table}</table></div>'


def _legend(counts: Counter[str]) -> str:
    parts = [
        f'<span class="muscle-token {_kind(name)}">{html.escape(_letter(name))}</span> {html.escape(meaning)}'
        for name, meaning in words.TEACHERS.items()
        if counts[name]
    ]
    return f'<div style="font-size: 0.9rem">{html.escape(words.LEGEND)} &nbsp; {" &nbsp; ".join(parts)}</div>'


def _frame(found: KeptTokens, strategy: str) -> pd.DataFrame:
    """The strip as a table; probabilities are those of the gold token, from 0 to 1."""
    columns = [
        [visible(token) for token in found.text],
        [_letter(follows) for follows in found.follows[strategy]],
        *_said(found, "old"),
        *_said(found, "new"),
    ]
    head = list(words.HEAD)
    if found.argmax["student"] != found.argmax["new"] or found.probability["student"] != found.probability["new"]:
        head += words.HEAD_STUDENT
        columns += _said(found, "student")
    return pd.DataFrame(dict(zip(head, columns, strict=True)))


def _said(found: KeptTokens, name: str) -> tuple[list[str], list[float]]:
    return [visible(token) for token in found.argmax[name]], found.probability[name]


def _cell(value: object) -> str:
    return percent(value) if isinstance(value, float) else str(value)
