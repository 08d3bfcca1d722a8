"""The finished trainings of an update: a table, newest first, and the one that the URL names."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from muscle_core.actions.training.differences import Outcome
from muscle_core.actions.updates.compare import TrainedVariant
from muscle_core.store import Workspace
from muscle_core.ui.frame import errors_shown, plain
from muscle_core.ui.numbers import SCORE_NAMES, duration
from muscle_core.ui.picks import Picks
from muscle_core.ui.row_choice import pick_row
from muscle_core.ui.training import one_training, reads
from muscle_core.ui.training import trainings_words as words
from muscle_core.ui.url import follow, publish, restore

TRAINING_KEY = "training"
_MOST_ROWS = 10  # a longer table scrolls inside itself
_ROW_PIXELS = 35


def show(workspace: Workspace, chosen: Picks, trainings: Sequence[TrainedVariant]) -> None:
    """Draw the table, and below it the training that was picked."""
    st.subheader(words.FINISHED, anchor=False)
    if not trainings:
        st.caption(words.none_finished(plain(chosen.old.name), plain(chosen.new.name), plain(chosen.dataset.name)))
        return
    by_key = {one.training.id[:8]: one for one in trainings}
    follow((TRAINING_KEY,), ("old", TRAINING_KEY))
    named = st.query_params.get(TRAINING_KEY)
    if named and named[:8] not in by_key:
        st.warning(words.no_training(plain(named[:40])), icon=":material/warning:")
    restore(TRAINING_KEY, "", lambda key: key == "" or key in by_key, lambda text: text[:8])
    with errors_shown():
        outcomes = [reads.reached(workspace, one.training, chosen.split) for one in trainings]
    _table(list(by_key), _frame(trainings, outcomes))
    st.caption(words.finished_note(len(trainings), plain(chosen.split), plain(chosen.old.name)))
    picked = st.session_state[TRAINING_KEY]
    publish(TRAINING_KEY, picked)
    if picked:
        place = list(by_key).index(picked)
        one_training.show(workspace, chosen, trainings[place], outcomes[place])


def _frame(trainings: Sequence[TrainedVariant], outcomes: Sequence[Outcome]) -> pd.DataFrame:
    """One row a training, with those figures that its task has."""
    rows = []
    for one, reached in zip(trainings, outcomes, strict=True):
        training, figures = one.training, reached.figures
        row = {
            words.STRATEGY: training.strategy,
            words.SEED: training.seed,
            words.STEPS: training.summary.get("steps"),
            words.START_FROM: training.initialisation,
            words.DONE: training.created_at,
            words.TOOK: "–" if training.summary.get("seconds") is None else duration(training.summary["seconds"]),
        }
        if "nfr" in figures:
            for title, name in ((words.NFR, "nfr"), (words.ACCURACY, "accuracy")):
                found = figures[name]
                row[title] = found.value * 100
                row[words.interval_of(title)] = f"{found.low * 100:.1f}–{found.high * 100:.1f} %"
        elif "regression" in figures:
            score = SCORE_NAMES.get(reached.score or "", reached.score or "")
            for title, name in (
                (words.loss_of(score), "regression"),
                (words.change_of(score), "mean_change"),
            ):
                found = figures[name]
                row[title] = found.value
                row[words.interval_of(title)] = f"{found.low:.4f} to {found.high:.4f}"
        row[words.SAMPLES] = reached.n or None
        row[words.VERSION] = one.version.name
        rows.append(row)
    return pd.DataFrame(rows)


def _table(keys: list[str], shown: pd.DataFrame) -> None:
    pick_row(
        shown,
        keys,
        TRAINING_KEY,
        f"trainings_{hash(tuple(keys))}",
        height="content" if len(shown) <= _MOST_ROWS else (_MOST_ROWS + 1) * _ROW_PIXELS,
        alt=words.FINISHED_ALT,
        column_config={
            words.STRATEGY: st.column_config.TextColumn(width=150),
            words.SEED: st.column_config.NumberColumn(width=50),
            words.STEPS: st.column_config.NumberColumn(format="localized", width=55),
            words.START_FROM: st.column_config.TextColumn(width=75),
            words.DONE: st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm", timezone="UTC", width=125),
            words.TOOK: st.column_config.TextColumn(width=85, help=words.TOOK_HELP),
            words.NFR: st.column_config.NumberColumn(format="%.1f %%", width=65),
            words.interval_of(words.NFR): st.column_config.TextColumn(width=100),
            words.ACCURACY: st.column_config.NumberColumn(format="%.1f %%", width=75),
            words.interval_of(words.ACCURACY): st.column_config.TextColumn(width=115),
            words.SAMPLES: st.column_config.NumberColumn(format="localized", width=70, help=words.SAMPLES_HELP),
            **{
                title: st.column_config.NumberColumn(format="%.4f", width=140)
                for title in shown
                if title not in (words.NFR, words.ACCURACY) and words.is_score(title)
            },
        },
    )
