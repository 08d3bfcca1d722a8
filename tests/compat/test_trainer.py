import json
import math

import pytest
import torch
from safetensors.torch import load_file

from muscle_core.compat import STRATEGIES, CompatConfig, TaskConfig
from muscle_core.compat.adapters import compat_student
from muscle_core.compat.fit import fit_compat_adapter, fit_task_adapter
from muscle_core.compat.losses import Head, TeacherTokens, distillation_loss
from muscle_core.compat.pairs import training_pairs
from muscle_core.compat.strategies import TOKEN_STRATEGIES
from muscle_core.compat.trainer import peak_memory_mb
from muscle_core.errors import ConfigError, DataError, ModelError
from muscle_core.models import ModelSpec, adapter_fingerprint, base_fingerprint
from muscle_core.models.load import load_base, load_model, load_tokenizer, shared_base
from muscle_core.models.spec import recorded_base_fingerprint
from muscle_core.scoring.loglikelihood import answer_logits, pad_pairs
from muscle_core.tasks import Sample

TEMPLATE = "Question: {input}\nAnswer:"
WORDS = ["cat", "a dog", "the bird", "house and tree", "one", "two three four", "five", "or"]
SAMPLES = [Sample(f"s{i}", "train", word, "0", f"the {word} runs"[: 8 + i]) for i, word in enumerate(WORDS)]
SMALL = {"lora_rank": 4, "lora_alpha": 8, "warmup_steps": 0, "schedule": "constant"}


def base_of(tiny_bases, name):
    return ModelSpec(str(tiny_bases[name]))


def task_config(**changes):
    return TaskConfig(**{**SMALL, "steps": 6, "batch_size": 8, "learning_rate": 1e-2, **changes})


def compat_config(**changes):
    return CompatConfig(**{**SMALL, "steps": 2, "batch_size": 4, "learning_rate": 1e-3, **changes})


def weights_of(folder):
    return load_file(folder / "adapter_model.safetensors")


def files_of(folder):
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}


@pytest.fixture(scope="module")
def versions(tiny_bases, tmp_path_factory):
    """Old and new version with a briefly trained task adapter each, and the wide base with one."""
    found = {}
    for name in ("old", "new", "wide"):
        out = tmp_path_factory.mktemp("adapters") / name
        config = task_config(steps=15 if name != "wide" else 1, learning_rate=2e-2)
        fit_task_adapter(base_of(tiny_bases, name), SAMPLES, TEMPLATE, config, out)
        found[name] = ModelSpec(str(tiny_bases[name]), adapter=str(out))
    return found


@pytest.mark.parametrize("kind", ["task", "compat"])
def test_a_too_long_sample_is_refused_before_anything_is_written(versions, tmp_path, kind):
    out = tmp_path / "out"
    with pytest.raises(DataError, match="longer than max_length = 8"):
        if kind == "task":
            fit_task_adapter(versions["old"], SAMPLES, TEMPLATE, task_config(max_length=8), out)
        else:
            fit_compat_adapter(versions["old"], versions["new"], SAMPLES, TEMPLATE, compat_config(max_length=8), out)
    assert list(tmp_path.iterdir()) == []


# --- task adapters ---


def test_six_steps_lower_the_loss_and_change_every_lora_b_and_no_base_weight(tiny_bases, tmp_path):
    base = base_of(tiny_bases, "old")
    shared = shared_base(base)
    before = {name: value.clone() for name, value in shared.state_dict().items()}
    records = []
    result = fit_task_adapter(base, SAMPLES, TEMPLATE, task_config(), tmp_path / "out", report=records.append)

    assert [record["step"] for record in records] == [1, 2, 3, 4, 5, 6]
    assert records[-1]["loss"] < 0.8 * records[0]["loss"]
    assert result.steps == 6
    assert not result.stopped
    assert math.isnan(result.old_share)
    assert result.last == records[-1]

    weights = weights_of(tmp_path / "out")
    changed = [name for name in weights if "lora_B" in name]
    assert len(changed) == 2 * 7  # every one of the 7 linear layers of both blocks
    assert all(weights[name].abs().max() > 0 for name in changed)  # a fresh LoRA B is zero
    after = shared_base(base).state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert recorded_base_fingerprint(tmp_path / "out") == base_fingerprint(base)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_the_first_loss_is_the_mean_cross_entropy_of_the_plain_base(tiny_bases, tmp_path):
    base = base_of(tiny_bases, "old")
    result = fit_task_adapter(base, SAMPLES, TEMPLATE, task_config(steps=1), tmp_path / "out")
    tokenizer, model = load_tokenizer(base), load_base(base)
    total = tokens = 0.0
    with torch.no_grad():
        for pair in training_pairs(tokenizer, SAMPLES, TEMPLATE, 100).pairs:
            logits, gold, _ = answer_logits(model, pad_pairs([pair], 0))
            total += torch.nn.functional.cross_entropy(logits.double(), gold, reduction="sum").item()
            tokens += len(gold)
    assert result.last["loss"] == pytest.approx(total / tokens, rel=1e-5)


def test_the_same_seed_gives_bit_identical_adapters_and_another_seed_does_not(tiny_bases, tmp_path):
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        config = task_config(steps=3, batch_size=3, seed=seed, lora_dropout=0.2)
        fit_task_adapter(base_of(tiny_bases, "old"), SAMPLES, TEMPLATE, config, tmp_path / name)
    a, b, c = ((tmp_path / name / "adapter_model.safetensors").read_bytes() for name in "abc")
    assert a == b
    assert a != c


def test_gradient_accumulation_equals_one_large_batch(tiny_bases, tmp_path):
    records = {}
    for name, batch, passes in (("one", 8, 1), ("two", 4, 2), ("eight", 1, 8)):
        config = task_config(steps=1, batch_size=batch, gradient_accumulation=passes, learning_rate=1e-3)
        result = fit_task_adapter(base_of(tiny_bases, "old"), SAMPLES, TEMPLATE, config, tmp_path / name)
        records[name] = result.last
    assert len({len(sample.target) for sample in SAMPLES}) > 3  # else a mean of means would pass too
    whole = weights_of(tmp_path / "one")
    for name in ("two", "eight"):
        assert records[name]["loss"] == pytest.approx(records["one"]["loss"], rel=1e-5)
        parts = weights_of(tmp_path / name)
        # Adam's first step is lr * sign(gradient): where the gradient is almost 0, rounding may turn it.
        differing = sum(int(((parts[key] - whole[key]).abs() > 1e-5).sum()) for key in whole)
        assert differing <= 0.01 * sum(value.numel() for value in whole.values())


def test_accumulated_gradients_equal_those_of_one_large_batch(tiny_bases, tmp_path, monkeypatch):
    # The exact form of the test above: Adam hides a wrong scale of the gradient, its norm does not.
    norms = {}
    clip = torch.nn.utils.clip_grad_norm_

    def measured(parameters, max_norm, *args, **kwargs):
        norm = clip(parameters, max_norm, *args, **kwargs)
        norms.setdefault(name, float(norm))
        return norm

    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", measured)
    for name, batch, passes in (("one", 8, 1), ("four", 2, 4)):
        config = task_config(steps=1, batch_size=batch, gradient_accumulation=passes)
        fit_task_adapter(base_of(tiny_bases, "old"), SAMPLES, TEMPLATE, config, tmp_path / name)
    assert norms["four"] == pytest.approx(norms["one"], rel=1e-4)


def test_a_stop_request_ends_training_after_the_step_and_writes_no_adapter(tiny_bases, tmp_path):
    records = []
    result = fit_task_adapter(
        base_of(tiny_bases, "old"),
        SAMPLES,
        TEMPLATE,
        task_config(),
        tmp_path / "out",
        report=records.append,
        should_stop=lambda: len(records) == 2,
    )
    assert (result.stopped, result.steps, len(records)) == (True, 2, 2)
    assert list(tmp_path.iterdir()) == []


def test_layers_that_the_base_lacks_are_refused(tiny_bases, tmp_path):
    with pytest.raises(ConfigError, match="no LoRA adapter can be put on"):
        fit_task_adapter(
            base_of(tiny_bases, "old"), SAMPLES, TEMPLATE, task_config(lora_modules=("nothing",)), tmp_path / "out"
        )


# --- compatibility adapters ---


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_trains_and_records_the_share_of_the_old_teacher(versions, tmp_path, strategy):
    records = []
    result = fit_compat_adapter(
        versions["old"],
        versions["new"],
        SAMPLES,
        TEMPLATE,
        compat_config(strategy=strategy),
        tmp_path / "out",
        report=records.append,
    )
    assert result.steps == len(records) == 2
    assert all(math.isfinite(record["loss"]) and 0 <= record["token_accuracy"] <= 1 for record in records)
    if strategy == "cross_entropy":
        assert math.isnan(result.old_share)
    else:
        assert 0 <= result.old_share <= 1
        for record in records:  # each divergence is that of the tokens which follow the teacher
            assert record["kl_old"] > 0 if record["old_share"] > 0 else math.isnan(record["kl_old"])
    always = {"always_old": 1.0, "focal_distillation": 1.0, "always_new": 0.0}
    if strategy in always:
        assert result.old_share == always[strategy]
    spec = ModelSpec(versions["new"].base, adapter=str(tmp_path / "out"))
    load_model(spec)  # the adapter belongs to the NEW base
    assert recorded_base_fingerprint(tmp_path / "out") == base_fingerprint(versions["new"])
    start, end = weights_of_spec(versions["old"]), weights_of(tmp_path / "out")
    assert start.keys() == end.keys()
    assert all(not torch.equal(start[name], end[name]) for name in start)


@pytest.mark.parametrize("store", [True, False])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_first_step_is_the_loss_of_the_starting_student(versions, tmp_path, strategy, store):
    old, new = versions["old"], versions["new"]
    config = compat_config(
        strategy=strategy, initialisation="new", steps=1, batch_size=4, gradient_accumulation=2, teacher_store=store
    )
    result = fit_compat_adapter(old, new, SAMPLES, TEMPLATE, config, tmp_path / "out")
    batch = pad_pairs(training_pairs(load_tokenizer(new), SAMPLES, TEMPLATE, 100).pairs, 0)
    with torch.no_grad():
        student, gold, row = answer_logits(load_model(new), batch)
        teachers = {}
        for name, spec in (("old", old), ("new", new)):
            logits = answer_logits(load_model(spec), batch)[0]
            likelihood = logits.log_softmax(-1).gather(1, gold[:, None])[:, 0]
            teachers[name] = TeacherTokens(Head(None), logits, logits.argmax(-1), likelihood)
        parts = distillation_loss(student, Head(None), gold, row, teachers, TOKEN_STRATEGIES[strategy])
    assert result.last["loss"] == pytest.approx(parts.loss.item() / parts.tokens, rel=1e-4, abs=1e-5)
    if TOKEN_STRATEGIES[strategy].teachers:
        assert result.last["old_share"] == pytest.approx(parts.old_tokens / parts.tokens)
    if parts.old_tokens:
        assert result.last["kl_old"] == pytest.approx(parts.kl_old / parts.old_tokens, rel=1e-4)
    assert result.last["token_accuracy"] == pytest.approx(parts.correct_tokens / parts.tokens)
    if strategy in ("token_correctness", "token_likelihood", "old_correct"):
        assert 0 < result.old_share < 1  # else this test would show little


def weights_of_spec(spec):
    return load_file(f"{spec.adapter}/adapter_model.safetensors")


@pytest.mark.parametrize("initialisation", ["old", "new"])
def test_the_student_starts_from_the_named_adapter_on_the_new_base(versions, initialisation):
    student = compat_student(versions["old"], versions["new"], compat_config(initialisation=initialisation))
    wanted = weights_of_spec(versions[initialisation])
    found = {name.replace(".default", ""): value for name, value in student.named_parameters() if "lora_" in name}
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], value) for name, value in wanted.items())
    trainable = {name for name, value in student.named_parameters() if value.requires_grad}
    assert trainable == {name for name, _ in student.named_parameters() if "lora_" in name}
    base = load_base(versions["new"]).state_dict()
    layer = "model.layers.0.self_attn.q_proj"
    assert torch.equal(student.get_base_model().get_submodule(layer).base_layer.weight, base[f"{layer}.weight"])


def test_from_scratch_the_student_starts_as_the_plain_new_base(tiny_bases):
    old, new = base_of(tiny_bases, "old"), base_of(tiny_bases, "new")
    student = compat_student(old, new, compat_config(initialisation="scratch")).eval()
    ids = torch.tensor([[1, 20, 30]])
    with torch.no_grad():
        assert torch.equal(student(input_ids=ids).logits, load_base(new)(input_ids=ids).logits)


@pytest.mark.parametrize("initialisation", ["old", "new"])
def test_starting_from_a_version_without_adapter_is_refused(tiny_bases, tmp_path, initialisation):
    with pytest.raises(ConfigError, match=f"the {initialisation} version is a plain base"):
        fit_compat_adapter(
            base_of(tiny_bases, "old"),
            base_of(tiny_bases, "new"),
            SAMPLES,
            TEMPLATE,
            compat_config(initialisation=initialisation),
            tmp_path / "out",
        )


def test_an_old_adapter_of_another_shape_cannot_be_the_start_but_its_version_can_teach(versions, tmp_path):
    wide, new = versions["wide"], versions["new"]
    with pytest.raises(ModelError, match="for another base"):
        fit_compat_adapter(wide, new, SAMPLES, TEMPLATE, compat_config(), tmp_path / "a")
    result = fit_compat_adapter(
        wide, new, SAMPLES, TEMPLATE, compat_config(initialisation="new", steps=1), tmp_path / "b"
    )
    assert result.steps == 1
    assert not (tmp_path / "a").exists()


def test_a_new_adapter_of_another_base_is_refused_also_without_teachers(versions, tmp_path):
    mixed = ModelSpec(versions["new"].base, adapter=versions["old"].adapter)
    for strategy in ("cross_entropy", "always_new"):
        with pytest.raises(ModelError, match="trained on another base"):
            fit_compat_adapter(
                versions["old"],
                mixed,
                SAMPLES,
                TEMPLATE,
                compat_config(strategy=strategy, initialisation="new"),
                tmp_path / "out",
            )


def test_another_tokenizer_is_refused(tiny_bases, versions, tmp_path):
    foreign = base_of(tiny_bases, "foreign")
    for old, new in ((foreign, versions["new"]), (versions["old"], foreign)):
        with pytest.raises(ModelError, match="the tokenizers differ"):
            fit_compat_adapter(old, new, SAMPLES, TEMPLATE, compat_config(), tmp_path / "out")


def test_a_student_that_starts_as_the_new_teacher_has_no_divergence_from_it(versions, tmp_path):
    records = []
    config = compat_config(strategy="always_new", initialisation="new", batch_size=8)
    old, new = versions["old"], versions["new"]
    fit_compat_adapter(old, new, SAMPLES, TEMPLATE, config, tmp_path / "out", report=records.append)
    assert abs(records[0]["kl_new"]) < 1e-5
    assert abs(records[0]["loss"]) < 1e-5


def test_always_old_training_moves_the_student_towards_the_old_teacher(versions, tmp_path):
    records = []
    config = compat_config(strategy="always_old", initialisation="new", batch_size=8, steps=8, learning_rate=1e-2)
    old, new = versions["old"], versions["new"]
    fit_compat_adapter(old, new, SAMPLES, TEMPLATE, config, tmp_path / "out", report=records.append)
    assert records[-1]["kl_old"] < 0.8 * records[0]["kl_old"]
    assert records[0]["loss"] == pytest.approx(records[0]["kl_old"], rel=1e-4)


def test_teachers_and_their_files_are_left_as_they_were(versions, tmp_path):
    old, new = versions["old"], versions["new"]
    teachers = [load_model(spec) for spec in (old, new)]
    assert not any(teacher.training for teacher in teachers)
    assert not any(p.requires_grad for teacher in teachers for p in teacher.parameters())
    before = [{name: value.clone() for name, value in t.state_dict().items()} for t in teachers]
    folders = [ModelSpec(spec.adapter).base for spec in (old, new)]
    files = [files_of(type(tmp_path)(folder)) for folder in folders]
    prints = [adapter_fingerprint(spec) for spec in (old, new)]

    fit_compat_adapter(old, new, SAMPLES, TEMPLATE, compat_config(learning_rate=0.05), tmp_path / "out")

    assert [files_of(type(tmp_path)(folder)) for folder in folders] == files
    assert [adapter_fingerprint(spec) for spec in (old, new)] == prints
    for teacher, state in zip(teachers, before, strict=True):  # their base tensors are shared with the run's models
        assert all(torch.equal(value, state[name]) for name, value in teacher.state_dict().items())
    for name, spec in (("old", old), ("new", new)):
        fresh = load_base(spec).state_dict()
        shared = shared_base(spec).state_dict()
        assert all(torch.equal(shared[key], value) for key, value in fresh.items()), name


def test_lora_dropout_of_the_student_does_not_reach_the_teachers(versions, tmp_path, tiny_bases):
    out = tmp_path / "dropout"
    config = task_config(steps=2, lora_dropout=0.5)
    fit_task_adapter(base_of(tiny_bases, "new"), SAMPLES, TEMPLATE, config, out)
    new = ModelSpec(versions["new"].base, adapter=str(out))
    records = []
    fit_compat_adapter(
        versions["old"],
        new,
        SAMPLES,
        TEMPLATE,
        compat_config(strategy="always_new", initialisation="new", batch_size=8, steps=1),
        tmp_path / "out",
        report=records.append,
    )
    assert records[0]["kl_new"] > 1e-4  # the student's own dropout is on, and that is what is seen here


def test_compatibility_training_is_reproducible_and_can_be_stopped(versions, tmp_path):
    old, new = versions["old"], versions["new"]
    for name in ("a", "b"):
        fit_compat_adapter(old, new, SAMPLES, TEMPLATE, compat_config(), tmp_path / name)
    result = fit_compat_adapter(old, new, SAMPLES, TEMPLATE, compat_config(), tmp_path / "c", should_stop=lambda: True)
    assert not (tmp_path / "c").exists()
    a, b = ((tmp_path / name / "adapter_model.safetensors").read_bytes() for name in "ab")
    assert a == b
    assert (result.steps, result.stopped) == (1, True)


def test_the_saved_adapter_names_the_new_base_also_where_it_started_from_the_old_adapter(versions, tmp_path):
    old, new = versions["old"], versions["new"]
    fit_compat_adapter(old, new, SAMPLES, TEMPLATE, compat_config(initialisation="old", steps=1), tmp_path / "out")
    config = json.loads((tmp_path / "out" / "adapter_config.json").read_text())
    assert config["target_modules"] == sorted(config["target_modules"])  # not in the order of a set
    assert (config["base_model_name_or_path"], config["revision"]) == (new.base, None)


def test_the_peak_of_memory_does_not_sink():
    if torch.cuda.is_available():
        pytest.skip("measured on the GPU there")
    before = peak_memory_mb()
    held = bytearray(200 * 2**20)
    held[:: 2**12] = b"x" * len(held[:: 2**12])
    during = peak_memory_mb()
    del held
    assert during > 200
    assert peak_memory_mb() >= during >= before
