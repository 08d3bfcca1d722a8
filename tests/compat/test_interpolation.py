"""Mixes of adapters against dense weight changes that PEFT itself computes, and every refusal."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from helpers import save_random_adapter
from peft import PeftModel
from safetensors.torch import load_file, save_file

from muscle_core.compat.interpolation import interpolate_adapters
from muscle_core.errors import ConfigError, ModelError
from muscle_core.models import ModelSpec, adapter_fingerprint, base_fingerprint
from muscle_core.models.load import load_base, load_model
from muscle_core.models.spec import BASE_RECORD, recorded_base_fingerprint

IDS = torch.tensor([[1, 7, 40, 200, 11, 90]])


def dense_changes(base: Path, adapter: Path) -> dict[str, torch.Tensor]:
    """Change of every weight that PEFT's own merge makes; zero changes are left out."""
    plain = load_base(ModelSpec(str(base)))
    before = {name: weight.clone() for name, weight in plain.named_parameters()}
    merged = PeftModel.from_pretrained(load_base(ModelSpec(str(base))), str(adapter)).merge_and_unload()
    changes = {name: weight - before[name] for name, weight in merged.named_parameters()}
    return {name: change for name, change in changes.items() if change.abs().max() > 0}


@pytest.fixture(scope="module")
def base(tiny_bases) -> Path:
    return tiny_bases["new"]


@pytest.fixture(scope="module")
def folders(base, tmp_path_factory) -> dict[str, Path]:
    """Adapters of different rank, scale, rule of scaling and layers; `query` and `value` share one layer kind."""
    root = tmp_path_factory.mktemp("adapters")
    kinds = {
        "query": {"target_modules": ["q_proj", "o_proj"]},
        "value": {"r": 3, "lora_alpha": 7, "use_rslora": True, "target_modules": ["o_proj", "down_proj"]},
        "first layer": {"r": 2, "layers_to_transform": [0], "target_modules": ["q_proj", "up_proj"]},
    }
    return {
        name: save_random_adapter(root / name.replace(" ", "_"), base, seed, **options)
        for seed, (name, options) in enumerate(kinds.items())
    }


@pytest.mark.parametrize("share", [0, 0.0, 0.3, 0.5, 0.75, 1.0])
@pytest.mark.parametrize("pair", [("query", "value"), ("value", "first layer"), ("first layer", "query")])
def test_the_change_of_a_mix_is_the_mix_of_the_changes(base, folders, tmp_path, pair, share):
    first, second = (folders[name] for name in pair)
    out = tmp_path / "mix"
    interpolate_adapters(ModelSpec(str(base)), first, second, share, out)
    one, other, mix = (dense_changes(base, folder) for folder in (first, second, out))
    wanted = {
        name: (1 - share) * one.get(name, torch.zeros(1)) + share * other.get(name, torch.zeros(1))
        for name in {**one, **other}
    }
    wanted = {name: change for name, change in wanted.items() if change.abs().max() > 0}
    assert set(mix) == set(wanted)
    for name, change in mix.items():
        torch.testing.assert_close(change, wanted[name], rtol=0, atol=2e-6)


def test_a_mix_gives_the_logits_of_the_mixed_dense_weights(base, folders, tmp_path):
    spec = ModelSpec(str(base))
    interpolate_adapters(spec, folders["query"], folders["value"], 0.25, tmp_path / "mix")
    dense = load_base(spec)
    parameters = dict(dense.named_parameters())
    with torch.no_grad():
        for folder, weight in ((folders["query"], 0.75), (folders["value"], 0.25)):
            for name, change in dense_changes(base, folder).items():
                parameters[name] += weight * change
        mix = load_model(ModelSpec(str(base), adapter=str(tmp_path / "mix")))
        logits, wanted = mix(input_ids=IDS).logits, dense(input_ids=IDS).logits
    torch.testing.assert_close(logits, wanted, rtol=1e-4, atol=1e-4)
    plain = load_base(spec)(input_ids=IDS).logits
    assert (logits - plain).abs().max() > 0.1


@pytest.mark.parametrize(("share", "alone"), [(0.0, "query"), (1.0, "value")])
def test_the_ends_are_the_adapters_themselves(base, folders, tmp_path, share, alone):
    interpolate_adapters(ModelSpec(str(base)), folders["query"], folders["value"], share, tmp_path / "mix")
    models = [load_model(ModelSpec(str(base), adapter=str(f))) for f in (tmp_path / "mix", folders[alone])]
    with torch.no_grad():
        logits = [model(input_ids=IDS).logits for model in models]
    torch.testing.assert_close(logits[0], logits[1], rtol=1e-5, atol=1e-5)


def test_what_is_written_is_plain_lora_with_a_record_and_the_same_each_time(base, folders, tmp_path):
    spec = ModelSpec(str(base), adapter=str(folders["query"]))
    for name in ("one", "two"):
        (tmp_path / f"{name}.partial").mkdir()
        (tmp_path / f"{name}.partial" / "leftover").touch()
        interpolate_adapters(spec, folders["query"], folders["value"], 0.5, tmp_path / name)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "two"]
    files = {path.name for path in (tmp_path / "one").iterdir()}
    assert files == {"adapter_config.json", "adapter_model.safetensors", BASE_RECORD}
    assert recorded_base_fingerprint(tmp_path / "one") == base_fingerprint(spec)
    config = json.loads((tmp_path / "one" / "adapter_config.json").read_text())
    assert (config["r"], config["lora_alpha"], config["use_rslora"]) == (7, 7, False)
    assert config["target_modules"] == sorted(config["target_modules"])
    prints = {adapter_fingerprint(ModelSpec(str(base), adapter=str(tmp_path / name))) for name in ("one", "two")}
    assert len(prints) == 1


def test_a_mix_can_be_mixed_again(base, folders, tmp_path):
    spec = ModelSpec(str(base))
    interpolate_adapters(spec, folders["query"], folders["value"], 0.5, tmp_path / "half")
    interpolate_adapters(spec, tmp_path / "half", folders["query"], 0.5, tmp_path / "quarter")
    interpolate_adapters(spec, folders["query"], folders["value"], 0.25, tmp_path / "direct")
    direct = dense_changes(base, tmp_path / "direct")
    for name, change in dense_changes(base, tmp_path / "quarter").items():
        torch.testing.assert_close(change, direct[name], rtol=0, atol=2e-6)


def test_an_adapter_of_another_base_is_mixed_only_where_asked_for(tiny_bases, base, folders, tmp_path):
    foreign = save_random_adapter(tmp_path / "foreign", tiny_bases["old"], 9)
    wide = save_random_adapter(tmp_path / "wide", tiny_bases["wide"], 9)
    spec, out = ModelSpec(str(base)), tmp_path / "mix"
    with pytest.raises(ModelError, match="trained on another base"):
        interpolate_adapters(spec, foreign, folders["query"], 0.5, out)
    with pytest.raises(ModelError, match="has 32 inputs, the adapter 64"):
        interpolate_adapters(spec, wide, folders["query"], 0.5, out, other_base_is_fine=True)
    with pytest.raises(ModelError, match=r"neither adapter.*was trained on"):
        interpolate_adapters(spec, foreign, foreign, 0.5, out, other_base_is_fine=True)
    assert not out.exists()
    interpolate_adapters(spec, foreign, folders["query"], 0.5, out, other_base_is_fine=True)
    changes = dense_changes(tiny_bases["old"], foreign), dense_changes(base, folders["query"]), dense_changes(base, out)
    name = "model.layers.1.self_attn.q_proj.weight"
    torch.testing.assert_close(changes[2][name], (changes[0][name] + changes[1][name]) / 2, rtol=0, atol=2e-6)
    assert recorded_base_fingerprint(out) == base_fingerprint(spec)


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan"), float("inf"), "0.5", None, True])
def test_a_share_outside_0_to_1_is_refused(base, folders, tmp_path, share):
    with pytest.raises(ConfigError, match="from 0 to 1"):
        interpolate_adapters(ModelSpec(str(base)), folders["query"], folders["value"], share, tmp_path / "mix")
    assert not (tmp_path / "mix").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"use_dora": True}, "uses DoRA"),
        ({"rank_pattern": {"layers.0.self_attn.q_proj": 2}}, "rank_pattern"),
        ({"alpha_pattern": {"q_proj": 3}}, "alpha_pattern"),
        ({"modules_to_save": ["lm_head"]}, "holds 'base_model.model.lm_head"),
        ({"lora_bias": True}, r"lora_B\.bias"),
    ],
)
def test_adapters_that_are_not_plain_lora_are_refused(base, folders, tmp_path, options, words):
    odd = save_random_adapter(tmp_path / "odd", base, 5, **options)
    for pair in ((odd, folders["query"]), (folders["query"], odd)):
        with pytest.raises(ModelError, match=words):
            interpolate_adapters(ModelSpec(str(base)), *pair, 0.5, tmp_path / "mix")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["odd"]


def test_other_kinds_missing_and_damaged_adapters_are_refused(base, folders, tmp_path):
    spec, out = ModelSpec(str(base)), tmp_path / "mix"

    def changed(name: str, **values) -> Path:
        folder = tmp_path / name
        shutil.copytree(folders["query"], folder)
        file = folder / "adapter_config.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | values))
        return folder

    halved = changed("halved")
    tensors = load_file(halved / "adapter_model.safetensors")
    tensors.pop(next(key for key in tensors if ".lora_B" in key))
    save_file(tensors, halved / "adapter_model.safetensors")
    empty = changed("empty")
    save_file({}, empty / "adapter_model.safetensors")
    for folder, words in (
        (changed("ia3", peft_type="IA3"), "only LORA"),
        (changed("pissa", init_lora_weights="pissa_niter_4"), "pissa"),
        (halved, "no counterpart"),
        (empty, "no LoRA layer"),
        (tmp_path / "gone", "no PEFT adapter"),
    ):
        with pytest.raises(ModelError, match=words):
            interpolate_adapters(spec, folder, folders["query"], 0.5, out)
    out.mkdir()
    with pytest.raises(ConfigError, match="exists"):
        interpolate_adapters(spec, folders["value"], folders["query"], 0.5, out)
