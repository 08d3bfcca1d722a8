"""One finished training: what it is, what came of it, its curves, settings and log, and where to go on."""

from __future__ import annotations

from contextlib import suppress
from functools import partial

import pandas as pd
import streamlit as st

from muscle_core.actions.training.differences import Outcome, compare_settings
from muscle_core.actions.updates.compare import TrainedVariant
from muscle_core.errors import JobError
from muscle_core.figures import training_curves
from muscle_core.jobs import get_job, log_tail
from muscle_core.store import LOG, TrainingRun, Workspace, job_file
from muscle_core.ui.chart import chart
from muscle_core.ui.frame import errors_shown, go, plain
from muscle_core.ui.numbers import duration
from muscle_core.ui.picks import Picks
from muscle_core.ui.training import form, job_words, reads
from muscle_core.ui.training import trainings_words as words
from muscle_core.ui.training.outcome_text import fact_text, figure_text, setting_text
from muscle_core.ui.url import drop
from muscle_core.ui.wrapped_table import HEIGHT, wrapped_table

_MOST_POINTS = 400
_FACTS = ("loss", "token_accuracy", "old_share", "best_step", "peak_memory_mb")


def show(workspace: Workspace, chosen: Picks, one: TrainedVariant, reached: Outcome) -> None:
    """Draw it."""
    training, name = one.training, plain(one.version.name)
    with st.container(border=True, key="one_training"):
        st.markdown(f"**{name}**")
        st.caption(plain(_about(training)))
        if one.run is None:
            st.info(words.not_evaluated(plain(chosen.split)), icon=":material/info:")
        else:
            figures = [f"{words.figure_name(key)} {figure_text(reached, key)}" for key in reached.figures]
            st.markdown(plain(words.on_split(chosen.split, figures)))
        _go_on(chosen, one)
        with errors_shown():
            metrics = reads.metrics(workspace, training.id)
        if len(metrics) > 1:
            every = -(-len(metrics) // _MOST_POINTS)
            chart(
                training_curves(metrics.iloc[::every]),
                key=f"curves_of_{training.id}",
                says=job_words.curves_say(len(metrics), int(metrics["steps"].iloc[-1]), every),
                alt=job_words.CURVES_ALT,
                numbers=partial(pd.DataFrame, metrics),
                name=f"training-{training.id[:8]}",
            )
        else:
            st.caption(words.NO_CURVES)
        with st.expander(words.ITS_SETTINGS):
            rows = [
                {
                    words.GROUP: setting.group,
                    words.SETTING: plain(setting.name),
                    words.VALUE: plain(setting_text(setting.first)),
                }
                for setting in compare_settings(workspace, training, training)
            ]
            wrapped_table(
                pd.DataFrame(rows), "training_settings", wide=[3], alt=words.ITS_SETTINGS_ALT, most_rows=14, least=200
            )
        with st.expander(words.ITS_LOG):
            log = _log(workspace, training)
            if log:
                with st.container(height=HEIGHT, border=False, autoscroll=True):
                    st.code(log, language=None, wrap_lines=True)
            else:
                st.caption(words.NO_LOG)


def _about(training: TrainingRun) -> str:
    summary = training.summary
    samples = training.options["batch_size"] * training.options.get("gradient_accumulation", 1)
    took = [duration(summary[key]) if summary.get(key) else None for key in ("seconds", "teacher_seconds")]
    facts = [
        f"{words.figure_name(name)} {fact_text(name, summary[name])}"
        for name in _FACTS
        if summary.get(name) is not None
    ]
    return words.about(
        str(training.strategy),
        training.seed,
        summary.get("steps"),
        samples,
        str(training.initialisation),
        f"{training.created_at:%Y-%m-%d %H:%M} UTC",
        took[0],
        took[1],
        facts,
    )


def _go_on(chosen: Picks, one: TrainedVariant) -> None:
    if one.run is None:
        return
    picks = {
        "old": chosen.old.name,
        "new": chosen.new.name,
        "dataset": chosen.dataset.name,
        "split": chosen.split,
        "compat": one.version.name,
    }
    row = st.container(horizontal=True)
    for label, page, icon in (
        (job_words.SEE_MASKING, "masking", ":material/tune:"),
        (job_words.READ_SAMPLES, "samples", ":material/table_rows:"),
    ):
        if row.button(label, key=f"{page}_of_training", icon=icon):
            drop(*form.KEYS)  # the form says nothing there
            go(page, picks)


def _log(workspace: Workspace, training: TrainingRun) -> str:
    """The end of its log: of the file, else of what is kept of its job."""
    log = log_tail(job_file(workspace, training.id, LOG))
    if not log and training.job_id is not None:
        with suppress(JobError):
            log = get_job(workspace, training.job_id).log_tail or ""
    return log
