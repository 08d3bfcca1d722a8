"""The panel of the Masking page that trains missing strategies: what is there, what would be queued, how it goes."""

from __future__ import annotations

from functools import partial

import pandas as pd
import streamlit as st

from muscle_core.actions.background.submit import VALIDATION_SPLIT
from muscle_core.actions.strategies.ablation import submit_ablation
from muscle_core.actions.strategies.ablation_plan import (
    Ablation,
    AblationRequest,
    Cell,
    estimated_seconds,
    plan_ablation,
)
from muscle_core.actions.training.presets import fitted_preset, preset_of
from muscle_core.compat.config import STRATEGIES
from muscle_core.errors import MuscleError
from muscle_core.jobs import request_cancel
from muscle_core.store import Workspace
from muscle_core.ui.frame import errors_shown, go, plain, wrapping_columns
from muscle_core.ui.masking import words
from muscle_core.ui.picks import Picks
from muscle_core.ui.training.form import JOB_KEY, offered_presets
from muscle_core.ui.training.form_words import preset_meaning
from muscle_core.ui.training.start import cannot_train
from muscle_core.ui.url import rerun
from muscle_core.ui.worker import keep_worker

_SEEDS = range(10)
_MOST_NAMED = 3


def show(workspace: Workspace, chosen: Picks) -> None:
    """Draw the panel; the last thing of its page, since an error in it ends the page."""
    st.subheader(words.MISSING, anchor=False)
    problem = cannot_train(chosen)
    if problem:
        st.info(problem, icon=":material/info:")
        return
    st.caption(words.MISSING_NOTE)
    presets = offered_presets(chosen.dataset)
    splits = list(chosen.dataset.splits)
    columns = wrapping_columns(3, least=220, key="ablation_columns")
    preset = columns[0].selectbox(
        words.PRESET,
        presets,
        index=presets.index(preset_of(chosen.dataset)),
        key=f"ablation_preset_{chosen.dataset.id}",
    )
    train_split = columns[1].selectbox(
        words.TRAIN_SPLIT,
        splits,
        index=splits.index("train") if "train" in splits else 0,
        format_func=lambda name: words.split_option(name, chosen.dataset.splits[name]),
        key=f"ablation_split_{chosen.dataset.id}",
    )
    seeds = columns[2].multiselect(words.SEEDS, _SEEDS, [0], key="ablation_seeds", help=words.SEEDS_HELP)
    strategies = st.multiselect(words.STRATEGIES, list(STRATEGIES), list(STRATEGIES), key="ablation_strategies")
    fitted = fitted_preset(preset, chosen.old, chosen.new, chosen.dataset, VALIDATION_SPLIT)
    config = fitted.config
    st.caption(
        plain(
            words.preset_says(
                fitted.preset,
                config.steps,
                config.batch_size * config.gradient_accumulation,
                config.learning_rate,
                config.initialisation,
                preset_meaning(fitted.preset),
            )
        )
    )
    if not strategies or not seeds:
        st.info(words.CHOOSE_ONE, icon=":material/info:")
        return
    request = AblationRequest(
        chosen.old.name,
        chosen.new.name,
        chosen.dataset.name,
        config,
        strategies,
        sorted(seeds),
        train_split,
        chosen.split,
    )
    look = partial(plan_ablation, workspace, request)
    try:
        plan = look()
    except MuscleError as error:
        st.warning(plain(str(error)), icon=":material/warning:")
        return
    active = sum(cell.under_way for cell in plan.cells)
    st.fragment(_state, run_every="2s" if active else None)(workspace, look, active)
    with errors_shown():
        _buttons(workspace, request, plan)


def _state(workspace: Workspace, look: partial[Ablation], was_active: int) -> None:
    """What there is of each strategy and seed; draws the page anew when others are under way."""
    with errors_shown():
        plan = look()
    under_way = [cell.job for cell in plan.cells if cell.under_way and cell.job is not None]
    if len(under_way) != was_active:
        rerun()
    if under_way:
        keep_worker(workspace, min(under_way, key=lambda job: (job.state == "queued", job.created_at)))
    st.dataframe(
        _table(plan),
        hide_index=True,
        height="content",
        alt=words.ABLATION_ALT,
        key="ablation",
    )
    whose: dict[str, list[str]] = {}  # several often fail for one reason
    for cell in plan.cells:
        if cell.is_missing and cell.job is not None and cell.job.state == "failed":
            why = (cell.job.error or words.LOG_TELLS).splitlines()[0]
            whose.setdefault(why, []).append(f"{cell.label} (job {cell.job.id[:8]})")
    for why, cells in whose.items():
        text = words.failed(cells[:_MOST_NAMED], len(cells) - _MOST_NAMED, why)
        st.error(plain(text), icon=":material/error:")


def _buttons(workspace: Workspace, request: AblationRequest, plan: Ablation) -> None:
    missing = [cell for cell in plan.cells if cell.is_missing]
    under_way = [cell.job for cell in plan.cells if cell.under_way and cell.job is not None]
    st.caption(plain(_summary(workspace, plan, missing, len(under_way))))
    columns = iter(wrapping_columns(4, least=220, key="ablation_buttons"))
    if next(columns).button(
        words.queue_missing(len(missing)),
        type="primary",
        icon=":material/play_arrow:",
        disabled=not missing,
        width="stretch",
    ):
        submitted = submit_ablation(workspace, request)
        st.toast(words.queued(sum(one.is_new for one in submitted.submissions)))
        rerun()
    failed = [cell.job for cell in missing if cell.job is not None and cell.job.state in ("failed", "lost")]
    if failed and next(columns).button(words.LOOK_AT_FAILED, icon=":material/error:", width="stretch"):
        go("training", {JOB_KEY: failed[0].id[:8]}, afresh=(JOB_KEY,))
    if not under_way:
        return
    if next(columns).button(words.cancel_these(len(under_way)), icon=":material/stop_circle:", width="stretch"):
        for job in reversed(under_way):  # the running one last, so that no other starts meanwhile
            request_cancel(workspace, job.id)
        rerun()
    if next(columns).button(words.WATCH, icon=":material/monitoring:", width="stretch"):
        running = min(under_way, key=lambda job: (job.state == "queued", job.created_at))
        go("training", {JOB_KEY: running.id[:8]}, afresh=(JOB_KEY,))


def _summary(workspace: Workspace, plan: Ablation, missing: list[Cell], under_way: int) -> str:
    there = sum(cell.evaluated for cell in plan.cells)
    text = words.counted(len(plan.cells), there, under_way, len(missing))
    untrained = [cell.label for cell in missing if cell.variant is None]
    text += words.would_start(untrained, len(missing))
    estimate = estimated_seconds(workspace, plan)
    if estimate is not None:
        return text + words.takes(*estimate)
    return text + (words.TAKES_UNKNOWN if untrained else "")


def _table(plan: Ablation) -> pd.DataFrame:
    rows: dict[str, dict[str, str]] = {}
    for cell in plan.cells:
        row = rows.setdefault(cell.config.strategy, {"strategy": cell.config.strategy})
        row[f"seed {cell.config.seed}"] = _text(cell)
    return pd.DataFrame(list(rows.values()))


def _text(cell: Cell) -> str:
    if cell.evaluated:
        return words.CELL_DONE
    job = cell.job
    if job is not None and cell.under_way:
        if job.state == "running" and job.progress:
            share = job.progress["done"] / max(job.progress["total"], 1)
            stage = words.CELL_EVALUATING if job is cell.evaluation else job.progress["stage"]
            return words.cell_running(stage, share)
        return {"queued": words.CELL_QUEUED, "running": words.CELL_STARTING}.get(job.state, f"◼ {job.state}")
    if job is not None and job.state in ("cancelled", "lost", "failed"):
        return words.cell_ended(job.state, trained=job is cell.evaluation)
    return words.CELL_TRAINED if cell.variant is not None else words.CELL_MISSING
