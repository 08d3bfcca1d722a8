"""Prediction tables: Parquet parts in a folder, one row a sample."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from muscle_core.datasets.samples import read_rows_of
from muscle_core.errors import StoreError

# Per-token log-likelihoods, for the token view: most of a table's bytes, so read only where they are asked for.
TOKENS_COLUMN = "token_loglikelihoods"
# Hash of the prompt that an imported answer was given to, to tell whether two runs were asked the same.
PROMPT_COLUMN = "prompt_hash"
_FIELDS: dict[str, pa.DataType] = {
    "sample_id": pa.string(),
    "prediction": pa.string(),
    "correct": pa.bool_(),
    "gold": pa.string(),
    "gold_loglikelihood": pa.float64(),
    "finish_reason": pa.string(),
    "output": pa.string(),
    "latency_seconds": pa.float64(),
    "choice_loglikelihoods": pa.list_(pa.float64()),
    "choice_loglikelihoods_per_byte": pa.list_(pa.float64()),
    "margin": pa.float64(),
    TOKENS_COLUMN: pa.list_(pa.list_(pa.float32())),
    "rouge1": pa.float64(),
    "rouge2": pa.float64(),
    "rougeL": pa.float64(),
    "bertscore": pa.float64(),
    "score": pa.float64(),
    PROMPT_COLUMN: pa.string(),
}
_ROWS_A_GROUP = 10_000  # so few are read to show the prediction of one sample
_ALWAYS = ("sample_id", "prediction", "correct", "gold", "gold_loglikelihood", "finish_reason", "output")


class PredictionWriter:
    """Writes parts into a hidden folder that appears under its name only when it is complete."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.partial = folder.with_name(folder.name + ".partial")
        shutil.rmtree(self.partial, ignore_errors=True)
        self.partial.mkdir(parents=True)
        self.parts = 0

    def write(self, rows: list[dict[str, Any]]) -> None:
        """Write one part."""
        columns = [name for name in _FIELDS if name in _ALWAYS or any(name in row for row in rows)]
        schema = pa.schema([(name, _FIELDS[name]) for name in columns])
        self.write_table(pa.Table.from_pylist([{name: row.get(name) for name in columns} for row in rows], schema))

    def write_table(self, table: pa.Table) -> None:
        """Write one part that is in Arrow already."""
        part = self.partial / f"part-{self.parts:05d}.parquet"
        pq.write_table(table, part, compression="zstd", row_group_size=_ROWS_A_GROUP)
        self.parts += 1

    def finish(self) -> None:
        """Give the complete folder its name."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.partial.rename(self.folder)

    def abandon(self) -> None:
        """Remove what was written, also where it is complete."""
        shutil.rmtree(self.partial, ignore_errors=True)
        shutil.rmtree(self.folder, ignore_errors=True)


def read_prediction_table(folder: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Read a prediction table into Arrow.

    Args:
        folder: of the run.
        columns: what to read, of what the table has; by default all but the per-token log-likelihoods and the prompts'
            hashes.

    Raises:
        StoreError: the folder or its parts are missing or damaged.
    """
    columns = columns or [name for name in _FIELDS if name not in (TOKENS_COLUMN, PROMPT_COLUMN)]
    parts = sorted(folder.glob("part-*.parquet"))
    if not parts:
        raise StoreError(f"the predictions at {folder} are missing; evaluate again to make them anew.")
    try:
        tables = [_read_part(part, columns) for part in parts]
        return tables[0] if len(tables) == 1 else pa.concat_tables(tables, promote_options="default")
    except (pa.ArrowException, OSError) as error:
        raise StoreError(f"the predictions at {folder} are damaged ({error}); evaluate again.") from error


def read_prediction_rows(folder: Path, rows: NDArray[np.int64], columns: Sequence[str] | None = None) -> pa.Table:
    """Read some rows of a prediction table, by their numbers in it and in that order, without reading the others.

    Args:
        folder: of the run.
        rows: numbers of rows, counted over all parts.
        columns: as of `read_prediction_table`.

    Raises:
        StoreError: the folder or its parts are missing or damaged.
    """
    columns = columns or [name for name in _FIELDS if name not in (TOKENS_COLUMN, PROMPT_COLUMN)]
    parts = sorted(folder.glob("part-*.parquet"))
    if not parts:
        raise StoreError(f"the predictions at {folder} are missing; evaluate again to make them anew.")
    start, tables, places = 0, [], []
    try:
        for part in parts:
            with pq.ParquetFile(part) as file:
                end = start + file.metadata.num_rows
                inside = np.flatnonzero((rows >= start) & (rows < end))
                if len(inside):
                    names = [name for name in columns if name in file.schema_arrow.names]
                    tables.append(read_rows_of(file, rows[inside] - start, names))
                    places.append(inside)
                start = end
        if not tables:
            return read_prediction_table(folder, columns).slice(0, 0)
        found = pa.concat_tables(tables, promote_options="default")
        return found.take(pa.array(np.argsort(np.concatenate(places))))
    except (pa.ArrowException, OSError) as error:
        raise StoreError(f"the predictions at {folder} are damaged ({error}); evaluate again.") from error


def holds_outputs(folder: Path) -> bool:
    """Whether a prediction table holds the models' texts; told by the counts in its files, without reading a row.

    Raises:
        StoreError: the folder or its parts are missing or damaged.
    """
    try:
        for part in sorted(folder.glob("part-*.parquet")):
            about = pq.read_metadata(part)
            at = about.schema.names.index("output") if "output" in about.schema.names else None
            for number in range(0 if at is None else about.num_row_groups):
                group = about.row_group(number)
                counted = group.column(at).statistics
                if counted is None or not counted.has_null_count or counted.null_count < group.num_rows:
                    return True
    except (pa.ArrowException, OSError) as error:
        raise StoreError(f"the predictions at {folder} are damaged ({error}); evaluate again.") from error
    return False


def read_predictions(folder: Path, columns: list[str] | None = None) -> pd.DataFrame:
    """Read a prediction table into pandas.

    Args:
        folder: of the run.
        columns: what to read; by default all but the per-token log-likelihoods.

    Raises:
        StoreError: the folder or its parts are missing or damaged.
    """
    frame = read_prediction_table(folder, columns).to_pandas()
    if "correct" in frame:
        frame["correct"] = frame["correct"].astype("boolean")
    return frame


def _read_part(part: Path, columns: Sequence[str]) -> pa.Table:
    with pq.ParquetFile(part) as file:  # a task writes only the columns that it has
        return file.read(columns=[name for name in columns if name in file.schema_arrow.names])


def summarise(rows: pd.DataFrame) -> dict[str, Any]:
    """Key figures of a run for lists: accuracy with its counts, or mean scores."""
    summary: dict[str, Any] = {"n": len(rows)}
    judged = rows["correct"].dropna()
    if len(judged):
        summary |= {"right": int(judged.sum()), "judged": len(judged), "accuracy": float(judged.mean())}
    for score in ("rouge1", "rouge2", "rougeL", "bertscore", "score"):
        if score in rows and rows[score].notna().any():
            summary[score] = float(rows[score].mean())
    summary["finish_reasons"] = {str(k): int(v) for k, v in rows["finish_reason"].value_counts().items()}
    return summary


def summary_text(summary: dict[str, Any]) -> str:
    """Key figure of a run with its counts, from what `summarise` gave."""
    if "accuracy" in summary:
        return f"{summary['accuracy'] * 100:.1f} % right ({summary['right']:,} of {summary['judged']:,})"
    if "rouge1" in summary:
        return f"ROUGE-1 {summary['rouge1']:.3f}, ROUGE-L {summary['rougeL']:.3f} (mean of {summary['n']:,})"
    if "score" in summary:
        return f"score {summary['score']:.4f} (mean of {summary['n']:,})"
    return f"{summary['n']:,} samples"
