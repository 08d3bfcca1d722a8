"""The form that starts a compatibility training."""

from __future__ import annotations

import streamlit as st

from muscle_core.actions.background import submit_compat
from muscle_core.actions.presets import compat_preset, preset_names, preset_note
from muscle_core.compat.config import INITIALISATIONS, SCHEDULES, STRATEGIES, CompatConfig
from muscle_core.store import Workspace
from muscle_core.ui.frame import errors_shown, plain
from muscle_core.ui.picks import Picks

JOB_KEY = "job"


def show(workspace: Workspace, chosen: Picks) -> None:
    """Draw the form; a submission queues one job, however often it is clicked."""
    st.markdown(
        f"Train a compatibility adapter for the update {plain(chosen.old.name)} → {plain(chosen.new.name)} on "
        f"{plain(chosen.dataset.name)}. It runs in the background; this page may be closed."
    )
    problem = _cannot_train(chosen)
    if problem:
        st.info(problem, icon=":material/info:")
        return
    presets = preset_names()
    own = chosen.dataset.made_by.get("preset", "default")
    left, right = st.columns(2)
    with left:
        preset = st.selectbox(
            "Preset",
            presets,
            index=presets.index(own),
            key=f"preset_{chosen.dataset.id}",
            help="Fills the options below.",
        )
    defaults = compat_preset(preset)
    with right:
        strategy = st.selectbox(
            "Strategy",
            list(STRATEGIES),
            index=list(STRATEGIES).index(defaults.strategy),
            key=f"strategy_{preset}",
            help="Which teacher each answer token follows.",
        )
    st.caption(f"{plain(strategy)}: {plain(STRATEGIES[strategy])}.")
    note = preset_note(preset)
    if note:
        st.caption(plain(note))
    with st.form(f"training_{preset}_{chosen.dataset.id}", border=True):
        config_values = _options(preset, defaults)
        splits = list(chosen.dataset.splits)
        train_split = st.selectbox(
            "Train on split",
            splits,
            index=splits.index("train") if "train" in splits else 0,
            format_func=lambda name: f"{name} ({chosen.dataset.splits[name]:,} samples)",
        )
        pressed = st.form_submit_button("Start training", type="primary", icon=":material/play_arrow:")
    if train_split == chosen.split:
        st.warning(
            f"Training and comparison would use the same split ({plain(train_split)}): the figures would look better "
            "than they are.",
            icon=":material/warning:",
        )
    if pressed:
        with errors_shown():
            config = CompatConfig.from_dict({**defaults.as_dict(), **config_values, "strategy": strategy})
            submission = submit_compat(
                workspace,
                chosen.old.name,
                chosen.new.name,
                chosen.dataset.name,
                config,
                train_split=train_split,
                test_split=chosen.split,
            )
        st.session_state[JOB_KEY] = submission.job_id[:8]
        st.toast("Training queued." if submission.is_new else "This training is already under way.")


def _cannot_train(chosen: Picks) -> str | None:
    for version in (chosen.old, chosen.new):
        if version.base is None:
            return (
                f"{plain(version.name)} has imported outputs only, no weights, so nothing can be trained for this "
                "pair. Choose two versions with weights in the sidebar."
            )
    return None


def _options(preset: str, defaults: CompatConfig) -> dict[str, object]:
    names = list(INITIALISATIONS)
    first, second, third = st.columns(3)
    values: dict[str, object] = {
        "initialisation": first.selectbox(
            "Start from",
            names,
            index=names.index(defaults.initialisation),
            format_func=lambda name: f"{name}: {INITIALISATIONS[name]}",
            help="Weights that the adapter starts with.",
        ),
        "steps": second.number_input("Steps", 1, 1_000_000, defaults.steps, help="Optimizer steps."),
        "seed": third.number_input("Seed", 0, 2**32 - 1, defaults.seed, help="Same seed, same result on this machine."),
    }
    with st.expander("More options"):
        first, second, third = st.columns(3)
        values |= {
            "learning_rate": first.number_input(
                "Learning rate", 1e-7, 1.0, defaults.learning_rate, step=1e-4, format="%.1e", help="Peak rate of AdamW."
            ),
            "batch_size": second.number_input("Batch size", 1, 65_536, defaults.batch_size, help="Samples a pass."),
            "gradient_accumulation": third.number_input(
                "Gradient accumulation", 1, 65_536, defaults.gradient_accumulation, help="Passes an optimizer step."
            ),
            "warmup_steps": first.number_input("Warm-up steps", 0, 1_000_000, defaults.warmup_steps),
            "schedule": second.selectbox("Schedule", SCHEDULES, index=SCHEDULES.index(defaults.schedule)),
            "temperature": third.number_input(
                "Temperature",
                0.05,
                100.0,
                float(defaults.temperature),
                help="Divides all logits.",
            ),
        }
    return values
