"""Errors of the machine read as advice."""

from __future__ import annotations

import errno

import pytest
import torch

from muscle_core.errors import DataError
from muscle_core.jobs.advice import advice


def _raised(function) -> BaseException:
    with pytest.raises(BaseException) as caught:
        function()
    return caught.value


def test_a_real_allocation_that_fails_is_recognised() -> None:
    error = _raised(lambda: torch.empty(1 << 60, dtype=torch.uint8))
    text = str(advice(error))
    assert "ran out of memory" in text
    assert "gradient_checkpointing=true" in text


def test_a_full_disk_is_found_behind_other_errors() -> None:
    def write() -> None:
        try:
            raise OSError(errno.ENOSPC, "No space left on device", "/data/x")
        except OSError as error:
            raise RuntimeError("cannot save") from error

    assert "the disk is full (/data/x)" in str(advice(_raised(write)))


def test_other_errors_are_left_alone() -> None:
    assert advice(DataError("row 3 has no label")) is None
    assert advice(ValueError("memory of a goldfish")) is None
    loop = ValueError("a")
    loop.__cause__ = KeyError("b")
    loop.__cause__.__cause__ = loop
    assert advice(loop) is None
