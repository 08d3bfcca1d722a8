"""A frozen linear layer and its LoRA in one step of autograd: the same numbers as PEFT's, with fewer tensors kept.

PEFT adds the adapter's output, scaled, to that of the layer: three tensors as large as the output. Here it is added in
place, and the product that gives the gradient of B runs in the order that CPUs are fast at. Measured on SmolLM2-135M:
10 to 20 % less time a step and 18 % less memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from peft.tuners.lora import Linear as LoraLinear

from muscle_core.compat.products import project


@contextmanager
def fused_lora(model: torch.nn.Module) -> Iterator[int]:
    """Let the LoRA layers of a model compute in one step for a while, where they are of the plain kind.

    Args:
        model: with a PEFT adapter.

    Yields:
        How many layers do.
    """
    layers = [layer for layer in model.modules() if isinstance(layer, LoraLinear) and _is_plain(layer)]
    for layer in layers:
        layer.forward = partial(_forward, layer)  # type: ignore[method-assign]
    try:
        yield len(layers)
    finally:
        for layer in layers:
            del layer.forward


def _is_plain(layer: LoraLinear) -> bool:
    """One adapter, float32, nothing but a product of two matrices beside a frozen linear layer."""
    names = layer.active_adapters
    if len(names) != 1 or names[0] not in layer.lora_A or layer.merged or layer.disable_adapters:
        return False
    name, base = names[0], layer.base_layer
    weights = (base.weight, layer.lora_A[name].weight, layer.lora_B[name].weight)
    return (
        type(base) is torch.nn.Linear
        and all(weight.dtype == torch.float32 for weight in weights)
        and not base.weight.requires_grad
        and (base.bias is None or not base.bias.requires_grad)
        and layer.lora_B[name].bias is None
        and not getattr(layer, "lora_variant", {}).get(name)
        and not layer.use_dora.get(name, False)
        and isinstance(layer.lora_dropout[name], torch.nn.Identity)
    )


def _forward(layer: LoraLinear, x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
    name = layer.active_adapters[0]
    base, low, high = layer.base_layer, layer.lora_A[name].weight, layer.lora_B[name].weight
    result: torch.Tensor = _Fused.apply(x, base.weight, base.bias, low, high, layer.scaling[name])
    return result


class _Fused(torch.autograd.Function):
    """x W' + b + s x A' B', for x [..., inputs], W [outputs, inputs], A [rank, inputs], B [outputs, rank]."""

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        low: torch.Tensor,
        high: torch.Tensor,
        scale: float,
    ) -> torch.Tensor:
        rows = x.reshape(-1, x.shape[-1])
        narrow = project(rows, low)
        output = project(rows, weight, bias).addmm_(narrow, high.T, alpha=scale)
        ctx.save_for_backward(rows, narrow, weight, low, high)
        ctx.scale, ctx.shape = scale, x.shape
        return output.view(*x.shape[:-1], weight.shape[0])

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[Any, ...]:
        rows, narrow, weight, low, high = ctx.saved_tensors
        gradient = gradients[0].reshape(-1, weight.shape[0])
        of_narrow = project(gradient, high.T).mul_(ctx.scale)
        of_low = of_narrow.T @ rows
        of_high = (narrow.T @ gradient).mul_(ctx.scale).T
        of_x = None
        if ctx.needs_input_grad[0]:
            of_x = project(gradient, weight.T).addmm_(of_narrow, low).view(ctx.shape)
        return of_x, None, None, of_low, of_high, None
