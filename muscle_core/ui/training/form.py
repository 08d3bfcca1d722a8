"""The form that starts a compatibility training: what it says is a request, which the other panels look at."""

from __future__ import annotations

import json

import streamlit as st

from muscle_core.actions.background.submit import VALIDATION_SPLIT, submit_compat
from muscle_core.actions.training.commands import CompatRequest
from muscle_core.actions.training.estimate import Part
from muscle_core.actions.training.presets import fitted_preset, preset_of
from muscle_core.compat.config import INITIALISATIONS, SCHEDULES, STRATEGIES, CompatConfig
from muscle_core.errors import MuscleError
from muscle_core.store import Dataset, Workspace
from muscle_core.ui.frame import errors_shown, plain, wrapping_columns
from muscle_core.ui.picks import Picks
from muscle_core.ui.training import words
from muscle_core.ui.training.expected import expected_seconds

JOB_KEY = "job"


def show(workspace: Workspace, chosen: Picks) -> CompatRequest | None:
    """Draw the form; a press queues one job, however often it is clicked.

    Returns:
        What the form says; None where nothing can be trained or an option cannot work.
    """
    st.markdown(words.intro(plain(chosen.old.name), plain(chosen.new.name), plain(chosen.dataset.name)))
    problem = cannot_train(chosen)
    if problem:
        st.info(problem, icon=":material/info:")
        return None
    names = offered_presets(chosen.dataset)
    fitted = {name: fitted_preset(name, chosen.old, chosen.new, chosen.dataset, VALIDATION_SPLIT) for name in names}
    splits = list(chosen.dataset.splits)
    usual = "train" if "train" in splits else splits[0]
    captions = [
        plain(words.preset_caption(name, one.config, _seconds(workspace, chosen, one.config, usual)))
        for name, one in fitted.items()
    ]
    name = st.radio(
        words.PRESET,
        names,
        index=names.index(preset_of(chosen.dataset)),
        captions=captions,
        horizontal=True,
        key=f"preset_{chosen.dataset.id}",
        help=words.PRESET_HELP,
    )
    one = fitted[name]
    key = f"{name}_{chosen.dataset.id}"
    if one.from_scratch:
        st.caption(words.FROM_SCRATCH)
    if one.without_validation:
        st.caption(words.NO_VALIDATION)
    strategy = st.selectbox(
        words.STRATEGY,
        list(STRATEGIES),
        index=list(STRATEGIES).index(one.config.strategy),
        key=f"strategy_{name}",
        help=words.STRATEGY_HELP,
    )
    st.caption(words.strategy_meaning(plain(strategy), plain(STRATEGIES[strategy])))
    values = _options(key, one.config) | _advanced(key, one.config, strategy, chosen.dataset)
    train_split = st.selectbox(
        words.TRAIN_SPLIT,
        splits,
        index=splits.index(usual),
        format_func=lambda split: words.split_option(split, chosen.dataset.splits[split]),
        key=f"train_split_{chosen.dataset.id}",
    )
    pressed = st.button(words.START, type="primary", icon=":material/play_arrow:")
    try:
        config = CompatConfig.from_dict({**one.config.as_dict(), **values, "strategy": strategy})
    except MuscleError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return None
    request = CompatRequest(
        chosen.old.name, chosen.new.name, chosen.dataset, one.preset, config, train_split, chosen.split
    )
    if pressed:
        _submit(workspace, request)
    return request


def _submit(workspace: Workspace, request: CompatRequest) -> None:
    try:
        submission = submit_compat(
            workspace,
            request.old,
            request.new,
            request.dataset.name,
            request.config,
            train_split=request.train_split,
            test_split=request.test_split,
        )
    except MuscleError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    st.session_state[JOB_KEY] = submission.job_id[:8]
    st.toast(words.QUEUED if submission.is_new else words.UNDER_WAY)


def offered_presets(dataset: Dataset) -> list[str]:
    """The presets that make sense for a dataset, its own among them."""
    names = ["quick", "paper", "thorough"]
    own = preset_of(dataset)
    return names if own in names else [*names, own]


def cannot_train(chosen: Picks) -> str | None:
    """Why nothing can be trained for a pair, or None."""
    for version in (chosen.old, chosen.new):
        if version.base is None:
            return words.no_weights(plain(version.name))
    return None


def _seconds(workspace: Workspace, chosen: Picks, config: CompatConfig, split: str) -> Part | None:
    with errors_shown():
        return expected_seconds(workspace, chosen, json.dumps(config.as_dict()), split)


def _options(key: str, defaults: CompatConfig) -> dict[str, object]:
    names = list(INITIALISATIONS)
    first, second, third = wrapping_columns(3, least=180, key="options_first")
    values: dict[str, object] = {
        "initialisation": first.selectbox(
            words.START_FROM,
            names,
            index=names.index(defaults.initialisation),
            format_func=lambda name: words.start_option(name, INITIALISATIONS[name]),
            help=words.START_FROM_HELP,
            key=f"initialisation_{key}",
        ),
        "steps": second.number_input(
            words.STEPS, 1, 1_000_000, defaults.steps, help=words.STEPS_HELP, key=f"steps_{key}"
        ),
        "seed": third.number_input(words.SEED, 0, 2**32 - 1, defaults.seed, help=words.SEED_HELP, key=f"seed_{key}"),
    }
    with st.expander(words.MORE):
        first, second, third = wrapping_columns(3, least=150, key="options_more")
        rate = first.number_input(
            words.RATE,
            1e-7,
            1.0,
            defaults.learning_rate,
            step=1e-4,
            format="%.1e",
            help=words.RATE_HELP,
            key=f"rate_{key}",
        )
        values |= {
            "learning_rate": rate,
            "batch_size": second.number_input(
                words.BATCH, 1, 65_536, defaults.batch_size, help=words.BATCH_HELP, key=f"batch_{key}"
            ),
            "gradient_accumulation": third.number_input(
                words.ACCUMULATION,
                1,
                65_536,
                defaults.gradient_accumulation,
                help=words.ACCUMULATION_HELP,
                key=f"accumulation_{key}",
            ),
            "warmup_steps": first.number_input(words.WARMUP, 0, 1_000_000, defaults.warmup_steps, key=f"warmup_{key}"),
            "schedule": second.selectbox(
                words.SCHEDULE, SCHEDULES, index=SCHEDULES.index(defaults.schedule), key=f"schedule_{key}"
            ),
            "temperature": third.number_input(
                words.TEMPERATURE,
                0.05,
                100.0,
                float(defaults.temperature),
                help=words.TEMPERATURE_HELP,
                key=f"temperature_{key}",
            ),
        }
    return values


def _advanced(key: str, defaults: CompatConfig, strategy: str, dataset: Dataset) -> dict[str, object]:
    """Options that most trainings leave as they are; those without use for strategy or dataset are disabled."""
    values: dict[str, object] = {}
    with st.expander(words.ADVANCED):
        st.markdown(words.LOSS)
        first, second, third = wrapping_columns(3, least=150, key="advanced_loss")
        teachers = strategy not in ("cross_entropy", "focal_distillation")
        focal = strategy == "focal_distillation"
        values["cross_entropy_weight"] = first.number_input(
            words.GOLD_WEIGHT,
            0.0,
            1000.0,
            float(defaults.cross_entropy_weight),
            step=0.1,
            disabled=not teachers,
            help=words.GOLD_WEIGHT_HELP,
            key=f"gold_weight_{key}",
        )
        for column, option, label, told in (
            (second, "focal_alpha", words.FOCAL_ALPHA, words.FOCAL_ALPHA_HELP),
            (third, "focal_beta", words.FOCAL_BETA, words.FOCAL_BETA_HELP),
        ):
            values[option] = column.number_input(
                label,
                0.0,
                1000.0,
                float(getattr(defaults, option)),
                disabled=not focal,
                help=told,
                key=f"{option}_{key}",
            )
        st.markdown(words.STOPPING)
        values |= _early_stopping(key, defaults, dataset)
        st.markdown(words.LENGTH)
        first, second, third = wrapping_columns(3, least=150, key="advanced_memory", align="bottom")
        values["max_length"] = first.number_input(
            words.LONGEST, 2, 10_000_000, defaults.max_length, help=words.LONGEST_HELP, key=f"max_length_{key}"
        )
        values["truncate"] = second.checkbox(words.CUT, defaults.truncate, help=words.CUT_HELP, key=f"truncate_{key}")
        values["gradient_checkpointing"] = third.checkbox(
            words.CHECKPOINTING,
            defaults.gradient_checkpointing,
            help=words.CHECKPOINTING_HELP,
            key=f"gradient_checkpointing_{key}",
        )
        st.markdown(words.KEPT)
        first, second, third = wrapping_columns(3, least=150, key="advanced_disk", align="bottom")
        values["teacher_store"] = first.checkbox(
            words.STORE, defaults.teacher_store, help=words.STORE_HELP, key=f"store_{key}"
        )
        values["teacher_store_gib"] = second.number_input(
            words.STORE_SIZE,
            0.01,
            1e6,
            float(defaults.teacher_store_gib),
            help=words.STORE_SIZE_HELP,
            key=f"store_size_{key}",
        )
        values["checkpoint_every"] = third.number_input(
            words.CHECKPOINTS,
            0,
            10_000_000,
            defaults.checkpoint_every,
            help=words.CHECKPOINTS_HELP,
            key=f"checkpoint_every_{key}",
        )
    return values


def _early_stopping(key: str, defaults: CompatConfig, dataset: Dataset) -> dict[str, object]:
    lacks = VALIDATION_SPLIT not in dataset.splits
    if lacks:
        st.caption(words.lacks_validation(VALIDATION_SPLIT, plain(dataset.name)))
    first, second, third = wrapping_columns(3, least=150, key="advanced_stopping")
    every = first.number_input(
        words.LOOKS,
        0,
        10_000_000,
        0 if lacks else defaults.validation_every,
        disabled=lacks,
        help=words.LOOKS_HELP,
        key=f"looks_{key}",
    )
    margin = second.number_input(
        words.MARGIN,
        0.0,
        100.0,
        defaults.accuracy_margin * 100,
        step=0.5,
        disabled=lacks,
        help=words.MARGIN_HELP,
        key=f"margin_{key}",
    )
    patience = third.number_input(
        words.PATIENCE, 1, 10_000, defaults.patience, disabled=lacks, help=words.PATIENCE_HELP, key=f"patience_{key}"
    )
    # Points and shares would differ in the last digit otherwise, and the options would no longer be the preset's.
    unchanged = margin == defaults.accuracy_margin * 100
    return {
        "validation_every": every,
        "accuracy_margin": defaults.accuracy_margin if unchanged else round(margin / 100, 6),
        "patience": patience,
    }
