"""Early stopping: the rule, what it looks at, and that its choice is what is saved."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from muscle_core.compat import CompatConfig, TaskConfig
from muscle_core.compat.early_stopping import EarlyStopping, Look, Validation, is_better, value_of
from muscle_core.compat.fit import fit_compat_adapter, fit_task_adapter
from muscle_core.errors import ConfigError, DataError
from muscle_core.models import ModelSpec
from muscle_core.models.load import load_model, load_tokenizer
from muscle_core.scoring.decoding import Decoding
from muscle_core.tasks import Sample, task_of

TEMPLATE = "Question: {input}\nAnswer:"
CHOICES = ("cat", "dog", "bird")
SAMPLES = [
    Sample(f"s{n}", "train", f"the {CHOICES[n % 3]} runs {n} ?", str(n * 7 % 3), CHOICES[n * 7 % 3], CHOICES)
    for n in range(40)
]
DECODING = Decoding(1, (), False, "sum")

_SHARE = st.integers(0, 8).map(lambda n: n / 8)
_LOOKS = st.lists(st.tuples(_SHARE, _SHARE), min_size=1, max_size=8)


@given(_LOOKS, _SHARE)
def test_the_rule_takes_the_least_harm_among_the_good_enough_else_the_best_quality(values, wanted):
    looks = [Look(step, *value) for step, value in enumerate(values)]
    best = None
    for look in looks:
        if is_better(look, best, wanted):
            best = look
    good = [look for look in looks if look.quality >= wanted]
    if good:
        expected = min(good, key=lambda look: (look.harm, look.step))
    else:
        expected = max(looks, key=lambda look: (look.quality, -look.step))
    assert best == expected


def validation(old, new, samples=SAMPLES):
    return Validation(samples, task_of("multiple_choice"), TEMPLATE, DECODING, old, new)


def test_an_empty_split_and_answers_without_judgement_are_refused():
    with pytest.raises(DataError, match="has no samples"):
        EarlyStopping(validation({}, {}, []), 0.01, 3)
    with pytest.raises(ConfigError, match="neither right nor wrong nor scored"):
        value_of({"correct": None, "rouge1": None})
    assert value_of({"correct": True}) == 1.0
    assert value_of({"correct": None, "rouge1": 0.25}) == 0.25


@pytest.fixture(scope="module")
def versions(tiny_bases, tmp_path_factory):
    found = []
    for name in ("old", "new"):
        out = tmp_path_factory.mktemp("adapters") / name
        config = TaskConfig(steps=15, batch_size=8, learning_rate=1e-2, lora_rank=4, lora_alpha=8)
        fit_task_adapter(ModelSpec(str(tiny_bases[name])), SAMPLES[:20], TEMPLATE, config, out)
        found.append(ModelSpec(str(tiny_bases[name]), adapter=str(out)))
    return found


def answers(spec):
    """Oracle: each choice alone, in the model's plain forward pass."""
    import torch

    model, tokenizer = load_model(spec), load_tokenizer(spec)
    values = {}
    for sample in SAMPLES:
        sums = []
        for choice in sample.choices:
            prompt = tokenizer(TEMPLATE.replace("{input}", sample.input))["input_ids"]
            whole = tokenizer(TEMPLATE.replace("{input}", sample.input) + " " + choice)["input_ids"]
            with torch.no_grad():
                logits = model(input_ids=torch.tensor([whole])).logits[0].double().log_softmax(-1)
            sums.append(sum(float(logits[t - 1, whole[t]]) for t in range(len(prompt), len(whole))))
        values[sample.id] = float(sums.index(max(sums)) == int(sample.gold))
    return values


def test_a_look_is_accuracy_and_nfr_and_remembers_the_adapter(versions):
    old, new = (answers(spec) for spec in versions)
    stopping = EarlyStopping(validation(old, new), 0.05, 3)
    assert stopping.wanted == pytest.approx(sum(new.values()) / len(new) - 0.05)
    student = load_model(versions[1])
    for name, value in student.named_parameters():
        value.requires_grad_("lora_" in name)
    look = stopping.look(student, load_tokenizer(versions[1]), 7)
    flips = sum(old[key] == 1 and new[key] == 0 for key in old) / len(old)
    assert look == Look(7, pytest.approx(sum(new.values()) / len(new)), pytest.approx(flips))
    assert 0 < flips < 1
    assert stopping.best == look
    assert stopping.weights.keys() == {name for name, _ in student.named_parameters() if "lora_" in name}


def train(versions, out, records, **more):
    old, new = (answers(spec) for spec in versions)
    options = {
        "steps": 40,
        "batch_size": 8,
        "learning_rate": 2e-2,
        "initialisation": "new",
        "validation_every": 4,
        "accuracy_margin": 0.1,
        "patience": 3,
        "warmup_steps": 0,
    } | more.pop("options", {})
    return fit_compat_adapter(
        *versions,
        SAMPLES[:20],
        TEMPLATE,
        CompatConfig(**options),
        out,
        validation=validation(old, new),
        report=records.append,
        **more,
    )


def test_training_ends_after_looks_without_gain_and_saves_the_best_adapter(versions, tmp_path):
    records = []
    result = train(versions, tmp_path / "out", records)
    looks = [record for record in records if "validation_harm" in record]
    assert [record["step"] for record in looks] == [4 * (n + 1) for n in range(len(looks))]
    best = None
    wanted = sum(answers(versions[1]).values()) / len(SAMPLES) - 0.1
    for record in looks:
        look = Look(int(record["step"]), record["validation_quality"], record["validation_harm"])
        if is_better(look, best, wanted):
            best = look
    assert result.best_step == best.step
    assert result.steps == min(best.step + 3 * 4, 40)
    assert not result.stopped
    # What was saved is the adapter of that step, not the last one.
    shorter = train(versions, tmp_path / "shorter", [], options={"schedule": "constant"})
    at_best = train(
        versions,
        tmp_path / "at_best",
        [],
        options={"schedule": "constant", "steps": shorter.best_step, "validation_every": 0},
    )
    one, other = (load_file(r.adapter / "adapter_model.safetensors") for r in (shorter, at_best))
    assert all((one[name] == other[name]).all() for name in other)


def test_a_stopped_training_remembers_its_best_adapter(versions, tmp_path):
    whole_records, records = [], []
    whole = train(versions, tmp_path / "whole", whole_records)
    step = random.Random(1).randrange(5, int(whole_records[-1]["step"]))
    stopped = train(
        versions,
        tmp_path / "out",
        records,
        checkpoints=tmp_path / "checkpoints",
        should_stop=lambda: len(records) == step,
    )
    assert stopped.stopped
    result = train(versions, tmp_path / "out", records, checkpoints=tmp_path / "checkpoints")
    assert (result.best_step, result.steps) == (whole.best_step, whole.steps)
    one, other = ((r.adapter / "adapter_model.safetensors").read_bytes() for r in (whole, result))
    assert one == other


def test_early_stopping_needs_a_validation_split(versions, tmp_path):
    with pytest.raises(ConfigError, match="validation_every needs a validation split"):
        fit_compat_adapter(
            *versions, SAMPLES, TEMPLATE, CompatConfig(initialisation="new", validation_every=5), tmp_path / "out"
        )
