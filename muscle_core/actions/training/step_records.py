"""The step records of a training (metrics.jsonl): written while it runs, read by pages."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from muscle_core.errors import StoreError
from muscle_core.store import METRICS, Workspace, job_file

StepRecord = dict[str, float]
Report = Callable[[StepRecord], None]


def read_metrics(workspace: Workspace, run_id: str) -> list[StepRecord]:
    """Step records of a training, also of a running one; a last half-written line is left out.

    Raises:
        StoreError: a line is damaged.
    """
    path = job_file(workspace, run_id, METRICS)
    if not path.is_file():
        return []
    lines = path.read_text().split("\n")[:-1]
    records = []
    for number, line in enumerate(lines, 1):
        try:
            # JSON has no NaN; null stands for "not measured".
            records.append({k: math.nan if v is None else v for k, v in json.loads(line).items()})
        except (ValueError, AttributeError) as error:
            raise StoreError(
                f"the step records of training {run_id[:8]} are damaged: {path}, line {number}: {line[:40]!r}. Its "
                "curves are lost; the adapter and its figures are not. Remove the file to see the others."
            ) from error
    return records


@contextmanager
def recording(workspace: Workspace, run_id: str, report: Report) -> Iterator[Report]:
    """A report that writes every step's record, and hands it on.

    A training that goes on from a checkpoint writes over the steps that it repeats; a kill at that moment loses none of
    the others.
    """
    path = workspace.job_folder(run_id) / METRICS
    stream: IO[str] | None = None
    last = math.inf

    def record(step: StepRecord) -> None:
        nonlocal stream, last
        if stream is None or step["step"] <= last:
            if stream is not None:
                stream.close()
            stream = _before(path, step["step"]).open("a", buffering=1)
        last = step["step"]
        values = {k: (None if isinstance(v, float) and math.isnan(v) else v) for k, v in step.items()}
        stream.write(json.dumps(values) + "\n")
        report(step)

    try:
        yield record
    finally:
        if stream is not None:
            stream.close()


def _before(path: Path, step: float) -> Path:
    """The file with what it holds of earlier steps."""
    lines = path.read_text().split("\n")[:-1] if path.is_file() else []
    partial = path.with_suffix(".partial")
    partial.write_text("".join(f"{line}\n" for line in lines if json.loads(line)["step"] < step))
    return partial.replace(path)
