"""Products with frozen matrices on CPUs, in torch's second library for them where that is the faster one.

`torch.nn.functional.linear` multiplies float32 with MKL. oneDNN, which every build of torch for these processors holds
as well, was faster in all shapes that training has here (AMD EPYC, one and two threads): 1.05 to 1.15 times for layers,
1.2 to 1.7 times for the projection of few tokens to a large vocabulary, 2 to 3 times for narrow LoRA products. torch
offers it for float32 under an internal name only, so it is tried out once before it is relied on.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch
from torch.nn.functional import linear

_Product = Callable[[torch.Tensor, torch.Tensor, torch.Tensor | None], torch.Tensor]


def project(rows: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    """Product of rows and a transposed matrix, plus a bias.

    Args:
        rows: [rows, inputs].
        weight: [outputs, inputs]; may be a transposed view.
        bias: [outputs] or None.

    Returns:
        [rows, outputs], as `torch.nn.functional.linear` gives it but for the order of float sums.
    """
    plain = rows.device.type == weight.device.type == "cpu" and rows.dtype == weight.dtype == torch.float32
    # oneDNN's has no gradient.
    tracked = torch.is_grad_enabled() and (rows.requires_grad or weight.requires_grad)
    product = _onednn() if plain and not tracked and rows.numel() and weight.numel() else None
    return linear(rows, weight, bias) if product is None else product(rows, weight, bias)


@cache
def _onednn() -> _Product | None:
    """The product of oneDNN, or None where this build of torch lacks it or it gives something else than `linear`."""

    def product(rows: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        result: torch.Tensor = torch.ops.mkldnn._linear_pointwise(rows, weight, bias, "none", [], "")
        return result

    rows, bias = torch.linspace(-1, 1, 35).view(5, 7), torch.linspace(0, 1, 3)
    weights = (torch.linspace(-2, 1, 21).view(3, 7), torch.linspace(-2, 1, 21).view(7, 3).T)
    try:
        with torch.no_grad():
            same = all(torch.allclose(product(rows, w, bias), linear(rows, w, bias), atol=1e-5) for w in weights)
    except (AttributeError, RuntimeError):  # NotImplementedError is a RuntimeError
        return None
    return product if same else None
