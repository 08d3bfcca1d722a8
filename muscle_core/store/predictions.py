"""Prediction tables: Parquet parts in a folder, one row a sample."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from muscle_core.errors import StoreError

# Per-token log-likelihoods, for the token view: most of a table's bytes, so read only where they are asked for.
TOKENS_COLUMN = "token_loglikelihoods"
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
}
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
        table = pa.Table.from_pylist([{name: row.get(name) for name in columns} for row in rows], schema=schema)
        pq.write_table(table, self.partial / f"part-{self.parts:05d}.parquet", compression="zstd")
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
        columns: what to read, of what the table has; by default all but the per-token log-likelihoods.

    Raises:
        StoreError: the folder or its parts are missing or damaged.
    """
    columns = columns or [name for name in _FIELDS if name != TOKENS_COLUMN]
    parts = sorted(folder.glob("part-*.parquet"))
    if not parts:
        raise StoreError(f"the predictions at {folder} are missing; evaluate again to make them anew.")
    try:
        tables = [_read_part(part, columns) for part in parts]
        return tables[0] if len(tables) == 1 else pa.concat_tables(tables, promote_options="default")
    except (pa.ArrowException, OSError) as error:
        raise StoreError(f"the predictions at {folder} are damaged ({error}); evaluate again.") from error


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
