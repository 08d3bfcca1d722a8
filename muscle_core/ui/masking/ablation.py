"""The panel of the Masking page that trains missing strategies: what is there, what would be queued, how it goes."""

from __future__ import annotations

from functools import partial

import pandas as pd
import streamlit as st

from muscle_core.actions.ablation import submit_ablation
from muscle_core.actions.ablation_plan import Ablation, AblationRequest, Cell, estimated_seconds, plan_ablation
from muscle_core.actions.presets import compat_preset, preset_names, preset_note
from muscle_core.compat.config import STRATEGIES
from muscle_core.errors import MuscleError
from muscle_core.jobs import request_cancel
from muscle_core.store import Workspace
from muscle_core.ui.frame import errors_shown, go, plain, wrapping_columns
from muscle_core.ui.numbers import duration
from muscle_core.ui.picks import Picks
from muscle_core.ui.training.form import JOB_KEY, cannot_train, default_preset
from muscle_core.ui.worker import keep_worker

_SEEDS = range(10)
_MOST_NAMED = 3


def show(workspace: Workspace, chosen: Picks) -> None:
    """Draw the panel; the last thing of its page, since an error in it ends the page."""
    st.subheader("Train the missing strategies", anchor=False)
    problem = cannot_train(chosen)
    if problem:
        st.info(problem, icon=":material/info:")
        return
    st.caption(
        "Every strategy is trained with every seed and otherwise the options of the preset, one after another in the "
        "background, and then evaluated. An adapter counts as trained only where all its options are these."
    )
    presets = preset_names()
    own = presets.index(default_preset(chosen))
    splits = list(chosen.dataset.splits)
    columns = wrapping_columns(3, least=220, key="ablation_columns")
    preset = columns[0].selectbox("Preset", presets, index=own, key=f"ablation_preset_{chosen.dataset.id}")
    train_split = columns[1].selectbox(
        "Train on split",
        splits,
        index=splits.index("train") if "train" in splits else 0,
        format_func=lambda name: f"{name} ({chosen.dataset.splits[name]:,} samples)",
        key=f"ablation_split_{chosen.dataset.id}",
    )
    seeds = columns[2].multiselect("Seeds", _SEEDS, [0], key="ablation_seeds", help="Of data order and dropout.")
    strategies = st.multiselect("Strategies", list(STRATEGIES), list(STRATEGIES), key="ablation_strategies")
    config = compat_preset(preset)
    st.caption(
        plain(
            f"{preset}: {config.steps:,} steps of {config.batch_size * config.gradient_accumulation:,} samples, "
            f"learning rate {config.learning_rate:g}, from {config.initialisation}. {preset_note(preset)}"
        )
    )
    if not strategies or not seeds:
        st.info("Choose at least one strategy and one seed.", icon=":material/info:")
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
        st.rerun()
    if under_way:
        keep_worker(workspace, min(under_way, key=lambda job: (job.state == "queued", job.created_at)))
    st.dataframe(
        _table(plan),
        hide_index=True,
        height="content",
        alt="What there is of each strategy with each seed",
        key="ablation",
    )
    whose: dict[str, list[str]] = {}  # several often fail for one reason
    for cell in plan.cells:
        if cell.is_missing and cell.job is not None and cell.job.state == "failed":
            why = (cell.job.error or "its log tells more").splitlines()[0]
            whose.setdefault(why, []).append(f"{cell.label} (job {cell.job.id[:8]})")
    for why, cells in whose.items():
        more = f"; and {len(cells) - _MOST_NAMED:,} more" if len(cells) > _MOST_NAMED else ""
        st.error(plain(f"{'; '.join(cells[:_MOST_NAMED])}{more} failed: {why}"), icon=":material/error:")


def _buttons(workspace: Workspace, request: AblationRequest, plan: Ablation) -> None:
    missing = [cell for cell in plan.cells if cell.is_missing]
    under_way = [cell.job for cell in plan.cells if cell.under_way and cell.job is not None]
    st.caption(plain(_summary(workspace, plan, len(missing), len(under_way))))
    columns = iter(wrapping_columns(4, least=220, key="ablation_buttons"))
    if next(columns).button(
        f"Queue what is missing ({len(missing):,})",
        type="primary",
        icon=":material/play_arrow:",
        disabled=not missing,
        width="stretch",
    ):
        submitted = submit_ablation(workspace, request)
        st.toast(f"{sum(one.is_new for one in submitted.submissions):,} jobs queued.")
        st.rerun()
    failed = [cell.job for cell in missing if cell.job is not None and cell.job.state in ("failed", "lost")]
    if failed and next(columns).button("Look at what failed", icon=":material/error:", width="stretch"):
        go("training", {JOB_KEY: failed[0].id[:8]}, afresh=(JOB_KEY,))
    if not under_way:
        return
    if next(columns).button(f"Cancel these jobs ({len(under_way):,})", icon=":material/stop_circle:", width="stretch"):
        for job in reversed(under_way):  # the running one last, so that no other starts meanwhile
            request_cancel(workspace, job.id)
        st.rerun()
    if next(columns).button("Watch the training", icon=":material/monitoring:", width="stretch"):
        running = min(under_way, key=lambda job: (job.state == "queued", job.created_at))
        go("training", {JOB_KEY: running.id[:8]}, afresh=(JOB_KEY,))


def _summary(workspace: Workspace, plan: Ablation, missing: int, under_way: int) -> str:
    there = sum(cell.evaluated for cell in plan.cells)
    count = len(plan.cells)
    text = (
        f"{count:,} training{'s' if count > 1 else ''}: {there:,} there, {under_way:,} under way, {missing:,} missing."
    )
    estimate = estimated_seconds(workspace, plan)
    if estimate is not None:
        seconds, measured = estimate
        text += (
            f" The steps of the missing ones take roughly {duration(seconds)}, by the time of {measured:,} earlier "
            f"training{'s' if measured > 1 else ''} of this update; asking the teachers and evaluating come on top."
        )
    return text


def _table(plan: Ablation) -> pd.DataFrame:
    rows: dict[str, dict[str, str]] = {}
    for cell in plan.cells:
        row = rows.setdefault(cell.config.strategy, {"strategy": cell.config.strategy})
        row[f"seed {cell.config.seed}"] = _text(cell)
    return pd.DataFrame(list(rows.values()))


def _text(cell: Cell) -> str:
    if cell.evaluated:
        return "✓ trained and evaluated"
    job = cell.job
    if job is not None and cell.under_way:
        if job.state == "running" and job.progress:
            share = job.progress["done"] / max(job.progress["total"], 1)
            stage = "evaluating" if job is cell.evaluation else job.progress["stage"]
            return f"▶ {stage} {share * 100:.0f} %"
        return {"queued": "○ queued", "running": "▶ starting"}.get(job.state, f"◼ {job.state}")
    trained = "trained; evaluation " if job is not None and job is cell.evaluation else ""
    if job is not None and job.state in ("cancelled", "lost"):
        return f"{'◼' if job.state == 'cancelled' else '✗'} {trained}{job.state}, to be resumed"
    if job is not None and job.state == "failed":
        return f"✗ {trained}failed, to be done again"
    return "trained, to be evaluated" if cell.variant is not None else "to be trained"
