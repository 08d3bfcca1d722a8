"""The product that training uses on CPUs is that of float64, whatever the strides; other tensors are left to torch."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import linear

from muscle_core.compat import products
from muscle_core.compat.products import project

SIZE = st.integers(1, 40)


def laid_out(shape, generator, kind):
    """Random numbers of a shape, in memory as such, as a transposed matrix or as a part of a larger one."""
    rows, columns = shape
    if kind == "transposed":
        return torch.randn(columns, rows, generator=generator).T
    if kind == "part":
        return torch.randn(rows + 1, columns + 3, generator=generator)[1:, 2:-1]
    return torch.randn(shape, generator=generator)


@settings(deadline=None, max_examples=150)
@given(SIZE, SIZE, SIZE, *[st.sampled_from(["plain", "transposed", "part"])] * 2, st.booleans(), st.integers(0, 10**6))
def test_product_is_that_of_float64(rows, inputs, outputs, left_kind, right_kind, with_bias, seed):
    generator = torch.Generator().manual_seed(seed)
    left = laid_out((rows, inputs), generator, left_kind)
    right = laid_out((outputs, inputs), generator, right_kind)
    bias = torch.randn(outputs, generator=generator) if with_bias else None
    expected = left.double() @ right.double().T + (0.0 if bias is None else bias.double())
    assert (project(left, right, bias) - expected).abs().max() < 1e-4


def test_this_machine_uses_onednn():
    if not torch.backends.mkldnn.is_available():
        pytest.skip("this build of torch has no oneDNN")
    assert products._onednn() is not None


@pytest.mark.parametrize("rows", [0, 3])
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float32])
def test_other_types_and_no_rows_go_to_torch(rows, dtype):
    left, right = torch.ones(rows, 4, dtype=dtype), torch.ones(5, 4, dtype=dtype)
    result = project(left, right)
    assert result.dtype == dtype
    assert torch.equal(result, linear(left, right))


def test_without_onednn_the_product_is_torchs(monkeypatch):
    monkeypatch.setattr(products, "_onednn", lambda: None)
    generator = torch.Generator().manual_seed(0)
    left, right = torch.randn(4, 6, generator=generator), torch.randn(5, 6, generator=generator)
    assert torch.equal(project(left, right), linear(left, right))


def test_where_a_gradient_is_wanted_there_is_one():
    left, right = torch.ones(4, 6, requires_grad=True), torch.ones(5, 6)
    project(left, right).sum().backward()
    assert torch.equal(left.grad, torch.full((4, 6), 5.0))
