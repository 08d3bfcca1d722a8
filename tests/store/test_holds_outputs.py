"""Whether predictions hold texts, told without reading them."""

from __future__ import annotations

from pathlib import Path

import pytest

from muscle_core.errors import StoreError
from muscle_core.store import holds_outputs
from muscle_core.store.predictions import PredictionWriter


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([[None, None], [None]], False),
        ([[None, None], [None, "a text"]], True),
        ([[""]], True),
    ],
)
def test_one_text_in_any_part_is_found(parts: list[list[str | None]], expected: bool, tmp_path: Path) -> None:
    writer = PredictionWriter(tmp_path / "run")
    for outputs in parts:
        writer.write([{"sample_id": str(n), "output": one, "margin": 1.0} for n, one in enumerate(outputs)])
    writer.finish()
    assert holds_outputs(tmp_path / "run") is expected


def test_a_damaged_part_is_named(tmp_path: Path) -> None:
    (tmp_path / "part-00000.parquet").write_bytes(b"nothing of the kind")
    with pytest.raises(StoreError, match="are damaged"):
        holds_outputs(tmp_path)
