"""The estimate of a training against what trainings took, and against sizes on the disk."""

from __future__ import annotations

import json
import statistics
from pathlib import Path

import numpy as np
import pytest
from built import FilledAnd
from hypothesis import given
from hypothesis import strategies as st

from muscle_core.actions.evaluation.evaluate import evaluate
from muscle_core.actions.training.commands import CompatRequest
from muscle_core.actions.training.earlier import (
    EVALUATED,
    FORMULA,
    KEPT,
    OTHER_BATCH,
    OTHER_DATASET,
    OTHER_STRATEGY,
    SAME,
    UNKNOWN,
    spread,
)
from muscle_core.actions.training.estimate import estimate
from muscle_core.actions.training.preflight import NOTE, OK, PROBLEM, preflight
from muscle_core.actions.training.presets import compat_preset
from muscle_core.actions.training.train import train_compat, train_task
from muscle_core.compat.config import CompatConfig, TaskConfig
from muscle_core.errors import StoreError
from muscle_core.store import TrainingRun, Workspace, get_dataset, get_version, spec_of
from muscle_core.store.disk import size_of

FAST = {"steps": 20, "batch_size": 4, "warmup_steps": 0, "lora_rank": 2, "lora_alpha": 4, "checkpoint_every": 0}
# Seconds of 500 steps of 32 samples on the demo's choices, as 22 trainings of this workbench on 2 busy cores recorded
# them; during one of them the machine was asleep.
MEASURED = {
    "token_correctness": [23.345, 33.937, 405.96, 21.984, 22.402],
    "cross_entropy": [34.889, 26.85, 18.973, 22.493, 37.699],
    "token_likelihood": [20.859, 40.294],
    "sequence_likelihood": [26.425, 28.813],
    "old_correct": [24.681, 23.494],
    "always_old": [30.105, 25.833],
    "always_new": [35.097, 49.02],
    "focal_distillation": [34.489, 52.09],
}


def _pair(workspace: Workspace) -> None:
    for role in ("old", "new"):
        train_task(workspace, f"task-{role}", role, "choice", TaskConfig(**FAST), role=role)


@pytest.fixture
def pair(filled_and: FilledAnd) -> Workspace:
    return filled_and(_pair)


def of(workspace: Workspace, **options: object):
    old, new = get_version(workspace, "task-old"), get_version(workspace, "task-new")
    return estimate(workspace, old, new, get_dataset(workspace, "choice"), CompatConfig(**{**FAST, **options}))


def remember(workspace: Workspace, seconds: float, **options: object) -> None:
    """A record of a training, as one leaves it behind."""
    config = CompatConfig(**{**FAST, **options})
    dataset, new = get_dataset(workspace, "choice"), get_version(workspace, "task-new")
    with workspace.writing() as session:
        session.add(
            TrainingRun(
                kind="compat",
                strategy=config.strategy,
                initialisation=config.initialisation,
                seed=config.seed,
                options=config.as_dict(),
                dataset_id=dataset.id,
                split="train",
                old_version_id=get_version(workspace, "task-old").id,
                new_version_id=new.id,
                result_version_id=new.id,
                metrics_path="",
                summary={"steps": config.steps, "seconds": seconds, "peak_memory_mb": 700.0},
                made_by={"dataset_fingerprint": dataset.fingerprint, "row_limit": None},
            )
        )


def test_nothing_measured_is_unknown_and_sizes_are_those_of_the_files(pair: Workspace) -> None:
    found = of(pair)
    assert (found.steps.basis, found.seconds.basis, found.seconds.value) == (UNKNOWN, UNKNOWN, None)
    assert found.teachers.basis == UNKNOWN
    # Memory: at least the numbers of the new base at four bytes each, counted here by loading them.
    from safetensors.numpy import load_file

    base = Path(get_version(pair, "task-new").base)
    numbers = sum(array.size for array in load_file(base / "model.safetensors").values())
    assert (found.memory.basis, found.memory.value) == (FORMULA, numbers * 4)
    adapter = spec_of(pair, get_version(pair, "task-new")).adapter_path
    assert found.adapter.value == size_of(adapter)[1]
    assert found.checkpoints.value == 3 * found.adapter.value
    assert found.disk_free > found.disk.value


def test_time_is_that_of_the_nearest_earlier_trainings(pair: Workspace) -> None:
    remember(pair, 30.0, batch_size=8, strategy="always_old")
    assert of(pair).steps == spread([30.0 / 16 * 8], OTHER_BATCH)
    remember(pair, 10.0, strategy="always_old")
    assert of(pair).steps[::4] == (10.0, 1)
    assert of(pair).steps.basis == OTHER_STRATEGY
    remember(pair, 8.0)
    remember(pair, 6.0)
    assert of(pair).steps == (7.0, 6.0, 8.0, SAME, 2)
    assert of(pair, steps=200, gradient_accumulation=3).steps.value == pytest.approx(7.0 * 10 * 3)
    remember(pair, 900.0, steps=19)  # its first steps, while a process warms up, say nothing of others
    assert of(pair).steps.measured == 2
    assert of(pair, gradient_checkpointing=True).steps.basis == UNKNOWN  # a step of it does other work


@pytest.mark.parametrize("strategy", MEASURED)
def test_the_demos_recorded_times_are_met_within_a_factor_of_two(pair: Workspace, strategy: str) -> None:
    """Each training of a strategy is estimated from all others; only the one with the sleeping machine is missed."""
    shape = {"steps": 500, "batch_size": 32}
    for left_out, seconds in enumerate(MEASURED[strategy]):
        with pair.writing() as session:
            session.query(TrainingRun).filter_by(kind="compat").delete()
        for name, values in MEASURED.items():
            for place, value in enumerate(values):
                if (name, place) != (strategy, left_out):
                    remember(pair, value, strategy=name, **shape)
        factor = of(pair, strategy=strategy, **shape).steps.value / seconds
        assert seconds > 400 or 0.5 <= factor <= 2.0, (strategy, seconds, factor)


def test_another_dataset_counts_by_the_length_of_its_samples(pair: Workspace) -> None:
    from helpers import choice_rows

    from muscle_core.actions.library.datasets import add_dataset_rows

    rows = [{**row, "question": row["question"] * 10} for row in choice_rows(12)]
    add_dataset_rows(
        pair,
        "long",
        "multiple_choice",
        {split: [(row["id"], row) for row in rows] for split in ("train", "test")},
        template="Question : {input} Answer :",
    )
    remember(pair, 5.0)
    old, new = get_version(pair, "task-old"), get_version(pair, "task-new")
    found = estimate(pair, old, new, get_dataset(pair, "long"), CompatConfig(**FAST))
    from muscle_core.actions.library.datasets import load_samples
    from muscle_core.tasks import render_prompt

    lengths = {
        name: statistics.mean(
            len(render_prompt("Question : {input} Answer :", s.input)) + len(s.target)
            for s in load_samples(pair, get_dataset(pair, name), "train")
        )
        for name in ("choice", "long")
    }
    assert found.steps.basis == OTHER_DATASET
    assert found.steps.value == pytest.approx(5.0 * lengths["long"] / lengths["choice"])
    assert found.memory == (700 * 2**20, 700 * 2**20, 700 * 2**20, OTHER_DATASET, 1)


def test_a_real_training_is_what_the_next_one_is_estimated_from(pair: Workspace) -> None:
    before = of(pair).store
    version = train_compat(pair, "task-old", "task-new", "choice", CompatConfig(**FAST))
    stores = [path for path in pair.path("teachers").iterdir() if path.is_dir()]
    size = sum(size_of(path)[1] for path in stores)
    assert before.low <= size <= before.high * 1.1  # with the files' own headers
    [training] = [run for run in _runs(pair) if run.kind == "compat"]
    found = of(pair, seed=1)
    assert found.steps == (*[pytest.approx(training.summary["seconds"])] * 3, SAME, 1)
    assert (found.store.basis, found.store.value, found.teachers.basis) == (KEPT, 0.0, KEPT)
    assert found.memory.value == training.summary["peak_memory_mb"] * 2**20
    assert found.adapter.value == size_of(spec_of(pair, version).adapter_path)[1]
    assert found.evaluation.basis == UNKNOWN
    evaluate(pair, "task-new", "choice")
    assert of(pair).evaluation.basis == EVALUATED
    assert of(pair).seconds.value > found.steps.value


def _runs(workspace: Workspace) -> list[TrainingRun]:
    from muscle_core.store import list_training_runs

    return list_training_runs(workspace)


@given(st.lists(st.floats(0.1, 1e4), min_size=1, max_size=30))
def test_the_range_is_that_of_the_middle_half(values: list[float]) -> None:
    part = spread(values, SAME)
    assert part.value == pytest.approx(statistics.median(values))
    assert part.measured == len(values)
    inside = sum(part.low - 1e-9 <= value <= part.high + 1e-9 for value in values)
    if len(values) < 4:
        assert (part.low, part.high) == (min(values), max(values))
    else:
        assert inside >= len(values) / 2 - 1
        assert part.low == pytest.approx(np.percentile(values, 25))


def request(workspace: Workspace, config: CompatConfig, **more: str) -> CompatRequest:
    return CompatRequest("task-old", "task-new", get_dataset(workspace, "choice"), "paper", config, **more)


def states(workspace: Workspace, config: CompatConfig, **more: str) -> dict[str, str]:
    return {check.name: check.state for check in preflight(workspace, request(workspace, config, **more)).checks}


def test_preflight_says_what_speaks_against_a_training(pair: Workspace) -> None:
    good = CompatConfig(**FAST)
    found = preflight(pair, request(pair, good))
    assert not found.problems
    assert found.estimate is not None
    numbers = {check.name: check.numbers for check in found.checks}
    assert numbers["answers"]["train"] == 24
    assert numbers["answers"]["passes"] == pytest.approx(20 * 4 / 24)
    assert numbers["overlap"] == {"both": 0, "test": 30}
    same = preflight(pair, request(pair, good, train_split="test"))
    assert [check.name for check in same.problems] == ["splits"]
    assert "Train on another split" in same.problems[0].detail
    assert same.estimate is None
    early = states(pair, CompatConfig(**FAST, validation_every=1))
    assert (early["validation"], early["tokenizer"]) == (PROBLEM, OK)
    assert states(pair, good, test_split="nothing")["answers"] == PROBLEM
    with pytest.raises(StoreError):
        preflight(pair, CompatRequest("task-older", "task-new", get_dataset(pair, "choice"), "paper", good))


def test_preflight_names_other_tokenizers_missing_weights_and_repetition(
    pair: Workspace, tiny_bases: dict[str, Path]
) -> None:
    from muscle_core.actions.library.models import add_model_version

    add_model_version(pair, "foreign", str(tiny_bases["foreign"]))
    config = CompatConfig(**FAST)
    wanted = CompatRequest("task-old", "foreign", get_dataset(pair, "choice"), "paper", config)
    found = {check.name: check for check in preflight(pair, wanted).checks}
    assert found["tokenizer"].state == PROBLEM
    assert "differ" in found["tokenizer"].detail
    train_compat(pair, "task-old", "task-new", "choice", config)
    [note] = [check for check in preflight(pair, request(pair, config)).checks if check.name == "repeated"]
    assert (note.state, note.numbers["version"]) == (NOTE, "task-new-token_correctness-s0")
    with pair.writing() as session:
        from muscle_core.store import ModelVersion

        session.query(ModelVersion).filter_by(name="task-new").update({"base": str(tiny_bases["new"]) + "-gone"})
    assert states(pair, config)["weights"] == PROBLEM


def test_three_named_presets_and_the_name_of_before(pair: Workspace) -> None:
    assert compat_preset("default") == compat_preset("paper")
    from muscle_core.actions.training.presets import fitted_preset, preset_names

    assert preset_names() == ["quick", "paper", "thorough", "scratch", "demo"]
    assert json.dumps(compat_preset("thorough").as_dict())
    bare, task = get_version(pair, "old"), get_version(pair, "task-new")
    fitted = fitted_preset("thorough", bare, task, get_dataset(pair, "choice"), "validation")
    assert (fitted.from_scratch, fitted.without_validation) == (True, True)
    assert (fitted.config.initialisation, fitted.config.validation_every) == ("scratch", 0)
    kept = fitted_preset("quick", bare, task, get_dataset(pair, "choice"), "validation")
    assert (kept.config, kept.from_scratch) == (compat_preset("quick"), False)
