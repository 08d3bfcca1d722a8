"""The form that starts a compatibility training."""

from __future__ import annotations

import streamlit as st

from muscle_core.actions.background import VALIDATION_SPLIT, submit_compat
from muscle_core.actions.presets import compat_preset, preset_names, preset_note
from muscle_core.compat.config import INITIALISATIONS, SCHEDULES, STRATEGIES, CompatConfig
from muscle_core.store import Dataset, Workspace
from muscle_core.ui.frame import errors_shown, plain, wrapping_columns
from muscle_core.ui.picks import Picks

JOB_KEY = "job"


def show(workspace: Workspace, chosen: Picks) -> None:
    """Draw the form; a submission queues one job, however often it is clicked."""
    st.markdown(
        f"Train a compatibility adapter for the update {plain(chosen.old.name)} → {plain(chosen.new.name)} on "
        f"{plain(chosen.dataset.name)}. It runs in the background; this page may be closed."
    )
    problem = cannot_train(chosen)
    if problem:
        st.info(problem, icon=":material/info:")
        return
    presets = preset_names()
    own = default_preset(chosen)
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
        config_values = _options(preset, defaults) | _advanced(defaults, strategy, chosen.dataset)
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


def default_preset(chosen: Picks) -> str:
    """The dataset's preset, or one that needs no adapter where the versions have none."""
    preset = str(chosen.dataset.made_by.get("preset", "default"))
    source = {"old": chosen.old, "new": chosen.new}.get(compat_preset(preset).initialisation)
    return "scratch" if source is not None and source.adapter is None else preset


def cannot_train(chosen: Picks) -> str | None:
    """Why nothing can be trained for a pair, or None."""
    for version in (chosen.old, chosen.new):
        if version.base is None:
            return (
                f"{plain(version.name)} has no weights of its own, so nothing can be trained for this pair. Choose two "
                "versions with weights in the sidebar."
            )
    return None


def _options(preset: str, defaults: CompatConfig) -> dict[str, object]:
    names = list(INITIALISATIONS)
    first, second, third = wrapping_columns(3, least=180, key="options_first")
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
        first, second, third = wrapping_columns(3, least=150, key="options_more")
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


def _advanced(defaults: CompatConfig, strategy: str, dataset: Dataset) -> dict[str, object]:
    """Options that most trainings leave as they are; those without use for strategy or dataset are disabled."""
    values: dict[str, object] = {}
    with st.expander("Advanced"):
        st.markdown("**Loss**")
        first, second, third = wrapping_columns(3, least=150, key="advanced_loss")
        teachers = strategy not in ("cross_entropy", "focal_distillation")
        focal = strategy == "focal_distillation"
        values["cross_entropy_weight"] = first.number_input(
            "Cross-entropy weight",
            0.0,
            1000.0,
            float(defaults.cross_entropy_weight),
            step=0.1,
            disabled=not teachers,
            help="Weight of the cross-entropy on the gold tokens, added to the divergence from the teachers; 0 for "
            "none. The strategies cross_entropy and focal_distillation have a term of their own.",
        )
        values["focal_alpha"] = second.number_input(
            "Focal alpha",
            0.0,
            1000.0,
            float(defaults.focal_alpha),
            disabled=not focal,
            help="Only focal_distillation: weight of the old teacher for every token.",
        )
        values["focal_beta"] = third.number_input(
            "Focal beta",
            0.0,
            1000.0,
            float(defaults.focal_beta),
            disabled=not focal,
            help="Only focal_distillation: added to alpha where the old version's most likely token is the gold one.",
        )
        st.markdown("**Early stopping**")
        values |= _early_stopping(defaults, dataset)
        st.markdown("**Length and memory**")
        first, second, third = wrapping_columns(3, least=150, key="advanced_memory", align="bottom")
        values["max_length"] = first.number_input(
            "Longest sample, tokens",
            2,
            10_000_000,
            defaults.max_length,
            help="Prompt and answer together. A longer sample is refused, or cut.",
        )
        values["truncate"] = second.checkbox(
            "Cut longer samples",
            defaults.truncate,
            help="The prompt from its beginning, and if need be the answer from its end. Otherwise the training is "
            "refused where one is longer.",
        )
        values["gradient_checkpointing"] = third.checkbox(
            "Gradient checkpointing",
            defaults.gradient_checkpointing,
            help="Computes activations twice instead of keeping them: less memory, more time, same result.",
        )
        st.markdown("**Kept on disk**")
        first, second, third = wrapping_columns(3, least=150, key="advanced_disk", align="bottom")
        values["teacher_store"] = first.checkbox(
            "Ask the teachers once",
            defaults.teacher_store,
            help="Keeps what the teachers say about the training samples in the workspace (folder teachers), shared by "
            "all trainings on these samples. Otherwise both teachers are loaded and asked in every step.",
        )
        values["teacher_store_gib"] = second.number_input(
            "Most disk a teacher, GiB",
            0.01,
            1e6,
            float(defaults.teacher_store_gib),
            help="A training whose teacher would need more is refused.",
        )
        values["checkpoint_every"] = third.number_input(
            "Steps between checkpoints",
            0,
            10_000_000,
            defaults.checkpoint_every,
            help="A cancelled or killed training is resumed from the last one; 0 for none but that of a cancellation.",
        )
    return values


def _early_stopping(defaults: CompatConfig, dataset: Dataset) -> dict[str, object]:
    lacks = VALIDATION_SPLIT not in dataset.splits
    if lacks:
        st.caption(f"Needs a split named {VALIDATION_SPLIT}, which {plain(dataset.name)} does not have.")
    first, second, third = wrapping_columns(3, least=150, key="advanced_stopping")
    every = first.number_input(
        "Steps between looks",
        0,
        10_000_000,
        0 if lacks else defaults.validation_every,
        disabled=lacks,
        help="Steps between two looks at the validation split; 0 for no early stopping. Of all looks the adapter with "
        "the lowest NFR is kept, among those that are accurate enough.",
    )
    margin = second.number_input(
        "Accuracy margin, points",
        0.0,
        100.0,
        defaults.accuracy_margin * 100,
        step=0.5,
        disabled=lacks,
        help="Accurate enough is what lies at most so many percentage points below the new version on the validation "
        "split (mean score times 100 where answers are neither right nor wrong).",
    )
    patience = third.number_input(
        "Patience, looks",
        1,
        10_000,
        defaults.patience,
        disabled=lacks,
        help="Training ends after so many looks without a better adapter.",
    )
    # Points and shares would differ in the last digit otherwise, and the options would no longer be the preset's.
    unchanged = margin == defaults.accuracy_margin * 100
    return {
        "validation_every": every,
        "accuracy_margin": defaults.accuracy_margin if unchanged else round(margin / 100, 6),
        "patience": patience,
    }
