"""One job live: state, progress with the time left, figures, log and curves; and what came of it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, Literal

import pandas as pd
import streamlit as st

from muscle_core.actions.background.time_left import Point, recent_points, recent_tokens_per_second, time_left
from muscle_core.actions.background.words import event_words, waiting, why_again
from muscle_core.actions.training.step_records import read_metrics
from muscle_core.figures import training_curves
from muscle_core.jobs import ACTIVE, RESUMABLE, history, log_tail
from muscle_core.store import LOG, Job, Workspace, job_file
from muscle_core.ui.chart import chart
from muscle_core.ui.frame import go, plain, plain_lines, wrapping_columns
from muscle_core.ui.numbers import duration, percent
from muscle_core.ui.training import job_words as words
from muscle_core.ui.training.form import KEYS
from muscle_core.ui.url import drop
from muscle_core.ui.wrapped_table import HEIGHT, wrapped_table

_MOST_POINTS = 400
_SILENT_SECONDS = 5.0
_MOST_LINES, _MOST_CHARACTERS = 12, 1_000  # more of a message is folded away
_LOG_HEIGHT = 160
_STATE_HEIGHT = 150  # of the state of a running job, so that what is below keeps its place


def show(workspace: Workspace, family: Sequence[Job]) -> None:
    """Draw a job, and those that need it once it has succeeded.

    Args:
        workspace: where they are.
        family: the job, then what needs it.
    """
    job, working = family[0], at_work(family)
    place = st.container(key="job_state")
    if working.state in ACTIVE:
        place.html(f"<style>.st-key-job_state {{ min-height: {_STATE_HEIGHT}px; }}</style>")
    with place:
        for one in family:
            if one is job or job.state == "succeeded":  # what comes after is of interest once it can start
                _state(workspace, one)
    if job.state in RESUMABLE:
        _say_what_follows(job, family[1:])
    for one in family:
        _result(one)
    if working.state in ACTIVE:
        _live_log(workspace, working)
    if working.state in ("failed", "lost"):
        _details(workspace, family)
        _figures(workspace, job)
    else:
        _figures(workspace, job)
        _details(workspace, family)


def at_work(family: Sequence[Job]) -> Job:
    """The job that is to be cancelled or resumed: the picked one, or the one after it once that has succeeded."""
    return next((job for job in family if job.state != "succeeded"), family[0])


def seconds_of(job: Job) -> float:
    """Since a job was started first, until its end or now."""
    assert job.started_at is not None
    return ((job.finished_at or datetime.now(UTC)) - job.started_at).total_seconds()


def _state(workspace: Workspace, job: Job) -> None:
    st.markdown(f"**{words.STATES[job.state]}** · {plain(job.title)}")
    again = why_again(history(workspace, job.id))
    taken = None if job.started_at is None else duration(seconds_of(job))
    facts = words.job_facts(
        job.id[:8], _moment(job.created_at), taken, over=job.finished_at is not None, again=bool(again)
    )
    st.caption(plain_lines(f"{facts}\n{again}"))
    if job.state == "queued":
        st.info(plain(waiting(workspace, [job])[job.id].sentence), icon=":material/hourglass_empty:")
    elif job.state in ACTIVE:
        _progress(workspace, job)
    elif job.state != "succeeded":
        _end(job)


def _progress(workspace: Workspace, job: Job) -> None:
    progress = job.progress
    if not progress:
        st.progress(0.0, text=words.STARTING)
    elif progress["total"] <= 1:
        st.progress(0.0, text=plain(f"{progress['stage']} …"))
    else:
        share = min(progress["done"] / progress["total"], 1.0)
        text = words.progress(progress["stage"], progress["done"], progress["total"])
        st.progress(share, text=plain(text + _left(workspace, job, progress)))
    if job.lease_until is None or time.time() - job.lease_until > _SILENT_SECONDS:
        st.warning(words.SILENT, icon=":material/warning:")
    elif job.state == "cancelling":
        st.caption(words.STOPPING_SOON)


def _left(workspace: Workspace, job: Job, progress: dict[str, Any]) -> str:
    """The time that is left by the job's own recent speed; of one on another machine, by its speed so far."""
    points, now = recent_points(workspace, job.id), time.time()
    if not points and "since" in progress:
        points = [
            Point(progress["since"], progress["stage"], progress["since_step"], progress["total"]),
            Point(now, progress["stage"], progress["done"], progress["total"]),
        ]
    found = time_left(points, now)
    if found is not None:
        return f" · {words.left(found)}"
    return f" · {words.TIME_UNKNOWN}" if points and progress["done"] < progress["total"] else ""


def _end(job: Job) -> None:
    """Why a job did not succeed: the message first, what is long of it folded."""
    if job.state == "cancelled":
        text = job.error or (words.BEFORE_START if job.started_at is None else words.KEPT_SO_FAR)
        st.info(words.cancelled(plain_lines(text)), icon=":material/info:")
        return
    text = job.error or words.LOG_TELLS
    short, left = _beginning(text)
    st.error(words.ended(job.state, plain_lines(short)), icon=":material/error:")
    if left:
        with st.expander(words.WHOLE_MESSAGE):
            st.code(text, language=None, wrap_lines=True, height=HEIGHT)


def _beginning(text: str) -> tuple[str, bool]:
    """The first lines of a message, and whether something is left out."""
    lines = text.rstrip().splitlines()
    shown: list[str] = []
    length = 0
    for line in lines[:_MOST_LINES]:
        length += len(line)
        if shown and length > _MOST_CHARACTERS:
            break
        shown.append(line if len(line) <= _MOST_CHARACTERS else f"{line[:_MOST_CHARACTERS]} …")
    more = len(lines) - len(shown)
    if more:
        shown.append(words.more_lines(more))
    return "\n".join(shown), more > 0 or shown != lines


def _say_what_follows(job: Job, after: Sequence[Job]) -> None:
    kinds = [one.kind for one in after if one.blocked_by == job.id]
    if kinds:
        st.caption(words.what_follows(kinds))


def _result(job: Job) -> None:
    result = job.result or {}
    if "table" in result:
        st.dataframe(pd.DataFrame(result["table"]), hide_index=True, height="content", alt=job.title)
        _open_masking(st.container(), job, result)
        return
    if "runs" not in result or "old" not in result:
        return
    if "version" not in result:  # mixes, or an ensemble
        st.success(words.evaluated([plain(name) for name in result["versions"]]), icon=":material/check_circle:")
        _open_masking(st.container(), job, result)
        return
    st.success(words.trained(plain(result["version"])), icon=":material/check_circle:")
    row = st.container(horizontal=True)
    _open_masking(row, job, result)
    if row.button(words.READ_SAMPLES, key=f"open_samples_{job.id}", icon=":material/table_rows:"):
        drop(*KEYS)  # the form says nothing there
        go("samples", _picks(result))


def _open_masking(place: Any, job: Job, result: dict[str, Any]) -> None:
    if place.button(words.SEE_MASKING, key=f"open_masking_{job.id}", icon=":material/tune:"):
        drop(*KEYS)
        go("masking", _picks(result))


def _picks(result: dict[str, Any]) -> dict[str, str]:
    return {key: result[key] for key in ("old", "new", "dataset", "split")} | (
        {"compat": result["version"]} if "version" in result else {}
    )


def _live_log(workspace: Workspace, job: Job) -> None:
    """The end of the log in a box whose height stays, scrolled to its last line."""
    st.caption(words.LOG_NOW)
    log = log_tail(job_file(workspace, job.id, LOG))
    with st.container(height=_LOG_HEIGHT, autoscroll=True, key="live_log"):
        st.code(log or words.LOG_EMPTY, language=None, wrap_lines=True)


def _figures(workspace: Workspace, job: Job) -> None:
    """The last step of a training, and its curves."""
    records = read_metrics(workspace, job.id)
    if not records:
        return
    metrics = pd.DataFrame(records)
    last = metrics.iloc[-1]
    columns = wrapping_columns(4, least=150, key="job_figures")
    columns[0].metric(words.FIGURE_LOSS, f"{last['loss']:.4f}", help=words.FIGURE_LOSS_HELP)
    columns[1].metric(words.FIGURE_OLD, percent(last["old_share"]), help=words.FIGURE_OLD_HELP)
    columns[2].metric(words.FIGURE_ACCURACY, percent(last["token_accuracy"]), help=words.FIGURE_ACCURACY_HELP)
    speed = recent_tokens_per_second(records)
    columns[3].metric(words.FIGURE_SPEED, "–" if speed is None else f"{speed:,.0f}", help=words.FIGURE_SPEED_HELP)
    if len(metrics) < 2:  # the axes around a single point would say nothing
        return
    every = -(-len(metrics) // _MOST_POINTS)
    chart(
        training_curves(metrics.iloc[::every]),
        key=f"curves_{job.id}",
        says=words.curves_say(len(metrics), int(last["steps"]), every),
        alt=words.CURVES_ALT,
        numbers=partial(pd.DataFrame, records),
        name=f"training-{job.id[:8]}",
    )


def _details(workspace: Workspace, family: Sequence[Job]) -> None:
    """What is folded: traceback, log and history, of the job at work first."""
    job, working = family[0], at_work(family)
    if working is not job:
        _folded(workspace, working, working.kind, words.NEXT_JOB)
    _folded(workspace, job, None if working is job else job.kind, "job")


def _folded(workspace: Workspace, job: Job, kind: str | None, usual: str) -> None:
    if job.traceback:
        with st.expander(words.of_the(words.TRACEBACK, kind, usual)):
            st.code(job.traceback, language=None, height="content" if _is_short(job.traceback) else HEIGHT)
    log = "" if job.state in ACTIVE else job.log_tail or log_tail(job_file(workspace, job.id, LOG))
    if log:
        label = words.LAST_LINES if job.state in ("failed", "lost") else words.LOG
        height: Literal["content"] | int = "content" if _is_short(log) else HEIGHT
        with (
            st.expander(words.of_the(label, kind, usual)),
            st.container(height=height, border=False, autoscroll=True),
        ):
            st.code(log, language=None)
    rows = []
    for event in history(workspace, job.id):
        what, more = event_words(workspace, event)
        rows.append((_moment(event.at), what, plain(more or "–"), plain(event.worker or "–")))
    with st.expander(words.of_the(words.HISTORY, kind, usual)):
        frame = pd.DataFrame(rows, columns=list(words.HISTORY_COLUMNS))
        wrapped_table(frame, f"history_{job.id}", wide=[3], alt=words.HISTORY_ALT)


def _is_short(text: str) -> bool:
    return text.count("\n") < _MOST_LINES


def _moment(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC")
