"""A training that is stopped or killed goes on from its checkpoint and ends bit by bit as an undisturbed one."""

from __future__ import annotations

import json
import math
import random

import pytest

from muscle_core.compat import CompatConfig, TaskConfig
from muscle_core.compat.checkpoints import latest_checkpoint
from muscle_core.compat.fit import fit_compat_adapter, fit_task_adapter
from muscle_core.errors import ConfigError, JobError
from muscle_core.models import ModelSpec
from muscle_core.tasks import Sample

TEMPLATE = "Question: {input}\nAnswer:"
WORDS = ["cat", "a dog", "the bird", "house and tree", "one", "two three four", "five", "or", "is", "the cat"]
SAMPLES = [Sample(f"s{i}", "train", word, "0", f"the {word} runs"[: 8 + i]) for i, word in enumerate(WORDS)]
STEPS = 24
# Everything that keeps a state: dropout, warm-up and schedule, momentum, accumulation, an odd last batch of an epoch.
OPTIONS = {
    "steps": STEPS,
    "batch_size": 3,
    "gradient_accumulation": 2,
    "learning_rate": 5e-3,
    "warmup_steps": 4,
    "weight_decay": 0.01,
    "initialisation": "new",
    "teacher_store": True,
}


@pytest.fixture(scope="module")
def versions(tiny_bases, tmp_path_factory):
    found = []
    for name in ("old", "new"):
        out = tmp_path_factory.mktemp("adapters") / name
        config = TaskConfig(
            steps=12, batch_size=8, learning_rate=2e-2, warmup_steps=0, lora_rank=4, lora_alpha=8, lora_dropout=0.2
        )
        fit_task_adapter(ModelSpec(str(tiny_bases[name])), SAMPLES, TEMPLATE, config, out)
        found.append(ModelSpec(str(tiny_bases[name]), adapter=str(out)))
    return found


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    return tmp_path_factory.mktemp("stores")


def train(versions, stores, out, **more):
    options = {**OPTIONS, **more.pop("options", {})}
    return fit_compat_adapter(*versions, SAMPLES, TEMPLATE, CompatConfig(**options), out, stores=stores, **more)


def weights(folder):
    return (folder / "adapter_model.safetensors").read_bytes()


@pytest.fixture(scope="module")
def undisturbed(versions, stores, tmp_path_factory):
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    records = []
    result = train(versions, stores, out, report=records.append)
    return weights(out), records, result


def comparable(record):
    timing = ("tokens_per_second", "peak_memory_mb")
    return {k: None if math.isnan(v) else v for k, v in record.items() if k not in timing}


@pytest.mark.parametrize("step", random.Random(5).sample(range(1, STEPS), 20))
def test_cancelled_at_any_step_and_resumed_it_ends_bit_identical(versions, stores, undisturbed, tmp_path, step):
    expected, expected_records, expected_result = undisturbed
    folder, records = tmp_path / "checkpoints", []
    stopped = train(
        versions,
        stores,
        tmp_path / "out",
        checkpoints=folder,
        report=records.append,
        should_stop=lambda: len(records) == step,
    )
    assert (stopped.stopped, stopped.steps) == (True, step)
    assert not (tmp_path / "out").exists()
    result = train(versions, stores, tmp_path / "out", checkpoints=folder, report=records.append)
    assert weights(tmp_path / "out") == expected
    assert [comparable(record) for record in records] == [comparable(record) for record in expected_records]
    assert (result.steps, result.old_share) == (STEPS, expected_result.old_share)


def test_a_killed_training_repeats_the_steps_since_its_last_checkpoint(versions, stores, undisturbed, tmp_path):
    expected, expected_records, _ = undisturbed
    folder, records = tmp_path / "checkpoints", []

    def kill(record):
        records.append(record)
        if record["step"] == 17:
            raise KeyboardInterrupt

    options = {"checkpoint_every": 5}
    with pytest.raises(KeyboardInterrupt):
        train(versions, stores, tmp_path / "out", options=options, checkpoints=folder, report=kill)
    (folder / "checkpoint-16").mkdir()  # as a kill in the middle of saving leaves it: without our record
    again = []
    train(versions, stores, tmp_path / "out", options=options, checkpoints=folder, report=again.append)
    assert [record["step"] for record in again] == list(range(16, STEPS + 1))
    assert weights(tmp_path / "out") == expected
    assert comparable(again[0]) == comparable(expected_records[15])


def test_killed_after_its_last_step_it_goes_on_from_the_checkpoint_before(versions, stores, undisturbed, tmp_path):
    folder, saved = tmp_path / "checkpoints", []
    options = {"checkpoint_every": STEPS // 2}
    train(versions, stores, tmp_path / "first", options=options, checkpoints=folder, checkpoint_saved=saved.append)
    assert saved == [folder / f"checkpoint-{STEPS // 2}"] == list(folder.iterdir())
    again = []
    train(versions, stores, tmp_path / "out", options=options, checkpoints=folder, report=again.append)
    assert [record["step"] for record in again] == list(range(STEPS // 2 + 1, STEPS + 1))
    assert weights(tmp_path / "out") == undisturbed[0]


def test_a_checkpoint_of_another_training_is_refused(versions, stores, tmp_path):
    folder = tmp_path / "checkpoints"
    train(versions, stores, tmp_path / "out", checkpoints=folder, should_stop=lambda: True)
    for changed in ({"learning_rate": 1e-3}, {"seed": 1}, {"strategy": "always_old"}):
        with pytest.raises(ConfigError, match="that of a training with other options"):
            train(versions, stores, tmp_path / "out", options=changed, checkpoints=folder)
    with pytest.raises(ConfigError, match="that of a training with other options"):
        fit_compat_adapter(
            *versions, SAMPLES[:-1], TEMPLATE, CompatConfig(**OPTIONS), tmp_path / "out", checkpoints=folder
        )
    assert latest_checkpoint(tmp_path / "nothing", "x") is None


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_good_checkpoint(versions, stores, tmp_path, monkeypatch):
    # A real way to NaN: one training sample whose teacher says infinity.
    from muscle_core.compat.teachers import StoredTeacher

    whole = StoredTeacher.tokens
    calls = []

    def poisoned(self, indices):
        found = whole(self, indices)
        calls.append(indices)
        if len(calls) >= 2 * 2 * 8:  # two teachers, two passes a step: from the end of step 8
            found.states[0, 0] = float("inf")
        return found

    monkeypatch.setattr(StoredTeacher, "tokens", poisoned)
    folder, records = tmp_path / "checkpoints", []
    options = {"checkpoint_every": 3}
    with pytest.raises(JobError) as caught:
        train(versions, stores, tmp_path / "out", options=options, checkpoints=folder, report=records.append)
    text = str(caught.value)
    assert "the loss is nan in step 8, batch 2 of the step (samples 's" in text
    assert f"The adapter as of step 6 is kept in {folder / 'checkpoint-6'}" in text
    assert "lower learning rate (now 0.005)" in text
    assert [record["step"] for record in records] == list(range(1, 8))
    assert not (tmp_path / "out").exists()
    monkeypatch.setattr(StoredTeacher, "tokens", whole)
    train(versions, stores, tmp_path / "out", options=options, checkpoints=folder, report=records.append)
    assert [record["step"] for record in records[7:]] == list(range(7, STEPS + 1))


def test_a_gradient_that_is_not_finite_does_not_reach_the_weights(versions, stores, tmp_path, monkeypatch):
    from muscle_core.compat import losses

    whole = losses.Head.back
    monkeypatch.setattr(losses.Head, "back", lambda self, gradient: whole(self, gradient) * float("nan"))
    with pytest.raises(JobError, match="the gradient is not finite in step 1"):
        train(versions, stores, tmp_path / "out")


def test_a_huge_learning_rate_is_found_out(versions, stores, tmp_path):
    with pytest.raises(JobError, match=r"in step \d+, batch \d of the step.*training has diverged"):
        train(
            versions,
            stores,
            tmp_path / "out",
            options={"learning_rate": 1.0, "max_grad_norm": 1e6, "steps": 400, "warmup_steps": 0, "weight_decay": 10.0},
        )


def test_gradient_checkpointing_changes_memory_only(versions, stores, undisturbed, tmp_path):
    records = []
    train(versions, stores, tmp_path / "out", options={"gradient_checkpointing": True}, report=records.append)
    for one, other in zip(records, undisturbed[1], strict=True):
        assert one["loss"] == pytest.approx(other["loss"], rel=1e-3, abs=1e-5)


def test_the_record_of_a_checkpoint_is_readable(versions, stores, tmp_path):
    folder = tmp_path / "checkpoints"
    train(versions, stores, tmp_path / "out", checkpoints=folder, should_stop=lambda: True)
    [checkpoint] = folder.glob("checkpoint-*")
    record = json.loads((checkpoint / "muscle.json").read_text())
    assert len(record["training"]) == 64
    assert record["totals"][1] > 0
