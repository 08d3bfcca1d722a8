"""What an import would write, and what is recorded of where it comes from."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass, field
from typing import Any

from muscle_core.actions.imports.request import ImportRequest, Watch
from muscle_core.interchange.log import GENERIC, LogFacts
from muscle_core.store import Dataset
from muscle_core.tasks import Sample

_LONGEST_FACT = 1000
_MOST_FACTS = 100


@dataclass(frozen=True)
class PlannedRun:
    """One run that would be written."""

    version: str
    model: str
    predictions: list[dict[str, Any]]
    chosen: dict[str, Any] | None  # None: a generic file, whose columns are recorded instead
    notes: tuple[str, ...] = ()

    def key(self, dataset: Dataset, split: str) -> str:
        """Hash of all that decides what the run says."""
        content: list[Any] = [self.version, dataset.id, dataset.fingerprint, split, self.predictions]
        if self.chosen is not None:
            content.append(self.chosen)
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


@dataclass
class Plan:
    """What was found out so far; where something is refused, the rest stays empty.

    Attributes:
        request: what was asked for.
        facts: what the file holds.
        dataset: the dataset in the workspace, or the one that would be made.
        is_new: whether it would be made.
        samples: of the split.
        runs: what would be written.
        notes: what the user should know.
        watch: told how far it is.
        first_rows_only: whether the file is the beginning of a larger one, so that it covers only a part.
    """

    request: ImportRequest
    facts: LogFacts | None = None
    dataset: Dataset | None = None
    is_new: bool = False
    samples: list[Sample] = field(default_factory=list)
    runs: list[PlannedRun] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    watch: Watch = field(default_factory=Watch)
    first_rows_only: bool = False


def clean(value: Any, depth: int = 6) -> Any:
    """Facts as any database takes them as JSON: cut where they are long, without NUL, NaN and half characters."""
    if isinstance(value, dict) and depth:
        return {str(clean(str(key))): clean(item, depth - 1) for key, item in list(value.items())[:_MOST_FACTS]}
    if isinstance(value, list | tuple) and depth:
        return [clean(item, depth - 1) for item in value[:_MOST_FACTS]]
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if value is None or isinstance(value, bool) or (isinstance(value, int) and abs(value) < 2**53):
        return value
    text = str(value).replace("\0", "").encode("utf-8", "replace").decode()
    return text if len(text) <= _LONGEST_FACT else f"{text[:_LONGEST_FACT]}…"


def facts_of(plan: Plan) -> dict[str, Any]:
    """What to record of where a run comes from."""
    request, facts = plan.request, plan.facts
    assert facts is not None
    found: dict[str, Any] = {"file": clean(request.recorded_source), "format": facts.format}
    if facts.format == GENERIC:
        return {**found, "columns": vars(request.columns)}
    return {**found, "log_task": clean(facts.task), "log": clean(facts.made_by)}
