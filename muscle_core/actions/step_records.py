"""The step records of a training (metrics.jsonl): written while it runs, read by pages."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from muscle_core.store import METRICS, Workspace, job_file

StepRecord = dict[str, float]
Report = Callable[[StepRecord], None]


def read_metrics(workspace: Workspace, run_id: str) -> list[StepRecord]:
    """Step records of a training, also of a running one; a last half-written line is left out."""
    path = job_file(workspace, run_id, METRICS)
    if not path.is_file():
        return []
    lines = path.read_text().split("\n")[:-1]
    # JSON has no NaN; null stands for "not measured".
    return [{k: math.nan if v is None else v for k, v in json.loads(line).items()} for line in lines]


@contextmanager
def recording(workspace: Workspace, run_id: str, report: Report) -> Iterator[Report]:
    """A report that writes every step's record, and hands it on.

    A training that goes on from a checkpoint writes over the steps that it repeats; a kill at that moment loses none of
    the others.
    """
    path = workspace.job_folder(run_id) / METRICS
    before = path.read_text().split("\n")[:-1] if path.is_file() else []
    stream = None

    def record(step: StepRecord) -> None:
        nonlocal stream
        if stream is None:
            kept = [line for line in before if json.loads(line)["step"] < step["step"]]
            partial = path.with_suffix(".partial")
            partial.write_text("".join(f"{line}\n" for line in kept))
            partial.replace(path)
            stream = path.open("a", buffering=1)
        values = {k: (None if isinstance(v, float) and math.isnan(v) else v) for k, v in step.items()}
        stream.write(json.dumps(values) + "\n")
        report(step)

    try:
        yield record
    finally:
        if stream is not None:
            stream.close()
