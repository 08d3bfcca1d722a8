"""The paper's figures are whole, carry their source, and are printed as the paper rounds them."""

from __future__ import annotations

import pytest

from muscle_core.compat.published import published


def test_relative_changes_are_those_of_the_two_figures() -> None:
    found = published()
    assert "2407.09435" in found.paper
    assert [(one.update, one.before, one.after) for one in found.figures] == [
        ("Llama 1 to Llama 2", 8.49, 7.58),
        ("Vicuna 1.3 to Vicuna 1.5", 11.60, 10.61),
    ]
    for one in found.figures:
        assert 100 * (one.after - one.before) / one.before == pytest.approx(one.change, abs=0.005)
    assert {source for _, source in found.findings} == {"Table 4", "Table 5", "abstract"}
    assert all(one.source.startswith("Table") for one in found.figures)
