"""The causes of negative flips by the rules, of some flips or of all, reading only what the rules need of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from muscle_core.actions.updates.explain import margin_unit
from muscle_core.comparison import Comparison
from muscle_core.comparison.causes import find_causes
from muscle_core.datasets.samples import read_sample_rows
from muscle_core.store import EvaluationRun, Workspace, read_prediction_rows

_ANSWERS = ("sample_id", "output", "finish_reason")
_TEXTS = ("input", "target", "choices")


def causes_of_flips(
    workspace: Workspace,
    runs: Sequence[EvaluationRun],
    comparison: Comparison,
    flips: NDArray[Any],
    dataset_file: Path,
    places: NDArray[np.int64],
) -> pd.DataFrame:
    """Say why some negative flips happened.

    Args:
        workspace: where the runs are.
        runs: of the old and the new version.
        comparison: of both.
        flips: rows of the comparison that are negative flips.
        dataset_file: holds the samples.
        places: row in that file of each of these flips, -1 for a sample that it lacks.

    Returns:
        `cause`, `cause_rule` and `cause_evidence` of each flip, as of `find_causes`.

    Raises:
        StoreError: predictions are missing or damaged.
        DataError: the samples are.
    """
    frame = comparison.rows.frame(flips)
    has_text = False
    for side, run, rows in zip(("old", "new"), runs, comparison.rows.rows, strict=False):
        table = read_prediction_rows(workspace.local(run.path), rows[flips], _ANSWERS)
        for column in _ANSWERS[1:]:
            if column in table.column_names:
                frame[f"{side}_{column}"] = table[column].cast(pa.large_string()).to_pandas()
        has_text = side == "new" and "output" in table.column_names and table["output"].null_count < len(table)
    if has_text:  # without, no rule looks at what was asked
        texts = sample_texts(dataset_file, places, _TEXTS)
        frame["input"], frame["target"] = texts["input"].to_pandas(), texts["target"].to_pandas()
        frame["choices"] = pd.Series(texts["choices"].to_pylist(), dtype=object)
    return find_causes(frame, unit=margin_unit(runs))


def sample_texts(path: Path, places: NDArray[np.int64], columns: Sequence[str] | None = None) -> pa.Table:
    """Rows of a dataset's file in the order asked for; a row of missing values where a place is -1.

    Raises:
        DataError: the file is missing or damaged.
    """
    known = np.flatnonzero(places >= 0)
    table = read_sample_rows(path, places[known], columns)
    if len(known) == len(places):
        return table
    order = np.full(len(places), -1)  # a dataset may lack a sample that was answered
    order[known] = np.arange(len(known))
    return table.take(pa.array(order, mask=order < 0))
