"""Update report: one sentence, key figures with intervals, and the quadrant matrix that opens the samples."""

from muscle_core.ui.frame import enter

enter("update_report")

import json
from functools import partial

import streamlit as st

from muscle_core.comparison import verdict
from muscle_core.ui import data, picks
from muscle_core.ui.empty import show_next_step
from muscle_core.ui.frame import errors_shown, plain, workspace, wrapping_columns
from muscle_core.ui.update_report import figures, in_short, words
from muscle_core.ui.url import stop

with errors_shown():
    home = workspace()
    chosen = picks.choose(home)
    if chosen is None:
        show_next_step(home)
        stop()
    figures.open_what_was_clicked()
    comparison, noise, judged = data.judged(home, chosen.old, chosen.new, chosen.dataset, chosen.split)

name = f"{chosen.old.name}-to-{chosen.new.name}-{chosen.dataset.name}"
st.markdown(f"#### {plain(verdict(comparison))}")
st.caption(
    words.dataset_line(
        plain(chosen.dataset.name), plain(chosen.split), comparison.n, plain(chosen.dataset.task_kind.replace("_", " "))
    )
)
if comparison.counts is not None:
    figures.flip_figures(comparison)
figures.judgement(judged, noise)
figures.join_warnings(comparison)
if comparison.counts is not None:
    figures.quadrants(comparison, name)
for score in comparison.continuous:
    figures.score_figures(comparison, score, name)
in_short.show(home, chosen, comparison)

st.subheader(words.NEXT_STEPS, anchor=False)
figures.next_steps()

left, middle, right, _ = wrapping_columns([1, 1, 1, 1], least=180, key="report_downloads")
left.download_button(
    words.ALL_FIGURES,
    lambda: json.dumps(
        {
            **comparison.to_dict(),
            "judgement": judged.as_dict(),
            "noise_floor": None if noise is None else noise.as_dict(),
        },
        indent=2,
        allow_nan=False,
    ),
    file_name=f"{name}.json",
    mime="application/json",
    icon=":material/download:",
)
middle.download_button(
    words.ALL_SAMPLES,
    lambda: figures.samples_csv(comparison),
    file_name=f"{name}.csv",
    mime="text/csv",
    icon=":material/download:",
)
right.download_button(
    words.REPORT,
    partial(figures.report_page, home, chosen),
    file_name=f"{name}.html",
    mime="text/html",
    icon=":material/download:",
    help=words.REPORT_HELP,
)
