"""Columns of a table, guessed by their names."""

from __future__ import annotations

import pytest

from muscle_core.interchange import ImportColumns
from muscle_core.interchange.guess import guess_columns


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (
            ("sample_id", "question", "gold", "prediction", "correct"),
            ImportColumns(id="sample_id", input="question", gold="gold", prediction="prediction", correct="correct"),
        ),
        (("id", "Answer"), ImportColumns(id="id", prediction="Answer")),
        (("id", "answer", "pred"), ImportColumns(id="id", gold="answer", prediction="pred")),
        (("prompt", "label", "predict"), ImportColumns(input="prompt", gold="label", output="predict")),
        (("Model Output", "Is-Correct", "KEY"), ImportColumns(id="KEY", output="Model Output", correct="Is-Correct")),
        (("x", "y"), ImportColumns()),
        ((), ImportColumns()),
    ],
)
def test_columns_are_known_by_their_names(names: tuple[str, ...], expected: ImportColumns) -> None:
    assert guess_columns(names) == expected
