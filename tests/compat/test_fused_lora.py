"""The fused LoRA layer gives PEFT's outputs and gradients, and leaves other kinds of layers alone."""

from __future__ import annotations

import copy

import pytest
import torch
from architectures import TINY
from hypothesis import given, settings
from hypothesis import strategies as st
from peft import LoraConfig, get_peft_model

from muscle_core.compat.fused_lora import fused_lora

IDS = torch.tensor([[5, 9, 30, 7, 8], [2, 100, 3, 4, 6]])


def adapted(architecture="llama", **options):
    torch.manual_seed(0)
    config = {"r": 4, "lora_alpha": 6, "target_modules": ["q_proj", "v_proj", "down_proj"], "init_lora_weights": False}
    return get_peft_model(copy.deepcopy(TINY[architecture]()), LoraConfig(**{**config, **options})).train()


def run(model, ids=IDS):
    model.zero_grad(set_to_none=True)
    logits = model(input_ids=ids).logits
    (logits * torch.linspace(-1, 1, logits.numel()).view(logits.shape)).sum().backward()
    return logits.detach(), {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize(("architecture", "layers"), [("llama", 6), ("qwen2", 6), ("qwen3", 6)])
def test_outputs_and_gradients_are_those_of_peft(architecture, layers, checkpointing):
    model = adapted(architecture)
    expected, gradients = run(model)
    if checkpointing:
        model.get_base_model().gradient_checkpointing_enable({"use_reentrant": False})
    with fused_lora(model) as count:
        found, own = run(model)
    assert count == layers
    assert (found - expected).abs().max() < 1e-4
    assert own.keys() == gradients.keys()
    for name, gradient in gradients.items():
        assert (own[name] - gradient).norm() <= 1e-4 * gradient.norm(), name
    assert torch.equal(run(model)[0], expected)  # and PEFT's own again afterwards


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 5), st.integers(1, 4), st.booleans(), st.integers(0, 10**6))
def test_one_layer_against_float64_autograd(rows, rank, bias, seed):
    from muscle_core.compat.fused_lora import _Fused

    generator = torch.Generator().manual_seed(seed)
    shapes = [(2, rows, 6), (5, 6), (5,), (rank, 6), (5, rank)]
    x, weight, offset, low, high = (torch.randn(shape, generator=generator) for shape in shapes)
    offset = offset if bias else None
    single = [t.clone().requires_grad_() for t in (x, low, high)]
    double = [t.double().requires_grad_() for t in (x, low, high)]
    slope = torch.randn(2, rows, 5, generator=generator)
    found = _Fused.apply(single[0], weight, offset, single[1], single[2], 1.5)
    (found * slope).sum().backward()
    wanted = double[0] @ weight.double().T + 1.5 * double[0] @ double[1].T @ double[2].T
    wanted = wanted if offset is None else wanted + offset.double()
    (wanted * slope.double()).sum().backward()
    assert (found - wanted).abs().max() < 1e-4
    for one, other in zip(single, double, strict=True):
        assert (one.grad - other.grad).abs().max() < 1e-4


@pytest.mark.parametrize(
    "options", [{"lora_dropout": 0.1}, {"use_dora": True}, {"lora_bias": True}], ids=lambda options: next(iter(options))
)
def test_other_kinds_of_layers_keep_pefts_way(options):
    model = adapted("qwen2", **options)
    torch.manual_seed(3)
    expected, _ = run(model)
    with fused_lora(model) as count:
        torch.manual_seed(3)
        assert torch.equal(run(model)[0], expected)
    assert count == 0


def test_a_bias_that_is_trained_keeps_its_gradient():
    model = adapted("qwen2", bias="lora_only")  # the biases of q_proj and v_proj; down_proj has none
    expected, gradients = run(model)
    with fused_lora(model) as count:
        found, own = run(model)
    assert count == 2
    assert (found - expected).abs().max() < 1e-4
    assert own.keys() == gradients.keys()
    assert sum(name.endswith("base_layer.bias") for name in own) == 4


def test_layers_that_are_no_linear_layers_or_are_switched_off_keep_pefts_way():
    model = adapted("gpt2", target_modules=["c_attn"])
    with fused_lora(model) as count:
        assert count == 0
    model = adapted()
    with model.disable_adapter(), fused_lora(model) as count:
        assert count == 0
