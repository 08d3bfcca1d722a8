"""Update report: one sentence, key figures with intervals, and the quadrant matrix that opens the samples."""

from muscle_core.ui.frame import enter

enter("update_report")

import json
from functools import partial

import streamlit as st

from muscle_core.comparison import verdict
from muscle_core.ui import data, picks
from muscle_core.ui.empty import offer_demo
from muscle_core.ui.frame import errors_shown, plain, workspace, wrapping_columns
from muscle_core.ui.update_report import figures

with errors_shown():
    home = workspace()
    chosen = picks.choose(home)
    if chosen is None:
        offer_demo(home)
        st.stop()
    comparison, noise, judged = data.judged(home, chosen.old, chosen.new, chosen.dataset, chosen.split)

st.markdown(f"#### {plain(verdict(comparison))}")
st.caption(
    f"Dataset {plain(chosen.dataset.name)} ({plain(chosen.split)}), {comparison.n:,} samples answered by both "
    f"versions; task kind {plain(chosen.dataset.task_kind)}."
)
figures.judgement(judged, noise)
figures.join_warnings(comparison)
if comparison.counts is not None:
    figures.flip_figures(comparison)
for score in comparison.continuous:
    figures.score_figures(comparison, score)

st.subheader("Next steps", anchor=False)
figures.next_steps(comparison)

left, middle, right, _ = wrapping_columns([1, 1, 1, 1], least=180, key="report_downloads")
left.download_button(
    "All figures (JSON)",
    json.dumps(
        {
            **comparison.to_dict(),
            "judgement": judged.as_dict(),
            "noise_floor": None if noise is None else noise.as_dict(),
        },
        indent=2,
        allow_nan=False,
    ),
    file_name=f"{chosen.old.name}-to-{chosen.new.name}-{chosen.dataset.name}.json",
    mime="application/json",
    icon=":material/download:",
)
middle.download_button(
    "All samples (CSV)",
    lambda: figures.samples_csv(comparison),
    file_name=f"{chosen.old.name}-to-{chosen.new.name}-{chosen.dataset.name}.csv",
    mime="text/csv",
    icon=":material/download:",
)
right.download_button(
    "Report (HTML)",
    partial(figures.report_page, home, chosen),
    file_name=f"{chosen.old.name}-to-{chosen.new.name}-{chosen.dataset.name}.html",
    mime="text/html",
    icon=":material/download:",
    help="One file for people without this workbench: opens without a network and prints.",
)
