import json
import os
import shutil

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file

from muscle_core.errors import ConfigError, ModelError
from muscle_core.models import ModelSpec, adapter_fingerprint, base_fingerprint, check_paths
from muscle_core.models.load import (
    base_skeleton,
    check_adapter,
    load_base,
    load_model,
    load_tokenizer,
    shared_base,
    tokenizer_fingerprint,
)
from muscle_core.models.round_weights import round_groups, write_rounded
from muscle_core.models.spec import recorded_base_fingerprint, write_base_record


def spec_of(tiny_bases, name, adapter=None):
    return ModelSpec(str(tiny_bases[name]), adapter=None if adapter is None else str(adapter))


def make_adapter(tiny_bases, name, out, *, record=True, seed=0):
    """A saved adapter with non-zero weights on a base."""
    torch.manual_seed(seed)
    model = get_peft_model(
        shared_base(spec_of(tiny_bases, name)), LoraConfig(r=2, target_modules=["q_proj", "up_proj"])
    )
    for key, value in model.named_parameters():
        if "lora_" in key:
            torch.nn.init.normal_(value)
    model.save_pretrained(str(out))
    if record:
        write_base_record(out, spec_of(tiny_bases, name), base_fingerprint(spec_of(tiny_bases, name)))
    return out


def logits_of(model):
    with torch.no_grad():
        return model(input_ids=torch.tensor([[1, 20, 30, 40]])).logits


# --- fingerprints ---


def test_a_base_fingerprint_changes_with_weights_or_config_but_not_with_time_stamps_or_place(tiny_bases, tmp_path):
    first = base_fingerprint(spec_of(tiny_bases, "old"))
    folder = shutil.copytree(tiny_bases["old"], tmp_path / "copy")
    copy = ModelSpec(str(folder))
    assert base_fingerprint(copy) == first
    os.utime(folder / "model.safetensors", (1, 1))
    assert base_fingerprint(copy) == first

    weights = load_file(folder / "model.safetensors")
    changed = dict(weights)
    changed["model.norm.weight"] = weights["model.norm.weight"] + 1e-3  # the same size on disk
    save_file(changed, folder / "model.safetensors", metadata={"format": "pt"})
    second = base_fingerprint(copy)
    assert second != first

    (folder / "config.json").write_text((folder / "config.json").read_text() + " ")
    assert len({first, second, base_fingerprint(copy)}) == 3
    assert base_fingerprint(spec_of(tiny_bases, "new")) != first


def test_an_adapter_fingerprint_changes_with_its_weights_only(tiny_bases, tmp_path):
    folders = [make_adapter(tiny_bases, "old", tmp_path / str(i), seed=i // 2, record=i % 2 == 0) for i in range(4)]
    prints = [adapter_fingerprint(spec_of(tiny_bases, "old", folder)) for folder in folders]
    assert prints[0] == prints[1] != prints[2] == prints[3]
    assert adapter_fingerprint(spec_of(tiny_bases, "old")) is None


# --- paths ---


def test_a_complete_base_and_adapter_are_accepted(tiny_bases, tmp_path):
    check_paths(spec_of(tiny_bases, "old", make_adapter(tiny_bases, "old", tmp_path / "a")))
    check_paths(ModelSpec("HuggingFaceTB/SmolLM2-135M"))  # a hub id is not looked up here


@pytest.mark.parametrize("base", ["/no/such/folder", "./none", "none", "a/b/c", "/no/model.gguf", "x.gguf"])
def test_a_missing_model_is_refused(base):
    with pytest.raises(ModelError, match="no model at"):
        check_paths(ModelSpec(base))


def test_a_folder_without_config_is_refused(tmp_path):
    (tmp_path / "model.safetensors").touch()
    with pytest.raises(ModelError, match=r"holds no config\.json"):
        check_paths(ModelSpec(str(tmp_path)))


def test_a_pickle_checkpoint_is_refused_and_never_loaded(tiny_bases, tmp_path):
    folder = shutil.copytree(tiny_bases["old"], tmp_path / "pickle")
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    for call in (check_paths, load_base, load_tokenizer):
        with pytest.raises(ModelError, match="Pickle checkpoints"):
            call(ModelSpec(str(folder)))


def test_a_file_that_is_not_gguf_is_refused(tmp_path):
    (tmp_path / "weights.bin").touch()
    with pytest.raises(ModelError, match=r"not a \.gguf file"):
        check_paths(ModelSpec(str(tmp_path / "weights.bin")))


@pytest.mark.parametrize("missing", ["adapter_config.json", "adapter_model.safetensors"])
def test_half_an_adapter_is_refused_with_what_is_missing(tiny_bases, tmp_path, missing):
    folder = make_adapter(tiny_bases, "old", tmp_path / "a")
    (folder / missing).unlink()
    with pytest.raises(ModelError, match=f"no PEFT adapter at .*: {missing} missing"):
        check_paths(spec_of(tiny_bases, "old", folder))


def test_damaged_weights_give_an_error_for_the_user(tiny_bases, tmp_path):
    folder = shutil.copytree(tiny_bases["old"], tmp_path / "damaged")
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_base(ModelSpec(str(folder)))


def test_a_damaged_adapter_gives_an_error_for_the_user(tiny_bases, tmp_path):
    file = make_adapter(tiny_bases, "old", tmp_path / "a") / "adapter_model.safetensors"
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(ModelError, match="cannot be read"):
        load_model(spec_of(tiny_bases, "old", tmp_path / "a"))


def test_an_unknown_architecture_gives_an_error_for_the_user(tiny_bases, tmp_path):
    folder = shutil.copytree(tiny_bases["old"], tmp_path / "strange")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "never_heard_of"}))
    with pytest.raises(ModelError, match="cannot be"):
        load_base(ModelSpec(str(folder)))


# --- tokenizers ---


def test_tokenizer_fingerprints_are_the_same_for_the_fitting_bases_only(tiny_bases):
    prints = {name: tokenizer_fingerprint(load_tokenizer(spec_of(tiny_bases, name))) for name in tiny_bases}
    assert prints["old"] == prints["new"] == prints["wide"]
    assert prints["foreign"] != prints["old"]


def test_a_missing_pad_token_falls_back_to_eos_and_a_missing_eos_is_refused(tiny_bases, tmp_path):
    folder = shutil.copytree(tiny_bases["old"], tmp_path / "t")
    tokenizer = load_tokenizer(ModelSpec(str(folder)))
    tokenizer.pad_token = None
    tokenizer.save_pretrained(folder)
    assert load_tokenizer(ModelSpec(str(folder))).pad_token_id == tokenizer.eos_token_id
    tokenizer.eos_token = None
    tokenizer.save_pretrained(folder)
    with pytest.raises(ModelError, match="no EOS token"):
        load_tokenizer(ModelSpec(str(folder)))


# --- loading ---


def test_a_base_is_loaded_frozen_in_float32_and_evaluation_mode(tiny_bases):
    model = load_base(spec_of(tiny_bases, "old"))
    assert not model.training
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert not any(p.requires_grad for p in model.parameters())


def test_shared_bases_share_every_tensor_but_have_trees_of_their_own(tiny_bases):
    first, second = shared_base(spec_of(tiny_bases, "old")), shared_base(spec_of(tiny_bases, "old"))
    pairs = list(zip(first.parameters(), second.parameters(), strict=True))
    assert pairs
    assert all(a.data_ptr() == b.data_ptr() for a, b in pairs)
    assert not {id(m) for m in first.modules()} & {id(m) for m in second.modules()}

    before = logits_of(second)
    with_adapter = get_peft_model(first, LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False))
    with_adapter.train()
    assert (logits_of(with_adapter) - before).abs().max() > 1e-3
    assert torch.equal(logits_of(second), before)
    assert not any("lora" in name for name, _ in second.named_modules())
    assert not second.training


def test_the_old_base_is_not_served_for_changed_weights(tiny_bases, tmp_path):
    folder = shutil.copytree(tiny_bases["old"], tmp_path / "b")
    before = logits_of(shared_base(ModelSpec(str(folder))))
    # a new file, not the old one overwritten: loaded weights are mapped from the file and would change with it
    (folder / "model.safetensors").unlink()
    shutil.copy(tiny_bases["new"] / "model.safetensors", folder / "model.safetensors")
    after = logits_of(shared_base(ModelSpec(str(folder))))
    assert torch.equal(after, logits_of(load_base(spec_of(tiny_bases, "new"))))
    assert not torch.equal(after, before)


def test_a_model_is_its_base_plus_its_adapter(tiny_bases, tmp_path):
    spec = spec_of(tiny_bases, "old", make_adapter(tiny_bases, "old", tmp_path / "a"))
    model = load_model(spec)
    assert not model.training
    assert not any(p.requires_grad for p in model.parameters())
    weights = load_file(tmp_path / "a" / "adapter_model.safetensors")
    merged = load_base(spec)
    for key in [key for key in weights if "lora_A" in key]:
        name = key.removeprefix("base_model.model.").removesuffix(".lora_A.weight")
        update = weights[key.replace("lora_A", "lora_B")] @ weights[key] * (8 / 2)  # lora_alpha / r
        merged.get_submodule(name).weight.data += update
    assert torch.allclose(logits_of(model), logits_of(merged), atol=1e-3, rtol=1e-3)
    assert not torch.allclose(logits_of(model), logits_of(load_base(spec)), atol=1e-2)


def test_an_adapter_of_another_base_is_refused_by_its_record(tiny_bases, tmp_path):
    folder = make_adapter(tiny_bases, "old", tmp_path / "a")
    assert recorded_base_fingerprint(folder) == base_fingerprint(spec_of(tiny_bases, "old"))
    spec = spec_of(tiny_bases, "new", folder)
    with pytest.raises(ModelError, match="trained on another base"):
        load_model(spec)
    check_adapter(spec, base_skeleton(spec), other_base_is_fine=True)  # as a start for another adapter it fits


def test_an_adapter_of_another_shape_is_refused_without_a_record(tiny_bases, tmp_path):
    folder = make_adapter(tiny_bases, "wide", tmp_path / "a", record=False)
    spec = spec_of(tiny_bases, "old", folder)
    with pytest.raises(ModelError, match=r"has (32|16) (inputs|outputs), the adapter 64"):
        load_model(spec)
    with pytest.raises(ModelError, match="for another base"):
        check_adapter(spec, base_skeleton(spec), other_base_is_fine=True)


def test_an_adapter_for_layers_that_the_base_lacks_is_refused(tiny_bases, tmp_path):
    folder = make_adapter(tiny_bases, "old", tmp_path / "a", record=False)
    file = folder / "adapter_model.safetensors"
    save_file({k.replace("layers.1", "layers.7"): v for k, v in load_file(file).items()}, file)
    with pytest.raises(ModelError, match=r"has no layer 'model\.layers\.7"):
        load_model(spec_of(tiny_bases, "old", folder))


def test_an_adapter_that_is_not_lora_is_refused(tiny_bases, tmp_path):
    folder = make_adapter(tiny_bases, "old", tmp_path / "a", record=False)
    config = {"peft_type": "IA3", "target_modules": ["k_proj"], "feedforward_modules": []}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="of type IA3"):
        load_model(spec_of(tiny_bases, "old", folder))


# --- rounding ---


def oracle(row, bits, group_size):
    """Rounding by plain Python floats."""
    rounded = []
    for start in range(0, len(row), group_size):
        group = row[start : start + group_size]
        low, step = min(group), (max(group) - min(group)) / (2**bits - 1)
        rounded += [low + round((value - low) / step) * step if step else low for value in group]
    return rounded


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(bits=st.integers(2, 8), group_size=st.sampled_from([1, 2, 8, 16]), seed=st.integers(0, 10**6))
def test_rounding_equals_a_plain_python_oracle_and_keeps_to_its_levels(bits, group_size, seed):
    torch.manual_seed(seed)
    weight = torch.randn(3, 16, dtype=torch.float64)
    weight[1] = 0.25  # a constant group has one level and must not become nan
    rounded = round_groups(weight, bits, group_size)
    expected = [oracle(row, bits, group_size) for row in weight.tolist()]
    assert rounded.flatten().tolist() == pytest.approx([v for row in expected for v in row], abs=1e-12)
    for group, original in zip(rounded.reshape(-1, group_size), weight.reshape(-1, group_size), strict=True):
        assert len(group.unique()) <= 2**bits
        span = original.max() - original.min()
        assert (group - original).abs().max() <= span / (2**bits - 1) / 2 + 1e-12


def test_a_rounded_model_is_loadable_and_differs_only_in_the_layers_linear_weights(tiny_bases, tmp_path):
    out = tmp_path / "deep" / "rounded"
    assert write_rounded(spec_of(tiny_bases, "old"), out, bits=3, group_size=16) == out
    rounded, original = load_base(ModelSpec(str(out))).state_dict(), load_base(spec_of(tiny_bases, "old")).state_dict()
    assert rounded.keys() == original.keys()
    for name, weight in original.items():
        half = weight.half().float()
        if name.endswith("proj.weight"):
            assert torch.equal(rounded[name], round_groups(weight, 3, 16).half().float()), name
            assert not torch.equal(rounded[name], half)
        else:
            assert torch.equal(rounded[name], half), name
    same = [tokenizer_fingerprint(load_tokenizer(s)) for s in (ModelSpec(str(out)), spec_of(tiny_bases, "old"))]
    assert same[0] == same[1]
    assert [p.name for p in out.parent.iterdir()] == ["rounded"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"bits": 1}, "bits must be from 2 to 8, got 1"),
        ({"bits": 9}, "got 9"),
        ({"group_size": 24}, "24 does not divide the 32 columns"),
        ({"group_size": 0}, "at least 1, got 0"),
        ({"group_size": -16}, "at least 1, got -16"),
    ],
)
def test_rounding_options_that_cannot_work_are_refused_and_nothing_is_written(tiny_bases, tmp_path, options, words):
    with pytest.raises(ConfigError, match=words):
        write_rounded(spec_of(tiny_bases, "old"), tmp_path / "out", **options)
    assert list(tmp_path.iterdir()) == []


def test_rounding_into_a_folder_with_files_is_refused(tiny_bases, tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(ConfigError, match="is not empty"):
        write_rounded(spec_of(tiny_bases, "old"), tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


# --- damaged adapters ---


@pytest.mark.parametrize("text", ["", "{", "[]", "5", '{"peft_type": "NONE"}', '{"r": "x"}'])
def test_a_broken_adapter_config_is_refused(tiny_bases, tmp_path, text):
    folder = make_adapter(tiny_bases, "old", tmp_path / "a")
    (folder / "adapter_config.json").write_text(text)
    with pytest.raises(ModelError, match="adapter"):
        load_model(spec_of(tiny_bases, "old", folder))


@pytest.mark.parametrize("text", ["", "{", "[]", '{"base_fingerprint": 5}', "[" * 100_000])
def test_a_broken_record_of_the_base_is_refused(tiny_bases, tmp_path, text):
    folder = make_adapter(tiny_bases, "old", tmp_path / "a")
    (folder / "muscle_base.json").write_text(text)
    with pytest.raises(ModelError, match=r"muscle_base\.json"):
        load_model(spec_of(tiny_bases, "old", folder))


@pytest.mark.parametrize(
    ("option", "value", "words"), [("r", 4, "says rank 4, but .* has rank 2"), ("use_dora", True, "uses DoRA")]
)
def test_an_adapter_whose_config_is_of_another_one_is_refused(tiny_bases, tmp_path, option, value, words):
    folder = make_adapter(tiny_bases, "old", tmp_path / "a")
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps({**config, option: value}))
    with pytest.raises(ModelError, match=words):
        load_model(spec_of(tiny_bases, "old", folder))


def test_what_peft_refuses_is_a_model_error(tiny_bases, tmp_path):
    folder = make_adapter(tiny_bases, "old", tmp_path / "a")
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps({**config, "target_modules": ["nothing"]}))
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_model(spec_of(tiny_bases, "old", folder))


@pytest.mark.parametrize("name", ["/" + "x" * 300, "~nobody-of-that-name/x"])
def test_a_path_that_the_system_refuses_is_a_model_error(tiny_bases, name):
    for spec in (ModelSpec(name), spec_of(tiny_bases, "old", name)):
        with pytest.raises(ModelError, match="cannot be used"):
            check_paths(spec)
